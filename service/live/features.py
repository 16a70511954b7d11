"""The content features of an event, as the content-based arm compares events by them."""

import math
from collections.abc import Iterator

from core.content import Kind
from service.live.cities import city_key
from service.live.event import shown_price
from service.live.moments import hour_band_of, local_time, weekday_of
from service.live.titles import artists_in, series_of
from service.storage.queries.events import EventRow

#: The bands of prices, by the highest price in each.
PRICE_BANDS = (
    (0.0, "free"),
    (10.0, "up to 10"),
    (20.0, "up to 20"),
    (35.0, "up to 35"),
    (60.0, "up to 60"),
    (math.inf, "above 60"),
)
#: The kinds whose names make no sense in the sentences of `service.recommending.pieces`.
UNTOLD = frozenset({Kind.HOUR})
_SERIES_AT = " @ "


def features_of(event: EventRow) -> Iterator[tuple[Kind, str]]:
    """What an event is like: kinds and names as the site writes them; of circumstances at most one each."""
    yield from ((Kind.GENRE, genre) for genre in event.genres)
    yield from ((Kind.TAG, tag) for tag in event.tags)
    yield from ((Kind.ARTIST, artist) for artist in artists_in(event.title))
    if event.venue_name:
        yield Kind.VENUE, event.venue_name
    series = series_of(event.title)
    if series is not None:
        yield Kind.SERIES, f"{series}{_SERIES_AT}{event.venue_name}" if event.venue_name else series
    if event.city:
        yield Kind.CITY, event.city
    at = local_time(event.start_time)
    yield Kind.WEEKDAY, weekday_of(at)
    yield Kind.HOUR, hour_band_of(at)
    price = shown_price(event)
    if price is not None:
        yield Kind.PRICE, next(name for most, name in PRICE_BANDS if price <= most)


def feature_key(kind: Kind, name: str) -> str:
    """What features are told apart by: case, accents and punctuation do not matter."""
    return f"{kind:x}{city_key(name)}"


def feature_label(kind: Kind, name: str) -> str:
    """How an answer names a feature; empty for one that has no name worth telling."""
    if kind in UNTOLD:
        return ""
    return name.partition(_SERIES_AT)[0] if kind == Kind.SERIES else name

"""The content features of an event, as the content-based arm compares events by them."""

import math

from core.tastes import Kind
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
UNTOLD = frozenset({Kind.HOUR, Kind.NEAR, Kind.AREA})
#: The cells of the map: what can be walked, and what is a ride.
CELLS_KM = ((int(Kind.NEAR), 3.0), (int(Kind.AREA), 12.0))
#: Of a sphere with the mean radius of the earth (IUGG).
_KM_OF_A_DEGREE = math.pi / 180.0 * 6371.0088
#: Rows and columns of different sizes are set off from one another, so that no place lies at the edge of all.
_OFFSET = 0.03
_SERIES_AT = " @ "
# Plain numbers: to hash and to format a member of an enumeration takes several times as long.
_GENRE, _TAG, _ARTIST, _VENUE, _SERIES, _CITY, _WEEKDAY, _HOUR, _PRICE, _NEAR, _AREA = map(int, Kind)

#: The number of a kind, and a name.
Feature = tuple[int, str]


def features_of(event: EventRow) -> list[Feature]:
    """What an event is like: kinds and names as the site writes them; of circumstances at most one each."""
    title, venue = event.title, event.venue_name
    features: list[Feature] = [(_GENRE, genre) for genre in event.genres]
    features += [(_TAG, tag) for tag in event.tags]
    features += [(_ARTIST, artist) for artist in artists_in(title)]
    if venue:
        features.append((_VENUE, venue))
    series = series_of(title)
    if series is not None:
        features.append((_SERIES, f"{series}{_SERIES_AT}{venue}" if venue else series))
    if event.city:
        features.append((_CITY, event.city))
    at = local_time(event.start_time)
    features += ((_WEEKDAY, weekday_of(at)), (_HOUR, hour_band_of(at)))
    price = shown_price(event)
    if price is not None:
        features.append((_PRICE, next(name for most, name in PRICE_BANDS if price <= most)))
    if event.latitude is not None and event.longitude is not None:
        features += ((kind, cell_at(event.latitude, event.longitude, km)) for kind, km in CELLS_KM)
    return features


def cell_at(latitude: float, longitude: float, km: float) -> str:
    """The cell of the map that a place, in degrees, is in: as high and, to a few per cent, as wide as `km`.

    Two places share their cells by kind (`CELLS_KM`) the more the closer they are: both, the larger one, none.
    """
    height = km / _KM_OF_A_DEGREE
    row = math.floor((latitude + 90.0) / height + _OFFSET * km)
    middle = math.radians((row + 0.5 - _OFFSET * km) * height - 90.0)
    columns = max(1, round(360.0 * max(0.0, math.cos(middle)) / height))
    return f"{row}x{math.floor((longitude + 180.0) / 360.0 * columns + _OFFSET * km) % columns}"


def feature_key(kind: int, name: str) -> str:
    """What features are told apart by: case, accents and punctuation do not matter."""
    return f"{kind:x}{city_key(name)}"


def kind_of_key(key: str) -> int:
    """The number of the `Kind` that a `feature_key` was made with."""
    return int(key[0], 16)


def feature_label(kind: int, name: str) -> str:
    """How an answer names a feature; empty for one that has no name worth telling."""
    if kind in UNTOLD:
        return ""
    return name.partition(_SERIES_AT)[0] if kind == Kind.SERIES else name

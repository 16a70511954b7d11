"""What is said of a person's taste: by themselves, by the services they listen with, or by the caller.

A statement names features by their keys and not by their numbers, so that what no event has yet counts once one does.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from core.reasons import Part
from core.tastes import NO_TASTE, Kind, Taste
from service.live.features import PRICE_BANDS, feature_key
from service.live.moments import WEEKDAYS
from service.storage.queries.people import Listening, Preferences

#: Of a list, what stands first is meant most: the entry after so many counts half; what comes after more is not read.
HALF_OF_A_LIST, MOST_OF_A_LIST = 20, 50
_WEEKENDS, _WEEKNIGHTS = WEEKDAYS[4:6], WEEKDAYS[:4]


class Stated(NamedTuple):
    """That a person likes a feature. The first of `keys` that an event has is the one that is meant."""

    keys: tuple[str, ...]
    part: Part  #: what a match counts for
    weight: float  #: 0…1


#: From `spotify_genres` in a request's context to the part of a score that it counts for.
SIGNAL_PARTS: dict[str, Part] = {
    "spotify_genres": Part.SPOTIFY_GENRE,
    "soundcloud_genres": Part.SOUNDCLOUD_GENRE,
    "youtube_genres": Part.YOUTUBE_GENRE,
    "preferred_genres": Part.GENRE_MATCH,
    "top_genres": Part.GENRE_MATCH,
    "spotify_artists": Part.SPOTIFY_ARTIST,
    "soundcloud_artists": Part.SOUNDCLOUD_ARTIST,
    "youtube_artists": Part.YOUTUBE_ARTIST,
    "preferred_artists": Part.ARTIST_MATCH,
    "top_artists": Part.ARTIST_MATCH,
}


def of_signal(field: str, names: Sequence[str]) -> Iterator[Stated]:
    """What one list of a request's context states; `field` is one of `SIGNAL_PARTS`."""
    keys = _genre_keys if field.endswith("_genres") else _artist_keys
    return _of_list(names, keys, SIGNAL_PARTS[field])


def of_preferences(told: Preferences) -> Iterator[Stated]:
    """What a person told the site."""
    yield from _of_list(told.genres, _genre_keys, Part.GENRE_MATCH)
    yield from _of_list((*told.artists, *told.djs), _artist_keys, Part.ARTIST_MATCH)
    yield from _of_list(told.venues, _keys_of(Kind.VENUE), Part.VENUE_MATCH)
    yield from _of_list(told.cities, _keys_of(Kind.CITY), Part.CITY_MATCH)
    yield from _of_list(_weekdays(told.nights), _keys_of(Kind.WEEKDAY), Part.DAY_MATCH)
    if told.budget_max is not None:
        yield from _within_budget(told.budget_max)


def of_listening(heard: Listening) -> Iterator[Stated]:
    """What Spotify says a person listens to."""
    yield from _of_list(heard.top_genres, _genre_keys, Part.SPOTIFY_GENRE)
    yield from _of_list(heard.top_artists, _artist_keys, Part.SPOTIFY_ARTIST)


def as_taste(statements: Iterable[Stated], number_of: Callable[[str], int], each: float) -> Taste:
    """Statements by the features that events have, in liked events: a whole statement counts like `each` of them."""
    entries = []
    for keys, part, weight in statements:
        feature = next((number for key in keys if (number := number_of(key)) >= 0), -1)
        if feature >= 0:
            entries.append((feature, weight * each, part))
    if not entries:
        return NO_TASTE
    features, weights, parts = zip(*entries, strict=True)
    return Taste(np.array(features, np.int32), np.array(weights, np.float32), np.array(parts, np.uint8))


def _of_list(names: Sequence[str], keys: Callable[[str], tuple[str, ...]], part: Part) -> Iterator[Stated]:
    for place, name in enumerate(names[:MOST_OF_A_LIST]):
        yield Stated(keys(name), part, HALF_OF_A_LIST / (HALF_OF_A_LIST + place))


def _keys_of(kind: Kind) -> Callable[[str], tuple[str, ...]]:
    return lambda name: (feature_key(kind, name),)


def _artist_keys(name: str) -> tuple[str, ...]:
    return (feature_key(Kind.ARTIST, name),)


def _genre_keys(name: str) -> tuple[str, ...]:
    """As a genre, as a tag, then as the wider genres that end its name: "irish folk" is folk."""
    words = name.split()
    wider = (feature_key(Kind.GENRE, " ".join(words[start:])) for start in range(1, len(words)))
    return feature_key(Kind.GENRE, name), feature_key(Kind.TAG, name), *wider


def _weekdays(nights: Iterable[str]) -> list[str]:
    """The weekdays of "fri", "Saturday night", "weekend", "weeknights"."""
    found: dict[str, None] = {}
    for night in nights:
        said = night.strip().casefold()
        if said.startswith(("weeknight", "weekday")):
            found.update(dict.fromkeys(_WEEKNIGHTS))
        elif said.startswith("weekend"):
            found.update(dict.fromkeys(_WEEKENDS))
        elif len(said) >= 3:
            found.update(dict.fromkeys(day for day in WEEKDAYS if day.casefold().startswith(said[:3])))
    return list(found)


def _within_budget(budget: float) -> Iterator[Stated]:
    """Every band of prices that begins within the budget."""
    least = 0.0
    for most, name in PRICE_BANDS:
        if least <= budget and (least < budget or most == 0.0):
            yield Stated((feature_key(Kind.PRICE, name),), Part.BUDGET_MATCH, 1.0)
        least = most

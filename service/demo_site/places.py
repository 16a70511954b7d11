"""Real cities, real genres, and words to invent names of artists and venues from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class City(NamedTuple):
    name: str
    latitude: float
    longitude: float
    share: float  # of people, venues and events


class Genre(NamedTuple):
    name: str
    related: str  # what its listeners like next
    hour: float  # local time at which it usually starts, 20.5 is half past eight
    hours: float
    price: float  # euro, in a small place
    share: float  # of artists and of first tastes


CITIES = (
    City("Dublin", 53.3498, -6.2603, 0.30),
    City("Cork", 51.8985, -8.4756, 0.13),
    City("Belfast", 54.5973, -5.9301, 0.12),
    City("Galway", 53.2707, -9.0568, 0.11),
    City("Limerick", 52.6638, -8.6267, 0.08),
    City("Waterford", 52.2593, -7.1101, 0.05),
    City("Derry", 54.9966, -7.3086, 0.05),
    City("Kilkenny", 52.6541, -7.2448, 0.04),
    City("Sligo", 54.2766, -8.4761, 0.04),
    City("Dún Laoghaire", 53.2945, -6.1336, 0.04),
    City("Letterkenny", 54.9558, -7.7342, 0.02),
    City("Tralee", 52.2711, -9.6999, 0.02),
)
GENRES = (
    Genre("trad", "folk", 21.5, 2.5, 0.0, 0.12),
    Genre("folk", "trad", 20.0, 3.0, 14.0, 0.09),
    Genre("country", "folk", 20.0, 3.0, 18.0, 0.04),
    Genre("indie", "rock", 20.0, 3.0, 18.0, 0.13),
    Genre("rock", "indie", 20.0, 3.0, 22.0, 0.08),
    Genre("punk", "rock", 20.5, 3.0, 12.0, 0.05),
    Genre("metal", "rock", 19.5, 3.5, 20.0, 0.06),
    Genre("pop", "indie", 19.5, 2.5, 30.0, 0.06),
    Genre("jazz", "soul", 20.5, 2.5, 15.0, 0.07),
    Genre("soul", "jazz", 20.5, 2.5, 18.0, 0.05),
    Genre("hip-hop", "soul", 20.5, 3.0, 16.0, 0.08),
    Genre("techno", "house", 23.0, 4.0, 14.0, 0.08),
    Genre("house", "techno", 22.5, 4.0, 12.0, 0.06),
    Genre("drum and bass", "techno", 23.0, 4.0, 10.0, 0.03),
)
GENRE_INDEX = {genre.name: index for index, genre in enumerate(GENRES)}
RELATED = np.array([GENRE_INDEX[genre.related] for genre in GENRES])

_ODD = (
    *("Sideways", "Buttered", "Reluctant", "Soggy", "Upholstered", "Nervous", "Borrowed", "Overpolite"),
    *(
        "Lopsided",
        "Unfinished",
        "Marmalade",
        "Left-Handed",
        "Overdue",
        "Half-Asleep",
        "Sceptical",
        "Waterproof",
    ),
    *(
        "Provincial",
        "Accidental",
        "Threadbare",
        "Ambidextrous",
        "Drizzly",
        "Secondhand",
        "Barometric",
        "Yawning",
    ),
)
_THINGS = (
    *(
        "Gannet",
        "Teapot",
        "Umbrella",
        "Wheelbarrow",
        "Otter",
        "Lantern",
        "Ferry",
        "Thimble",
        "Hedgehog",
        "Biscuit",
    ),
    *(
        "Postbox",
        "Turnip",
        "Cardigan",
        "Puffin",
        "Bucket",
        "Barometer",
        "Ladder",
        "Kettle",
        "Scarecrow",
        "Radish",
    ),
    *("Doorbell", "Pelican", "Trolley", "Accordion"),
)
_PUBS_AND_HALLS = (
    "The {} {}",
    "The {} {} Inn",
    "{} {} Hall",
    "{} {} Arts Centre",
    "Club {} {}",
    "{} {} Yard",
)


def shares(table: tuple[City, ...] | tuple[Genre, ...]) -> NDArray[np.float64]:
    """The shares of a table's rows, adding up to 1."""
    weights = np.array([row.share for row in table])
    weights /= weights.sum()
    return weights


def artist_names(rng: np.random.Generator, count: int) -> list[str]:
    """``count`` different names of bands and other acts that do not exist."""
    return [f"The {odd} {_plural(thing)}" for odd, thing in _pairs(rng, count)]


def venue_names(rng: np.random.Generator, count: int) -> list[str]:
    """``count`` different names of pubs, halls and clubs that do not exist."""
    return [
        _PUBS_AND_HALLS[i % len(_PUBS_AND_HALLS)].format(*pair) for i, pair in enumerate(_pairs(rng, count))
    ]


def _pairs(rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    picked = rng.permutation(len(_ODD) * len(_THINGS))[:count]
    return [(_ODD[pick // len(_THINGS)], _THINGS[pick % len(_THINGS)]) for pick in picked]


def _plural(thing: str) -> str:
    if thing.endswith(("x", "sh")):
        return f"{thing}es"
    return f"{thing[:-1]}ies" if thing.endswith("ry") else f"{thing}s"

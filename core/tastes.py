"""What content features say of events, and a person's taste for them.

Apart from what scores events by them (`core.content`), so that whoever only reads or states needs no compiled kernels.
"""

import math
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.reasons import Part


class Kind(IntEnum):
    """What a feature says of an event. From CITY on they are circumstances: an event has at most one of each."""

    GENRE = 0
    TAG = 1
    ARTIST = 2  #: named in the title
    VENUE = 3
    SERIES = 4  #: the title without numbers and dates, at one venue
    CITY = 5
    WEEKDAY = 6
    HOUR = 7  #: a band of hours
    PRICE = 8  #: a band of prices
    NEAR = 9  #: a small cell of the map
    AREA = 10  #: a large one


#: How many kinds of features there are, and the first of those of which an event has at most one and nearly all have
#: one: where and when it is, what it costs. They count by groups of events, the others by lists unless many have them.
KINDS, FIRST_CIRCUMSTANCE = len(Kind), int(Kind.CITY)

#: The part of a score that a feature of each kind counts for when it comes from events that a person liked.
PARTS_OF_KINDS = np.array(
    [
        *(Part.GENRE_MATCH, Part.TAG_MATCH, Part.ARTIST_MATCH, Part.VENUE_MATCH, Part.SERIES_MATCH),
        *(Part.CITY_MATCH, Part.DAY_MATCH, Part.DAY_MATCH, Part.BUDGET_MATCH),
        *(Part.DISTANCE_MATCH, Part.DISTANCE_MATCH),
    ],
    np.uint8,
)


class Taste(NamedTuple):
    """A person's taste over the content features of events; empty where nothing is known."""

    features: NDArray[np.int32]  #: [t]
    weights: NDArray[np.float32]  #: [t], what a match with the feature counts
    kinds: NDArray[np.uint8]  #: [t], the `core.reasons.Part` of the score that a match counts for


#: The taste of somebody of whom nothing is known.
NO_TASTE = Taste(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.uint8))


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """What the kinds of features count, relative to one another, and how rarity and statements do.

    A feature with an idf of `pivot` counts 0.71 of one that hardly any event has.
    Something that a person states counts like liking `statement` events of just that. ValueError names what is out
    of range.
    """

    genre: float = 1.0
    tag: float = 0.6
    artist: float = 1.0
    venue: float = 0.5
    series: float = 0.5
    city: float = 0.3
    weekday: float = 0.1
    hour: float = 0.1
    price: float = 0.1
    near: float = 0.15
    area: float = 0.15
    pivot: float = 1.0
    statement: float = 3.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value < math.inf:
                raise ValueError(f"{field.name}: {value} is not a number from 0")
        if self.kind_weights.sum() <= 0.0:
            raise ValueError("genre: no kind of feature has a weight above 0")
        if self.pivot == 0.0:
            raise ValueError("pivot: 0.0 is not above 0")

    @property
    def kind_weights(self) -> NDArray[np.float32]:
        """float32[KINDS] by `Kind`."""
        return np.array([getattr(self, kind.name.lower()) for kind in Kind], np.float32)

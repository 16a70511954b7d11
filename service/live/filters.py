"""What a caller may ask of events beside a city, and the arrays that say which events keep to it.

A limit is never broken: an event that does not say its price, its place or its genres keeps to no limit of that kind.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.live.event import shown_price
from service.live.genres import GenreIndex
from service.live.renumbering import renumbered
from service.pacing import no_rest
from service.storage.queries.events import EventRow

#: The mean radius of the earth (IUGG), km.
EARTH_RADIUS_KM = 6371.0088


class Near(NamedTuple):
    """A circle on the earth, in degrees and km."""

    latitude: float
    longitude: float
    radius_km: float


class Limits(NamedTuple):
    """What must hold of every event of an answer; hashable, None and () for what is not limited."""

    genres: tuple[str, ...] = ()  #: any of them, however they are spelt
    date_from: float | None = None  #: the earliest start, unix seconds
    date_to: float | None = None  #: the latest start, unix seconds
    price_max: float | None = None  #: the highest price
    near: Near | None = None


NO_LIMITS = Limits()


class EventColumns:
    """What limits look at, by event index: prices, places, genres, and when an event was listed."""

    def __init__(self, room: int) -> None:
        self._prices = np.full(room, np.nan, np.float32)
        #: Unit vectors from the earth's centre, so that a distance takes no trigonometry: chords compare as arcs do.
        self._points: NDArray[np.float32] = np.full((3, room), np.nan, np.float32)
        self.genres = GenreIndex(room)
        self.listed: NDArray[np.int64] = np.zeros(room, np.int64)  #: unix seconds, 0 for unknown

    def renumbered(
        self, places: NDArray[np.int32], room: int, rest: Callable[[], None] = no_rest
    ) -> "EventColumns":
        """The same for events that are numbered otherwise (`service.live.renumbering`)."""
        other = EventColumns(0)
        other._prices = renumbered(self._prices, places, room, np.nan)
        rest()
        other._points = np.empty((3, room), np.float32)
        for axis, before in zip(other._points, self._points, strict=True):
            axis[:] = renumbered(before, places, room, np.nan)
            rest()
        other.listed = renumbered(self.listed, places, room, 0)
        rest()
        other.genres = self.genres.renumbered(places, room, rest)
        return other

    def ensure_room(self, room: int) -> None:
        """Have room for at least as many events."""
        more = room - self._prices.size
        if more > 0:
            self._prices = np.concatenate((self._prices, np.full(more, np.nan, np.float32)))
            self._points = np.concatenate((self._points, np.full((3, more), np.nan, np.float32)), axis=1)
            self.listed = np.concatenate((self.listed, np.zeros(more, np.int64)))
            self.genres.ensure_room(room)

    def put(self, indices: Sequence[int], events: Sequence[EventRow]) -> None:
        """Set what is known of some events, each once."""
        self._prices[indices] = [_or_nan(shown_price(event)) for event in events]
        self._points[:, indices] = np.asarray([_point(event) for event in events], np.float32).T
        self.listed[indices] = [event.created_at for event in events]
        self.genres.put(indices, [event.genres for event in events])

    def restrict(
        self,
        marks: NDArray[np.bool_],
        price_max: float | None,
        near: Near | None,
        genres: tuple[int, ...] | None,
    ) -> None:
        """Clear the marks of events that break a limit; bool[event room], `genres` by their numbers."""
        if price_max is not None:
            marks &= self._prices <= np.float32(price_max)
        if near is not None:
            marks &= self._within(near)
        if genres is not None:
            marks &= self.genres.marks(genres)

    def _within(self, near: Near) -> NDArray[np.bool_]:
        """bool[event room]: the chord to the centre is no longer than the radius' chord, 2 sin(r / 2R)."""
        angle = min(near.radius_km / EARTH_RADIUS_KM, math.pi)
        centre = np.asarray(unit_vector(near.latitude, near.longitude), np.float32)
        squared = np.zeros(self._prices.size, np.float32)
        for axis in range(3):
            difference = self._points[axis] - centre[axis]
            difference *= difference
            squared += difference
        return squared <= np.float32((2.0 * math.sin(angle / 2.0)) ** 2)


def unit_vector(latitude: float, longitude: float) -> tuple[float, float, float]:
    """The point of a sphere of radius 1 at these degrees."""
    north, east = math.radians(latitude), math.radians(longitude)
    return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)


def _point(event: EventRow) -> tuple[float, float, float]:
    if event.latitude is None or event.longitude is None:
        return math.nan, math.nan, math.nan
    return unit_vector(event.latitude, event.longitude)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value

"""The events a request may be answered with, by city, by now and within limits.

Events are numbered as the live site numbers them, so that a candidate mask goes to the kernels as it is.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.live.cards import MEMBERS, CardIndex, Cards
from service.live.cities import city_key
from service.live.description import Described
from service.live.event import is_cancelled, unlisted_card
from service.live.filters import NO_LIMITS, EventColumns, Limits, Near
from service.live.renumbering import renumbered
from service.pacing import no_rest

NOWHERE = -1
_UNHEARD_OF = -2
_NEVER = -np.inf
#: How many sets of limited candidates are kept. One takes five bytes an event.
MOST_KEPT = 64


class Candidates(NamedTuple):
    """The events open in one city, or everywhere, within some limits, until the next of them starts."""

    mask: NDArray[np.uint8]  #: [event room], 1 for an open event
    events: NDArray[np.int32]  #: [open events], their indices, ascending
    valid_until: float  #: unix seconds

    @property
    def n_events(self) -> int:
        """How many there are."""
        return self.events.size


class _Wanted(NamedTuple):
    """A city and limits in numbers, the same for all the ways in which they can be spelt."""

    city: int | None
    genres: tuple[int, ...] | None = None
    date_from: float | None = None
    date_to: float | None = None
    price_max: float | None = None
    near: Near | None = None


class Catalogue:
    """All known events by their index in the live site, changed event by event between requests."""

    def __init__(self, room: int) -> None:
        self._cards = CardIndex(room)
        self._opens_until = np.full(
            room, _NEVER
        )  #: when an event leaves, unix seconds; never open where -inf
        self._is_in_table = np.zeros(room, np.bool_)
        self._cities = np.full(room, NOWHERE, np.int32)
        self._city_numbers: dict[str, int] = {}
        self._spellings: dict[str, int] = {}  #: the same numbers by the cities' names as the site writes them
        self._columns = EventColumns(room)
        self._of_city: dict[int | None, Candidates] = {}  #: of all cities under None
        self._limited_candidates: OrderedDict[_Wanted, Candidates] = OrderedDict()
        self._orders: dict[str, NDArray[np.int32]] = {}

    def renumbered(
        self, places: NDArray[np.int32], room: int, rest: Callable[[], None] = no_rest
    ) -> "Catalogue":
        """The same for events that are numbered otherwise (`service.live.renumbering`), changed apart from this."""
        other = Catalogue(0)
        rest()
        other._cards = self._cards.renumbered(places, room)
        rest()
        other._opens_until = renumbered(self._opens_until, places, room, _NEVER)
        rest()
        other._is_in_table = renumbered(self._is_in_table, places, room, False)
        other._cities = renumbered(self._cities, places, room, NOWHERE)
        other._city_numbers, other._spellings = dict(self._city_numbers), dict(self._spellings)
        rest()
        other._columns = self._columns.renumbered(places, room, rest)
        return other

    @property
    def is_described(self) -> NDArray[np.bool_]:
        """bool[event room]: whether an event is, or ever was, in the table, cancelled or not."""
        bounds = self.cards.bounds
        return np.asarray(bounds[:, MEMBERS] < bounds[:, MEMBERS + 1])

    @property
    def is_in_table(self) -> NDArray[np.bool_]:
        """bool[event room]: whether an event is in the table, cancelled or not, as far as that is known."""
        return self._is_in_table

    @property
    def cards(self) -> Cards:
        """What answers say about each event."""
        return self._cards.cards

    @property
    def cities(self) -> NDArray[np.int32]:
        """int32[event room]: the number of each event's city, -1 for none."""
        return self._cities

    @property
    def starts(self) -> NDArray[np.float64]:
        """float64[event room]: when events start, unix seconds; -inf for those that are never open."""
        return self._opens_until

    @property
    def is_listed(self) -> NDArray[np.bool_]:
        """bool[event room]: whether an event is, or ever was, one to recommend: in the table and not cancelled."""
        return np.asarray(self._opens_until > _NEVER)

    def ensure_room(self, room: int) -> None:
        """Have room for at least as many events as the live site."""
        if room > self._cities.size:
            more = room - self._cities.size
            self._opens_until = np.concatenate((self._opens_until, np.full(more, _NEVER)))
            self._is_in_table = np.concatenate((self._is_in_table, np.zeros(more, np.bool_)))
            self._cities = np.concatenate((self._cities, np.full(more, NOWHERE, np.int32)))
            self._cards.ensure_room(room)
            self._columns.ensure_room(room)
            self._changed()

    def put(self, indices: Sequence[int], described: Sequence[Described]) -> None:
        """Add events, each once, or replace what is known of them."""
        self._cards.put(indices, [event.card for event in described])
        events = [event.row for event in described]
        leaves = [_NEVER if is_cancelled(event) else event.start_time for event in events]
        self._opens_until[indices] = leaves
        self._is_in_table[indices] = True
        self._cities[indices] = [self._number_of(event.city) for event in events]
        self._columns.put(indices, events)
        self._changed()

    def name(self, index: int, event_id: str) -> None:
        """Give an event that is not in the site's table a card, for when it is somebody's reason."""
        self._cards.put([index], [unlisted_card(event_id)])

    def name_the_rest(self, event_ids: Sequence[str]) -> None:
        """The same for every event that has no card yet; `event_ids` are those of all events."""
        nameless = self._cards.without_card(len(event_ids)).tolist()
        if nameless:
            self._cards.put(nameless, [unlisted_card(event_ids[index]) for index in nameless])

    def close(self, index: int) -> None:
        """Take an event out of all answers that is in the table no more; as a reason it keeps its title."""
        self._opens_until[index] = _NEVER
        self._is_in_table[index] = False
        self._changed()

    def candidates(self, city: str | None, now: float, limits: Limits = NO_LIMITS) -> Candidates:
        """The events that have not started at `now` (unix seconds), in `city` if one is given, within `limits`.

        A city that no event is in has none, and so have genres that no event is of.
        """
        number = None if city is None else self._city_numbers.get(city_key(city), _UNHEARD_OF)
        if limits != NO_LIMITS:
            return self._limited(self._wanted(number, now, limits), now)
        known = self._of_city.get(number)
        if known is None or known.valid_until <= now:
            known = self._of_city[number] = self._open(_Wanted(number), now)
        return known

    def soonest_first(self) -> NDArray[np.int32]:
        """int32[event room]: all events, those that are never open last; ties go to the lower index."""
        if "start" not in self._orders:
            starts = np.where(self._opens_until == _NEVER, np.inf, self._opens_until)
            self._orders["start"] = np.argsort(starts, kind="stable").astype(np.int32)
        return self._orders["start"]

    def latest_first(self) -> NDArray[np.int32]:
        """int32[event room]: all events by when they were listed, the latest first; ties go to the lower index."""
        if "listed" not in self._orders:
            self._orders["listed"] = np.argsort(-self._columns.listed, kind="stable").astype(np.int32)
        return self._orders["listed"]

    def _changed(self) -> None:
        self._of_city.clear()
        self._limited_candidates.clear()
        self._orders.clear()

    def _limited(self, wanted: _Wanted, now: float) -> Candidates:
        known = self._limited_candidates.get(wanted)
        if known is None or known.valid_until <= now:
            known = self._limited_candidates[wanted] = self._open(wanted, now)
            if len(self._limited_candidates) > MOST_KEPT:
                self._limited_candidates.popitem(last=False)
        self._limited_candidates.move_to_end(wanted)
        return known

    def _wanted(self, city: int | None, now: float, limits: Limits) -> _Wanted:
        date_from = limits.date_from
        return _Wanted(
            city=city,
            genres=self._columns.genres.numbers_of(limits.genres) if limits.genres else None,
            date_from=None if date_from is None or date_from <= now else date_from,
            date_to=limits.date_to,
            price_max=limits.price_max,
            near=limits.near,
        )

    def _number_of(self, city: str | None) -> int:
        if not city:
            return NOWHERE
        if city not in self._spellings:
            self._spellings[city] = self._city_numbers.setdefault(city_key(city), len(self._city_numbers))
        return self._spellings[city]

    def _open(self, wanted: _Wanted, now: float) -> Candidates:
        starts = self._opens_until
        is_open = starts > now if wanted.date_from is None else starts >= wanted.date_from
        if wanted.city is not None:
            is_open &= self._cities == wanted.city
        if wanted.date_to is not None:
            is_open &= starts <= wanted.date_to
        self._columns.restrict(is_open, wanted.price_max, wanted.near, wanted.genres)
        events = np.flatnonzero(is_open).astype(np.int32)
        valid_until = float(starts.take(events).min(initial=np.inf))
        return Candidates(is_open.view(np.uint8), events, valid_until)

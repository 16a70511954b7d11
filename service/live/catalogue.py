"""The events a request may be answered with, by city and by now.

Events are numbered as the live site numbers them, so that a candidate mask goes to the kernels as it is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.live.cards import CardIndex, Cards
from service.live.cities import city_key
from service.live.event import is_cancelled, make_card, unlisted_card
from service.storage.queries.events import EventRow

NOWHERE = -1
_UNHEARD_OF = -2
_NEVER = -np.inf


class Candidates(NamedTuple):
    """The events open in one city, or everywhere, until the next of them starts."""

    mask: NDArray[np.uint8]  #: [event room], 1 for an open event
    events: NDArray[np.int32]  #: [open events], their indices, ascending
    valid_until: float  #: unix seconds

    @property
    def n_events(self) -> int:
        """How many there are."""
        return self.events.size


class Catalogue:
    """All known events by their index in the live site, changed event by event between requests."""

    def __init__(self, room: int) -> None:
        self._cards = CardIndex(room)
        self._opens_until = np.full(
            room, _NEVER
        )  #: when an event leaves, unix seconds; never open where -inf
        self._cities = np.full(room, NOWHERE, np.int32)
        self._city_numbers: dict[str, int] = {}
        self._spellings: dict[str, int] = {}  #: the same numbers by the cities' names as the site writes them
        self._candidates: dict[int | None, Candidates] = {}

    @property
    def cards(self) -> Cards:
        """What answers say about each event."""
        return self._cards.cards

    @property
    def cities(self) -> NDArray[np.int32]:
        """int32[event room]: the number of each event's city, -1 for none."""
        return self._cities

    def ensure_room(self, room: int) -> None:
        """Have room for at least as many events as the live site."""
        if room > self._cities.size:
            more = room - self._cities.size
            self._opens_until = np.concatenate((self._opens_until, np.full(more, _NEVER)))
            self._cities = np.concatenate((self._cities, np.full(more, NOWHERE, np.int32)))
            self._cards.ensure_room(room)
            self._candidates.clear()

    def put(self, indices: Sequence[int], events: Sequence[EventRow]) -> None:
        """Add events, each once, or replace what is known of them."""
        self._cards.put(indices, [make_card(event) for event in events])
        leaves = [_NEVER if is_cancelled(event) else event.start_time for event in events]
        self._opens_until[indices] = leaves
        self._cities[indices] = [self._number_of(event.city) for event in events]
        self._candidates.clear()

    def name(self, index: int, event_id: str) -> None:
        """Give an event that is not in the site's table a card, for when it is somebody's reason."""
        self._cards.put([index], [unlisted_card(event_id)])

    def name_the_rest(self, event_ids: Sequence[str]) -> None:
        """The same for every event that has no card yet; `event_ids` are those of all events."""
        nameless = self._cards.without_card(len(event_ids)).tolist()
        if nameless:
            self._cards.put(nameless, [unlisted_card(event_ids[index]) for index in nameless])

    def close(self, index: int) -> None:
        """Take an event out of all answers; as a reason it keeps its title."""
        self._opens_until[index] = _NEVER
        self._candidates.clear()

    def candidates(self, city: str | None, now: float) -> Candidates:
        """The events that have not started at `now` (unix seconds), in `city` if one is given.

        A city that no event is in has none.
        """
        number = None if city is None else self._city_numbers.get(city_key(city), _UNHEARD_OF)
        known = self._candidates.get(number)
        if known is None or known.valid_until <= now:
            known = self._candidates[number] = self._open(number, now)
        return known

    def _number_of(self, city: str | None) -> int:
        if not city:
            return NOWHERE
        if city not in self._spellings:
            self._spellings[city] = self._city_numbers.setdefault(city_key(city), len(self._city_numbers))
        return self._spellings[city]

    def _open(self, number: int | None, now: float) -> Candidates:
        is_open = self._opens_until > now
        if number is not None:
            is_open &= self._cities == number
        return Candidates(
            mask=is_open.astype(np.uint8),
            events=np.flatnonzero(is_open).astype(np.int32),
            valid_until=float(self._opens_until[is_open].min(initial=np.inf)),
        )

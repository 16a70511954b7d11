"""A model's interactions, kept current: every change counts in the next request, nothing is rebuilt.

The base arrays are those of a model. The weights are mapped copy-on-write, so that a preference that changed is
written in place and only the touched pages become private to the process; pairs the model has never seen hang from
linked lists (`core.kernels.live`). One thread changes and reads a site; nothing here locks.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.collaborative import CollaborativeSettings, Neighbourhood, scale
from core.kernels.held import Held
from core.kernels.jit import pinned
from core.kernels.live import LiveRows, Site, read_liked
from core.kernels.similar import add_squares
from core.sparse import Lookup, Rows

_FIRST_ROOM = 1024
#: Entries that are added up without a rest.
_AT_ONCE = 1 << 17

_Number = TypeVar("_Number", bound=np.generic)


class _Side:
    """One side of the interactions with its additions; arrays double when they are full."""

    def __init__(self, base: Rows, n_rows: int) -> None:
        self.base = base
        # A memoryview yields plain numbers, sooner than an array does.
        self.weight_at = base.weights.data
        self._base_places = Lookup(base)
        self.put_heads(np.full(n_rows, -1, np.int32))
        self.following = np.empty(_FIRST_ROOM, np.int32)
        self.added = np.empty(_FIRST_ROOM, np.int32)
        self.added_weights = np.empty(_FIRST_ROOM, np.uint8)
        self.n_added = 0

    def put_heads(self, head: NDArray[np.int32]) -> None:
        """Let these be the newest additions to each row."""
        self.head, self.head_at = head, head.data

    def rows(self) -> LiveRows:
        return LiveRows(*self.base, self.head, self.following, self.added, self.added_weights)

    def _link(self, row: int, column: int) -> int:
        link = int(self.head_at[row])
        while link >= 0 and self.added[link] != column:
            link = int(self.following[link])
        return link

    def get(self, row: int, column: int) -> int:
        """The weight of a pair in 1/255; 0 when there is none."""
        position = self._base_places.position(row, column)
        if position >= 0:
            return int(self.weight_at[position])
        link = self._link(row, column)
        return int(self.added_weights[link]) if link >= 0 else 0

    def put(self, row: int, column: int, weight: int) -> bool:
        """Set the weight of a pair; return whether an array was replaced by a larger one."""
        position = self._base_places.position(row, column)
        if position >= 0:
            self.weight_at[position] = weight
            return False
        link = self._link(row, column)
        if link >= 0:
            self.added_weights[link] = weight
            return False
        if weight == 0:
            return False
        grown = self.n_added == self.added.size
        if grown:
            room = 2 * self.n_added
            self.following = _longer(self.following, room, 0)
            self.added = _longer(self.added, room, 0)
            self.added_weights = _longer(self.added_weights, room, 0)
        link, self.n_added = self.n_added, self.n_added + 1
        self.following[link] = self.head[row]
        self.added[link] = column
        self.added_weights[link] = weight
        self.head[row] = link
        return grown


def _longer(array: NDArray[_Number], size: int, fill: float) -> NDArray[_Number]:
    longer = np.full(size, fill, array.dtype)
    longer[: array.size] = array
    return longer


def _changed(mass: np.float32, change: int) -> float:
    """A mass after a change in 1/255, computed in whole units, so that no number of changes makes it drift."""
    return (round(float(mass) * 255.0) + change) / 255.0


def _add_changes(
    masses: NDArray[np.float32], places: Sequence[int], changes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """As `_changed` for many, of which some may be at one place; returns the places, each once."""
    touched, numbers = np.unique(np.asarray(places, np.int64), return_inverse=True)
    sums = np.bincount(numbers, changes)
    masses[touched] = (np.rint(masses[touched].astype(np.float64) * 255.0) + sums) / 255.0
    return touched


def _squares_of(liked: Rows, size: int, rest: Callable[[], None]) -> NDArray[np.int64]:
    """int64[size]: Σ preference² for each event, in 1/255²."""
    squares = np.zeros(size, np.int64)
    for start in range(0, liked.indices.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        add_squares(liked.indices[part], liked.weights[part], squares)
        rest()
    return squares


class LiveSite:
    """The interactions of a site as they are now. Rows beyond the model's are people and events it never saw.

    `liked` (rows users) and `neighbourhood.savers` must have writable weights; they are changed in place. `rest` is
    called between the parts of its making.
    """

    def __init__(
        self,
        liked: Rows,
        neighbourhood: Neighbourhood,
        n_events: int,
        settings: CollaborativeSettings,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self.n_users, self.n_events = liked.n_rows, n_events
        self.settings = settings
        user_room, event_room = self.n_users + _FIRST_ROOM, n_events + _FIRST_ROOM
        self._liked = _Side(liked, user_room)
        self._savers = _Side(neighbourhood.savers, event_room)
        self._user_masses = _longer(neighbourhood.user_masses, user_room, 0.0)
        self._event_masses = _longer(neighbourhood.event_masses, event_room, 0.0)
        rest()
        self._event_squares = _squares_of(liked, event_room, rest)
        self._user_scales = scale(self._user_masses, settings.activity)
        rest()
        self._event_weights = scale(self._event_masses, settings.rarity)
        rest()
        self._event_scales = scale(self._event_masses, settings.popularity_discount)
        rest()
        self._held = self._assemble()
        self._row = self._room_for_row()
        rest()
        self._read_liked = pinned(read_liked, self._held, 0, *self._row)

    @property
    def site(self) -> Site:
        """The arrays as the kernels take them; valid until the next change."""
        return self._held.value

    @property
    def held(self) -> Held[Site]:
        """`site` as the serving kernels take it; valid until the next change."""
        return self._held

    @property
    def user_room(self) -> int:
        """How many users the arrays have room for."""
        return self._user_masses.size

    @property
    def event_room(self) -> int:
        """How many events the arrays have room for."""
        return self._event_masses.size

    def add_user(self) -> int:
        """Make room for one more person; return their row."""
        if self.n_users == self.user_room:
            room = 2 * self.n_users
            self._liked.put_heads(_longer(self._liked.head, room, -1))
            self._user_masses = _longer(self._user_masses, room, 0.0)
            self._user_scales = _longer(self._user_scales, room, 1.0)
            self._held = self._assemble()
        self.n_users += 1
        return self.n_users - 1

    def add_event(self) -> int:
        """Make room for one more event; return its column."""
        if self.n_events == self.event_room:
            room = 2 * self.n_events
            self._savers.put_heads(_longer(self._savers.head, room, -1))
            self._event_masses = _longer(self._event_masses, room, 0.0)
            self._event_squares = _longer(self._event_squares, room, 0)
            self._event_weights = _longer(self._event_weights, room, 1.0)
            self._event_scales = _longer(self._event_scales, room, 1.0)
            self._row = self._room_for_row()
            self._held = self._assemble()
        self.n_events += 1
        return self.n_events - 1

    def preference(self, user: int, event: int) -> int:
        """What a person's preference for an event is now, in 1/255; 0 for none. IndexError as `set_preference`."""
        self._check(user, event)
        return self._liked.get(user, event)

    @property
    def event_masses(self) -> NDArray[np.float32]:
        """float32[event room]: n_e, the sum of everyone's preferences for an event; valid until the next change."""
        return self._event_masses

    @property
    def event_squares(self) -> NDArray[np.int64]:
        """int64[event room]: Σ preference² for an event in 1/255², exact; valid until the next change."""
        return self._event_squares

    def liked(self, user: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """What a person likes now: events int32[p], preferences float32[p] in 0…1, > 0, both copies.

        Raises IndexError for a person who was not added.
        """
        self._check(user)
        events, preferences = self._row
        size = self._read_liked(self._held, user, events, preferences)
        return events[:size].copy(), preferences[:size].copy()

    def set_preference(self, user: int, event: int, weight: int) -> None:
        """Set a person's preference for an event, 0…255 in 1/255; 0 takes it back.

        Raises IndexError for a user or event that was not added, ValueError for a weight out of range.
        """
        self._check(user, event, weight)
        before = self._write(user, event, weight)
        change = weight - before
        if change == 0:
            return
        self._user_masses[user] = _changed(self._user_masses[user], change)
        self._event_masses[event] = _changed(self._event_masses[event], change)
        self._event_squares[event] += weight * weight - before * before
        self._rescale(slice(user, user + 1), slice(event, event + 1))

    def set_preferences(self, users: Sequence[int], events: Sequence[int], weights: Sequence[int]) -> None:
        """The same for many pairs, in their order, at a third of the price; raises as `set_preference` does."""
        if not users:
            return
        for extreme in (min, max):
            self._check(extreme(users), extreme(events), extreme(weights))
        before = [self._write(*pair) for pair in zip(users, events, weights, strict=True)]
        now, then = np.asarray(weights, np.int64), np.asarray(before, np.int64)
        changed_users = _add_changes(self._user_masses, users, now - then)
        changed_events = _add_changes(self._event_masses, events, now - then)
        np.add.at(self._event_squares, events, now * now - then * then)
        self._rescale(changed_users, changed_events)

    def forget_user(self, user: int) -> None:
        """Take back everything a person likes; they leave every neighbourhood at once. IndexError as for `liked`."""
        for event in self.liked(user)[0].tolist():
            self.set_preference(user, event, 0)

    def _check(self, user: int, event: int | None = None, weight: int = 0) -> None:
        if not 0 <= user < self.n_users:
            raise IndexError(f"user {user} is not of this site")
        if event is not None and not 0 <= event < self.n_events:
            raise IndexError(f"event {event} is not of this site")
        if not 0 <= weight <= 255:
            raise ValueError(f"weight: expected 0 to 255, got {weight}")

    def _write(self, user: int, event: int, weight: int) -> int:
        """Put a preference where it belongs, but for what is added up of all; returns what it was before."""
        before = self._liked.get(user, event)
        if weight != before:
            # A saver the cap left out of the model's postings joins them here: whoever acts now is worth a posting.
            grown = self._liked.put(user, event, weight)
            grown |= self._savers.put(event, user, weight)
            if grown:
                self._held = self._assemble()
        return before

    def _rescale(self, users: slice | NDArray[np.int64], events: slice | NDArray[np.int64]) -> None:
        settings = self.settings
        self._user_scales[users] = scale(self._user_masses[users], settings.activity)
        masses = self._event_masses[events]
        self._event_weights[events] = scale(masses, settings.rarity)
        self._event_scales[events] = scale(masses, settings.popularity_discount)

    def _room_for_row(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Where a row is read to: one entry more than it can have, as `read_row` asks."""
        return np.empty(self.event_room + 1, np.int32), np.empty(self.event_room + 1, np.float32)

    def _assemble(self) -> Held[Site]:
        savers, liked = self._savers.rows(), self._liked.rows()
        return Held(Site(savers, liked, self._user_scales, self._event_weights, self._event_scales))

"""Which events are of which genre, so that a filter by genre looks at no others."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from service.live.cities import city_key as genre_key
from service.live.renumbering import numbers_after, renumbered
from service.pacing import no_rest

_FIRST_ROOM = 1024
_GONE = -1


class GenreIndex:
    """Pairs of genre and event, changed event by event. Case, accents and punctuation of a genre do not matter.

    The pairs of an event lie one after the other. What a changed event leaves behind is marked, and dropped when the
    arrays are full of it by half.
    """

    def __init__(self, room: int) -> None:
        self._keys: dict[str, int] = {}
        self._spellings: dict[str, int] = {}  #: the same numbers by the genres as the site writes them
        self._genres = np.empty(_FIRST_ROOM, np.int32)
        self._events = np.empty(_FIRST_ROOM, np.int32)
        self._used = 0
        self._of_genre: dict[
            int, NDArray[np.int32]
        ] = {}  #: asked for since the last change: the events of a genre
        self._bounds: NDArray[np.int64] = np.zeros((room, 2), np.int64)

    def renumbered(
        self, places: NDArray[np.int32], room: int, rest: Callable[[], None] = no_rest
    ) -> "GenreIndex":
        """The same for events that are numbered otherwise (`service.live.renumbering`).

        In a thread beside a `put` it comes out wrong, but it does come out.
        """
        other = GenreIndex(0)
        other._keys, other._spellings = dict(self._keys), dict(self._spellings)
        genres, events = self._genres, self._events
        used = min(self._used, genres.size, events.size)
        numbers = numbers_after(places, self._bounds.shape[0])
        rest()
        kept = numbers.take(events[:used], mode="clip")
        other._genres = _at_start(np.where(kept < 0, _GONE, genres[:used]).astype(np.int32), genres.size)
        other._events, other._used = _at_start(kept, genres.size), used
        rest()
        other._bounds = renumbered(self._bounds, places, room, 0)
        return other

    def ensure_room(self, room: int) -> None:
        """Have room for at least as many events."""
        if room > self._bounds.shape[0]:
            more = np.zeros((room - self._bounds.shape[0], 2), np.int64)
            self._bounds = np.concatenate((self._bounds, more))

    def put(self, events: Sequence[int], genres: Iterable[Sequence[str]]) -> None:
        """Set the genres of some events, each event once."""
        self._of_genre.clear()
        for start, stop in self._bounds[events].tolist():
            if start < stop:
                self._genres[start:stop] = _GONE
        numbers = [self._numbers_of(names) for names in genres]
        counts = np.fromiter(map(len, numbers), np.int64, len(numbers))
        total = int(counts.sum())
        if self._used + total > self._genres.size:
            self._make_room(total)
        used = self._used + total
        self._genres[self._used : used] = np.fromiter(chain.from_iterable(numbers), np.int32, total)
        self._events[self._used : used] = np.repeat(np.asarray(events, np.int32), counts)
        stops = self._used + np.cumsum(counts)
        self._bounds[events, 0], self._bounds[events, 1] = stops - counts, stops
        self._used = used

    def numbers_of(self, names: Iterable[str]) -> tuple[int, ...]:
        """The numbers of those of the genres that an event ever had, ascending, each once."""
        found = (self._number_by(name) for name in names)
        return tuple(sorted({number for number in found if number is not None}))

    def marks(self, numbers: Iterable[int]) -> NDArray[np.bool_]:
        """bool[event room]: whether an event has any of these genres."""
        marks = np.zeros(self._bounds.shape[0], np.bool_)
        for number in numbers:
            marks[self._events_of(number)] = True
        return marks

    def _events_of(self, number: int) -> NDArray[np.int32]:
        found = self._of_genre.get(number)
        if found is None:
            positions = np.flatnonzero(self._genres[: self._used] == number)
            found = self._of_genre[number] = self._events.take(positions)
        return found

    def _number_by(self, name: str) -> int | None:
        number = self._spellings.get(name)  # as a client writes it that has it from an answer
        return self._keys.get(genre_key(name)) if number is None else number

    def _numbers_of(self, names: Sequence[str]) -> Sequence[int]:
        """The numbers of genres, new ones where need be, each once."""
        return list(dict.fromkeys(map(self._number_of, names))) if names else ()

    def _number_of(self, name: str) -> int:
        number = self._spellings.get(name)
        if number is None:
            number = self._keys.setdefault(genre_key(name), len(self._keys))
            self._spellings[name] = number
        return number

    def _make_room(self, extra: int) -> None:
        """Drop what was left behind; get longer arrays when most of it is in use."""
        in_use = self._genres[: self._used] != _GONE
        position = np.concatenate(([0], np.cumsum(in_use)))
        kept = int(position[-1])
        room = max(self._genres.size, 2 * (kept + extra))
        self._genres = _at_start(self._genres[: self._used][in_use], room)
        self._events = _at_start(self._events[: self._used][in_use], room)
        self._bounds = position[self._bounds]
        self._used = kept


def _at_start(values: NDArray[np.int32], room: int) -> NDArray[np.int32]:
    longer = np.empty(room, np.int32)
    longer[: values.size] = values
    return longer

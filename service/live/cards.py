"""What answers say about each event, encoded once and kept in one block of bytes.

A block instead of an object an event: it is smaller, and the encoder copies from it without asking Python.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.live.event import Card
from service.live.renumbering import renumbered

#: The texts of a card, which lie one after the other.
ID, TITLE, MEMBERS = 0, 1, 2
_TEXTS = 3


class Cards(NamedTuple):
    """The cards of all events as the encoder takes them.

    Text t of event e is blob[bounds[e, t] : bounds[e, t + 1]]; an event without a card has empty ones.
    """

    blob: NDArray[np.uint8]  #: [bytes]
    bounds: NDArray[np.int64]  #: [event room, 4]


class CardIndex:
    """The cards, writable. What replaced cards leave behind is dropped when it is half of the block."""

    def __init__(self, room: int) -> None:
        self._blob = np.empty(1 << 16, np.uint8)
        self._used = 0
        self._is_shared = False  #: whether another index has the same block, which is only read then
        self._bounds: NDArray[np.int64] = np.zeros((room, _TEXTS + 1), np.int64)

    @property
    def cards(self) -> Cards:
        """The arrays; valid until the next change."""
        return Cards(self._blob, self._bounds)

    def renumbered(self, places: NDArray[np.int32], room: int) -> "CardIndex":
        """The same cards for events that are numbered otherwise (`service.live.renumbering`).

        Both share the block of bytes: this one may add to it further on, the new one gets its own when it has to.
        """
        other = CardIndex(0)
        other._blob, other._used, other._is_shared = self._blob, self._used, True
        other._bounds = renumbered(self._bounds, places, room, 0)
        return other

    def ensure_room(self, room: int) -> None:
        """Have room for at least as many events."""
        if room > self._bounds.shape[0]:
            taller = np.zeros((room, _TEXTS + 1), np.int64)
            taller[: self._bounds.shape[0]] = self._bounds
            self._bounds = taller

    def without_card(self, n_events: int) -> NDArray[np.int64]:
        """Which of the first `n_events` have no card."""
        return np.flatnonzero(self._bounds[:n_events, -1] == 0)

    def put(self, events: Sequence[int], cards: Sequence[Card]) -> None:
        """Set the cards of some events, each event once."""
        texts = [text for card in cards for text in card]
        block = b"".join(texts)
        if self._is_shared or self._used + len(block) > self._blob.size:
            self._make_room(len(block))
        self._blob[self._used : self._used + len(block)] = np.frombuffer(block, np.uint8)
        ends = self._used + np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts))).reshape(-1, _TEXTS)
        self._bounds[events, 1:] = ends
        self._bounds[events, 0] = np.concatenate(([self._used], ends[:-1, -1]))
        self._used += len(block)

    def _make_room(self, extra: int) -> None:
        """Get a larger block, or, when half of this one is what replaced cards left behind, one without that."""
        starts, ends = self._bounds[:, 0].copy(), self._bounds[:, -1].copy()
        in_use = int((ends - starts).sum())
        old, self._blob = self._blob, np.empty(max(self._blob.size, 2 * (in_use + extra)), np.uint8)
        self._is_shared = False
        if 2 * in_use > self._used:
            self._blob[: self._used] = old[: self._used]
            return
        self._used = 0
        for event in np.flatnonzero(ends).tolist():
            start, length = int(starts[event]), int(ends[event] - starts[event])
            self._blob[self._used : self._used + length] = old[start : start + length]
            self._bounds[event] += self._used - start
            self._used += length

"""What answers say about each event, encoded once and kept in one block of bytes.

A block instead of an object an event: it is a fifth smaller, and the encoder copies from it without asking Python.
"""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

#: The texts of a card, by column of `Cards.starts`.
ID, TITLE, MEMBERS = 0, 1, 2
_TEXTS = 3

_Number = TypeVar("_Number", bound=np.generic)


class Cards(NamedTuple):
    """The cards of all events as the encoder takes them; text t of event e is blob[starts[e, t]:][:lengths[e, t]]."""

    blob: NDArray[np.uint8]  #: [bytes]
    starts: NDArray[np.int64]  #: [event room, 3]
    lengths: NDArray[np.int32]  #: [event room, 3]


class CardIndex:
    """The cards, writable. A card that is replaced leaves its bytes behind until they are half of the block."""

    def __init__(self, room: int) -> None:
        self._blob = np.empty(1 << 16, np.uint8)
        self._used = 0
        self._starts: NDArray[np.int64] = np.zeros((room, _TEXTS), np.int64)
        self._lengths: NDArray[np.int32] = np.zeros((room, _TEXTS), np.int32)

    @property
    def cards(self) -> Cards:
        """The arrays; valid until the next change."""
        return Cards(self._blob, self._starts, self._lengths)

    def text(self, event: int, which: int) -> bytes:
        """One text of a card, empty when the event has none."""
        start = int(self._starts[event, which])
        return self._blob[start : start + int(self._lengths[event, which])].tobytes()

    def put(self, event: int, texts: tuple[bytes, bytes, bytes]) -> None:
        """Set the card of an event: its id and title as they stand between quotes of JSON, and its members."""
        if event >= self._starts.shape[0]:
            self._starts = _taller(self._starts, 2 * event)
            self._lengths = _taller(self._lengths, 2 * event)
        for which, text in enumerate(texts):
            if len(text) > self._lengths[event, which]:
                self._starts[event, which] = self._append(text)
            else:
                start = int(self._starts[event, which])
                self._blob[start : start + len(text)] = np.frombuffer(text, np.uint8)
            self._lengths[event, which] = len(text)

    def _append(self, text: bytes) -> int:
        if self._used + len(text) > self._blob.size:
            self._make_room(len(text))
        start, self._used = self._used, self._used + len(text)
        self._blob[start : self._used] = np.frombuffer(text, np.uint8)
        return start

    def _make_room(self, extra: int) -> None:
        """Get a larger block, or, when half of this one is what replaced cards left behind, one without that."""
        in_use = int(self._lengths.sum())
        old, self._blob = self._blob, np.empty(max(self._blob.size, 2 * (in_use + extra)), np.uint8)
        if 2 * in_use > self._used:
            self._blob[: self._used] = old[: self._used]
            return
        self._used = 0
        for event, which in zip(*np.nonzero(self._lengths), strict=True):
            start, length = int(self._starts[event, which]), int(self._lengths[event, which])
            self._blob[self._used : self._used + length] = old[start : start + length]
            self._starts[event, which] = self._used
            self._used += length


def _taller(array: NDArray[_Number], rows: int) -> NDArray[_Number]:
    taller: NDArray[_Number] = np.zeros((rows, _TEXTS), array.dtype)
    taller[: array.shape[0]] = array
    return taller

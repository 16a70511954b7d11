"""The ids of all events by their index, those of a model and those that came since."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import overload

from core.vocabulary import Vocabulary


class EventIds(Sequence[str]):
    """Texts are made of a vocabulary when they are asked for.

    To make those of 40,000 events takes 10 ms of the interpreter and 2 MB, and hardly any is ever asked for.
    """

    def __init__(self, trained: Vocabulary) -> None:
        self._trained = trained
        self._since: list[str] = []

    def append(self, event_id: str) -> None:
        """One more event came."""
        self._since.append(event_id)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        n_trained = len(self._trained)
        return self._since[index - n_trained] if index >= n_trained else self._trained.id_at(index)

    def __iter__(self) -> Iterator[str]:
        return chain(self._trained, self._since)

    def __len__(self) -> int:
        return len(self._trained) + len(self._since)

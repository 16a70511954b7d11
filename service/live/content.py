"""The content of all known events, kept current as events come and change.

The vocabulary is that of the events themselves, so a genre that nobody has ever used counts as soon as an event of it
is listed, and no model has to be trained for it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.content import NO_CONTENT, Content, index_content, replace_rows
from core.matrices import Pairs
from core.sparse import rows_of
from core.tastes import ContentSettings
from service.live.description import ContentFeature, Described
from service.live.features import kind_of_key
from service.live.labels import NO_LABELS, Labels, join_labels
from service.live.renumbering import numbers_after
from service.pacing import no_rest


class _Features:
    """The features that events have or had, numbered as they come; none is ever taken away."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}  #: by key
        self._kinds = bytearray()
        self._names: list[bytes] = []  #: the labels, encoded

    def so_far(self) -> tuple[NDArray[np.uint8], list[bytes]]:
        """Kinds and labels of as many as there are; others may come meanwhile."""
        names = self._names[:]
        return np.frombuffer(bytes(self._kinds), np.uint8)[: len(names)].copy(), names

    def number(self, feature: ContentFeature) -> int:
        number = self.numbers.get(feature.key)
        if number is None:
            number = self.numbers[feature.key] = len(self._names)
            self._kinds.append(kind_of_key(feature.key))
            self._names.append(feature.label)
        return number


class ContentIndex:
    """Features of events by index. `put` notes events; `build` makes what requests read of all that were noted.

    `build` may run in a thread while requests go on reading `content` and `labels`, but not beside a `put`.
    """

    def __init__(self, settings: ContentSettings) -> None:
        self.content: Content = NO_CONTENT
        self.labels: Labels = NO_LABELS
        self._settings = settings
        self._features = _Features()
        self._places: NDArray[np.int32] | None = (
            None  #: what the rows' numbers were, until they are renumbered
        )
        self._rows = Pairs(np.zeros(1, np.int64), np.empty(0, np.int32))
        self._changed: dict[int, list[int]] = {}

    def number_of(self, key: str) -> int:
        """The feature of a `feature_key`, -1 for one that no event ever had."""
        return self._features.numbers.get(key, -1)

    def take_over(self, other: "ContentIndex", places: NDArray[np.int32]) -> None:
        """Begin with what another index has of events that are numbered otherwise (`service.live.renumbering`).

        Both number features alike from then on. `build` comes next; it may run while the other goes on as before.
        """
        changed = dict(
            other._changed
        )  # first: a build in a thread that ends between the two is then done twice
        self._features, self._rows, self._places = other._features, other._rows, places
        self.labels = other.labels
        room = max([int(places.max(initial=-1)), *changed]) + 1
        numbers = numbers_after(places, room)
        self._changed = {
            int(numbers[event]): features for event, features in changed.items() if numbers[event] >= 0
        }

    def put(self, indices: Sequence[int], events: Sequence[Described]) -> None:
        """Note what some events are like now."""
        for index, event in zip(indices, events, strict=True):
            self._changed[index] = sorted({self._features.number(feature) for feature in event.features})

    def build(self, is_listed: NDArray[np.bool_], rest: Callable[[], None] = no_rest) -> None:
        """Take over what was noted; `is_listed` bool[events or more] marks the events that may be recommended.

        `rest` is called between the parts. Some tens of milliseconds for 40,000 events, most of them in kernels that
        let other threads run.
        """
        if not self._changed and self._places is None:
            return
        rows = self._rows
        if self._places is not None:
            rows = rows_of(rows, np.where(self._places < rows.n_rows, self._places, -1))
            rest()
        n_events = max([rows.n_rows, *(event + 1 for event in self._changed)])
        if self._changed:
            rows = replace_rows(rows, self._changed, n_events)
            rest()
        kinds, names = self._features.so_far()
        labels = self.labels if self.labels.bounds.size == len(names) + 1 else join_labels(names)
        rest()
        content = index_content(rows, kinds, is_listed[:n_events].astype(np.uint8), self._settings, rest)
        self._rows, self._changed, self._places = rows, {}, None
        self.content, self.labels = content, labels

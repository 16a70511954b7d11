"""The content of all known events, kept current as events come and change.

The vocabulary is that of the events themselves, so a genre that nobody has ever used counts as soon as an event of it
is listed, and no model has to be trained for it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.content import NO_CONTENT, Content, ContentSettings, Kind, index_content, replace_rows
from core.matrices import Pairs
from service.live.event import json_text
from service.live.features import feature_key, feature_label, features_of
from service.live.labels import NO_LABELS, Labels, join_labels
from service.storage.queries.events import EventRow

_OF_TITLES = (Kind.ARTIST, Kind.SERIES)


class ContentIndex:
    """Features of events by index. `put` notes events; `build` makes what requests read of all that were noted.

    `build` may run in a thread while requests go on reading `content` and `labels`, but not beside a `put`.
    """

    def __init__(self, settings: ContentSettings) -> None:
        self.content: Content = NO_CONTENT
        self.labels: Labels = NO_LABELS
        self._settings = settings
        self._numbers: dict[str, int] = {}
        #: The same numbers by names as the site writes them, but for what is read out of titles: that hardly repeats.
        self._spellings: dict[tuple[Kind, str], int] = {}
        self._kinds = bytearray()
        self._names: list[bytes] = []  #: the labels, encoded
        self._rows = Pairs(np.zeros(1, np.int64), np.empty(0, np.int32))
        self._changed: dict[int, list[int]] = {}

    def number_of(self, key: str) -> int:
        """The feature of a `feature_key`, -1 for one that no event ever had."""
        return self._numbers.get(key, -1)

    def put(self, indices: Sequence[int], events: Sequence[EventRow]) -> None:
        """Note what some events are like now."""
        for index, event in zip(indices, events, strict=True):
            features = {self._number(kind, name) for kind, name in features_of(event)}
            self._changed[index] = sorted(features)

    def build(self, is_listed: NDArray[np.bool_]) -> None:
        """Take over what was noted; `is_listed` bool[events or more] marks the events that may be recommended.

        Some tens of milliseconds for 40,000 events, most of them in kernels that let other threads run.
        """
        if not self._changed:
            return
        n_events = max(self._rows.n_rows, max(self._changed) + 1)
        rows = replace_rows(self._rows, self._changed, n_events)
        kinds = np.frombuffer(self._kinds, np.uint8).copy()
        labels = join_labels(self._names)
        content = index_content(rows, kinds, is_listed[:n_events].astype(np.uint8), self._settings)
        self._rows, self._changed = rows, {}
        self.content, self.labels = content, labels

    def _number(self, kind: Kind, name: str) -> int:
        if kind in _OF_TITLES:
            return self._number_by_key(kind, name)
        number = self._spellings.get((kind, name))
        if number is None:
            number = self._spellings[kind, name] = self._number_by_key(kind, name)
        return number

    def _number_by_key(self, kind: Kind, name: str) -> int:
        key = feature_key(kind, name)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._names)
            self._kinds.append(kind)
            self._names.append(json_text(feature_label(kind, name)))
        return number

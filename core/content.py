"""The `content_based` arm: what a person's taste says of events that nobody has saved yet."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels import content as kernels
from core.kernels.content import FIRST_CIRCUMSTANCE, KINDS
from core.kernels.content import Content as Content
from core.kernels.content import ContentSpace as ContentSpace
from core.kernels.jit import pinned
from core.kernels.live import Profile
from core.kernels.workspace import MOST_ANSWERS, Answer, answer
from core.matrices import Pairs
from core.reasons import Part


class Kind(IntEnum):
    """What a feature says of an event. From CITY on they are circumstances: an event has at most one of each."""

    GENRE = 0
    TAG = 1
    ARTIST = 2  #: named in the title
    VENUE = 3
    SERIES = 4  #: the title without numbers and dates, at one venue
    CITY = 5
    WEEKDAY = 6
    HOUR = 7  #: a band of hours
    PRICE = 8  #: a band of prices


#: The part of a score that a feature of each kind counts for when it comes from events that a person liked.
PARTS_OF_KINDS = np.array(
    [
        *(Part.GENRE_MATCH, Part.TAG_MATCH, Part.ARTIST_MATCH, Part.VENUE_MATCH, Part.SERIES_MATCH),
        *(Part.CITY_MATCH, Part.DAY_MATCH, Part.DAY_MATCH, Part.BUDGET_MATCH),
    ],
    np.uint8,
)


class Taste(NamedTuple):
    """A person's taste over the content features of events; empty where nothing is known."""

    features: NDArray[np.int32]  #: [t]
    weights: NDArray[np.float32]  #: [t], what a match with the feature counts
    kinds: NDArray[np.uint8]  #: [t], the `core.reasons.Part` of the score that a match counts for


#: The taste of somebody of whom nothing is known.
NO_TASTE = Taste(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.uint8))


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """What the kinds of features count, relative to one another, and how rarity and statements do.

    A feature with an idf of `pivot` counts 0.71 of one that hardly any event has.
    Something that a person states counts like liking `statement` events of just that. ValueError names what is out
    of range.
    """

    genre: float = 1.0
    tag: float = 0.6
    artist: float = 1.0
    venue: float = 0.5
    series: float = 0.5
    city: float = 0.3
    weekday: float = 0.1
    hour: float = 0.1
    price: float = 0.1
    pivot: float = 1.0
    statement: float = 3.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value < math.inf:
                raise ValueError(f"{field.name}: {value} is not a number from 0")
        if self.kind_weights.sum() <= 0.0:
            raise ValueError("genre: no kind of feature has a weight above 0")
        if self.pivot == 0.0:
            raise ValueError("pivot: 0.0 is not above 0")

    @property
    def kind_weights(self) -> NDArray[np.float32]:
        """float32[KINDS] by `Kind`."""
        return np.array([getattr(self, kind.name.lower()) for kind in Kind], np.float32)


def idf_of(counts: NDArray[np.int32], n_events: int) -> NDArray[np.float32]:
    """float32[features]: ln((N + 1) / (n_f + 1/2)), which stays above 0 for a feature that all N events have."""
    return np.asarray(np.log((n_events + 1.0) / (counts + 0.5)), np.float32)


def index_content(
    rows: Pairs, kinds: NDArray[np.uint8], is_listed: NDArray[np.uint8], settings: ContentSettings
) -> Content:
    """The content of events as the kernels take it.

    `rows` holds the features of each event, ascending, with at most one circumstance of each kind; `kinds`
    uint8[features] their kinds; `is_listed` uint8[at least the events] marks the events that may be recommended. Rarity
    is counted over the events that have any feature. Takes about 0.1 microseconds a feature of an event.
    """
    n_events = rows.n_rows
    if is_listed.size < n_events:
        raise ValueError(f"is_listed: {is_listed.size} marks for {n_events} events")
    n_described = int(np.count_nonzero(np.diff(rows.indptr)))
    counts = kernels.count_events(rows.indices, kinds.size)
    bounds = kernels.count_listed(*rows, kinds, is_listed)
    content = Content(
        indptr=rows.indptr,
        features=rows.indices,
        kinds=kinds,
        idf=idf_of(counts, n_described),
        circumstances=np.full((n_events, KINDS - FIRST_CIRCUMSTANCE), -1, np.int32),
        list_indptr=bounds,
        list_events=np.empty(bounds[-1], np.int32),
        list_values=np.empty(bounds[-1], np.float32),
        pivot=np.array([settings.pivot], np.float32),
    )
    kernels.fill_lists(content, is_listed)
    return content


def replace_rows(rows: Pairs, changed: Mapping[int, Sequence[int]], n_events: int) -> Pairs:
    """The features of `n_events` ≥ `rows.n_rows` events, with those of the `changed` ones, ascending, replaced."""
    events = sorted(changed)
    counts = [len(changed[event]) for event in events]
    indptr = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    features = np.array([feature for event in events for feature in changed[event]], np.int32)
    return Pairs(*kernels.replace_rows(*rows, np.array(events, np.int32), indptr, features, n_events))


#: Content of no events, to begin with.
NO_CONTENT = index_content(
    Pairs(np.zeros(1, np.int64), np.empty(0, np.int32)),
    np.empty(0, np.uint8),
    np.empty(0, np.uint8),
    ContentSettings(),
)


class ContentScorer:
    """Makes tastes and ranks by them, one request at a time; holds the scratch space that takes."""

    def __init__(self, settings: ContentSettings) -> None:
        self._kind_weights = settings.kind_weights
        self._space = kernels.content_space(0, 0, MOST_ANSWERS)
        self._rank = self._pin_rank()

    def taste(self, content: Content, profile: Profile, stated: Taste) -> Taste:
        """What is known of a person: from the events they like, and from what they or others have stated.

        The weights of `stated` are in liked events. `NO_TASTE` where nothing is known.
        """
        events = profile.events
        within = events[events < content.indptr.size - 1]
        room = int((content.indptr[within + 1] - content.indptr[within]).sum()) + stated.features.size
        if room == 0:
            return NO_TASTE
        out = Taste(np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.uint8))
        size = kernels.write_taste(
            *(events, profile.weights, stated, content),
            *(PARTS_OF_KINDS, self._kind_weights, self._room(content), out),
        )
        return Taste(out.features[:size], out.weights[:size], out.kinds[:size])

    def rank(
        self,
        content: Content,
        taste: Taste,
        events: NDArray[np.int32],
        excluded: NDArray[np.int32],
        out: Answer,
    ) -> int:
        """Fill `out` with the best of `events` that are not `excluded` and score above 0; returns how many."""
        return int(self._rank(taste, content, events, excluded, self._room(content, excluded), out))

    def scores(self, content: Content, taste: Taste, events: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32[events]: the score of each of `events` int32[m], 0…1."""
        scores = np.empty(events.size, np.float32)
        kernels.score_events(taste, content, events, self._room(content), scores)
        return scores

    def add_parts(self, content: Content, taste: Taste, out: Answer, n: int, share: float) -> None:
        """Add `share` times the scores of the first n events of `out` to their parts, by kind, and name subjects."""
        kernels.add_parts(taste, content, self._room(content), out, n, np.float32(share))

    def _room(self, content: Content, excluded: NDArray[np.int32] | None = None) -> ContentSpace:
        events, features = content.indptr.size - 1, content.kinds.size
        if excluded is not None and excluded.size:
            events = max(events, int(excluded.max()) + 1)
        if self._space.event_sums.size < events or self._space.feature_sums.size < features:
            self._space = kernels.content_space(events + events // 2, features + features // 2, MOST_ANSWERS)
        return self._space

    def _pin_rank(self) -> Callable[..., int]:
        no_events = np.empty(0, np.int32)
        return pinned(
            kernels.rank_by_content, NO_TASTE, NO_CONTENT, no_events, no_events, self._space, answer(1)
        )

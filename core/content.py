"""The `content_based` arm: what a person's taste says of events that nobody has saved yet."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels import content as kernels
from core.kernels.content import Content as Content
from core.kernels.content import ContentSpace as ContentSpace
from core.kernels.folding import gather_rows
from core.kernels.held import Held
from core.kernels.jit import pinned
from core.kernels.live import NOBODY, Profile
from core.kernels.workspace import MOST_ANSWERS, Answer, answer
from core.matrices import Pairs
from core.tastes import FIRST_CIRCUMSTANCE, NO_TASTE, PARTS_OF_KINDS, ContentSettings, Taste


class Layout(NamedTuple):
    """Where content looks its features up. What it finds is the same for all."""

    #: A feature that more than this share of the listed events has counts by their groups, as circumstances do.
    shared_by: float = 0.25
    #: Members of groups are listed where these have so many on average: else a look at all events costs no more.
    members: int = 16


def idf_of(counts: NDArray[np.int32], n_events: int) -> NDArray[np.float32]:
    """float32[features]: ln((N + 1) / (n_f + 1/2)), which stays above 0 for a feature that all N events have."""
    return np.asarray(np.log((n_events + 1.0) / (counts + 0.5)), np.float32)


def index_content(
    rows: Pairs,
    kinds: NDArray[np.uint8],
    is_listed: NDArray[np.uint8],
    settings: ContentSettings,
    rest: Callable[[], None] = lambda: None,
    layout: Layout = Layout(),  # noqa: B008 - a value that cannot change
) -> Content:
    """The content of events as the kernels take it. `rest` is called between its parts.

    `rows` holds the features of each event, ascending, with at most one circumstance of each kind; `kinds`
    uint8[features] their kinds; `is_listed` uint8[at least the events] marks the events that may be recommended. Rarity
    is counted over the events that have any feature. Takes about 0.1 microseconds a feature of an event.
    """
    n_events, is_listed = rows.n_rows, is_listed[: rows.n_rows]
    if is_listed.size < n_events:
        raise ValueError(f"is_listed: {is_listed.size} marks for {n_events} events")
    n_described = int(np.count_nonzero(np.diff(rows.indptr)))
    idf = idf_of(kernels.count_events(rows.indices, kinds.size), n_described)
    rest()
    of_listed = kernels.count_listed(*rows, kinds.size, is_listed)
    rest()
    is_shared = (kinds >= FIRST_CIRCUMSTANCE) | (of_listed > layout.shared_by * np.count_nonzero(is_listed))
    bounds = np.concatenate(([0], np.cumsum(np.where(is_shared, 0, of_listed), dtype=np.int64)))
    values = kernels.values_of(*rows, kinds, idf, np.float32(settings.pivot))
    rest()
    shared = kernels.shared_rows(*rows, values, is_shared.astype(np.uint8))
    rest()
    groups, first_of = kernels.group_alike(*shared)
    rest()
    shared_indptr, features, of_features = shared
    group_indptr, group_features = gather_rows(shared_indptr, features, first_of)
    _, group_values = gather_rows(shared_indptr, of_features, first_of)
    rest()
    member_indptr, members = np.zeros(1, np.int64), np.empty(0, np.int32)
    if first_of.size * layout.members <= np.count_nonzero(is_listed):
        member_indptr, members = kernels.list_members(groups, first_of.size, is_listed)
    rest()
    content = Content(
        indptr=rows.indptr,
        features=rows.indices,
        values=values,
        kinds=kinds,
        idf=idf,
        is_shared=is_shared.astype(np.uint8),
        groups=groups,
        group_indptr=group_indptr,
        group_features=group_features,
        group_values=group_values,
        member_indptr=member_indptr,
        members=members,
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
    """Makes tastes and ranks by them, one request at a time; holds the scratch space that takes.

    `rest` is called between the parts of its making.
    """

    def __init__(self, settings: ContentSettings, rest: Callable[[], None] = lambda: None) -> None:
        self._kind_weights = settings.kind_weights
        self._content = Held(NO_CONTENT)
        self._space = Held(kernels.content_space(0, 0, MOST_ANSWERS))
        rest()
        self._taste_of = self._pin_taste()
        rest()
        self._rank = self._pin_rank()

    def taste(self, content: Content, profile: Profile, stated: Taste) -> Taste:
        """What is known of a person: from the events they like, and from what they or others have stated.

        The weights of `stated` are in liked events. `NO_TASTE` where nothing is known.
        """
        if not profile.events.size + stated.features.size:
            return NO_TASTE
        held, space = self.hold(content)
        taste = self._taste_of(
            *(profile.events, profile.weights, stated, held, PARTS_OF_KINDS, self._kind_weights, space)
        )
        return Taste(*taste) if taste[0].size else NO_TASTE

    def rank(
        self,
        content: Content,
        taste: Taste,
        open_events: NDArray[np.uint8],
        excluded: NDArray[np.int32],
        out: Held[Answer],
    ) -> int:
        """Fill `out` with the best of the marked events that are not `excluded` and score above 0; returns how many."""
        held, space = self.hold(content)
        return self._rank(taste, held, open_events, excluded, space, out)

    def scores(self, content: Content, taste: Taste, events: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32[events]: the score of each of `events` int32[m], 0…1."""
        scores = np.empty(events.size, np.float32)
        held, space = self.hold(content)
        kernels.score_events(taste, held, events, space, scores)
        return scores

    def hold(self, content: Content) -> tuple[Held[Content], Held[ContentSpace]]:
        """The content as the kernels take it, and scratch space for it."""
        if self._content.value is not content:
            self._content = Held(content)
            events, features = content.indptr.size - 1, content.kinds.size
            space = self._space.value
            if space.event_sums.size < events or space.feature_sums.size < features:
                space = kernels.content_space(events + events // 2, features + features // 2, MOST_ANSWERS)
                self._space = Held(space)
        return self._content, self._space

    def _pin_taste(self) -> Callable[..., tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.uint8]]]:
        return pinned(
            *(kernels.taste_of, *NOBODY[:2], NO_TASTE, self._content),
            *(PARTS_OF_KINDS, self._kind_weights, self._space),
        )

    def _pin_rank(self) -> Callable[..., int]:
        no_events, is_open = np.empty(0, np.int32), np.empty(0, np.uint8)
        return pinned(
            *(kernels.rank_by_content, NO_TASTE, self._content, is_open, no_events),
            *(self._space, Held(answer(1))),
        )

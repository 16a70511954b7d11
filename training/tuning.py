"""Choosing the settings of the neighbourhood on interactions held out of the training data.

The same procedure for every site: a share of each person's likes is held out, and one setting after the other takes
the value that ranks those best, until a round changes nothing; but the discount of what is popular takes the least that
is as good as the best (`training.deciding`). The test split of an evaluation is never seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.als import AlsSettings, Factors
from core.collaborative import CollaborativeSettings, fit_neighbourhood
from core.content import NO_CONTENT
from core.evaluation import per_user
from core.live_site import LiveSite
from core.recommender import Recommender
from core.sparse import Rows, rows_of
from core.splits import holdout_per_user
from core.tastes import NO_TASTE
from training.als import fit_factors
from training.deciding import first_as_good
from training.ranking import rank_each

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

HELD_OUT = 0.2
MOST_USERS = 6_000
MOST_ROUNDS = 4
#: The setting of which the least is taken that people cannot tell from the best.
_DISCOUNT = "popularity_discount"

#: What is tried for each setting, from the most to the least influential.
GRID: Mapping[str, tuple[Any, ...]] = {
    "activity": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "rarity": (0.0, 0.15, 0.3, 0.45, 0.6, 0.75),
    "popularity_discount": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3),
    "amplification": (1.0, 1.5, 2.0),
    "neighbours": (50, 100, 200, 300, 400),
}
#: The same for the part that the neighbourhood has in a blend, where it need not do all by itself.
BLENDED_GRID: Mapping[str, tuple[Any, ...]] = {
    "posting_cap": (100, 300, None),
    "activity": (0.5, 0.6, 0.7),
    "rarity": (0.2, 0.3, 0.4),
    "popularity_discount": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3),
    "neighbours": (100, 200, 300),
}


_Settings = TypeVar("_Settings", bound="DataclassInstance")

#: From settings, likes, how many events there are, some people and n to rankings int32[people, n].
_Rank = Callable[[CollaborativeSettings, Rows, int, NDArray[np.int32], int], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Chosen(Generic[_Settings]):
    """What was chosen of some settings, what that and those at the start reached (NDCG, means over people)."""

    settings: _Settings
    ndcg: float
    ndcg_before: float
    trials: int
    finished: bool  #: False where the time was up before nothing could be bettered any more


@dataclass(frozen=True, slots=True)
class Tuned:
    """The settings that were chosen, with what they reached on the people they were chosen on."""

    settings: CollaborativeSettings
    ndcg: float
    users: int
    trials: int


def tune_neighbourhood(
    liked: Rows,
    n_events: int,
    start: CollaborativeSettings,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """Coordinate ascent over GRID on NDCG@20 of held-out likes of at most MOST_USERS people.

    `liked` has rows users. Raises ValueError when nobody has two likes, so that nothing can be held out.
    """
    return _tune(liked, n_events, start, seed, progress, GRID, lambda _: rank_with)


def tune_for_blend(
    liked: Rows,
    n_events: int,
    start: CollaborativeSettings,
    als: AlsSettings,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """The settings of the neighbourhood with which `hybrid` ranks best, over BLENDED_GRID, with weights by default.

    The factors are fitted once, on what is not held out. Raises ValueError as `tune_neighbourhood`.
    """

    def ranker(train: Rows) -> _Rank:
        neighbourhood = fit_neighbourhood(train, n_events, start)
        return partial(rank_blended, als=als, factors=fit_factors(train, neighbourhood, als))

    return _tune(liked, n_events, start, seed, progress, BLENDED_GRID, ranker)


def _tune(
    liked: Rows,
    n_events: int,
    start: CollaborativeSettings,
    seed: int,
    progress: Callable[[str], None],
    grid: Mapping[str, tuple[Any, ...]],
    ranker: Callable[[Rows], _Rank],
) -> Tuned:
    """Coordinate ascent over a grid; `ranker` makes, of what is not held out, what ranks by given settings."""
    train, held_out = holdout_per_user(liked, HELD_OUT, seed)
    users = np.flatnonzero(np.diff(held_out.indptr)).astype(np.int32)
    if users.size == 0:
        raise ValueError("nobody has two likes: there is nothing to hold out")
    if users.size > MOST_USERS:
        users = np.sort(np.random.default_rng(seed).choice(users, MOST_USERS, replace=False))
    relevant, rank = rows_of(held_out, users), ranker(train)

    def judge(settings: CollaborativeSettings) -> NDArray[np.float64]:
        found = per_user(rank(settings, train, n_events, users, 20), relevant, 20).ndcg
        progress(f"NDCG@20 {found.mean():.4f} with {settings}")
        return found

    chosen = choose(start, grid, judge)
    return Tuned(chosen.settings, chosen.ndcg, users.size, chosen.trials)


def choose(
    start: _Settings,
    grid: Mapping[str, tuple[Any, ...]],
    judge: Callable[[_Settings], NDArray[np.float64]],
    is_over: Callable[[], bool] = lambda: False,
) -> Chosen[_Settings]:
    """Let one setting after the other take its best value, until a round changes nothing, MOST_ROUNDS at most.

    `judge` makes of settings what they reach for each of the same people, float64[people]; it is asked once for each.
    Of the discounts of what is popular the least is taken that is as good as the best (`training.deciding`).
    `is_over` is asked before each trial: then the best of the settings tried are taken.
    """
    tried: dict[_Settings, NDArray[np.float64]] = {}

    def quality(settings: _Settings) -> float:
        if settings not in tried:
            tried[settings] = judge(settings)
        return float(tried[settings].mean())

    def settled(name: str, best: _Settings, candidates: Sequence[_Settings]) -> _Settings:
        if name != _DISCOUNT:
            return best
        least_first = sorted(candidates, key=lambda one: float(getattr(one, _DISCOUNT)))
        return least_first[first_as_good([tried[one] for one in least_first])]

    before = quality(start)
    best, finished = _ascend(start, grid, quality, settled, is_over)
    return Chosen(best, quality(best), before, len(tried), finished)


def _ascend(
    start: _Settings,
    grid: Mapping[str, tuple[Any, ...]],
    quality: Callable[[_Settings], float],
    settled: Callable[[str, _Settings, Sequence[_Settings]], _Settings],
    is_over: Callable[[], bool],
) -> tuple[_Settings, bool]:
    """The best of the settings tried, and whether that came to an end.

    `settled` may take another one than the best of those that differ in a setting, of which it is told the name.
    """
    best = start
    for _ in range(MOST_ROUNDS):
        before = best
        for name, values in grid.items():
            here = best
            others = [replace(here, **{name: value}) for value in values]
            for other in others:
                if is_over():
                    return best, False
                best = max((best, other), key=quality)
            best = settled(name, best, [here, *others])
        if best == before:
            return best, True
    return best, True


def rank_with(
    settings: CollaborativeSettings, train: Rows, n_events: int, users: NDArray[np.int32], n: int
) -> NDArray[np.int32]:
    """Fit on `train` and rank all events for some of its people: int32[users, n]."""
    live = LiveSite(train, fit_neighbourhood(train, n_events, settings), n_events, settings)
    arm = Recommender(live, np.zeros(n_events, np.float32))
    return arm.collaborative_many(users, np.ones(live.event_room, np.uint8), n)


def rank_blended(
    settings: CollaborativeSettings,
    train: Rows,
    n_events: int,
    users: NDArray[np.int32],
    n: int,
    als: AlsSettings,
    factors: Factors,
) -> NDArray[np.int32]:
    """The same by `hybrid` with factors that are fitted already and the weights that serve by default."""
    live = LiveSite(train, fit_neighbourhood(train, n_events, settings), n_events, settings)
    arm = Recommender(live, np.zeros(n_events, np.float32), factors, als)
    mask = np.ones(live.event_room, np.uint8)
    return rank_each(arm, users, n, lambda who: arm.hybrid(who, NO_CONTENT, NO_TASTE, mask, n))

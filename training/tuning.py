"""Choosing the settings of the neighbourhood on interactions held out of the training data.

The same procedure for every site: a share of each person's likes is held out, and one setting after the other takes
the value that ranks those best, until a round changes nothing. The test split of an evaluation is never seen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.collaborative import CollaborativeSettings, fit_neighbourhood
from core.evaluation import per_user
from core.live_site import LiveSite
from core.recommender import Recommender
from core.sparse import Rows
from core.splits import holdout_per_user
from training.ranking import rows_of

HELD_OUT = 0.2
MOST_USERS = 6_000
MOST_ROUNDS = 4

#: What is tried for each setting, from the most to the least influential.
GRID: Mapping[str, tuple[Any, ...]] = {
    "activity": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "rarity": (0.0, 0.15, 0.3, 0.45, 0.6, 0.75),
    "popularity_discount": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3),
    "amplification": (1.0, 1.5, 2.0),
    "neighbours": (50, 100, 200, 300, 400),
}


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
    train, held_out = holdout_per_user(liked, HELD_OUT, seed)
    users = np.flatnonzero(np.diff(held_out.indptr)).astype(np.int32)
    if users.size == 0:
        raise ValueError("nobody has two likes: there is nothing to hold out")
    if users.size > MOST_USERS:
        users = np.sort(np.random.default_rng(seed).choice(users, MOST_USERS, replace=False))
    relevant = rows_of(held_out, users)
    tried: dict[CollaborativeSettings, float] = {}

    def quality(settings: CollaborativeSettings) -> float:
        if settings not in tried:
            ranked = rank_with(settings, train, n_events, users, n=20)
            tried[settings] = float(per_user(ranked, relevant, 20).ndcg.mean())
            progress(f"NDCG@20 {tried[settings]:.4f} with {settings}")
        return tried[settings]

    best = start
    for _ in range(MOST_ROUNDS):
        before = best
        for name, values in GRID.items():
            candidates = [best, *(replace(best, **{name: value}) for value in values)]
            best = max(candidates, key=quality)
        if best == before:
            break
    return Tuned(best, quality(best), users.size, len(tried))


def rank_with(
    settings: CollaborativeSettings, train: Rows, n_events: int, users: NDArray[np.int32], n: int
) -> NDArray[np.int32]:
    """Fit on `train` and rank all events for some of its people: int32[users, n]."""
    live = LiveSite(train, fit_neighbourhood(train, n_events, settings), n_events, settings)
    arm = Recommender(live, np.zeros(n_events, np.float32))
    return arm.collaborative_many(users, np.ones(live.event_room, np.uint8), n)

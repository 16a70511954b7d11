"""Choosing the settings of each arm that has any, by how well the arm ranks by itself what was held out.

One setting after the other takes its best value, on the same people for all values (`training.tuning.choose`). An arm
is fitted anew for each trial, the others are not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.collaborative import fit_neighbourhood
from core.evaluation import per_user
from core.hybrid import default_blend
from core.interactions import build_preferences
from core.model import Model, ModelSettings
from core.popularity import fit_popularity
from core.sparse import no_pairs
from core.splits import Split
from service.memory import give_memory_back
from training.als import fit_factors
from training.ranking import ARMS
from training.snapshot import Snapshot
from training.tuning import BLENDED_GRID, GRID, Chosen, choose
from training.validation import Jury, jury_of, known_by

K = 20
#: Of more people the figures would hardly differ; a trial would take longer.
MOST_PEOPLE = 3_000


class Tunable(NamedTuple):
    """What is chosen for an arm: one group of the model's settings, and what is tried, most influential first."""

    group: str  #: of `core.model.ModelSettings`
    grid: Mapping[str, tuple[Any, ...]]


_FEW, _MANY = (0.25, 0.5, 1.0), (0.5, 1.0, 2.0)
TUNABLE: Mapping[str, Tunable] = MappingProxyType(
    {
        "control": Tunable(
            "popularity",
            {
                "half_life_days": (3.0, 7.0, 14.0, 30.0, 90.0, 365.0),
                "prior_days": (1.0, 3.0, 7.0, 14.0, 30.0),
            },
        ),
        "collaborative_filtering": Tunable("collaborative", GRID),
        "als": Tunable(
            "als",
            {
                "regularization": (3.0, 10.0, 30.0, 60.0),
                "confidence": (10.0, 20.0, 40.0, 80.0),
                "activity": (0.0, 0.3, 0.5),
                "rarity": (0.0, 0.3, 0.5),
                "factors": (64, 128, 256),
            },
        ),
        "content_based": Tunable(
            "content",
            {
                "pivot": (0.5, 1.0, 2.0, 4.0),
                "statement": (1.0, 3.0, 10.0),
                "genre": _MANY,
                "tag": (0.3, 0.6, 1.2),
                "artist": _MANY,
                "venue": _FEW,
                "series": _FEW,
                "city": (0.0, 0.3, 0.6),
                "near": (0.0, 0.15, 0.4),
                "area": (0.0, 0.15, 0.4),
                "weekday": (0.0, 0.1, 0.3),
                "hour": (0.0, 0.1, 0.3),
                "price": (0.0, 0.1, 0.3),
            },
        ),
        "hybrid": Tunable("collaborative", BLENDED_GRID),
    }
)
#: What is chosen by default. The neighbourhood that is best within a blend is another one than that which is best by
#: itself, and there is only one: whoever wants the former asks for it.
BY_DEFAULT = tuple(name for name in TUNABLE if name != "hybrid")


@dataclass(frozen=True, slots=True)
class TunedArm:
    """The settings with those chosen for one arm, and what the arm reached with them and before (NDCG@20)."""

    settings: ModelSettings
    ndcg: float
    ndcg_before: float
    people: int
    trials: int
    finished: bool  #: False where the time was up before nothing could be bettered any more


def tune_arm(
    arm: str,
    snapshot: Snapshot,
    parts: Split,
    start: ModelSettings,
    seed: int,
    is_over: Callable[[], bool],
    progress: Callable[[str], None],
) -> TunedArm:
    """Fit on `parts.train`, judge by `parts.held_out` and choose the arm's group of the settings.

    `is_over` is asked before each trial. Raises ValueError when nobody has likes to judge by.
    """
    jury = jury_of(snapshot, parts, seed, MOST_PEOPLE)
    if not jury.people.size:
        raise ValueError("nobody has two likes: there is nothing to hold out")
    base = _base_model(snapshot, parts, start, fitted=arm == "hybrid")
    group, grid = TUNABLE[arm]

    def judge(values: Any) -> NDArray[np.float64]:
        found = _ndcg(arm, replace(start, **{group: values}), base, snapshot, parts, jury)
        progress(f"{arm}: NDCG@{K} {found.mean():.4f} with {values}")
        return found

    chosen: Chosen[Any] = choose(getattr(start, group), grid, judge, is_over)
    settings = replace(start, **{group: chosen.settings})
    return TunedArm(
        *(settings, chosen.ndcg, chosen.ndcg_before, jury.people.size, chosen.trials, chosen.finished)
    )


def _ndcg(
    arm: str, settings: ModelSettings, base: Model, snapshot: Snapshot, parts: Split, jury: Jury
) -> NDArray[np.float64]:
    model = _refitted(arm, replace(base, settings=settings), snapshot, parts)
    known = known_by(snapshot, jury.stated_until, settings.content)
    ranked = ARMS[arm](model, jury.people, jury.open_events, K, known)
    return per_user(ranked, jury.relevant, K).ndcg


def _refitted(arm: str, model: Model, snapshot: Snapshot, parts: Split) -> Model:
    """The model with the part that the arm's settings decide fitted by its settings."""
    liked, n_events, settings = model.preferences.liked, len(model.events), model.settings
    if arm == "control":
        return replace(model, popularity=_popularity(snapshot, parts, settings))
    if arm == "als":
        give_memory_back()
        return replace(model, factors=fit_factors(liked, model.neighbourhood, settings.als))
    if arm == "content_based":
        return model
    return replace(model, neighbourhood=fit_neighbourhood(liked, n_events, settings.collaborative))


def _base_model(snapshot: Snapshot, parts: Split, settings: ModelSettings, *, fitted: bool) -> Model:
    """What all trials of an arm share; `fitted` with factors, for the blend."""
    n_users, n_events = len(snapshot.users), len(snapshot.events)
    preferences, _ = build_preferences(parts.train, n_users, n_events, settings.preferences, parts.cutoff)
    neighbourhood = fit_neighbourhood(preferences.liked, n_events, settings.collaborative)
    model = Model(
        version="choosing",
        settings=settings,
        users=snapshot.users,
        events=snapshot.events,
        preferences=preferences,
        neighbourhood=neighbourhood,
        popularity=_popularity(snapshot, parts, settings),
        saved=no_pairs(n_users),
        hidden=no_pairs(n_users),
        blend=default_blend(),
    )
    return (
        replace(model, factors=fit_factors(preferences.liked, neighbourhood, settings.als))
        if fitted
        else model
    )


def _popularity(snapshot: Snapshot, parts: Split, settings: ModelSettings) -> NDArray[np.float32]:
    return fit_popularity(
        parts.train,
        len(snapshot.events),
        snapshot.event_city,
        snapshot.event_created,
        settings.popularity,
        settings.preferences.weights,
        parts.cutoff,
    )

"""The arms of a model on some people: means, and how far they can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.bootstrap import Interval, percentile_interval, resampled_sums
from core.evaluation import Metrics, PerUser, per_user, self_information, summarise
from core.model import Model
from core.sparse import Pairs
from training.ranking import ARMS, NOTHING_KNOWN, Known

#: An interval by the name of a measure. Coverage has none: a sample with replacement holds two thirds of the people,
#: who are shown fewer different events than all of them.
Intervals = Mapping[str, Interval]


class Difference(NamedTuple):
    """NDCG of the new model less that of the live one, with its interval over the same people."""

    mean: float
    interval: Interval


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """One arm: its means, and what they are means of, by person."""

    metrics: Metrics
    of_people: PerUser
    bits: NDArray[np.float64]  #: the self-information of all that a person was shown
    shown: NDArray[np.int64]  #: how many events that were


def judge(
    model: Model,
    people: NDArray[np.int32],
    relevant: Pairs,
    open_events: NDArray[np.uint8],
    k: int,
    known: Known = NOTHING_KNOWN,
    judged_before: Mapping[str, Judged] = MappingProxyType({}),
) -> dict[str, Judged]:
    """Every arm of a model, for rows of it and the events that were right for them, none of whom has none.

    Arms that were judged before, on the same people, are taken as they were.
    """
    counts = np.bincount(model.preferences.liked.indices, minlength=len(model.events))
    n_people = len(model.users)
    judged = {}
    for name, rank in ARMS.items():
        if name in judged_before:
            judged[name] = judged_before[name]
            continue
        ranked = rank(model, people, open_events, k, known)
        judged[name] = Judged(
            summarise(ranked, relevant, k, counts, n_people),
            per_user(ranked, relevant, k),
            *self_information(ranked[:, :k], counts, n_people),
        )
    return judged


def metrics_of(judged: Mapping[str, Judged]) -> dict[str, Metrics]:
    """The means by arm."""
    return {name: arm.metrics for name, arm in judged.items()}


def intervals(judged: Mapping[str, Judged], seed: int) -> dict[str, Intervals]:
    """The interval of each measure of each arm; all arms share the resamples."""
    return {name: _intervals(arm, seed) for name, arm in judged.items()}


def differences(new: Mapping[str, Judged], live: Mapping[str, Judged], seed: int) -> dict[str, Difference]:
    """How much better each arm of the new model is for the same people, by the paired bootstrap."""
    return {name: _difference(new[name].of_people, live[name].of_people, seed) for name in new}


def _intervals(arm: Judged, seed: int) -> Intervals:
    people, k = arm.of_people, arm.metrics.k
    means = {
        f"precision_at_{k}": people.precision,
        f"recall_at_{k}": people.recall,
        f"ndcg_at_{k}": people.ndcg,
        "map": people.average_precision,
        f"hit_rate_at_{k}": people.hit,
    }
    sums = resampled_sums(np.stack([*means.values(), arm.bits, arm.shown.astype(np.float64)]), seed)
    named = dict(zip(means, sums[: len(means)] / people.users.size, strict=True))
    named["novelty"] = sums[-2] / np.maximum(sums[-1], 1.0)
    return {name: percentile_interval(figures) for name, figures in named.items()}


def _difference(new: PerUser, live: PerUser, seed: int) -> Difference:
    by_person = new.ndcg - live.ndcg
    sums = resampled_sums(by_person[None, :], seed)[0]
    return Difference(float(by_person.mean()), percentile_interval(sums / by_person.size))

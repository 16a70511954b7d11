"""How good rankings are, by the standard measures with binary relevance."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core import sparse
from core.sparse import Pairs


@dataclass(frozen=True, eq=False)
class PerUser:
    """Each measure of the first `k` places for each person with at least one relevant event.

    `users` int32[u] are their rows in the ranking; the others are float64[u] in 0..1, in the same order, so
    that two models can be compared on the same people.
    """

    k: int
    users: NDArray[np.int32]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    ndcg: NDArray[np.float64]
    average_precision: NDArray[np.float64]
    hit: NDArray[np.float64]


@dataclass(frozen=True)
class Metrics:
    """Means over the `users` who had a relevant event; `users_left_out` had none.

    `coverage` is the share of all events that anyone was shown, `novelty` is in bits.
    """

    k: int
    users: int
    users_left_out: int
    precision: float
    recall: float
    ndcg: float
    mean_average_precision: float
    hit_rate: float
    coverage: float
    novelty: float

    def as_dict(self) -> dict[str, float]:
        """By the names of the service's answers and of the manifest: "precision_at_10", …, "map"."""
        return {
            f"precision_at_{self.k}": self.precision,
            f"recall_at_{self.k}": self.recall,
            f"ndcg_at_{self.k}": self.ndcg,
            "map": self.mean_average_precision,
            f"hit_rate_at_{self.k}": self.hit_rate,
            "coverage": self.coverage,
            "novelty": self.novelty,
            "users": self.users,
            "users_left_out": self.users_left_out,
        }


def per_user(ranked: NDArray[np.int32], relevant: Pairs, k: int) -> PerUser:
    """Judge the first `k` places of each ranking.

    `ranked` int32[m, at least k] are the events for m people from best to worst, padded with −1; `relevant`
    the events that were right for the same people.

    With R relevant events, h_i = 1 when place i (from 1) is one of them, else 0, and hits(i) = h_1 + … + h_i
    (Järvelin & Kekäläinen 2002 for NDCG; Manning, Raghavan & Schütze 2008, ch. 8, for the rest):

    - precision: hits(k) / k
    - recall: hits(k) / R, as LightGCN reports it
    - NDCG: Σ h_i / log2(i + 1), divided by the same sum of the best ranking, whose first min(k, R) places hit
    - average precision: Σ h_i · hits(i) / i, divided by min(k, R)
    - hit: 1 when hits(k) > 0

    ValueError when the shapes do not fit, or a ranking holds an event twice.
    """
    _check(ranked, relevant, k)
    n_relevant = np.diff(relevant.indptr)
    users = np.flatnonzero(n_relevant).astype(np.int32)
    shown, total = ranked[users, :k], n_relevant[users]
    hits = sparse.contains(relevant, np.repeat(users, k), shown.reshape(-1)).reshape(-1, k)
    hits_by_place = np.cumsum(hits, axis=1)
    places = np.arange(1, k + 1)
    discounts = 1.0 / np.log2(places + 1)
    reachable = np.minimum(total, k)
    return PerUser(
        k=k,
        users=users,
        precision=hits_by_place[:, -1] / k,
        recall=hits_by_place[:, -1] / total,
        ndcg=hits @ discounts / np.cumsum(discounts)[reachable - 1],
        average_precision=(hits * hits_by_place / places).sum(axis=1) / reachable,
        hit=(hits_by_place[:, -1] > 0).astype(np.float64),
    )


def summarise(
    ranked: NDArray[np.int32], relevant: Pairs, k: int, popularity: NDArray[np.integer], n_people: int
) -> Metrics:
    """The means of `per_user`, and how wide and how novel the same people's rankings are.

    `popularity` int[n_events] counts which events how many of `n_people` liked in the data the model was
    fitted on. Novelty is the mean self-information −log2(popularity / n_people) of what was shown (Zhou et
    al. 2010, PNAS 107:4511), where an event that nobody liked yet counts as liked by one. ValueError as for
    `per_user`, when nobody has a relevant event, and when a ranking holds an event that `popularity` does not
    count.
    """
    scores = per_user(ranked, relevant, k)
    if scores.users.size == 0:
        raise ValueError("relevant: nobody has a relevant event")
    shown = ranked[scores.users, :k]
    shown = shown[shown >= 0]
    if shown.size and shown.max() >= popularity.size:
        raise ValueError(f"ranked: event {shown.max()} is outside 0..{popularity.size - 1}")
    return Metrics(
        k=k,
        users=scores.users.size,
        users_left_out=relevant.n_rows - scores.users.size,
        precision=float(scores.precision.mean()),
        recall=float(scores.recall.mean()),
        ndcg=float(scores.ndcg.mean()),
        mean_average_precision=float(scores.average_precision.mean()),
        hit_rate=float(scores.hit.mean()),
        coverage=np.unique(shown).size / popularity.size,
        novelty=_novelty(popularity[shown], n_people),
    )


def self_information(
    ranked: NDArray[np.int32], popularity: NDArray[np.integer], n_people: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """By row of `ranked`, as in `summarise`: the bits float64[m] of what was shown, and how much that was int64[m].

    Novelty is the sum of the first divided by the sum of the second.
    """
    shown = ranked >= 0
    bits = math.log2(max(n_people, 1)) - np.log2(np.maximum(popularity, 1))
    return np.where(shown, bits[ranked], 0.0).sum(axis=1), shown.sum(axis=1)


def _novelty(popularity: NDArray[np.integer], n_people: int) -> float:
    if popularity.size == 0:
        return 0.0
    return float(math.log2(n_people) - np.log2(np.maximum(popularity, 1)).mean())


def _check(ranked: NDArray[np.int32], relevant: Pairs, k: int) -> None:
    if ranked.ndim != 2 or ranked.dtype != np.int32:
        raise ValueError(f"ranked: expected two dimensions of int32, got {ranked.ndim} of {ranked.dtype}")
    if ranked.shape[0] != relevant.n_rows:
        raise ValueError(f"ranked: {ranked.shape[0]} rankings for {relevant.n_rows} people")
    if not 1 <= k <= ranked.shape[1]:
        raise ValueError(f"k: {k} is outside 1..{ranked.shape[1]}")
    shown = np.sort(ranked[:, :k], axis=1)
    twice = ((shown[:, 1:] == shown[:, :-1]) & (shown[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise ValueError(f"ranked: row {int(twice.argmax())} holds an event twice")

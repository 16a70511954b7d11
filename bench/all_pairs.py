"""The part `pairs`: the k most similar users of every user by cosine, beside four libraries.

The comparison favours the others: they are handed float32 rows that are normalised and transposed already, which ours
does in its time, and need not leave out the user themselves: they are asked for k + 1. SciPy multiplies in blocks of
rows and keeps no top k; scikit-learn's search is exact (brute force), as it has no other for sparse rows. Each takes
its turn on one thread of one process, and its processor time is what counts. On two threads, ours and sparse_dot_topn
take turns by the clock.
"""

import os
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sparse_dot_topn import sp_matmul_topn
from threadpoolctl import threadpool_limits

from bench.figures import Findings
from bench.homes import HomeError
from bench.sites import Site
from core.all_pairs import NearestRows, all_pairs_cosine

PART = "pairs"
K = 50
OURS, TOPN = "ours", "sparse_dot_topn"
#: Two similarities are the same when they differ by less: each is a sum of rounded products.
TOLERANCE = 1e-5
_BLOCK = 1_000
#: Who takes longer for a round has one.
_SLOW_SECONDS = 5.0


class Plan(NamedTuple):
    """How much is measured; `slow` names the peers that take seconds for a round."""

    rounds: int
    slow: bool


QUICK, FULL = Plan(3, False), Plan(7, True)


class Peer:
    """The rows of a site's training split as the libraries take them."""

    def __init__(self, site: Site) -> None:
        rows = site.train
        weights = rows.weights.astype(np.float64)
        likes = sp.csr_matrix((weights, rows.indices, rows.indptr), (rows.n_rows, site.n_events))
        norms = np.sqrt(likes.multiply(likes).sum(axis=1).A1)
        unit = weights / np.repeat(norms, np.diff(rows.indptr))
        self.unit = sp.csr_matrix((unit.astype(np.float32), rows.indices, rows.indptr), likes.shape)
        self.transposed = self.unit.T.tocsr()
        self.transposed_double = self.transposed.astype(np.float64)

    def product(self, k: int, threads: int) -> Any:
        """sparse_dot_topn: the k greatest cosines of each row, best first, the row's with itself among them."""
        n_threads = threads if threads > 1 else None
        return sp_matmul_topn(self.unit, self.transposed, top_n=k, sort=True, n_threads=n_threads)

    def implicit(self, k: int) -> Any:
        """implicit's all_pairs_knn, one thread; it takes users as columns, and float64 only."""
        from implicit.nearest_neighbours import all_pairs_knn

        return all_pairs_knn(self.transposed_double, K=k, num_threads=1, show_progress=False)

    def scipy(self) -> None:
        """All products in blocks of rows, nothing kept."""
        for first in range(0, self.unit.shape[0], _BLOCK):
            _ = self.unit[first : first + _BLOCK] @ self.transposed

    def scikit_learn(self, k: int) -> Any:
        """NearestNeighbors by brute force, one thread."""
        from sklearn.neighbors import NearestNeighbors

        with threadpool_limits(1):
            return (
                NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute", n_jobs=1)
                .fit(self.unit)
                .kneighbors()
            )


def measure_pairs(site: Site, findings: Findings, plan: Plan, of: str = "") -> None:
    """Everything on one thread; `of` is added to the subjects of the figures.

    Raises HomeError when ours and sparse_dot_topn find different similarities.
    """
    peer = Peer(site)
    contestants: dict[str, Callable[[], Any]] = {
        OURS: lambda: all_pairs_cosine(site.train, site.n_events, K, 1),
        TOPN: lambda: peer.product(K + 1, 1),
    }
    if plan.slow:
        contestants |= {
            "implicit": lambda: peer.implicit(K + 1),
            "SciPy, no top k": peer.scipy,
            "scikit-learn": lambda: peer.scikit_learn(K + 1),
        }
    found = agreement(contestants[OURS](), without_self(contestants[TOPN](), K))
    if not found["same_similarities"]:
        raise HomeError("ours and sparse_dot_topn find different similarities")
    times = take_turns(contestants, plan.rounds)
    for name, seconds in times.items():
        findings.add_rounds(PART, name + of, "seconds", [seconds])
    costs = [ours / theirs for ours, theirs in zip(times[OURS], times[TOPN], strict=True)]
    findings.add_rounds(PART, OURS + of, f"cost_to_{TOPN}", [costs])
    findings.add(PART, OURS + of, {"same_neighbours": found["same_neighbours"]})


def measure_two_threads(site: Site, findings: Findings, plan: Plan) -> None:
    """Ours and sparse_dot_topn on two threads; nothing where this process has one core."""
    if len(os.sched_getaffinity(0)) < 2:
        findings.notes.append("There is one core: pairs were not found on two threads.")
        return
    peer = Peer(site)
    contestants: dict[str, Callable[[], Any]] = {
        OURS: lambda: all_pairs_cosine(site.train, site.n_events, K, 2),
        TOPN: lambda: peer.product(K + 1, 2),
    }
    contestants[OURS]()  # starts the threads
    times = take_turns(contestants, plan.rounds, perf_counter)
    for name, seconds in times.items():
        findings.add_rounds(PART, f"{name}, two threads", "seconds", [seconds])
    ratios = [ours / theirs for ours, theirs in zip(times[OURS], times[TOPN], strict=True)]
    findings.add_rounds(PART, f"{OURS}, two threads", f"time_to_{TOPN}", [ratios])


def take_turns(
    contestants: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float] = process_time
) -> dict[str, list[float]]:
    """The seconds of each in each round, of the processor by default; who takes many has one round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            if times[name] and times[name][0] > _SLOW_SECONDS:
                continue
            started = clock()
            work()
            times[name].append(clock() - started)
    return times


def without_self(product: Any, k: int) -> NearestRows:
    """The peer's answer in the shape of ours: the k best of each row but for the row itself."""
    rows = np.repeat(np.arange(product.shape[0]), np.diff(product.indptr))
    others = (product.indices != rows) & (product.data > 0)
    rows, indices, similarities = rows[others], product.indices[others], product.data[others]
    order = np.lexsort((indices, -similarities, rows))
    rows, indices, similarities = rows[order], indices[order], similarities[order]
    rank = np.arange(rows.size) - np.searchsorted(rows, rows)
    kept = rank < k
    nearest = NearestRows(
        np.full((product.shape[0], k), -1, np.int32), np.zeros((product.shape[0], k), np.float32)
    )
    nearest.indices[rows[kept], rank[kept]] = indices[kept]
    nearest.similarities[rows[kept], rank[kept]] = similarities[kept]
    return nearest


def agreement(ours: NearestRows, theirs: NearestRows) -> dict[str, Any]:
    """Whether the similarities are the same rank by rank, and the share of places that hold the same user."""
    filled = (ours.indices >= 0) | (theirs.indices >= 0)
    same = ours.indices[filled] == theirs.indices[filled]
    return {
        "same_similarities": bool(
            np.allclose(ours.similarities, theirs.similarities, rtol=0.0, atol=TOLERANCE)
        ),
        "same_neighbours": round(float(same.mean()), 4) if same.size else 1.0,
    }

"""Work that never changes, beside which ours is timed: what slows the machine down slows both down alike.

`recommend_plainly` is user-based filtering as one would write it down in numba on the first day: the same walks over
the same data with the same mix of scattered reads, branches and a heap, without anything that makes ours fast. It is
kept as it is: a bound in `budget.toml` is a multiple of it. `add_at_random` is what the memory of a machine allows.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from core.kernels.held import held_in
from core.kernels.live import LiveRows, spread
from core.sparse import Rows


class PlainSite(NamedTuple):
    """Both sides of the interactions, unweighted."""

    user_indptr: NDArray[np.int64]  #: [users + 1]
    user_events: NDArray[np.int32]  #: [saves]
    event_indptr: NDArray[np.int64]  #: [events + 1]
    event_users: NDArray[np.int32]  #: [saves]


class PlainScratch(NamedTuple):
    """Zero between two people."""

    user_sums: NDArray[np.float32]  #: [users]
    event_sums: NDArray[np.float32]  #: [events]


def plain_site(liked: Rows, savers: Rows) -> PlainSite:
    """The site of a model, with postings as it has them."""
    return PlainSite(liked.indptr, liked.indices, savers.indptr, savers.indices)


def plain_scratch(site: PlainSite) -> PlainScratch:
    """Room for one person at a time."""
    return PlainScratch(
        np.zeros(site.user_indptr.size - 1, np.float32), np.zeros(site.event_indptr.size - 1, np.float32)
    )


@numba.njit(cache=True)
def recommend_plainly(users, site, scratch, k, ranked):  # type: ignore[no-untyped-def]
    """Write n events for each of some users to `ranked` int32[users, n]: cosine, the k nearest, their votes."""
    n = ranked.shape[1]
    heap = np.empty((max(k, n), 2), np.float64)
    for line in range(users.size):
        user = users[line]
        sums = scratch.user_sums
        mine = site.user_events[site.user_indptr[user] : site.user_indptr[user + 1]]
        touched = []
        for event in mine:
            for other in site.event_users[site.event_indptr[event] : site.event_indptr[event + 1]]:
                if sums[other] == 0.0:
                    touched.append(other)
                sums[other] += 1.0
        sums[user] = 0.0
        size = 0
        for other in touched:
            if sums[other] > 0.0:
                length = site.user_indptr[other + 1] - site.user_indptr[other]
                size = _push(heap, size, k, sums[other] / np.sqrt(length), other)
            sums[other] = 0.0
        votes = scratch.event_sums
        voted = []
        for place in range(size):
            other = np.int64(heap[place, 1])
            for event in site.user_events[site.user_indptr[other] : site.user_indptr[other + 1]]:
                if votes[event] == 0.0:
                    voted.append(event)
                votes[event] += heap[place, 0]
        for event in mine:
            votes[event] = 0.0
        size = 0
        for event in voted:
            if votes[event] > 0.0:
                size = _push(heap, size, n, votes[event], event)
            votes[event] = 0.0
        order = np.argsort(-heap[:size, 0])
        for place in range(size):
            ranked[line, place] = np.int32(heap[order[place], 1])


@numba.njit(cache=True)
def _push(heap, size, capacity, score, index):  # type: ignore[no-untyped-def]
    """Offer an entry to a heap whose root is the least; return its size."""
    if size == capacity:
        if score <= heap[0, 0]:
            return size
        hole = 0
        while 2 * hole + 1 < size:
            child = 2 * hole + 1
            if child + 1 < size and heap[child + 1, 0] < heap[child, 0]:
                child += 1
            if heap[child, 0] >= score:
                break
            heap[hole, 0], heap[hole, 1] = heap[child, 0], heap[child, 1]
            hole = child
    else:
        hole = size
        size += 1
        while hole > 0 and heap[(hole - 1) // 2, 0] > score:
            parent = (hole - 1) // 2
            heap[hole, 0], heap[hole, 1] = heap[parent, 0], heap[parent, 1]
            hole = parent
    heap[hole, 0], heap[hole, 1] = score, index
    return size


@numba.njit(cache=True)
def add_at_random(places, sums):  # type: ignore[no-untyped-def]
    """Add 1 to float32 `sums` at each of `places` int32: the least that a posting can take on this machine."""
    for position in range(np.uint64(places.size)):
        sums[np.uint32(places[position])] += np.float32(1.0)


@numba.njit(cache=True)
def add_rows(users, liked, savers, sums):  # type: ignore[no-untyped-def]
    """Add 1 to `sums` for each posting of everything that some users like: a walk that keeps account of nothing."""
    for user in users:
        for event in liked.indices[liked.indptr[user] : liked.indptr[user + 1]]:
            for position in range(np.uint64(savers.indptr[event]), np.uint64(savers.indptr[event + 1])):
                sums[np.uint32(savers.indices[position])] += np.float32(1.0)


@numba.njit(cache=True)
def walk_postings(users, walk, clearings):  # type: ignore[no-untyped-def]
    """Walk the postings of everything that some users like; return how many postings that was.

    What is touched is cleared so many times, at least once. A request does that where it weighs similarities: what it
    costs is the difference between once and twice. `walk` is (what is liked, savers, factors, sums, touched), `Held` as
    in a request: to count references to these arrays would take longer than to walk.
    """
    liked, savers, factors, sums, touched = held_in(walk)
    walked = 0
    for user in users:
        mine = liked.indices[liked.indptr[user] : liked.indptr[user + 1]]
        n_touched = spread(savers, mine, factors, mine.size, sums, touched)
        for _ in range(clearings):
            for position in range(np.uint64(n_touched)):
                sums[np.uint32(touched[position])] = 0.0
        for event in mine:
            walked += savers.indptr[event + 1] - savers.indptr[event]
    return walked


def without_additions(rows: Rows) -> LiveRows:
    """Rows as the live kernels take them, with nothing added since the training."""
    none = np.empty(0, np.int32)
    return LiveRows(*rows, np.full(rows.n_rows, -1, np.int32), none, none, np.empty(0, np.uint8))

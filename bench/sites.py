"""The data a bench runs on: interactions from a file, or a synthetic site of the same size as Gowalla's.

A file is an .npz of two matrices in CSR, rows users and columns events: `train_indptr`, `train_indices`, `test_indptr`,
`test_indices` (integers, ascending within a row) and `shape` (users, events). The test matrix may be absent.
"""

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.sparse import Pairs, Rows, check_pairs, no_pairs
from core.splits import holdout_per_user

FULL = 255

#: Users, events and interactions (training and test) of the Gowalla data.
GOWALLA = (29_858, 40_981, 1_027_370)
HELD_OUT = 0.2

#: Of a synthetic site: tastes there are and how many a person has, with how much of their interest each takes; the
#: rest goes to whatever is popular. Exponents and offset of the power laws, fitted by eye to Gowalla's counts.
TASTES = 300
INTEREST = np.array([0.45, 0.25, 0.15])
ACTIVITY_EXPONENT, MOST_ACTIVE = 0.65, 80.0
POPULARITY_EXPONENT, POPULARITY_OFFSET = 0.8, 15.0


@dataclass(frozen=True)
class Site:
    """Who is known to like which event, and what else they like that an arm should find; both over the same shape."""

    n_events: int
    train: Rows
    test: Pairs


def load_site(path: str | Path | None) -> Site:
    """The site of a file, by default the one that BENCH_DATA names, without it a synthetic one, always the same.

    Raises ValueError naming the file and the array when it has another shape, OSError when it cannot be read.
    """
    path = path or os.environ.get("BENCH_DATA")
    if path is None:
        return made_up_site()
    try:
        arrays = np.load(path, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError("one array instead of an .npz of several")
        with arrays:
            return _site(arrays)
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {error}") from error


def made_up_site() -> Site:
    """A synthetic site of the size of Gowalla's, always the same."""
    train, test = holdout_per_user(synthetic_site(*GOWALLA, seed=0), HELD_OUT, seed=0)
    return Site(GOWALLA[1], train, Pairs(test.indptr, test.indices))


def _site(arrays: Mapping[str, NDArray[Any]]) -> Site:
    shape = _integers(arrays, "shape", np.int64)
    if shape.shape != (2,):
        raise ValueError(f"shape: expected users and events, got {shape.tolist()}")
    n_users, n_events = shape.tolist()
    train = _matrix(arrays, "train", n_users, n_events)
    has_test = "test_indptr" in arrays or "test_indices" in arrays
    test = _matrix(arrays, "test", n_users, n_events) if has_test else no_pairs(n_users)
    return Site(n_events, Rows(*train, np.full(train.indices.size, FULL, np.uint8)), test)


def _matrix(arrays: Mapping[str, NDArray[Any]], name: str, n_users: int, n_events: int) -> Pairs:
    matrix = Pairs(
        _integers(arrays, f"{name}_indptr", np.int64), _integers(arrays, f"{name}_indices", np.int32)
    )
    try:
        check_pairs(matrix, n_events)
    except ValueError as error:
        raise ValueError(f"{name}_{error}") from error
    if matrix.n_rows != n_users:
        raise ValueError(f"{name}_indptr: {matrix.n_rows} rows for {n_users} users")
    return matrix


def _integers(
    arrays: Mapping[str, NDArray[Any]], name: str, dtype: type[np.signedinteger[Any]]
) -> NDArray[Any]:
    if name not in arrays:
        raise ValueError(f"{name}: missing")
    array = arrays[name]
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected one dimension of integers, got {array.ndim} of {array.dtype}")
    if array.size and not np.iinfo(dtype).min <= array.min() <= array.max() <= np.iinfo(dtype).max:
        raise ValueError(f"{name}: values do not fit {np.dtype(dtype)}")
    return array.astype(dtype)


def synthetic_site(n_users: int, n_events: int, n_interactions: int, seed: int) -> Rows:
    """Exactly so many likes of people with a few tastes each, all of weight 255; the same for the same seed.

    How active people and how popular events are follows power laws. Raises ValueError when there would be more than a
    tenth of all pairs.
    """
    if not 0 <= n_interactions <= n_users * n_events // 10:
        raise ValueError(f"n_interactions: expected 0 to a tenth of all pairs, got {n_interactions}")
    crowd = _Crowd(n_users, n_events, np.random.default_rng(seed))
    pairs = np.empty(0, np.int64)
    while pairs.size < n_interactions:
        drawn = np.sort(np.concatenate((pairs, crowd.draw(2 * (n_interactions - pairs.size) + 100))))
        pairs = drawn[np.diff(drawn, prepend=-1) > 0]  # np.unique hashes, which takes many times as long
    pairs = np.sort(crowd.rng.choice(pairs, n_interactions, replace=False))
    users, events = np.divmod(pairs, n_events)
    indptr = np.zeros(n_users + 1, np.int64)
    np.cumsum(np.bincount(users, minlength=n_users), out=indptr[1:])
    return Rows(indptr, events.astype(np.int32), np.full(n_interactions, FULL, np.uint8))


class _Crowd:
    """People and events of a synthetic site, who like the one or other at random."""

    def __init__(self, n_users: int, n_events: int, rng: np.random.Generator) -> None:
        self.rng, self.n_users, self.n_events = rng, n_users, n_events
        activity = np.minimum(rng.random(n_users) ** -ACTIVITY_EXPONENT, MOST_ACTIVE)
        self._user_of = np.cumsum(activity)
        popularity = (rng.permutation(n_events) + POPULARITY_OFFSET) ** -POPULARITY_EXPONENT
        taste = rng.integers(0, TASTES, n_events)
        self._by_taste = np.argsort(taste, kind="stable")
        # Running sums of popularity: a taste, like the whole, is a stretch from which an event is drawn by bisection.
        self._reached = np.concatenate(([0.0], np.cumsum(popularity[self._by_taste])))
        bounds = self._reached[np.searchsorted(taste[self._by_taste], np.arange(TASTES + 1))]
        share = np.diff(bounds) / bounds[-1] if n_events else None
        own = rng.choice(TASTES, (n_users, INTEREST.size), p=share)
        everything = np.full(n_users, self._reached[-1])
        self._starts = np.column_stack((bounds[own], np.zeros(n_users)))
        self._stops = np.column_stack((bounds[own + 1], everything))

    def draw(self, n: int) -> NDArray[np.int64]:
        """int64[n]: user × number of events + event, with repetitions."""
        users = _draw(self._user_of, self.rng.random(n) * self._user_of[-1])
        interest = _draw(np.cumsum(INTEREST), self.rng.random(n), INTEREST.size)
        starts, stops = self._starts[users, interest], self._stops[users, interest]
        places = _draw(self._reached[1:], starts + self.rng.random(n) * (stops - starts))
        return users * self.n_events + self._by_taste[places]


def _draw(
    reached: NDArray[np.float64], at: NDArray[np.float64], most: int | None = None
) -> NDArray[np.int64]:
    """int64[n]: where `at` falls among ascending running sums; rounding must not lead behind the last."""
    last = reached.size - 1 if most is None else most
    return np.minimum(np.searchsorted(reached, at, side="right"), last)

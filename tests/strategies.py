"""Hypothesis strategies for matrices and interaction logs: small, with every awkward shape."""

import math

import numpy as np
from hypothesis import strategies as st

from core.actions import Action
from core.interactions import InteractionLog
from core.sparse import Pairs, Rows

#: Few different times, so that ties and exact duplicates are common.
DAY = 86_400.0
TIMES = [math.nan, *(day * DAY for day in (0, 1, 1.5, 10, 400))]


def rows_from_dense(dense: np.ndarray) -> Rows:
    """The non-zero entries of a dense uint8[n_rows, n_columns]."""
    indptr = np.concatenate([[0], np.cumsum((dense > 0).sum(axis=1))]).astype(np.int64)
    entry_rows, entry_columns = np.nonzero(dense)
    return Rows(indptr, entry_columns.astype(np.int32), dense[entry_rows, entry_columns].astype(np.uint8))


def dense_from_rows(rows: Rows, n_columns: int) -> np.ndarray:
    """uint8[n_rows, n_columns] with zeros where `rows` holds nothing."""
    dense = np.zeros((rows.n_rows, n_columns), np.uint8)
    for i in range(rows.n_rows):
        for position in range(rows.indptr[i], rows.indptr[i + 1]):
            dense[i, rows.indices[position]] = rows.weights[position]
    return dense


def pairs_from_lists(lists: list[list[int]]) -> Pairs:
    """One row for each list of columns."""
    indptr = np.concatenate([[0], np.cumsum([len(columns) for columns in lists])]).astype(np.int64)
    return Pairs(indptr, np.array([c for columns in lists for c in sorted(columns)], np.int32))


def sets_of(pairs: Pairs | Rows) -> list[set[int]]:
    """The columns of each row."""
    return (
        [set(part.tolist()) for part in np.split(pairs.indices, pairs.indptr[1:-1])] if pairs.n_rows else []
    )


@st.composite
def dense_matrices(draw: st.DrawFn, max_rows: int = 8, max_columns: int = 8) -> np.ndarray:
    """uint8[n_rows, n_columns], mostly zeros, possibly with no rows, no columns or nothing in it."""
    n_rows = draw(st.integers(0, max_rows))
    n_columns = draw(st.integers(0, max_columns))
    weights = st.one_of(st.just(0), st.sampled_from([1, 128, 255]), st.integers(0, 255))
    values = draw(st.lists(weights, min_size=n_rows * n_columns, max_size=n_rows * n_columns))
    return np.array(values, np.uint8).reshape(n_rows, n_columns)


@st.composite
def matrices(draw: st.DrawFn, max_rows: int = 8, max_columns: int = 8) -> tuple[Rows, int]:
    """A `Rows` and its number of columns."""
    dense = draw(dense_matrices(max_rows, max_columns))
    return rows_from_dense(dense), dense.shape[1]


@st.composite
def logs(
    draw: st.DrawFn, n_users: int = 4, n_events: int = 5, max_size: int = 40, times: list[float] = TIMES
) -> InteractionLog:
    """A log with unknown users, events, actions and times, repeated rows and contradictions."""
    row = st.tuples(
        st.integers(-1, n_users - 1),
        st.integers(-1, n_events - 1),
        st.sampled_from([-1, *Action]),
        st.sampled_from(times),
    )
    return log_of(draw(st.lists(row, max_size=max_size)))


def log_of(rows: list[tuple[int, int, int, float]]) -> InteractionLog:
    """A log of (user, event, action, time) rows."""
    users, events, actions, when = zip(*rows, strict=True) if rows else ((), (), (), ())
    return InteractionLog(
        np.array(users, np.int32),
        np.array(events, np.int32),
        np.array(actions, np.int8),
        np.array(when, np.float64),
    )

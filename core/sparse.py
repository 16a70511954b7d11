"""Sparse matrices as plain arrays, which kernels take as they are and a bundle maps from disk."""

from bisect import bisect_left
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from core.kernels import folding
from core.matrices import Pairs as Pairs
from core.matrices import Rows as Rows


def no_pairs(n_rows: int) -> Pairs:
    """`n_rows` empty rows."""
    return Pairs(np.zeros(n_rows + 1, np.int64), np.empty(0, np.int32))


#: Entries of a matrix that are looked at without a rest.
_AT_ONCE = 1 << 17


def check_rows(rows: Rows, n_columns: int, rest: Callable[[], None] = lambda: None) -> None:
    """Raise ValueError saying what is wrong with `rows` as a matrix of `n_columns` columns.

    Checked: dtype, shape, order, range, and that no weight is zero. `rest` is called again and again meanwhile.
    """
    check_pairs(Pairs(rows.indptr, rows.indices), n_columns, rest)
    _check_vector("weights", rows.weights, np.uint8)
    if rows.weights.size != rows.indices.size:
        raise ValueError(f"weights: {rows.weights.size} values for {rows.indices.size} indices")
    if rows.weights.size and rows.weights.min() == 0:
        raise ValueError(f"weights: zero at position {int(rows.weights.argmin())}")


def check_pairs(pairs: Pairs, n_columns: int, rest: Callable[[], None] = lambda: None) -> None:
    """Raise ValueError saying what is wrong with `pairs`, as `check_rows` does."""
    _check_vector("indptr", pairs.indptr, np.int64)
    _check_vector("indices", pairs.indices, np.int32)
    if pairs.indptr.size == 0 or pairs.indptr[0] != 0 or pairs.indptr[-1] != pairs.indices.size:
        raise ValueError(f"indptr: must run from 0 to the number of indices, {pairs.indices.size}")
    if (pairs.indptr[1:] < pairs.indptr[:-1]).any():
        raise ValueError("indptr: must not descend")
    for start, stop in row_pieces(pairs.indptr):
        rest()
        position = folding.first_misplaced(pairs.indptr[start : stop + 1], pairs.indices, n_columns)
        if position >= 0:
            raise ValueError(
                f"indices: {pairs.indices[position]} at position {position} is not in 0..{n_columns - 1}"
                " or does not ascend within its row"
            )


def row_pieces(indptr: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Pieces [start, stop) of the rows of a matrix, for work that rests in between; all of them, in order.

    A piece has about _AT_ONCE entries, and more only where its last row has.
    """
    n_rows = indptr.size - 1
    bounds = np.searchsorted(indptr[1:], np.arange(_AT_ONCE, indptr[-1], _AT_ONCE)) + 1
    starts = [0, *np.unique(bounds[bounds < n_rows]).tolist()]
    return zip(starts, [*starts[1:], n_rows], strict=True)


class Lookup:
    """Where the entries of a matrix are, asked for one at a time: at a fifth of the price of numpy's bisection."""

    __slots__ = ("_columns", "_n_rows", "_starts")

    def __init__(self, matrix: Rows | Pairs) -> None:
        self._n_rows = matrix.n_rows
        # A memoryview yields plain numbers, sooner than an array does.
        self._starts, self._columns = matrix.indptr.data, matrix.indices.data

    def row_size(self, row: int) -> int:
        """How many entries a row ≥ 0 has; one that the matrix lacks has none."""
        return self._starts[row + 1] - self._starts[row] if row < self._n_rows else 0

    def position(self, row: int, column: int) -> int:
        """The position of an entry among all, −1 when there is none; a row ≥ 0 that the matrix lacks has none."""
        if row >= self._n_rows:
            return -1
        stop = self._starts[row + 1]
        position = bisect_left(self._columns, column, self._starts[row], stop)
        return position if position < stop and self._columns[position] == column else -1


def row_columns(matrix: Rows | Pairs, i: int) -> NDArray[np.int32]:
    """int32[]: the columns that row `i` holds, a view."""
    return matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]


def row(rows: Rows, i: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Row `i` as (columns int32[], weights uint8[]), both views."""
    return row_columns(rows, i), rows.weights[rows.indptr[i] : rows.indptr[i + 1]]


def rows_of(matrix: Rows | Pairs, rows: NDArray[np.int32]) -> Pairs:
    """Some rows in the order of `rows`, without weights; −1 stands for an empty one."""
    return Pairs(*folding.gather_rows(matrix.indptr, matrix.indices, rows))


def transpose(rows: Rows, n_columns: int) -> Rows:
    """The same entries by column: from the events of users to the postings of events.

    One counting sort: the only temporary is an int64 for each column.
    """
    return Rows(*folding.transpose(*rows, n_columns))


def select(rows: Rows, keep: NDArray[np.bool_]) -> Rows:
    """The entries where `keep` bool[nnz] is true, in as many rows as before."""
    return Rows(folding.kept_indptr(rows.indptr, keep), rows.indices[keep], rows.weights[keep])


def sample_entries(
    indptr: NDArray[np.int64], wanted: NDArray[np.int64], seed: int | np.random.SeedSequence
) -> NDArray[np.bool_]:
    """bool[nnz]: a uniform random choice of `wanted[i]` entries in row `i`, the same for the same seed."""
    return np.asarray(folding.sample_entries(indptr, wanted, np.random.default_rng(seed)))


def cap_postings(postings: Rows, cap: int | None, seed: int) -> Rows:
    """Keep a uniform random sample of at most `cap` entries in each row, in ascending order; None keeps all.

    A sample bounds the work of a request by profile length × cap whatever the size of the site, and costs
    little accuracy: the savers of a popular event resemble each other. ValueError when `cap` is below 1.
    """
    if cap is None:
        return postings
    if cap < 1:
        raise ValueError(f"cap: {cap} is below 1")
    wanted = np.minimum(np.diff(postings.indptr), cap)
    return select(postings, sample_entries(postings.indptr, wanted, seed))


def contains(matrix: Rows | Pairs, rows: NDArray[np.int32], columns: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool[n]: whether `matrix` holds each (rows[i], columns[i]); an index of −1 is never held."""
    return np.asarray(folding.contains(matrix.indptr, matrix.indices, rows, columns))


def entry_rows(matrix: Rows | Pairs) -> NDArray[np.int32]:
    """int32[nnz]: the row of each entry."""
    return np.repeat(np.arange(matrix.n_rows, dtype=np.int32), np.diff(matrix.indptr))


def _check_vector(name: str, values: NDArray[np.generic], dtype: type[np.generic]) -> None:
    if values.ndim != 1 or values.dtype != dtype:
        raise ValueError(
            f"{name}: expected one dimension of {np.dtype(dtype)}, got {values.ndim} of {values.dtype}"
        )

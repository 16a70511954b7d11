"""All-pairs nearest neighbours by cosine, exact, for offline use: item-to-item lists, figures about a site."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from core.kernels.all_pairs import inverse_norms, nearest_rows, nearest_rows_in_parallel
from core.sparse import Rows, check_rows, transpose

#: Keeping and sorting the best of a row takes about as long as walking this many postings, by measurement with k = 50.
_FINISHING_A_ROW = 1000


class NearestRows(NamedTuple):
    """The rows most similar to each row, best first, equal similarities by ascending index."""

    indices: NDArray[np.int32]  #: [n, k], -1 behind the last
    similarities: NDArray[np.float32]  #: [n, k], 0 < similarity ≤ 1, 0 behind the last


def all_pairs_cosine(rows: Rows, n_columns: int, k: int, threads: int = 1) -> NearestRows:
    """Find the k most similar other rows of each row; rows that share no column are not similar.

    cosine(u, v) = Σ_e w_ue · w_ve / (‖w_u‖ · ‖w_v‖), each factor rounded to float32. Any number of threads gives the
    same bits. More than one starts numba's thread pool: do not fork afterwards. Raises ValueError when `rows` is not a
    matrix of `n_columns` columns, k is below 1, or `threads` is not between 1 and what numba was started with.
    """
    check_rows(rows, n_columns)
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}")
    most_threads = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if not 1 <= threads <= most_threads:
        raise ValueError(f"threads: expected 1 to {most_threads}, got {threads}")
    postings = transpose(rows, n_columns)
    norms = inverse_norms(rows.indptr, rows.weights)
    nearest = NearestRows(np.full((rows.n_rows, k), -1, np.int32), np.zeros((rows.n_rows, k), np.float32))
    if threads == 1:
        nearest_rows(0, rows.n_rows, rows, postings, norms, *nearest)
    else:
        with _numba_threads(threads):
            nearest_rows_in_parallel(equal_work(rows, postings, threads), rows, postings, norms, *nearest)
    return nearest


@contextmanager
def _numba_threads(threads: int) -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def equal_work(rows: Rows, postings: Rows, parts: int) -> NDArray[np.int64]:
    """int64[parts + 1]: bounds of contiguous rows that take about equally long.

    Rows differ by far in cost, but it is known beforehand, and numba's OpenMP layer shares a loop out before it starts.
    """
    walked = np.concatenate(([0], np.cumsum(np.diff(postings.indptr)[rows.indices])))
    done = walked[rows.indptr] + _FINISHING_A_ROW * np.arange(rows.n_rows + 1)
    bounds = np.searchsorted(done, np.linspace(0, done[-1], parts + 1))
    bounds[-1] = rows.n_rows
    return bounds.astype(np.int64)

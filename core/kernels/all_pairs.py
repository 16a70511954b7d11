"""The k most similar rows of every row, by cosine, without ever holding the matrix of similarities.

One row at a time: walk the postings of its columns to add up its products with all rows that share one, then keep the
best of those. The products are walked in ascending order of columns, so that a sum does not depend on which thread
made it or from which of its two rows it was made.
"""

import numpy as np
from numpy.typing import NDArray

from core.kernels.heap import index_of, keep_best, key_of, score_of, sort_keys
from core.kernels.jit import inlined, kernel, parallel_kernel, prange

#: Not below the key of any index at a score of 0.
_NOTHING = np.uint64(0xFFFFFFFF)


@kernel
def inverse_norms(indptr: NDArray[np.int64], weights: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32[n]: 1 / √Σ weight² of each row, 0 for an empty one."""
    inverse = np.zeros(indptr.size - 1, np.float32)
    for row in range(inverse.size):
        squares = np.int64(0)
        for position in range(indptr[row], indptr[row + 1]):
            squares += np.int64(weights[position]) * np.int64(weights[position])
        if squares > 0:
            inverse[row] = 1.0 / np.sqrt(squares)
    return inverse


@inlined
def multiply(row, rows, postings, sums, touched):  # type: ignore[no-untyped-def]
    """Add the products of `row` with every row to `sums`; return how many rows are touched, itself included.

    As in `core.kernels.live.spread`, a place behind the touched rows is written before it is known whether it counts.
    """
    indptr, indices, weights = postings.indptr, postings.indices, postings.weights
    n_touched = 0
    for entry in range(rows.indptr[row], rows.indptr[row + 1]):
        column = rows.indices[entry]
        factor = np.float32(rows.weights[entry])
        for position in range(np.uint64(indptr[column]), np.uint64(indptr[column + 1])):
            other = np.uint32(indices[position])
            before = sums[other]
            touched[n_touched] = other
            n_touched += before == 0.0
            sums[other] = before + factor * np.float32(weights[position])
    return n_touched


@inlined
def nearest(row, k, n_touched, inverse_norms, sums, touched, keys):  # type: ignore[no-untyped-def]
    """Bring the keys of the most similar touched rows to the front, clear the sums; return how many, at most k.

    `keys` has room for more than k keys. Whenever it may be full only the best k stay, and from then on only what
    beats the worst of them enters: most rows meet one comparison and no branch that depends on it.
    """
    sums[row] = 0.0  # no row is its own neighbour
    inverse_norm = inverse_norms[row]
    size, worst_kept, start = 0, _NOTHING, 0
    while start < n_touched:
        stop = min(n_touched, start + keys.size - size)
        for position in range(np.uint64(start), np.uint64(stop)):
            other = np.uint32(touched[position])
            cosine = min(sums[other] * (inverse_norm * inverse_norms[other]), np.float32(1.0))
            sums[other] = 0.0
            key = key_of(cosine, other)
            keys[size] = key
            size += key > worst_kept
        start = stop
        if size > k:
            size = keep_best(keys, size, k)
            worst_kept = keys[:size].min()
    return size


@kernel
def nearest_rows(first, last, rows, postings, norms, indices, similarities):  # type: ignore[no-untyped-def]
    """Fill rows first…last-1 of `indices` int32[n, k] and `similarities` float32[n, k], best first.

    rows, postings are a matrix of n rows and its transpose, norms the `inverse_norms` float32[n].
    """
    k = indices.shape[1]
    sums = np.zeros(norms.size, np.float32)
    touched = np.empty(norms.size + 1, np.int32)
    keys = np.empty(4 * k + 256, np.uint64)
    for row in range(first, last):
        n_touched = multiply(row, rows, postings, sums, touched)
        kept = nearest(row, k, n_touched, norms, sums, touched, keys)
        sort_keys(keys, kept)
        for rank in range(kept):
            indices[row, rank] = index_of(keys[rank])
            similarities[row, rank] = score_of(keys[rank])


@parallel_kernel
def nearest_rows_in_parallel(bounds, rows, postings, norms, indices, similarities):  # type: ignore[no-untyped-def]
    """`nearest_rows` for the rows between each two of `bounds` int64[threads + 1], a thread each."""
    for part in prange(bounds.size - 1):
        nearest_rows(bounds[part], bounds[part + 1], rows, postings, norms, indices, similarities)

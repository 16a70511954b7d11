"""The two walks of live user-based filtering, over memory-mapped rows and the additions made since.

`LiveRows` is one side of the interactions. Its first three arrays are a model's, fixed in shape; what came later hangs
from each row as a linked list, newest first, so that an addition costs O(1) and counts in the very next request.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.jit import inlined


class LiveRows(NamedTuple):
    """Rows of (column, weight) with room for additions.

    The base may have fewer rows than `head`: rows that the model has never seen have additions only.
    """

    indptr: NDArray[np.int64]  #: [n_base_rows + 1]
    indices: NDArray[np.int32]  #: [nnz]
    weights: NDArray[np.uint8]  #: [nnz], in 1/255; 0 marks a pair taken back
    head: NDArray[np.int32]  #: [row capacity], the newest addition to each row, -1 for none
    following: NDArray[np.int32]  #: [addition capacity], the next older addition to the same row
    added: NDArray[np.int32]  #: [addition capacity], columns
    added_weights: NDArray[np.uint8]  #: [addition capacity], in 1/255


class Site(NamedTuple):
    """Everything about a site's interactions that the live kernels read."""

    savers: LiveRows  #: row = event, column = user: the postings
    liked: LiveRows  #: row = user, column = event
    user_scales: NDArray[np.float32]  #: [users], m^-g; 0 leaves a user out of every neighbourhood
    event_weights: NDArray[np.float32]  #: [events], n^-a: what an event adds to a similarity
    event_scales: NDArray[np.float32]  #: [events], n^-d: what a vote for an event counts


class Profile(NamedTuple):
    """The person a request is for."""

    events: NDArray[np.int32]  #: [p], what they like, each event once
    weights: NDArray[np.float32]  #: [p], their preferences, 0…1
    excluded: NDArray[np.int32]  #: [x], events not to be shown to them
    own_row: int  #: their own row among the users, -1 for none


@inlined
def spread(rows, chosen, factors, n_chosen, sums, touched):  # type: ignore[no-untyped-def]
    """Add factor × weight to `sums` at each column of the chosen rows; return how many columns are touched.

    `touched` lists each column once, in order of first touch, and has room for one entry more than there are
    columns: the position behind the last is written before it is known whether it counts, which spares the loop a
    branch that no processor predicts. Unsigned positions spare it the wrap-around of negative ones.
    """
    indptr, indices, weights = rows.indptr, rows.indices, rows.weights
    head, following, added, added_weights = rows.head, rows.following, rows.added, rows.added_weights
    n_base = indptr.size - 1
    n_touched = 0
    for which in range(n_chosen):
        row = chosen[which]
        factor = factors[which]
        if row < n_base:
            for position in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
                column = np.uint32(indices[position])
                amount = factor * np.float32(weights[position])
                before = sums[column]
                touched[n_touched] = column
                n_touched += (before == 0.0) & (amount > 0.0)
                sums[column] = before + amount
        link = head[row]
        while link >= 0:
            column = np.uint32(added[link])
            amount = factor * np.float32(added_weights[link])
            before = sums[column]
            touched[n_touched] = column
            n_touched += (before == 0.0) & (amount > 0.0)
            sums[column] = before + amount
            link = following[link]
    return n_touched

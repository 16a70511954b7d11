"""The two walks of live user-based filtering, over memory-mapped rows and the additions made since.

`LiveRows` is one side of the interactions. Its first three arrays are a model's, fixed in shape; what came later hangs
from each row as a linked list, newest first, so that an addition costs O(1) and counts in the very next request.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.held import held_in
from core.kernels.jit import inlined, kernel
from core.kernels.prefetch import prefetch

#: How many rows ahead a row's entries are asked for, its bounds twice as far ahead; how many lines of 64 bytes of it.
_AHEAD = 4
_LINES_AHEAD = 4
_ENTRIES_IN_A_LINE = 16
#: The least factor of a row that counts: a product with a weight is then never rounded to 0.
_LEAST_FACTOR = np.float32(1e-30)


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


#: Of whom nothing is known.
NOBODY = Profile(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int32), -1)


@inlined
def ask_ahead(rows, chosen, n_chosen, which):  # type: ignore[no-untyped-def]
    """Prefetch what the walk over the chosen rows needs a few rows after number `which`.

    Of each row as many lines, however many it has: to ask for too much costs less than a branch that is guessed wrong.
    """
    if which + np.uint64(2 * _AHEAD) < n_chosen:
        row = chosen[which + np.uint64(2 * _AHEAD)]
        prefetch(rows.head, row)
        prefetch(rows.indptr, row)
    if which + np.uint64(_AHEAD) < n_chosen:
        row = np.uint32(chosen[which + np.uint64(_AHEAD)])
        if row < rows.indptr.size - 1:
            start = rows.indptr[row]
            prefetch(rows.weights, start)
            prefetch(rows.weights, start + 4 * _ENTRIES_IN_A_LINE)
            for line in range(_LINES_AHEAD):
                prefetch(rows.indices, start + line * _ENTRIES_IN_A_LINE)


@inlined
def _is_first(before, weight):  # type: ignore[no-untyped-def]
    """1 if a sum is 0 before a weight that is not 0 counts, else 0.

    One comparison of whole numbers, for which no branch is made: the bits of any sum > 0 are a greater number than
    any weight in 1/255.
    """
    return np.uint64(np.float32(before).view(np.uint32) < np.uint32(weight))


@inlined
def spread(rows, chosen, factors, n_chosen, sums, touched):  # type: ignore[no-untyped-def]
    """Add factor × weight to `sums` at each column of the chosen rows; return how many columns are touched.

    `touched` lists each column once, in order of first touch, and has room for one entry more than there are
    columns: the position behind the last is written before it is known whether it counts, which spares the loop a
    branch that no processor predicts. Unsigned positions spare it the wrap-around of negative ones. A row whose factor
    is so small that a product could be rounded to 0 adds nothing.
    """
    indptr, indices, weights = rows.indptr, rows.indices, rows.weights
    head, following, added, added_weights = rows.head, rows.following, rows.added, rows.added_weights
    n_base = indptr.size - 1
    n_touched = np.uint64(0)
    for which in range(np.uint64(n_chosen)):
        ask_ahead(rows, chosen, np.uint64(n_chosen), which)
        row, factor = np.uint64(chosen[which]), factors[which]
        if not factor >= _LEAST_FACTOR:
            continue
        if row < n_base:
            for position in range(np.uint64(indptr[row]), np.uint64(indptr[row + np.uint64(1)])):
                column, weight = np.uint32(indices[position]), weights[position]
                before = sums[column]
                touched[n_touched] = column
                n_touched += _is_first(before, weight)
                sums[column] = before + factor * np.float32(weight)
        link = head[row]
        while link >= 0:
            column, weight = np.uint32(added[link]), added_weights[link]
            before = sums[column]
            touched[n_touched] = column
            n_touched += _is_first(before, weight)
            sums[column] = before + factor * np.float32(weight)
            link = following[link]
    return np.int64(n_touched)


@inlined
def read_row(rows, row, columns, weights):  # type: ignore[no-untyped-def]
    """Write a row as it is now, columns int32 and weights float32 in 0…1 without zeros; return how many there are.

    The model's columns come first, in order, then the additions, newest first. `columns` and `weights` have room for
    one entry more than there can be: an entry is written before it is known whether it counts.
    """
    unit = np.float32(1.0 / 255.0)
    size = 0
    if row < rows.indptr.size - 1:
        for position in range(rows.indptr[row], rows.indptr[row + 1]):
            columns[size] = rows.indices[position]
            weights[size] = np.float32(rows.weights[position]) * unit
            size += rows.weights[position] != 0
    link = rows.head[row]
    while link >= 0:
        columns[size] = rows.added[link]
        weights[size] = np.float32(rows.added_weights[link]) * unit
        size += rows.added_weights[link] != 0
        link = rows.following[link]
    return size


@kernel
def read_liked(site, user, columns, weights):  # type: ignore[no-untyped-def]
    """As `read_row` of what a person likes; `site` is a held `Site`."""
    return read_row(held_in(site).liked, user, columns, weights)

"""From a log of actions to sparse rows: sorting, the fold of a pair's actions, choices among entries."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.actions import Action
from core.kernels.jit import background_kernel, kernel

_SAVE = int(Action.SAVE)
_THUMBS_UP = int(Action.THUMBS_UP)
_UNSAVE = int(Action.UNSAVE)
_UNHIDE = int(Action.UNHIDE)
_HIDE = int(Action.HIDE)
_THUMBS_DOWN = int(Action.THUMBS_DOWN)

#: How a pair stands: never acted on (or forgotten), acted on, or dismissed.
UNTOUCHED = 0
ACTED_ON = 1
DISMISSED = 2


@background_kernel
def first_misplaced(indptr: NDArray[np.int64], indices: NDArray[np.int32], n_columns: int) -> int:
    """The first position that is out of range or does not ascend within its row, −1 when there is none."""
    for i in range(indptr.size - 1):
        previous = -1
        for position in range(indptr[i], indptr[i + 1]):
            if indices[position] <= previous or indices[position] >= n_columns:
                return position
            previous = indices[position]
    return -1


@background_kernel
def gather_rows(
    indptr: NDArray[np.int64], entries: NDArray[Any], rows: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """(indptr, entries) of some rows in their order; −1 stands for an empty one. Of entries of any dtype."""
    bounds = np.zeros(rows.size + 1, np.int64)
    for i in range(rows.size):
        size = indptr[rows[i] + 1] - indptr[rows[i]] if rows[i] >= 0 else 0
        bounds[i + 1] = bounds[i] + size
    gathered = np.empty(bounds[-1], entries.dtype)
    for i in range(rows.size):
        for place in range(bounds[i + 1] - bounds[i]):
            gathered[bounds[i] + place] = entries[indptr[rows[i]] + place]
    return bounds, gathered


@kernel
def transpose(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], weights: NDArray[np.uint8], n_columns: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]]:
    """(indptr, indices, weights) of the transposed matrix: rows read in order come out in order."""
    by_column = np.zeros(n_columns + 1, np.int64)
    for column in indices:
        by_column[column + 1] += 1
    for column in range(n_columns):
        by_column[column + 1] += by_column[column]
    free = by_column[:-1].copy()
    row_of = np.empty(indices.size, np.int32)
    weight_of = np.empty(indices.size, np.uint8)
    for i in range(indptr.size - 1):
        for position in range(indptr[i], indptr[i + 1]):
            place = free[indices[position]]
            row_of[place] = i
            weight_of[place] = weights[position]
            free[indices[position]] = place + 1
    return by_column, row_of, weight_of


@kernel
def sample_entries(
    indptr: NDArray[np.int64], wanted: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """bool[nnz]: `wanted[i]` entries of row `i`, uniformly, in one pass (Knuth, TAOCP 3.4.2, algorithm S)."""
    chosen = np.zeros(indptr[-1], np.bool_)
    for i in range(indptr.size - 1):
        still_wanted = wanted[i]
        for position in range(indptr[i], indptr[i + 1]):
            remaining = indptr[i + 1] - position
            if still_wanted == remaining or rng.random() * remaining < still_wanted:
                chosen[position] = True
                still_wanted -= 1
            if still_wanted == 0:
                break
    return chosen


@kernel
def kept_indptr(indptr: NDArray[np.int64], keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64[n_rows + 1]: `indptr` once only the entries where `keep` is true are left."""
    kept = np.zeros_like(indptr)
    for i in range(indptr.size - 1):
        count = 0
        for position in range(indptr[i], indptr[i + 1]):
            if keep[position]:
                count += 1
        kept[i + 1] = kept[i] + count
    return kept


@kernel
def contains(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """bool[n]: whether the matrix holds each (row, column), by bisection; a negative index is never held."""
    held = np.zeros(rows.size, np.bool_)
    for i in range(rows.size):
        if rows[i] < 0:
            continue
        low, high = indptr[rows[i]], indptr[rows[i] + 1]
        end = high
        while low < high:
            middle = (low + high) // 2
            if indices[middle] < columns[i]:
                low = middle + 1
            else:
                high = middle
        held[i] = low < end and indices[low] == columns[i]
    return held


@kernel
def sort_stably(keys: NDArray[np.int32], order: NDArray[np.int32], n_keys: int) -> NDArray[np.int32]:
    """int32[n]: `order` rearranged so that keys[order] ascends, equal keys as they were (counting sort).

    `keys` are in 0..n_keys − 1 wherever `order` points.
    """
    free = np.zeros(n_keys + 1, np.int64)
    for i in order:
        free[keys[i] + 1] += 1
    for key in range(n_keys):
        free[key + 1] += free[key]
    arranged = np.empty_like(order)
    for i in order:
        arranged[free[keys[i]]] = i
        free[keys[i]] += 1
    return arranged


@kernel
def apply_action(
    value: float, standing: int, action: int, decay: float, weights: NDArray[np.float64]
) -> tuple[float, int]:
    """The compiled twin of `core.interactions.fold_action`; the rule is explained there."""
    if action == _SAVE or action == _THUMBS_UP:
        return max(value, weights[action] * decay), ACTED_ON
    if action == _HIDE or action == _THUMBS_DOWN:
        return 0.0, DISMISSED
    if standing == DISMISSED:
        return 0.0, UNTOUCHED if action == _UNHIDE else DISMISSED
    if action == _UNSAVE:
        return 0.0, UNTOUCHED
    if action == _UNHIDE:
        return value, standing
    return min(1.0, max(0.0, value + weights[action] * decay)), ACTED_ON


@kernel
def count_pairs(users: NDArray[np.int32], events: NDArray[np.int32], order: NDArray[np.int32]) -> int:
    """How many different (user, event) there are among the rows of `order`, which is sorted by both."""
    count = 0
    for k in range(order.size):
        i, before = order[k], order[k - 1]
        if k == 0 or users[i] != users[before] or events[i] != events[before]:
            count += 1
    return count


@kernel
def fold_pairs(
    users: NDArray[np.int32],
    events: NDArray[np.int32],
    actions: NDArray[np.int8],
    times: NDArray[np.float64],
    decays: NDArray[np.float64],
    order: NDArray[np.int32],
    weights: NDArray[np.float64],
) -> Any:
    """Fold each pair's actions in the order given (by user, event, time, action) without exact duplicates.

    Returns per pair (users int32[], events int32[], values float64[], standings int8[]), then the number of
    duplicate rows and of pairs that were both wanted and refused.
    """
    n_pairs = count_pairs(users, events, order)
    pair_users = np.empty(n_pairs, np.int32)
    pair_events = np.empty(n_pairs, np.int32)
    values = np.empty(n_pairs, np.float64)
    standings = np.empty(n_pairs, np.int8)
    duplicates, contradictory, pair, k = 0, 0, 0, 0
    while k < order.size:
        first = order[k]
        value, standing, wanted, refused = 0.0, UNTOUCHED, False, False
        previous = -1
        while k < order.size and users[order[k]] == users[first] and events[order[k]] == events[first]:
            i = order[k]
            k += 1
            if previous >= 0 and actions[i] == actions[previous] and same_time(times[i], times[previous]):
                duplicates += 1
                continue
            previous = i
            value, standing = apply_action(value, standing, actions[i], decays[i], weights)
            wanted |= actions[i] == _SAVE or actions[i] == _THUMBS_UP
            refused |= actions[i] == _HIDE or actions[i] == _THUMBS_DOWN
        pair_users[pair], pair_events[pair] = users[first], events[first]
        values[pair], standings[pair] = value, standing
        contradictory += wanted and refused
        pair += 1
    return pair_users, pair_events, values, standings, duplicates, contradictory


@kernel
def same_time(a: float, b: float) -> bool:
    """Whether two times are equal; two unknown ones are, since nothing tells such rows apart."""
    return a == b or (np.isnan(a) and np.isnan(b))

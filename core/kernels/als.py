"""Folding a person into a factorisation, scores of events and their exact split among what the person likes.

With the whitened vectors z of `core.als` the vector that fits a person's preferences best,
x = (YᵀY + Yᵀ(C - I)Y + λI)⁻¹ YᵀCp, gives the score of any event as

    y_e·x = Σ_i w_i · (z_e·z_i),      w = D^½ (I + D^½ K D^½)⁻¹ D^-½ (D + I) 1

over the events i that they like, where K_ij = z_i·z_j and D is the diagonal of c_i - 1 (the identity of Woodbury). So
the system to solve is as large as the profile, not as the vectors, and what each event of the profile adds to a score
stands in the formula.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.dot import LANE_BYTES, LANES, SHIFT, WIDTH_STEP, dots_of_rows
from core.kernels.heap import index_of, keep_best, key_of, push_bounded, score_of, sort_best_first, sort_keys
from core.kernels.held import borrowed, held_in
from core.kernels.jit import inlined, kernel
from core.kernels.prefetch import prefetch
from core.kernels.reasons import all_collaborative, name_greatest, write_ranked
from core.kernels.sketch import list_best, list_possible, vector_in_bytes, width_of, write_rough

#: Of longer profiles this many events count, those of greatest confidence: the work grows with the third power.
MOST_FOLDED = 100
#: The greatest component of a person's vector in the choice among all events, which works in whole numbers.
_SIXTEEN_BITS = 32767.0
#: How many times the length of the answer is scored first at least, to find what scores have to be reached.
_FIRST_LOOK = 2
#: How many rows ahead a row of the factors is asked for.
ROWS_AHEAD = 16
#: All bits of a number but that of its sign.
_WITHOUT_SIGN = np.int64(0x7FFFFFFFFFFFFFFF)
#: Pivots of the decomposition that are worked off together.
_PIVOTS = np.uint64(4)
_BYTES_IN_A_LINE = 64


@inlined
def confidence_of(profile, factors, activity):  # type: ignore[no-untyped-def]
    """float32[p]: c - 1 of each event of the profile, 0 for one without a vector."""
    mass = np.float32(0.0)
    for position in range(profile.events.size):
        mass += profile.weights[position]
    scale = np.float32(np.float64(max(mass, np.float32(1.0))) ** -activity)
    extra = np.zeros(profile.events.size, np.float32)
    for position in range(extra.size):
        event = profile.events[position]
        if event < factors.steps.size and factors.steps[event] > 0.0:
            extra[position] = profile.weights[position] * factors.confidences[event] * scale
    return extra


@inlined
def folded_positions(extra):  # type: ignore[no-untyped-def]
    """int32[m]: the positions in the profile that count, ascending: the MOST_FOLDED of greatest confidence."""
    keys = np.empty(extra.size, np.uint64)
    size = 0
    for position in range(extra.size):
        keys[size] = key_of(extra[position], position)
        size += extra[position] > 0.0
    kept = keep_best(keys, size, MOST_FOLDED)
    positions = np.empty(kept, np.int32)
    for place in range(kept):
        positions[place] = index_of(keys[place])
    positions.sort()
    return positions


class Folded(NamedTuple):
    """What the events of a profile count, and their vectors, side by side."""

    positions: NDArray[np.int32]  #: [m], ascending positions in the profile
    weights: NDArray[np.float64]  #: [m], w
    rows: NDArray[np.int8]  #: [m, width], the values of their vectors, 0 behind the last factor
    #: [⌈m / LANES⌉, width / LANE_BYTES, LANES], the same with a lane for each, LANE_BYTES values a number
    lanes: NDArray[np.int32]
    steps: NDArray[np.float64]  #: [m], those of their vectors
    sums: NDArray[np.int32]  #: [m], SHIFT times the sum of the values
    shifted: NDArray[
        np.uint8
    ]  #: [width], scratch space: a vector to multiply by all of them, 0 behind the last factor
    products: NDArray[np.int32]  #: [whole blocks of LANES], scratch space: what comes out


@inlined
def rows_of(profile, factors, positions):  # type: ignore[no-untyped-def]
    """The vectors of the events at some positions of a profile: `Folded`, in which they do not count yet."""
    n_factors, size = factors.values.shape[1], positions.size
    width = (n_factors + WIDTH_STEP - 1) // WIDTH_STEP * WIDTH_STEP
    n_blocks = (size + LANES - 1) // LANES
    rows, steps = np.empty((size, width), np.int8), np.empty(size, np.float64)
    lanes, sums = np.zeros((n_blocks, width // LANE_BYTES, LANES), np.int32), np.empty(size, np.int32)
    for place in range(min(size, ROWS_AHEAD)):
        ask_for_row(factors, profile.events[positions[place]])
    for place in range(size):
        if place + ROWS_AHEAD < size:
            ask_for_row(factors, profile.events[positions[place + ROWS_AHEAD]])
        event = np.uint32(profile.events[positions[place]])
        total = np.int32(0)
        for factor in range(n_factors):
            value = factors.values[event, factor]
            rows[place, factor] = value
            total = np.int32(total + np.int32(value))
        rows[place, n_factors:] = 0
        steps[place], sums[place] = np.float64(factors.steps[event]), np.int32(np.int32(SHIFT) * total)
    fours = rows.view(np.int32)
    for place in range(np.uint64(size)):
        block, lane = place // np.uint64(LANES), place % np.uint64(LANES)
        for group in range(np.uint64(fours.shape[1])):
            lanes[block, group, lane] = fours[place, group]
    shifted, products = np.zeros(width, np.uint8), np.empty(n_blocks * LANES, np.int32)
    return Folded(positions, np.empty(size, np.float64), rows, lanes, steps, sums, shifted, products)


@inlined
def multiply(values, folded, first):  # type: ignore[no-untyped-def]
    """Write to `folded.products` Σ values · those of each vector that is folded in, from number `first` on.

    values int8[factors]. A product of two vectors is that times the steps of both.
    """
    shifted, products, sums = folded.shifted, folded.products, folded.sums
    for factor in range(values.size):
        shifted[factor] = np.uint8((np.int32(values[factor]) + np.int32(SHIFT)) & np.int32(255))
    for block in range(first // LANES, folded.lanes.shape[0]):
        dots_of_rows(shifted, folded.lanes, block, products, folded.lanes.shape[1])
    for place in range(np.uint64(first), np.uint64(sums.size)):
        products[place] -= sums[place]


@inlined
def _take_away(system, pivot, stop):  # type: ignore[no-untyped-def]
    """Take what one pivot's row of the decomposition counts from the rows behind it, up to `stop`."""
    size = system.shape[0]
    for row in range(pivot + np.uint64(1), stop):
        amount = system[pivot, row]
        for column in range(row, np.uint64(size)):
            system[row, column] -= amount * system[pivot, column]


@inlined
def decompose(system):  # type: ignore[no-untyped-def]
    """Put R with RᵀR = `system` float64[m, m], symmetric and positive definite, in place of its upper triangle.

    Cholesky's decomposition. Pivots are worked off by fours, so that the rows behind them are read and written a
    quarter as often; what is taken from a number is taken in the order of the pivots all the same.
    """
    size = np.uint64(system.shape[0])
    # The pivots' rows stand apart: of two rows of one array a compiler cannot tell that they do not overlap.
    first, second, third, fourth = (
        np.empty(size, np.float64),
        np.empty(size, np.float64),
        np.empty(size, np.float64),
        np.empty(size, np.float64),
    )
    for start in range(np.uint64(0), size, _PIVOTS):
        stop = min(start + _PIVOTS, size)
        for pivot in range(start, stop):
            inverse = 1.0 / np.sqrt(system[pivot, pivot])
            for column in range(pivot, size):
                system[pivot, column] *= inverse
            _take_away(system, pivot, stop)
        if stop < size:
            for column in range(stop, size):
                first[column], second[column] = system[start, column], system[start + np.uint64(1), column]
                third[column] = system[start + np.uint64(2), column]
                fourth[column] = system[start + np.uint64(3), column]
            for row in range(stop, size):
                of_first, of_second, of_third, of_fourth = first[row], second[row], third[row], fourth[row]
                for column in range(row, size):
                    left = system[row, column] - of_first * first[column]
                    left -= of_second * second[column]
                    left -= of_third * third[column]
                    system[row, column] = left - of_fourth * fourth[column]


@inlined
def solve(system, right):  # type: ignore[no-untyped-def]
    """Solve a symmetric positive definite system in place of its right side.

    Only the upper triangle of `system` float64[m, m] is read; it is overwritten.
    """
    size = right.size
    decompose(system)
    for pivot in range(size):
        right[pivot] /= system[pivot, pivot]
        for row in range(pivot + 1, size):
            right[row] -= system[pivot, row] * right[pivot]
    for pivot in range(size - 1, -1, -1):
        for column in range(pivot + 1, size):
            right[pivot] -= system[pivot, column] * right[column]
        right[pivot] /= system[pivot, pivot]


@inlined
def fold_in(profile, factors, activity):  # type: ignore[no-untyped-def]
    """What the events of a profile count, `Folded`."""
    extra = confidence_of(profile, factors, activity)
    folded = rows_of(profile, factors, folded_positions(extra))
    positions, weights, steps = folded.positions, folded.weights, folded.steps
    size = positions.size
    system, roots = np.empty((size, size), np.float64), np.empty(size, np.float64)
    for place in range(size):
        roots[place] = np.sqrt(np.float64(extra[positions[place]]))
        weights[place] = roots[place] + 1.0 / roots[place]
    for row in range(size):
        multiply(folded.rows[row], folded, row)
        root, step = roots[row], steps[row]
        for column in range(np.uint64(row), np.uint64(size)):
            product = np.float64(folded.products[column]) * step * steps[column]
            system[row, column] = root * roots[column] * product
        system[row, row] += 1.0
    solve(system, weights)
    for place in range(size):
        weights[place] *= roots[place]
    return folded


@inlined
def vector_of(folded, greatest_whole, whole):  # type: ignore[no-untyped-def]
    """Write the person's vector to `whole` [factors], whose greatest component becomes `greatest_whole`.

    The type of `whole` is that of the components. Returns the worth of one step of it, float64.
    """
    n_factors = whole.size
    vector = np.zeros(n_factors, np.float64)
    for place in range(np.uint64(folded.weights.size)):
        amount = folded.weights[place] * folded.steps[place]
        for factor in range(np.uint64(n_factors)):
            vector[factor] += amount * np.float64(folded.rows[place, factor])
    # Of numbers ≥ 0 the bits order as they do; of whole numbers a compiler compares several at a time.
    most, bits = np.int64(0), vector.view(np.int64)
    for factor in range(n_factors):
        most = max(most, bits[factor] & _WITHOUT_SIGN)
    step = np.int64(most).view(np.float64) / greatest_whole
    for factor in range(n_factors):
        whole[factor] = np.int32(np.rint(vector[factor] / step)) if step > 0.0 else np.int32(0)
    return step


@inlined
def ask_for_row(factors, event):  # type: ignore[no-untyped-def]
    """Prefetch the vector of an event, of which the factors need not know."""
    n_factors = factors.values.shape[1]
    for byte in range(0, n_factors, _BYTES_IN_A_LINE):
        prefetch(factors.values, np.int64(event) * n_factors + byte)


@inlined
def score_by_vector(factors, event, vector, step):  # type: ignore[no-untyped-def]
    """y_e·x of an event that has a vector, float32, by whole numbers, within some parts in 10⁵."""
    values, row, total = factors.values, np.uint32(event), np.int32(0)
    for factor in range(values.shape[1]):
        total = np.int32(total + np.int32(values[row, factor]) * np.int32(vector[factor]))
    return np.float32(np.float64(total) * (np.float64(factors.steps[row]) * step))


@inlined
def _push_scored(events, n_events, factors, vector, step, keys, size, capacity):  # type: ignore[no-untyped-def]
    """Score the first of `events` and offer them to the heap `keys`; return its new size."""
    for which in range(n_events):
        if which + ROWS_AHEAD < n_events:
            ask_for_row(factors, events[which + ROWS_AHEAD])
        event = events[which]
        score = score_by_vector(factors, event, vector, step)
        if score > 0.0:
            size = push_bounded(keys, size, capacity, key_of(score, event))
    return size


@inlined
def keep_best_by_vector(open_events, factors, sketch, vector, step, excluded, space, capacity):  # type: ignore[no-untyped-def]
    """Bring the events with the greatest positive scores by the vector to `space.keys`, best first; return how many.

    Those that score best by the sketch are scored first; of the others those whose bounds reach the best of these.
    """
    keys, bits, marks = space.keys, space.touched_events, space.rank_of_event
    listed = keys[capacity:]
    few, worth, of_margin = vector_in_bytes(vector, width_of(sketch))
    known = write_rough(open_events, excluded, sketch, few, bits)
    first, below = list_best(bits, known, space.block_bits, _FIRST_LOOK * capacity, listed)
    size = _push_scored(listed, first, factors, vector, step, keys, 0, capacity)
    least = np.float32(score_of(keys[0]) / (worth * step) if size == capacity else 0.0)
    left = list_possible(sketch, few, of_margin, least, below, bits, known, marks, listed)
    size = _push_scored(listed, left, factors, vector, step, keys, size, capacity)
    sort_best_first(keys, size)
    return size


@inlined
def add_shares(factors, folded, event, scale, shares):  # type: ignore[no-untyped-def]
    """Add to shares float64[p] what each event of the profile adds to `scale` times an event's score; return that."""
    score = 0.0
    if event < factors.steps.size:
        row = np.uint32(event)
        multiply(factors.values[row], folded, 0)
        step = np.float64(factors.steps[row])
        for place in range(folded.positions.size):
            product = np.float64(folded.products[place]) * step * folded.steps[place]
            share = folded.weights[place] * product * scale
            shares[folded.positions[place]] += share
            score += share
    return score


@kernel
def recommend_by_factors(profile, open_events, factors, sketch, activity, space, answer):  # type: ignore[no-untyped-def]
    """Rank the events that `open_events` uint8 marks by the factors, but the excluded, with reasons; return how many.

    `sketch` is that of the factors. The choice among all events works in whole numbers; those that come out of it are
    scored, and put in order, by the sum of what the events of the profile add. Where a score is above 1 all are divided
    by the greatest. Factors, sketch, space and answer are `Held`.
    """
    profile, open_events = borrowed(profile), borrowed(open_events)
    factors, sketch = held_in(factors), held_in(sketch)
    space, answer = held_in(space), held_in(answer)
    folded = fold_in(profile, factors, activity)
    if folded.positions.size == 0:
        return 0
    vector = np.empty(factors.values.shape[1], np.int16)
    step = vector_of(folded, _SIXTEEN_BITS, vector)
    capacity, keys = answer.events.size, space.keys
    found = keep_best_by_vector(open_events, factors, sketch, vector, step, profile.excluded, space, capacity)
    shares = np.zeros((found, profile.events.size), np.float64)
    size, greatest = np.int64(0), 1.0
    for place in range(found):
        event = index_of(keys[place])
        score = add_shares(factors, folded, event, 1.0, shares[place])
        space.touched_events[event] = place
        greatest = max(greatest, score)
        keys[size] = key_of(np.float32(score), event)
        size += np.float32(score) > 0.0
    sort_keys(keys, size)
    write_ranked(keys, size, answer)
    for rank in range(size):
        answer.scores[rank] = np.float32(np.float64(answer.scores[rank]) / greatest)
        answer.supporters[rank] = 0
        of_event = shares[space.touched_events[answer.events[rank]]]
        for position in range(of_event.size):
            of_event[position] *= 1.0 / greatest
        name_greatest(of_event, rank, answer)
    all_collaborative(size, answer)
    return size

"""A sketch of the factors: few bits for each component, which bound every score from above and so rule most events out.

Row z of the factors (`core.als`) is close to ẑ = h · (2c - 3), with codes c of 0…3 and the h that makes ‖z - ẑ‖ least,
and closer with a second layer of codes for what the first leaves. For any two vectors x and x̂, by Cauchy and Schwarz,

    z·x = ẑ·x̂ + (z - ẑ)·x̂ + z·(x - x̂)  ≤  ẑ·x̂ + ‖z - ẑ‖ ‖x̂‖ + ‖z‖ ‖x - x̂‖

and ẑ·x̂ with x̂ in bytes is a sum of whole numbers over a quarter of the memory. An event whose bound is below the
scores of n others is not among the best n: only the rest is scored by the factors themselves. (Filter and refine, as in
the vector approximation file of Weber, Schek and Blott, VLDB 1998. Bounds by the length of vectors or by their leading
components, LEMP and FEXIPRO, rule nothing out here: whitened vectors are of one length and prefer no direction.)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.dot import (
    CODES_BLOCK,
    CODES_IN_A_BYTE,
    LANE_BYTES,
    LANES,
    dot_of_codes,
    dots_of_lanes,
)
from core.kernels.heap import least_kept
from core.kernels.jit import background_kernel, inlined
from core.kernels.prefetch import prefetch
from core.kernels.workspace import BLOCK_BITS

#: Components whose codes are read at once.
_TOGETHER = CODES_BLOCK * CODES_IN_A_BYTE
#: The greatest component of the vector in bytes.
_EIGHT_BITS = 127.0
#: ‖x - x̂‖ / ‖x̂‖, as far as the margins have room for it: more than twice what it is for 256 components of a normal
#: distribution, whose greatest is three deviations.
LEFT_OUT = 1.0 / 64.0
LAYERS = 2
#: Which layout of the parts this is. Bundles keep sketches by it: a model whose sketch is laid out otherwise gets
#: another when it is loaded. To be counted up with any change of what the numbers mean.
LAYOUT = 2
#: How many rows ahead a row of codes is asked for.
_AHEAD = 16
#: How many blocks of lanes ahead one is asked for.
_BLOCKS_AHEAD = 2
#: What is added to the margins for the rounding of the float32 arithmetic with them, relative to ‖z‖ ‖x̂‖.
_ROUNDING = 1e-5
#: Components of a group of codes.
_GROUP = LANE_BYTES * CODES_IN_A_BYTE
#: The bits of what stands for the score of an event that must not be recommended: no margin lifts that above 0.
NEVER = np.float32(-1e38).view(np.int32)


class Sketch(NamedTuple):
    """The sketch of all events that have a row of factors, in LAYERS: each is of what those before it leave.

    All of the first layer is looked at and so laid out for `dots_of_lanes`, LANES events side by side; of the second
    the rows of a few events, so it is laid out for `dot_of_codes`.
    """

    lanes: NDArray[np.uint8]  #: [⌈events / LANES⌉, groups, LANES × LANE_BYTES], four codes each
    rows: NDArray[np.uint8]  #: [events, bytes], four codes each, padded to whole blocks
    halves: NDArray[np.float32]  #: [layers, events], h
    #: [layers, events], at least ‖z - ẑ‖ + ‖z‖ · LEFT_OUT with this layer and those before
    margins: NDArray[np.float32]


def parts_of(n_events: int, n_factors: int) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """The dtypes and shapes, by name, that the parts of a sketch of such factors have."""
    blocks, groups, lanes = -(-n_factors // _TOGETHER), -(-n_factors // _GROUP), -(-n_events // LANES)
    return {
        "lanes": (np.uint8, (lanes, groups, LANES * LANE_BYTES)),
        "rows": (np.uint8, (n_events, blocks * CODES_BLOCK)),
        "halves": (np.float32, (LAYERS, n_events)),
        "margins": (np.float32, (LAYERS, n_events)),
    }


@background_kernel
def sketch_of(values, steps):  # type: ignore[no-untyped-def]
    """The parts of the sketch of vectors int8[events, factors] in steps float32[events]; 2 µs an event of 256.

    It works in whole numbers, 1/256 of a step each, because sums of those are added several at a time.
    """
    n_events, n_factors = values.shape
    n_groups = (n_factors + _GROUP - 1) // _GROUP
    n_blocks = (n_factors + _TOGETHER - 1) // _TOGETHER
    lanes = np.zeros(((n_events + LANES - 1) // LANES, n_groups, LANES * LANE_BYTES), np.uint8)
    rows = np.zeros((n_events, n_blocks * CODES_BLOCK), np.uint8)
    halves, margins = np.empty((LAYERS, n_events), np.float32), np.empty((LAYERS, n_events), np.float32)
    rest, levels = np.empty(n_factors, np.int32), np.empty(n_factors, np.int32)
    for event in range(n_events):
        for factor in range(n_factors):
            rest[factor] = np.int32(values[event, factor]) * np.int32(256)
        unit, squares = np.float64(steps[event]) / 256.0, _squares_of(rest)
        room = np.sqrt(np.float64(squares)) * (LEFT_OUT + _ROUNDING)
        for layer in range(LAYERS):
            half = _take_away(rest, levels, squares)
            if layer == 0:
                _pack_in_lane(levels, lanes[event // LANES], event % LANES)
            else:
                _pack(levels, rows[event])
            squares = _squares_of(rest)
            halves[layer, event] = np.float64(half) * unit
            margins[layer, event] = (np.sqrt(np.float64(squares)) + room) * unit
    return lanes, rows, halves, margins


@inlined
def _squares_of(rest):  # type: ignore[no-untyped-def]
    squares = np.int64(0)
    for factor in range(rest.size):
        squares += np.int64(rest[factor]) * np.int64(rest[factor])
    return squares


@inlined
def _take_away(rest, levels, squares):  # type: ignore[no-untyped-def]
    """Write the levels 2c - 3 of a vector int32 whose squares add up to `squares`; take h times them away; return h."""
    # Of a normal distribution the four steps around 0 as wide as its deviation lose least (Max 1960).
    deviation = np.int32(np.sqrt(np.float64(squares) / rest.size)) + np.int32(1)
    products, of_levels = np.int64(0), np.int64(0)
    for factor in range(rest.size):
        value = rest[factor]
        size = np.int32(3) if abs(value) >= deviation else np.int32(1)
        levels[factor] = size if value >= 0 else np.int32(-size)
        products += np.int64(levels[factor] * value)
        of_levels += np.int64(levels[factor] * levels[factor])
    half = np.int32(np.rint(np.float64(products) / np.float64(of_levels)))
    for factor in range(rest.size):
        rest[factor] -= half * levels[factor]
    return half


@inlined
def _code_of(level):  # type: ignore[no-untyped-def]
    """0…3 for a level of -3, -1, 1, 3."""
    return (level + np.int32(3)) >> np.int32(1)


@inlined
def _pack_in_lane(levels, block, lane):  # type: ignore[no-untyped-def]
    """Write the codes of levels into a lane of a block that holds zeros there (`core.kernels.dot.dots_of_lanes`)."""
    of_place = block.shape[0] * LANE_BYTES
    for component in range(levels.size):
        place, byte = component // of_place, component % of_place
        code = np.uint8(_code_of(levels[component]) << np.int32(2 * place))
        block[byte // LANE_BYTES, lane * LANE_BYTES + byte % LANE_BYTES] |= code


@inlined
def _pack(levels, codes):  # type: ignore[no-untyped-def]
    """Write the codes of levels into the bytes of a row that holds zeros."""
    for first in range(0, levels.size, CODES_BLOCK):
        place = first // CODES_BLOCK
        start, shift = place // CODES_IN_A_BYTE * CODES_BLOCK, np.int32(2 * (place % CODES_IN_A_BYTE))
        for byte in range(min(CODES_BLOCK, levels.size - first)):
            codes[start + byte] |= np.uint8(_code_of(levels[first + byte]) << shift)


@inlined
def width_of(sketch):  # type: ignore[no-untyped-def]
    """Of how many components a vector is to be, for both layers."""
    return max(sketch.lanes.shape[1] * _GROUP, sketch.rows.shape[1] * CODES_IN_A_BYTE)


@inlined
def vector_in_bytes(vector, width):  # type: ignore[no-untyped-def]
    """x̂ of a vector int16[factors], padded to `width`: (int8[width], what one is worth, what a margin counts).

    The worth is in units of the vector, and a margin counts in units of that: ‖x̂‖, or more where x̂ leaves out more
    than the margins have room for.
    """
    few = np.zeros(width, np.int8)
    greatest = np.int32(1)
    for factor in range(vector.size):
        greatest = max(greatest, abs(np.int32(vector[factor])))
    worth = np.float64(greatest) / _EIGHT_BITS
    squares, lost = np.int64(0), 0.0
    for factor in range(vector.size):
        few[factor] = np.int8(np.rint(np.float64(vector[factor]) / worth))
        squares += np.int64(few[factor]) * np.int64(few[factor])
        rest = np.float64(vector[factor]) / worth - np.float64(few[factor])
        lost += rest * rest
    return few, worth, np.float32(max(np.sqrt(np.float64(squares)), np.sqrt(lost) / LEFT_OUT))


@inlined
def _sum_of(few):  # type: ignore[no-untyped-def]
    total = np.int32(0)
    for factor in range(few.size):
        total = np.int32(total + np.int32(few[factor]))
    return total


@inlined
def _by_codes(codes, event, few, three):  # type: ignore[no-untyped-def]
    """Σ (2c - 3) · x̂ of an event's row of codes, a whole number; `three` is three times the sum of x̂."""
    row, whole = codes.shape[1], np.int32(0)
    for block in range(row // CODES_BLOCK):
        start = np.int64(event) * row + block * CODES_BLOCK
        whole = np.int32(whole + dot_of_codes(codes, start, few, block * _TOGETHER))
    return np.float32(np.int32(np.int32(2) * whole - three))


@inlined
def _has_open(open_events, block, known):  # type: ignore[no-untyped-def]
    start, stop = block * np.uint64(LANES), (block + np.uint64(1)) * np.uint64(LANES)
    has_open = np.uint8(0)
    if stop <= known:
        for event in range(start, start + np.uint64(LANES)):
            has_open |= open_events[event]
        return has_open != 0
    for event in range(start, known):
        has_open |= open_events[event]
    return has_open != 0


@inlined
def _ask_for_block(lanes, block):  # type: ignore[no-untyped-def]
    """Prefetch a block, a line of 64 bytes for each group; without it a scan takes a sixth longer."""
    n_groups, group_bytes = lanes.shape[1], lanes.shape[2]
    start = np.int64(block) * n_groups * group_bytes
    for group in range(n_groups):
        prefetch(lanes, start + group * group_bytes)


@inlined
def write_rough(open_events, excluded, sketch, few, bits):  # type: ignore[no-untyped-def]
    """Write ẑ·x̂ by the first layer, as bits of float32, to `bits` int32; return how many events the sketch knows.

    NEVER for events that `open_events` uint8 does not mark or that are among the `excluded`. `bits` has room for all
    events of the sketch and LANES more.
    """
    halves, three = sketch.halves[0], np.int32(np.int32(3) * _sum_of(few))
    known, n_groups = np.uint64(min(halves.size, open_events.size)), sketch.lanes.shape[1]
    for block in range((known + np.uint64(LANES - 1)) // np.uint64(LANES)):
        if _has_open(open_events, block, known):
            _ask_for_block(sketch.lanes, block + np.uint64(_BLOCKS_AHEAD))
            dots_of_lanes(sketch.lanes, block, few, bits, block * np.uint64(LANES), n_groups)
        else:
            bits[block * np.uint64(LANES) : (block + np.uint64(1)) * np.uint64(LANES)] = 0
    for event in range(known):
        score = np.float32(np.float32(np.int32(np.int32(2) * bits[event] - three)) * halves[event])
        bits_of_score = score.view(np.int32)
        bits[event] = bits_of_score if open_events[event] != 0 else NEVER
    for position in range(excluded.size):
        if excluded[position] < known:
            bits[np.uint32(excluded[position])] = NEVER
    return known


@inlined
def list_best(bits, known, block_bits, capacity, events):  # type: ignore[no-untyped-def]
    """List the events of the blocks with the best scores `bits` > 0 that score as well; return how many, and the least.

    Those of `capacity` blocks at least, where so many have any: more than that many events, without a sort.
    """
    block = np.uint64(1 << BLOCK_BITS)
    n_blocks = (known + block - np.uint64(1)) >> np.uint64(BLOCK_BITS)
    for which in range(n_blocks):
        greatest = np.int32(0)
        for event in range(which * block, min((which + np.uint64(1)) * block, known)):
            greatest = max(greatest, bits[event])
        block_bits[which] = greatest
    least = least_kept(block_bits, n_blocks, capacity)
    size = np.uint64(0)
    for which in range(n_blocks):
        if block_bits[which] >= least:
            for event in range(which * block, min((which + np.uint64(1)) * block, known)):
                events[size] = event
                size += np.uint64(bits[event] >= least)
    return np.int64(size), least


@inlined
def _list_marked(marks, known, events):  # type: ignore[no-untyped-def]
    """List the first `known` events that `marks` uint8 has a 1 for, and clear it; return how many. Few are marked."""
    at_once, size = np.uint64(8), np.uint64(0)
    whole = known // at_once
    words = marks[: whole * at_once].view(np.uint64)
    for word in range(whole):
        if words[word] != 0:
            for event in range(word * at_once, (word + np.uint64(1)) * at_once):
                # Noted behind the last whether it counts or not, which spares a branch that no processor predicts.
                events[size] = event
                size += np.uint64(marks[event])
            words[word] = 0
    for event in range(whole * at_once, known):
        events[size] = event
        size += np.uint64(marks[event])
        marks[event] = 0
    return size


@inlined
def list_possible(sketch, few, of_margin, least, below, bits, known, marks, events):  # type: ignore[no-untyped-def]
    """List which of the first `known` events may score above 0 and at least `least`; return how many.

    `bits` is what `write_rough` wrote; events that have `below` or more there are left out. `least` counts in units of
    x̂; `marks` uint8[events] hold zeros. The first layer rules most events out, the others most of those that it leaves.
    """
    margins = sketch.margins[0]
    for event in range(known):
        bound = np.int32(bits[event]).view(np.float32) + margins[event] * of_margin
        marks[event] = (bound >= least) & (bound > np.float32(0.0)) & (bits[event] < below)
    left = _list_marked(marks, known, events)
    rows, halves, margins = sketch.rows, sketch.halves[1], sketch.margins[1]
    three, size = np.int32(np.int32(3) * _sum_of(few)), np.uint64(0)
    for which in range(left):
        if which + np.uint64(_AHEAD) < left:
            prefetch(rows, np.int64(events[which + np.uint64(_AHEAD)]) * rows.shape[1])
        possible = np.uint32(events[which])
        rough = (
            np.int32(bits[possible]).view(np.float32)
            + _by_codes(rows, possible, few, three) * halves[possible]
        )
        events[size] = possible
        size += np.uint64(rough + margins[possible] * of_margin >= least)
    return np.int64(size)

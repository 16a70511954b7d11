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

from core.kernels.dot import CODES_BLOCK, CODES_IN_A_BYTE, dot_of_codes
from core.kernels.jit import background_kernel, inlined
from core.kernels.prefetch import prefetch

#: Components whose codes are read at once.
_TOGETHER = CODES_BLOCK * CODES_IN_A_BYTE
#: The greatest component of the vector in bytes.
_EIGHT_BITS = 127.0
#: ‖x - x̂‖ / ‖x̂‖, as far as the margins have room for it: more than twice what it is for 256 components of a normal
#: distribution, whose greatest is three deviations.
LEFT_OUT = 1.0 / 64.0
LAYERS = 2
#: How many rows ahead a row of codes is asked for.
_AHEAD = 16
#: What is added to the margins for the rounding of the float32 arithmetic with them, relative to ‖z‖ ‖x̂‖.
_ROUNDING = 1e-5


class Sketch(NamedTuple):
    """The sketch of all events that have a row of factors, in LAYERS: each is of what those before it leave."""

    #: [layers, events, bytes], four codes each, padded to whole blocks of `dot_of_codes`
    codes: NDArray[np.uint8]
    #: [layers, events], h
    halves: NDArray[np.float32]
    #: [layers, events], at least ‖z - ẑ‖ + ‖z‖ · LEFT_OUT with this layer and those before
    margins: NDArray[np.float32]


@background_kernel
def sketch_of(values, steps):  # type: ignore[no-untyped-def]
    """(codes, halves, margins) of vectors int8[events, factors] in steps float32[events]; 2 µs an event of 256.

    It works in whole numbers, 1/256 of a step each, because sums of those are added several at a time.
    """
    n_events, n_factors = values.shape
    n_blocks = (n_factors + _TOGETHER - 1) // _TOGETHER
    codes = np.zeros((LAYERS, n_events, n_blocks * CODES_BLOCK), np.uint8)
    halves, margins = np.empty((LAYERS, n_events), np.float32), np.empty((LAYERS, n_events), np.float32)
    rest, levels = np.empty(n_factors, np.int32), np.empty(n_factors, np.int32)
    for event in range(n_events):
        for factor in range(n_factors):
            rest[factor] = np.int32(values[event, factor]) * np.int32(256)
        unit, squares = np.float64(steps[event]) / 256.0, _squares_of(rest)
        room = np.sqrt(np.float64(squares)) * (LEFT_OUT + _ROUNDING)
        for layer in range(LAYERS):
            half = _take_away(rest, levels, squares)
            _pack(levels, codes[layer, event])
            squares = _squares_of(rest)
            halves[layer, event] = np.float64(half) * unit
            margins[layer, event] = (np.sqrt(np.float64(squares)) + room) * unit
    return codes, halves, margins


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
def _pack(levels, codes):  # type: ignore[no-untyped-def]
    """Write the codes of levels -3, -1, 1, 3 into the bytes of a row that holds zeros."""
    for first in range(0, levels.size, CODES_BLOCK):
        place = first // CODES_BLOCK
        start, shift = place // CODES_IN_A_BYTE * CODES_BLOCK, np.int32(2 * (place % CODES_IN_A_BYTE))
        for byte in range(min(CODES_BLOCK, levels.size - first)):
            code = (levels[first + byte] + np.int32(3)) >> np.int32(1)
            codes[start + byte] |= np.uint8(code << shift)


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
def write_rough(events, sketch, few, rough):  # type: ignore[no-untyped-def]
    """Write ẑ·x̂ by the first layer for each of `events` int32, ascending; return how many the sketch knows."""
    codes, halves, three = sketch.codes[0], sketch.halves[0], np.int32(np.int32(3) * _sum_of(few))
    known = np.searchsorted(events, np.int32(halves.size))
    for place in range(known):
        rough[place] = _by_codes(codes, np.uint32(events[place]), few, three)
    # A loop of its own: what is left for each number alone holds up the wide instructions of the first.
    for place in range(known):
        rough[place] *= halves[np.uint32(events[place])]
    return known


@inlined
def keep_possible(events, sketch, few, of_margin, least, rough, known, places):  # type: ignore[no-untyped-def]
    """Write the places of the first `known` events whose bounds are above 0 and at least `least`; return how many.

    `rough` is what `write_rough` wrote, what has not to be looked at lowered; `least` counts in units of x̂. The first
    layer rules most events out, the others most of those that it leaves.
    """
    margins, size = sketch.margins[0], 0
    for place in range(known):
        bound = rough[place] + margins[np.uint32(events[place])] * of_margin
        # Noted behind the last whether it counts or not, which spares a branch that no processor predicts.
        places[size] = place
        size += (bound >= least) & (bound > 0.0)
    three = np.int32(np.int32(3) * _sum_of(few))
    for layer in range(1, LAYERS):
        codes, halves, margins = sketch.codes[layer], sketch.halves[layer], sketch.margins[layer]
        kept = 0
        for which in range(size):
            if which + _AHEAD < size:
                prefetch(codes, np.int64(events[places[which + _AHEAD]]) * codes.shape[1])
            place = places[which]
            event = np.uint32(events[place])
            rough[place] += _by_codes(codes, event, few, three) * halves[event]
            places[kept] = place
            kept += rough[place] + margins[event] * of_margin >= least
        size = kept
    return size

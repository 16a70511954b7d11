"""Sorting what there is a place of for each event."""

import numpy as np

from core.kernels.jit import background_kernel, inlined

_SIGN = np.uint32(1 << 31)
_ALL = np.uint32(0xFFFFFFFF)
_PLACE_BITS = np.uint64(32)
_DIGIT_BITS = np.uint64(11)
_DIGITS = 1 << 11
_DIGIT = np.uint64(_DIGITS - 1)
_PASSES = 3  # of eleven bits each, for thirty-two


@inlined
def _digit(entry, turn):  # type: ignore[no-untyped-def]
    """The digit of the key in the upper half of an entry that a pass sorts by."""
    return np.int64((entry >> (_PLACE_BITS + np.uint64(turn) * _DIGIT_BITS)) & _DIGIT)


@background_kernel
def descending_order(values):  # type: ignore[no-untyped-def]
    """int32[n]: the places of `values` float32[n], the greatest first, ties to the lower place. None may be NaN.

    A radix sort from the least digit on (Knuth, The Art of Computer Programming 3, 5.2.5), a tenth of the time of
    numpy's: IEEE floats order as their bits do, the negative ones the other way round.
    """
    entries, counts = np.empty(values.size, np.uint64), np.zeros((_PASSES, _DIGITS), np.int32)
    for place in range(values.size):
        bits = np.float32(values[place] + np.float32(0.0)).view(np.uint32)  # -0 is 0
        key = bits if bits & _SIGN else _ALL ^ _SIGN ^ bits
        entries[place] = np.uint64(key) << _PLACE_BITS | np.uint64(place)
        for turn in range(_PASSES):
            counts[turn, _digit(entries[place], turn)] += 1
    sorted_entries = np.empty(values.size, np.uint64)
    for turn in range(_PASSES):
        following = np.cumsum(counts[turn]) - counts[turn]
        for position in range(values.size):
            digit = _digit(entries[position], turn)
            sorted_entries[following[digit]] = entries[position]
            following[digit] += 1
        entries, sorted_entries = sorted_entries, entries
    return entries.astype(np.int32)  # the lower half

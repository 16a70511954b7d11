"""Appending text and numbers to a buffer of bytes. Each function returns the position behind what it wrote.

Numbers are written from whole units, digit by digit, so that what adds up in units adds up in print, and the same bytes
come out on every machine. Callers see to it that the buffer has room.
"""

import numpy as np

from core.kernels.jit import inlined

_ZERO = np.uint8(48)
_POINT = np.uint8(46)
_MINUS = np.uint8(45)


@inlined
def put_text(out, at, blob, start, length):  # type: ignore[no-untyped-def]
    """Append `length` bytes of `blob` from `start` on."""
    for offset in range(np.uint64(length)):
        out[np.uint64(at) + offset] = blob[np.uint64(start) + offset]
    return at + length


@inlined
def put_whole(out, at, number):  # type: ignore[no-untyped-def]
    """Append a whole number ≥ 0."""
    digits = 1
    rest = number // 10
    while rest > 0:
        digits += 1
        rest //= 10
    for place in range(at + digits - 1, at - 1, -1):
        out[place] = _ZERO + np.uint8(number % 10)
        number //= 10
    return at + digits


@inlined
def put_decimal(out, at, units, decimals):  # type: ignore[no-untyped-def]
    """Append units · 10^-decimals ≥ 0 with exactly that many decimals, at least one."""
    one = 10**decimals
    at = put_whole(out, at, units // one)
    out[at] = _POINT
    fraction = units % one
    for place in range(at + decimals, at, -1):
        out[place] = _ZERO + np.uint8(fraction % 10)
        fraction //= 10
    return at + 1 + decimals


@inlined
def put_signed(out, at, units, decimals):  # type: ignore[no-untyped-def]
    """Append units · 10^-decimals of either sign, as `put_decimal`."""
    if units < 0:
        out[at] = _MINUS
        return put_decimal(out, at + 1, -units, decimals)
    return put_decimal(out, at, units, decimals)

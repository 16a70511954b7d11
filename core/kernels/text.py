"""Appending text and numbers to a buffer of bytes. Each function returns the position behind what it wrote.

Numbers are written from whole units, digit by digit, so that what adds up in units adds up in print, and the same bytes
come out on every machine. Callers see to it that the buffer has room.
"""

import numpy as np

from core.kernels.copying import copy_bytes
from core.kernels.jit import inlined

_ZERO = np.uint8(48)
_POINT = np.uint8(46)
_MINUS = np.uint8(45)
_TEN = np.uint64(10)

#: int64[19]: from 1 on, as far as they fit.
POWERS_OF_TEN = 10 ** np.arange(19, dtype=np.int64)


@inlined
def put_text(out, at, blob, start, length):  # type: ignore[no-untyped-def]
    """Append `length` bytes of `blob` from `start` on."""
    copy_bytes(out, at, blob, start, length)
    return at + length


@inlined
def _put_digits(out, at, number, digits):  # type: ignore[no-untyped-def]
    """Append the last so many digits of a number; unsigned, which spares every division the case of a negative one."""
    rest = np.uint64(number)
    for place in range(at + digits - 1, at - 1, -1):
        shorter = rest // _TEN
        out[place] = _ZERO + np.uint8(rest - shorter * _TEN)
        rest = shorter
    return at + digits


@inlined
def put_whole(out, at, number):  # type: ignore[no-untyped-def]
    """Append a whole number ≥ 0."""
    digits = 1
    while digits < POWERS_OF_TEN.size and number >= POWERS_OF_TEN[digits]:
        digits += 1
    return _put_digits(out, at, number, digits)


@inlined
def put_decimal(out, at, units, decimals):  # type: ignore[no-untyped-def]
    """Append units · 10^-decimals ≥ 0 with exactly that many decimals, at least one."""
    one = np.uint64(POWERS_OF_TEN[decimals])
    whole = np.uint64(units) // one
    at = put_whole(out, at, np.int64(whole))
    out[at] = _POINT
    return _put_digits(out, at + 1, np.uint64(units) - whole * one, decimals)


@inlined
def put_signed(out, at, units, decimals):  # type: ignore[no-untyped-def]
    """Append units · 10^-decimals of either sign, as `put_decimal`."""
    if units < 0:
        out[at] = _MINUS
        return put_decimal(out, at + 1, -units, decimals)
    return put_decimal(out, at, units, decimals)

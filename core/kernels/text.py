"""Appending text and numbers to a buffer of bytes. Each function returns the position behind what it wrote.

Numbers are written from whole units, so that what adds up in units adds up in print, and the same bytes come out on
every machine. Callers see to it that the buffer has room, and for `SLACK` bytes more: what stands behind the position
that is returned may be overwritten.
"""

import numpy as np

from core.kernels.copying import WIDE, WORD, copy_bytes, copy_wide, put_word
from core.kernels.jit import inlined

SLACK = WIDE

_POINT = np.uint8(46)
_MINUS = np.uint8(45)
_ZEROS = np.uint64(0x3030303030303030)
_BYTE, _TWO_BYTES, _FOUR_BYTES = np.uint64(8), np.uint64(16), np.uint64(32)
_TEN, _HUNDRED, _MYRIAD = np.uint64(10), np.uint64(100), np.uint64(10_000)
# Divisions of small numbers by 100 and by 10, several in one register: n · 10486 / 2^20 for n < 10^4, n · 103 / 2^10
# for n < 100.
_BY_HUNDRED, _HUNDRED_BITS, _HUNDREDS = np.uint64(10_486), np.uint64(20), np.uint64(0x0000007F0000007F)
_BY_TEN, _TEN_BITS, _TENS = np.uint64(103), np.uint64(10), np.uint64(0x000F000F000F000F)

#: int64[19]: from 1 on, as far as they fit.
POWERS_OF_TEN = 10 ** np.arange(19, dtype=np.int64)


@inlined
def put_text(out, at, blob, start, length):  # type: ignore[no-untyped-def]
    """Append `length` bytes of `blob` from `start` on."""
    if length <= WIDE and start + WIDE <= blob.size:
        copy_wide(out, at, blob, start)
    else:
        copy_bytes(out, at, blob, start, length)
    return at + length


@inlined
def _digits_of(number):  # type: ignore[no-untyped-def]
    """The eight digits of an unsigned number below 10^8 as bytes of a word, the first digit lowest.

    Halved three times, all halves at once: into two numbers of four digits, four of two, eight of one.
    """
    upper = number // _MYRIAD
    fours = upper | (number - upper * _MYRIAD) << _FOUR_BYTES
    upper = (fours * _BY_HUNDRED >> _HUNDRED_BITS) & _HUNDREDS
    twos = upper | (fours - upper * _HUNDRED) << _TWO_BYTES
    upper = (twos * _BY_TEN >> _TEN_BITS) & _TENS
    return (upper | (twos - upper * _TEN) << _BYTE) + _ZEROS


@inlined
def _put_digits(out, at, number, digits):  # type: ignore[no-untyped-def]
    """Append a number with so many digits, which it has at most."""
    rest = np.uint64(number)
    while digits > WORD:
        behind = WORD * ((digits - 1) // WORD)
        scale = np.uint64(POWERS_OF_TEN[behind])
        first = rest // scale
        put_word(out, at, _digits_of(first) >> _BYTE * np.uint64(WORD - digits + behind))
        at += digits - behind
        digits, rest = behind, rest - first * scale
    put_word(out, at, _digits_of(rest) >> _BYTE * np.uint64(WORD - digits))
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

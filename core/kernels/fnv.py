"""FNV-1a, 32 bits, over text as JavaScript has it (Fowler, Noll, Vo: "The FNV Non-Cryptographic Hash Algorithm")."""

import numpy as np

from core.kernels.jit import inlined, kernel

#: Where a hash starts.
OFFSET_BASIS = 0x811C9DC5
_PRIME = np.uint64(0x01000193)
_MASK = np.uint64(0xFFFFFFFF)  # in 64 bits, where no product overflows
_BASIS = np.uint64(OFFSET_BASIS)
_TEN, _ZERO, _BYTE = np.uint64(10), np.uint64(48), np.uint64(8)
#: Of the longest decimal string of 32 bits.
_HIGHEST_PLACE = np.uint64(10**9)


@inlined
def _fed(state, unit):  # type: ignore[no-untyped-def]
    return ((state ^ unit) * _PRIME) & _MASK


@kernel
def fnv1a(raw, width, state):  # type: ignore[no-untyped-def]
    """The hash after the code units in `raw`, bytes, each of `width` 1 or 2 of them, low byte first; int64 < 2**32."""
    fed = np.uint64(state)
    for at in range(0, len(raw), width):
        unit = np.uint64(raw[at])
        if width == 2:
            unit |= np.uint64(raw[at + 1]) << _BYTE
        fed = _fed(fed, unit)
    return np.int64(fed)


@kernel
def fnv1a_twice(raw, width, state):  # type: ignore[no-untyped-def]
    """The hash of the decimal digits of `fnv1a`."""
    number = np.uint64(fnv1a(raw, width, state))
    place = _HIGHEST_PLACE
    while place > number and place > 1:
        place //= _TEN
    fed = _BASIS
    while place > 0:
        fed = _fed(fed, number // place % _TEN + _ZERO)
        place //= _TEN
    return np.int64(fed)

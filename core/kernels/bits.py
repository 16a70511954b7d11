"""Finding the bits of a mask that are set, by the instruction that processors have for it."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import config, types
from numba.extending import intrinsic


def _generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))


def _lowest_bit(typing_context, mask):  # type: ignore[no-untyped-def]
    return types.uint32(types.uint32), _generate


def _plain_lowest_bit(mask):  # type: ignore[no-untyped-def]
    """With the compiler switched off."""
    return (int(mask) & -int(mask)).bit_length() - 1


#: lowest_bit(mask): the place of the lowest bit that is set, counted from 0, of a uint32 that is not 0.
lowest_bit: Callable[..., Any] = (
    _plain_lowest_bit if config.DISABLE_JIT else intrinsic(_lowest_bit)  # type: ignore[attr-defined]
)

"""Products of vectors of bytes, by the instructions that processors have for them.

Compilers do not find those instructions in a loop: x86-64 has one for an unsigned byte times a signed one (VNNI), Arm
for two of a kind (the dot product of ARMv8.2). They do find them in the sum of one product of two short vectors, which
is what is written here; where a processor has none, the same sums are made of multiplications of 16 bits. All of it is
whole numbers: the outcome is the same bits everywhere.
"""

import platform
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, config, types
from numba.extending import intrinsic

#: How many bytes `dot_of_block` multiplies.
BLOCK = 128
#: How many bytes of codes `dot_of_codes` reads, each of four codes of two bits.
CODES_BLOCK = 64
CODES_IN_A_BYTE = 4

_BYTE, _WHOLE = ir.IntType(8), ir.IntType(32)
#: Codes are 0…3, the same number signed and unsigned: which of the two lets the instruction be found differs.
_CODES_ARE_SIGNED = platform.machine().lower() in ("aarch64", "arm64")


def _bytes_at(context: Any, builder: Any, kind: Any, array: Any, start: Any, count: int) -> Any:
    """<count x i8>, from a position on in an array in C order."""
    data = context.make_array(kind)(context, builder, array).data
    address = builder.bitcast(builder.gep(data, [start]), ir.VectorType(_BYTE, count).as_pointer())
    return builder.load(address, align=1)


def _sum_of_products(builder: Any, one: Any, other: Any, count: int) -> Any:
    """Σ one · other, i32, of two vectors of i32."""
    wide = ir.VectorType(_WHOLE, count)
    reduce_add = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, ir.FunctionType(_WHOLE, [wide]), f"llvm.vector.reduce.add.v{count}i32"
    )
    return builder.call(reduce_add, [builder.mul(one, other)])


def _generate_block(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    wide, vectors = ir.VectorType(_WHOLE, BLOCK), []
    for side in (0, 2):
        start = context.cast(builder, arguments[side + 1], signature.args[side + 1], types.intp)
        few = _bytes_at(context, builder, signature.args[side], arguments[side], start, BLOCK)
        vectors.append(builder.sext(few, wide))
    return _sum_of_products(builder, vectors[0], vectors[1], BLOCK)


def _generate_codes(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    count = CODES_BLOCK * CODES_IN_A_BYTE
    wide, packed = ir.VectorType(_WHOLE, count), ir.VectorType(_BYTE, CODES_BLOCK)
    starts = [context.cast(builder, arguments[at], signature.args[at], types.intp) for at in (1, 3)]
    codes = _bytes_at(context, builder, signature.args[0], arguments[0], starts[0], CODES_BLOCK)
    vector = _bytes_at(context, builder, signature.args[2], arguments[2], starts[1], count)
    mask = ir.Constant(packed, [3] * CODES_BLOCK)
    parts = [
        builder.and_(builder.lshr(codes, ir.Constant(packed, [2 * part] * CODES_BLOCK)), mask)
        for part in range(CODES_IN_A_BYTE)
    ]
    while len(parts) > 1:
        parts = [_joined(builder, parts[at], parts[at + 1]) for at in range(0, len(parts), 2)]
    extend = builder.sext if _CODES_ARE_SIGNED else builder.zext
    return _sum_of_products(builder, extend(parts[0], wide), builder.sext(vector, wide), count)


def _joined(builder: Any, one: Any, other: Any) -> Any:
    count = 2 * one.type.count
    order = ir.Constant(ir.VectorType(_WHOLE, count), list(range(count)))
    return builder.shuffle_vector(one, other, order)


def _dot_of_block(typing_context, one, start, other, other_start):  # type: ignore[no-untyped-def]
    return types.int32(one, start, other, other_start), _generate_block


def _dot_of_codes(typing_context, codes, start, vector, vector_start):  # type: ignore[no-untyped-def]
    return types.int32(codes, start, vector, vector_start), _generate_codes


def _plain_block(one, start, other, other_start):  # type: ignore[no-untyped-def]
    """With the compiler switched off."""
    few, others = (
        array.reshape(-1)[at : at + BLOCK].astype(np.int32)
        for array, at in ((one, start), (other, other_start))
    )
    return np.int32(few @ others)


def _plain_codes(codes, start, vector, vector_start):  # type: ignore[no-untyped-def]
    """With the compiler switched off."""
    few = codes.reshape(-1)[start : start + CODES_BLOCK].astype(np.int32)
    parts = np.concatenate([(few >> 2 * part) & 3 for part in range(CODES_IN_A_BYTE)])
    return np.int32(parts @ vector[vector_start : vector_start + parts.size].astype(np.int32))


_IS_PLAIN: bool = config.DISABLE_JIT  # type: ignore[attr-defined]

#: dot_of_block(one, start, other, other_start): int32, Σ one[start + i] · other[other_start + i] over the BLOCK bytes
#: from a position on in each of two arrays of int8 in C order, positions in the flat array. Nothing is checked.
dot_of_block: Callable[..., Any] = _plain_block if _IS_PLAIN else intrinsic(_dot_of_block)

#: dot_of_codes(codes, start, vector, vector_start): int32, Σ code · vector over the 4 × CODES_BLOCK codes, 0…3, in the
#: CODES_BLOCK bytes from a position on of an array of uint8 in C order: first the lowest two bits of each byte, then
#: the next. The vector is int8, 4 × CODES_BLOCK from its own start on. Nothing is checked.
dot_of_codes: Callable[..., Any] = _plain_codes if _IS_PLAIN else intrinsic(_dot_of_codes)

"""Products of vectors of bytes, by the instructions that processors have for them.

Compilers do not find those instructions in a loop: x86-64 has one for an unsigned byte times a signed one (VNNI), Arm
for two of a kind (the dot product of ARMv8.2). They do find them in the sum of one product of two short vectors, which
is what is written here for single rows; where a processor has none, the same sums are made of multiplications of 16
bits. To add up the lanes of such a sum takes as long as to multiply, so many rows are stored with theirs side by side,
a lane each (`dots_of_lanes`, `dots_of_rows`), for which the instruction is named. All of it is whole numbers: the
outcome is the same bits everywhere.
"""

import platform
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from llvmlite.binding import llvm_version_info  # type: ignore[import-untyped]
from numba.core import cgutils, config, types
from numba.extending import intrinsic

#: How many bytes `dot_of_words` multiplies.
BLOCK = 128
#: How many bytes of codes `dot_of_codes` reads, each of four codes of two bits.
CODES_BLOCK = 64
CODES_IN_A_BYTE = 4
#: How many rows `dots_of_lanes` multiplies at once, and how many bytes of each lie together.
LANES = 16
LANE_BYTES = 4

_BYTE, _SHORT, _WHOLE = ir.IntType(8), ir.IntType(16), ir.IntType(32)
#: Products of `dot_of_words` that are made by one instruction.
_WORDS_AT_ONCE = 16
#: Codes are 0…3, the same number signed and unsigned: which of the two lets the instruction be found differs.
_CODES_ARE_SIGNED = platform.machine().lower() in ("aarch64", "arm64")
#: What `dots_of_rows` takes signed bytes to be shifted by, so that they are of the sign that the instruction wants.
SHIFT = 0 if _CODES_ARE_SIGNED else 128
#: How many sums `dots_of_rows` keeps of each row: an instruction that adds to one takes longer than several take.
_CHAINS = 4
#: The width of the rows that it multiplies is a multiple of this.
WIDTH_STEP = LANE_BYTES * _CHAINS


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


def _generate_words(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    starts = [context.cast(builder, arguments[at], signature.args[at], types.intp) for at in (1, 3)]
    words = context.make_array(signature.args[2])(context, builder, arguments[2]).data
    at_once, total = _WORDS_AT_ONCE, None
    few, pairs = ir.VectorType(_SHORT, at_once), ir.VectorType(_WHOLE, at_once // 2)
    has_instruction = not _CODES_ARE_SIGNED and "+avx2" in context.codegen().magic_tuple()[-1].split(",")
    for first in range(0, BLOCK, at_once):
        start = builder.add(starts[0], starts[0].type(first))
        values = builder.sext(
            _bytes_at(context, builder, signature.args[0], arguments[0], start, at_once), few
        )
        place = builder.gep(words, [builder.add(starts[1], starts[1].type(first))])
        factors = builder.load(builder.bitcast(place, few.as_pointer()), align=2)
        if has_instruction:
            sums = builder.call(_declared(builder, _TWO_SUMS, pairs, few, few), [values, factors])
        else:
            wide = ir.VectorType(_WHOLE, at_once)
            sums = builder.mul(builder.sext(values, wide), builder.sext(factors, wide))
        total = sums if total is None else builder.add(total, sums)
    count = total.type.count  # type: ignore[union-attr]
    reduce_add = _declared(builder, f"llvm.vector.reduce.add.v{count}i32", _WHOLE, total.type)  # type: ignore[union-attr]
    return builder.call(reduce_add, [total])


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


def _dot_of_words(typing_context, one, start, words, words_start):  # type: ignore[no-untyped-def]
    return types.int32(one, start, words, words_start), _generate_words


def _dot_of_codes(typing_context, codes, start, vector, vector_start):  # type: ignore[no-untyped-def]
    return types.int32(codes, start, vector, vector_start), _generate_codes


#: Sums of four products in 32 bits.
_FOUR_PRODUCTS = "llvm.x86.avx512.vpdpbusd.256"
#: Sums of two products in 16 bits, which has room for codes that are moved down; then of two of those.
_TWO_PRODUCTS, _TWO_SUMS = "llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd"
#: The compiler's own name for sums in lanes, for which it takes what there is.
_PARTIAL_SUMS = "llvm.vector.partial.reduce.add.v4i32.v16i32"


class Way(NamedTuple):
    """How a processor makes sums in lanes of 32 bits of products of four bytes each."""

    width: int  #: how many lanes at a time
    function: str | None  #: the name of the instruction with the compiler
    moves_highest: bool  #: whether the codes in the highest bits of a byte are moved down before


def ways_of(context: Any) -> list[Way]:
    """What there is on the processor that is compiled for, the best first."""
    if _CODES_ARE_SIGNED:
        ways = [Way(4, _PARTIAL_SUMS, moves_highest=True)] if llvm_version_info[0] >= 21 else []
    else:
        features = context.codegen().magic_tuple()[-1].split(",")
        ways = []
        if {"+avx512vnni", "+avx512vl"} <= set(features) or "+avxvnni" in features:
            # Vectors of 64 bytes are no faster: there are fewer units for them.
            ways.append(Way(8, _FOUR_PRODUCTS, moves_highest=False))
        if "+avx2" in features:
            ways.append(Way(8, _TWO_PRODUCTS, moves_highest=True))
    return [*ways, Way(4, None, moves_highest=_CODES_ARE_SIGNED)]


def _declared(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    return cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, ir.FunctionType(result, arguments), name
    )


def _add_products(builder: Any, way: Way, sums: Any, codes: Any, vector: Any) -> Any:
    """<width x i32> sums and the products of <4 width x i8> codes with the bytes in the <width x i32> of a vector."""
    lanes, few = sums.type, codes.type
    wide = ir.VectorType(_WHOLE, few.count)
    if way.function == _FOUR_PRODUCTS:
        add = _declared(builder, _FOUR_PRODUCTS, lanes, lanes, lanes, lanes)
        return builder.call(add, [sums, builder.bitcast(codes, lanes), vector])
    vector = builder.bitcast(vector, few)
    if way.function == _TWO_PRODUCTS:
        pairs = ir.VectorType(ir.IntType(16), 2 * way.width)
        of_two = builder.call(_declared(builder, _TWO_PRODUCTS, pairs, few, few), [codes, vector])
        add = _declared(builder, _TWO_SUMS, lanes, pairs, pairs)
        return builder.add(sums, builder.call(add, [of_two, ir.Constant(pairs, [1] * pairs.count)]))
    if way.function == _PARTIAL_SUMS:
        # Through no instruction at all, which hides that codes are not negative: knowing that, the compiler makes them
        # unsigned numbers, for which with signed ones there is no instruction before ARMv8.6.
        codes = builder.asm(ir.FunctionType(few, [few]), "", "=w,0", [codes], False)
    extend = builder.sext if _CODES_ARE_SIGNED else builder.zext
    products = builder.mul(extend(codes, wide), builder.sext(vector, wide))
    if way.function == _PARTIAL_SUMS:
        return builder.call(_declared(builder, _PARTIAL_SUMS, lanes, lanes, wide), [sums, products])
    for byte in range(LANE_BYTES):
        order = [LANE_BYTES * lane + byte for lane in range(way.width)]
        sums = builder.add(sums, builder.shuffle_vector(products, products, ir.Constant(lanes, order)))
    return sums


def _generate_rows(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    data = [context.make_array(signature.args[at])(context, builder, arguments[at]).data for at in (0, 1, 3)]
    block, n_groups = (context.cast(builder, arguments[at], signature.args[at], types.intp) for at in (2, 4))
    shifted, lanes, dots = (builder.bitcast(array, _BYTE.as_pointer()) for array in data)
    _write_rows(builder, ways_of(context)[0], (shifted, lanes, dots), (block, n_groups))
    return context.get_dummy_value()


def _write_rows(builder: Any, best: Way, data: tuple[Any, Any, Any], where: tuple[Any, Any]) -> None:
    """The loop over the groups of a block, in several sums, of 32 bits: those of 16 have no room for shifted bytes."""
    way = best if best.function in (_FOUR_PRODUCTS, _PARTIAL_SUMS) else Way(4, None, moves_highest=False)
    (shifted, rows, dots), (block, n_groups) = data, where
    lanes, few = ir.VectorType(_WHOLE, way.width), ir.VectorType(_BYTE, LANE_BYTES * way.width)
    parts, chains, word = range(LANES // way.width), range(_CHAINS), n_groups.type
    nothing, part_bytes = ir.Constant(lanes, [0] * way.width), LANE_BYTES * way.width
    sums = [[cgutils.alloca_once(builder, lanes) for _ in parts] for _ in chains]  # type: ignore[no-untyped-call]
    for total in (total for of_chain in sums for total in of_chain):
        builder.store(nothing, total)
    block_start = builder.mul(builder.mul(block, n_groups), word(LANES * LANE_BYTES))
    with cgutils.for_range(builder, builder.udiv(n_groups, word(_CHAINS))) as loop:
        for chain in chains:
            group = builder.add(builder.mul(loop.index, word(_CHAINS)), word(chain))
            four = _at(builder, shifted, builder.mul(group, word(LANE_BYTES)), _WHOLE)
            repeated = builder.bitcast(_repeated(builder, four, lanes), few)
            start = builder.add(block_start, builder.mul(group, word(LANES * LANE_BYTES)))
            for part in parts:
                row = _at(builder, rows, builder.add(start, word(part_bytes * part)), lanes)
                total = _add_products(builder, way, builder.load(sums[chain][part]), repeated, row)
                builder.store(total, sums[chain][part])
    dots_start = builder.mul(block, word(LANES * LANE_BYTES))
    for part in parts:
        whole = nothing
        for chain in chains:
            whole = builder.add(whole, builder.load(sums[chain][part]))
        at = builder.gep(dots, [builder.add(dots_start, word(part_bytes * part))])
        builder.store(whole, builder.bitcast(at, lanes.as_pointer()), align=4)


def _dots_of_rows(typing_context, shifted, lanes, block, dots, n_groups):  # type: ignore[no-untyped-def]
    return types.void(shifted, lanes, block, dots, n_groups), _generate_rows


def lanes_by(choose: Callable[[list[Way]], Way]) -> Callable[..., Any]:
    """The intrinsic `dots_of_lanes` in one of the ways that there are."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        def array(at: int) -> Any:
            return context.make_array(signature.args[at])(context, builder, arguments[at]).data

        def number(at: int) -> Any:
            return context.cast(builder, arguments[at], signature.args[at], types.intp)

        way = choose(ways_of(context))
        _write_lanes(builder, way, (array(0), array(2), array(3)), (number(1), number(4), number(5)))
        return context.get_dummy_value()

    def dots_of_lanes(typing_context, codes, block, vector, dots, start, n_groups):  # type: ignore[no-untyped-def]
        return types.void(codes, block, vector, dots, start, n_groups), generate

    return cast(Callable[..., Any], intrinsic(dots_of_lanes))


def _write_lanes(builder: Any, way: Way, data: tuple[Any, Any, Any], where: tuple[Any, Any, Any]) -> None:
    """The loop over the groups of a block, with sums apart for each place of a code in its byte."""
    (codes, vector, dots), (block, start, n_groups) = data, where
    lanes, few = ir.VectorType(_WHOLE, way.width), ir.VectorType(_BYTE, LANE_BYTES * way.width)
    parts, places, word = range(LANES // way.width), range(CODES_IN_A_BYTE), n_groups.type
    nothing, part_bytes = ir.Constant(lanes, [0] * way.width), LANE_BYTES * way.width
    sums = [[cgutils.alloca_once(builder, lanes) for _ in parts] for _ in places]  # type: ignore[no-untyped-call]
    for total in (total for of_place in sums for total in of_place):
        builder.store(nothing, total)
    block_start = builder.mul(builder.mul(block, n_groups), word(LANES * LANE_BYTES))
    with cgutils.for_range(builder, n_groups) as loop:
        group = builder.add(block_start, builder.mul(loop.index, word(LANES * LANE_BYTES)))
        packed = [_at(builder, codes, builder.add(group, word(part_bytes * part)), few) for part in parts]
        for place in places:
            row = builder.add(builder.mul(n_groups, word(place)), loop.index)
            four = _at(builder, vector, builder.mul(row, word(LANE_BYTES)), _WHOLE)
            repeated = _repeated(builder, four, lanes)
            for part in parts:
                chosen = _codes_at(builder, packed[part], place, way)
                total = _add_products(builder, way, builder.load(sums[place][part]), chosen, repeated)
                builder.store(total, sums[place][part])
    for part in parts:
        whole = nothing
        for place in places:
            is_moved = way.moves_highest and place == CODES_IN_A_BYTE - 1
            by = ir.Constant(lanes, [0 if is_moved else 2 * place] * way.width)
            whole = builder.add(whole, builder.ashr(builder.load(sums[place][part]), by))
        at = builder.gep(dots, [builder.add(start, word(way.width * part))])
        builder.store(whole, builder.bitcast(at, lanes.as_pointer()), align=4)


def _at(builder: Any, data: Any, byte: Any, kind: Any) -> Any:
    """What stands at a byte of an array of bytes."""
    return builder.load(builder.bitcast(builder.gep(data, [byte]), kind.as_pointer()), align=1)


def _codes_at(builder: Any, packed: Any, place: int, way: Way) -> Any:
    """The codes at a place in their bytes, where they stand if they can: to move them is an instruction more."""
    count = packed.type.count
    if way.moves_highest and place == CODES_IN_A_BYTE - 1:
        return builder.lshr(packed, ir.Constant(packed.type, [2 * place] * count))
    return builder.and_(packed, ir.Constant(packed.type, [3 << 2 * place] * count))


def _repeated(builder: Any, four: Any, lanes: Any) -> Any:
    first = builder.insert_element(ir.Constant(lanes, ir.Undefined), four, _WHOLE(0))
    return builder.shuffle_vector(first, first, ir.Constant(lanes, [0] * lanes.count))


def _plain_lanes(codes, block, vector, dots, start, n_groups):  # type: ignore[no-untyped-def]
    """With the compiler switched off."""
    packed = codes.reshape(-1, n_groups, LANES, LANE_BYTES)[block].astype(np.int32)
    parts = vector[: n_groups * LANE_BYTES * CODES_IN_A_BYTE].reshape(CODES_IN_A_BYTE, n_groups, LANE_BYTES)
    dots[start : start + LANES] = sum(
        np.einsum("gle,ge->l", (packed >> 2 * place) & 3, parts[place].astype(np.int32))
        for place in range(CODES_IN_A_BYTE)
    )


def _plain_rows(shifted, lanes, block, dots, n_groups):  # type: ignore[no-untyped-def]
    """With the compiler switched off."""
    rows = lanes[block].view(np.int8).reshape(n_groups, LANES, LANE_BYTES).astype(np.int32)
    few = shifted[: n_groups * LANE_BYTES].view(np.int8 if SHIFT == 0 else np.uint8).astype(np.int32)
    dots[block * LANES : (block + 1) * LANES] = np.einsum(
        "gle,ge->l", rows, few.reshape(n_groups, LANE_BYTES)
    )


def _plain_words(one, start, words, words_start):  # type: ignore[no-untyped-def]
    """With the compiler switched off."""
    few = one.reshape(-1)[start : start + BLOCK].astype(np.int32)
    return np.int32(few @ words[words_start : words_start + BLOCK].astype(np.int32))


def _plain_codes(codes, start, vector, vector_start):  # type: ignore[no-untyped-def]
    """With the compiler switched off."""
    few = codes.reshape(-1)[start : start + CODES_BLOCK].astype(np.int32)
    parts = np.concatenate([(few >> 2 * part) & 3 for part in range(CODES_IN_A_BYTE)])
    return np.int32(parts @ vector[vector_start : vector_start + parts.size].astype(np.int32))


_IS_PLAIN: bool = config.DISABLE_JIT  # type: ignore[attr-defined]

#: dots_of_rows(shifted, lanes, block, dots, n_groups): writes to dots int32, from block · LANES on, Σ shifted · row of
#: each of the LANES rows of a block of lanes, int32[blocks, groups, LANES] in C order, LANE_BYTES int8 of a row in each
#: number. shifted uint8[LANE_BYTES · groups], a multiple of WIDTH_STEP: to multiply int8 by int8, SHIFT is added to
#: those of one side, in 8 bits; SHIFT times the sum of the other side is then too much. Nothing is checked.
dots_of_rows: Callable[..., Any] = _plain_rows if _IS_PLAIN else intrinsic(_dots_of_rows)

#: dot_of_words(one, start, words, words_start): int32, Σ one[start + i] · words[words_start + i] over BLOCK of them,
#: int8 and int16, from a position on in each of two arrays in C order. The sum has to fit. Nothing is checked.
dot_of_words: Callable[..., Any] = _plain_words if _IS_PLAIN else intrinsic(_dot_of_words)

#: dot_of_codes(codes, start, vector, vector_start): int32, Σ code · vector over the 4 × CODES_BLOCK codes, 0…3, in the
#: CODES_BLOCK bytes from a position on of an array of uint8 in C order: first the lowest two bits of each byte, then
#: the next. The vector is int8, 4 × CODES_BLOCK from its own start on. Nothing is checked.
dot_of_codes: Callable[..., Any] = _plain_codes if _IS_PLAIN else intrinsic(_dot_of_codes)

#: dots_of_lanes(codes, block, vector, dots, start, n_groups): writes to dots int32, from `start` on, Σ code · vector of
#: each of the LANES rows of a block of codes, uint8[blocks, groups, LANES × LANE_BYTES] in C order. Byte b of group g
#: of a row has the codes 0…3 of the components p · width / 4 + LANE_BYTES · g + b, p of its places from the lowest bits
#: on, for the width 4 · LANE_BYTES · n_groups of the vector int8. Nothing is checked.
dots_of_lanes: Callable[..., Any] = _plain_lanes if _IS_PLAIN else lanes_by(lambda ways: ways[0])

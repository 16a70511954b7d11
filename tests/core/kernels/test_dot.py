import re

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llvmlite import binding, ir
from numba.core import config

from core.kernels import dot
from core.kernels.dot import (
    BLOCK,
    CODES_BLOCK,
    CODES_IN_A_BYTE,
    LANE_BYTES,
    LANES,
    SHIFT,
    WIDTH_STEP,
    dot_of_codes,
    dot_of_words,
    dots_of_lanes,
    dots_of_rows,
    lanes_by,
)
from core.kernels.jit import kernel

EXTREMES = [(-128, -128), (-128, 127), (127, 127), (0, -128)]


@kernel
def rows_products(shifted, lanes, block):
    dots = np.full(lanes.shape[0] * LANES, -7, np.int32)
    dots_of_rows(shifted, lanes, block, dots, lanes.shape[1])
    return dots


@kernel
def words_product(one, start, words, words_start):
    return dot_of_words(one, start, words, words_start)


@kernel
def codes_product(codes, start, vector, vector_start):
    return dot_of_codes(codes, start, vector, vector_start)


def products_in_lanes(dots_of_lanes):
    @numba.njit
    def products(codes, block, vector, start):
        dots = np.full(start + LANES + 1, -7, np.int32)
        dots_of_lanes(codes, block, vector, dots, start, codes.shape[1])
        return dots

    return products


#: As the processor does it best, and in each other way that it has.
WAYS = [products_in_lanes(dots_of_lanes)]
if not config.DISABLE_JIT:
    WAYS += [products_in_lanes(lanes_by(lambda ways, at=at: ways[min(at, len(ways) - 1)])) for at in (1, 2)]


def unpacked(codes: np.ndarray) -> np.ndarray:
    """The codes of one block of bytes: the lowest two bits of each byte first."""
    return np.array([byte >> 2 * part & 3 for part in range(CODES_IN_A_BYTE) for byte in codes.tolist()])


@given(st.integers(0, 2**32 - 1), st.integers(0, 70), st.integers(0, 70))
def test_a_block_of_bytes_is_multiplied_by_words_from_any_position_on(seed, start, words_start):
    rng = np.random.default_rng(seed)
    one = rng.integers(-127, 128, (3, BLOCK)).astype(np.int8)
    words = rng.choice(np.array([-32768, -32767, -1, 0, 9, 32767], np.int16), 2 * BLOCK)

    chosen = one.reshape(-1)[start : start + BLOCK].astype(np.int64)
    product = words_product(one, start, words, words_start)

    assert product == chosen @ words[words_start : words_start + BLOCK].astype(np.int64)


def shifted_of(values):
    return (values.astype(np.int32) + SHIFT & 255).astype(np.uint8)


def in_lanes(rows):
    """int8[blocks * LANES, width] as the kernel takes them."""
    fours = np.ascontiguousarray(rows).view(np.int32).reshape(-1, LANES, rows.shape[1] // LANE_BYTES)
    return np.ascontiguousarray(fours.swapaxes(1, 2))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2), st.integers(1, 20))
def test_a_row_is_multiplied_by_each_row_of_a_block(seed, block, n_steps):
    rng = np.random.default_rng(seed)
    one = rng.integers(-128, 128, n_steps * WIDTH_STEP, np.int8)
    rows = rng.integers(-128, 128, (3 * LANES, one.size), np.int8)
    of_block = slice(block * LANES, (block + 1) * LANES)

    products = rows_products(shifted_of(one), in_lanes(rows), block)

    expected = np.full(3 * LANES, -7)
    expected[of_block] = rows[of_block].astype(int) @ one + SHIFT * rows[of_block].astype(int).sum(axis=1)
    assert products.tolist() == expected.tolist()
    plain = np.full(products.size, -7, np.int32)
    dot._plain_rows(shifted_of(one), in_lanes(rows), block, plain, one.size // LANE_BYTES)
    assert plain.tolist() == products.tolist()


@pytest.mark.parametrize(("one", "other"), EXTREMES)
def test_the_greatest_products_of_rows_are_not_cut_off(one, other):
    left, right = np.full(512, one, np.int8), np.full((LANES, 512), other, np.int8)

    products = rows_products(shifted_of(left), in_lanes(right), 0)

    assert set((products - SHIFT * 512 * other).tolist()) == {512 * one * other}


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 3))
def test_codes_of_two_bits_are_multiplied_from_any_block_on(seed, block, vector_block):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (4, CODES_BLOCK), np.uint8)
    vector = rng.integers(-128, 128, 4 * CODES_BLOCK * CODES_IN_A_BYTE, np.int8)
    of_block = vector.reshape(4, -1)[vector_block].astype(int)

    found = codes_product(codes, block * CODES_BLOCK, vector, vector_block * of_block.size)

    assert found == unpacked(codes[block]) @ of_block


@pytest.mark.parametrize("greatest", [-128, 127])
def test_the_greatest_products_of_codes_are_not_cut_off(greatest):
    codes = np.full(CODES_BLOCK, 255, np.uint8)
    vector = np.full(CODES_BLOCK * CODES_IN_A_BYTE, greatest, np.int8)

    assert codes_product(codes, 0, vector, 0) == 3 * greatest * vector.size


@given(st.integers(0, 2**32 - 1))
def test_what_serves_without_the_compiler_gives_the_same(seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, CODES_BLOCK, np.uint8)
    vector = rng.integers(-128, 128, CODES_BLOCK * CODES_IN_A_BYTE, np.int8)

    assert dot._plain_codes(codes, 0, vector, 0) == codes_product(codes, 0, vector, 0)


@pytest.mark.parametrize("products", WAYS)
@given(st.integers(0, 2**32 - 1), st.integers(1, 33), st.integers(0, 2), st.integers(0, 5))
def test_rows_side_by_side_are_multiplied_each_in_its_lane(products, seed, n_groups, block, start):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (3, n_groups, LANES * LANE_BYTES), np.uint8)
    vector = rng.integers(-128, 128, n_groups * LANE_BYTES * CODES_IN_A_BYTE, np.int8)
    of_lane = codes[block].reshape(n_groups, LANES, LANE_BYTES).swapaxes(0, 1).reshape(LANES, -1)

    dots = products(codes, block, vector, start)

    expected = [unpacked(row) @ vector.astype(int) for row in of_lane]
    assert dots.tolist() == [-7] * start + expected + [-7]
    plain = np.full(dots.size, -7, np.int32)
    dot._plain_lanes(codes, block, vector, plain, start, n_groups)
    assert plain.tolist() == dots.tolist()


@pytest.mark.parametrize("products", WAYS)
@pytest.mark.parametrize("greatest", [-128, 127])
def test_the_greatest_products_in_lanes_are_not_cut_off(products, greatest):
    codes = np.full((1, 32, LANES * LANE_BYTES), 255, np.uint8)
    vector = np.full(32 * LANE_BYTES * CODES_IN_A_BYTE, greatest, np.int8)

    assert set(products(codes, 0, vector, 0)[:LANES].tolist()) == {3 * greatest * vector.size}


def function_on_arm(result, *arguments):
    """A function for aarch64 without a body, and a builder for that."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = ir.Module()
    module.triple = "aarch64-unknown-linux-gnu"
    function = ir.Function(module, ir.FunctionType(result, arguments), "function")
    return function, ir.IRBuilder(function.append_basic_block())


def assembly_of(module):
    """What a module comes to on a Graviton2."""
    target = binding.Target.from_triple(module.triple).create_target_machine(cpu="neoverse-n1", opt=3)
    parsed = binding.parse_assembly(str(module))
    passes = binding.create_pass_builder(target, binding.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(parsed, passes)
    return target.emit_assembly(parsed)


needs_sums_in_lanes = pytest.mark.skipif(
    binding.llvm_version_info[0] < 21, reason="that compiler does not know of sums in lanes"
)
BYTES, WHOLES, WORD = ir.IntType(8).as_pointer(), ir.IntType(32).as_pointer(), ir.IntType(64)


@needs_sums_in_lanes
def test_on_arm_the_products_in_lanes_are_one_instruction(monkeypatch):
    monkeypatch.setattr(dot, "_CODES_ARE_SIGNED", True)
    function, builder = function_on_arm(ir.VoidType(), BYTES, BYTES, WHOLES, WORD, WORD, WORD)
    dot._write_lanes(builder, dot.ways_of(None)[0], function.args[:3], function.args[3:])
    builder.ret_void()

    assembly = assembly_of(function.module)

    assert len(re.findall(r"\bsdot\b", assembly)) >= LANES
    assert not re.findall(r"\b[us]mlal", assembly)


@needs_sums_in_lanes
def test_on_arm_the_products_of_rows_are_one_instruction(monkeypatch):
    monkeypatch.setattr(dot, "_CODES_ARE_SIGNED", True)
    function, builder = function_on_arm(ir.VoidType(), BYTES, BYTES, BYTES, WORD, WORD)
    dot._write_rows(builder, dot.ways_of(None)[0], function.args[:3], function.args[3:])
    builder.ret_void()

    assembly = assembly_of(function.module)

    assert len(re.findall(r"\bsdot\b", assembly)) >= LANES
    assert not re.findall(r"\b[us]mlal", assembly)

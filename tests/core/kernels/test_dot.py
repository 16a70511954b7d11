import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels import dot
from core.kernels.dot import BLOCK, CODES_BLOCK, CODES_IN_A_BYTE, dot_of_block, dot_of_codes
from core.kernels.jit import kernel

EXTREMES = [(-128, -128), (-128, 127), (127, 127), (0, -128)]


@kernel
def block_product(one, start, other, other_start):
    return dot_of_block(one, start, other, other_start)


@kernel
def codes_product(codes, start, vector, vector_start):
    return dot_of_codes(codes, start, vector, vector_start)


def unpacked(codes: np.ndarray) -> np.ndarray:
    """The codes of one block of bytes: the lowest two bits of each byte first."""
    return np.array([byte >> 2 * part & 3 for part in range(CODES_IN_A_BYTE) for byte in codes.tolist()])


@given(st.integers(0, 2**32 - 1), st.integers(0, 70), st.integers(0, 70))
def test_a_block_of_bytes_is_multiplied_from_any_position_on(seed, start, other_start):
    rng = np.random.default_rng(seed)
    one, other = (rng.integers(-128, 128, (2, BLOCK), np.int8) for _ in range(2))
    few = one.reshape(-1)[start : start + BLOCK].astype(int)
    others = other.reshape(-1)[other_start : other_start + BLOCK].astype(int)

    assert block_product(one, start, other, other_start) == few @ others


@pytest.mark.parametrize(("one", "other"), EXTREMES)
def test_the_greatest_products_of_a_block_are_not_cut_off(one, other):
    left, right = np.full(BLOCK, one, np.int8), np.full(BLOCK, other, np.int8)

    assert block_product(left, 0, right, 0) == BLOCK * one * other


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
    one, other = (rng.integers(-128, 128, BLOCK, np.int8) for _ in range(2))
    codes = rng.integers(0, 256, CODES_BLOCK, np.uint8)
    vector = rng.integers(-128, 128, CODES_BLOCK * CODES_IN_A_BYTE, np.int8)

    assert dot._plain_block(one, 0, other, 0) == block_product(one, 0, other, 0)
    assert dot._plain_codes(codes, 0, vector, 0) == codes_product(codes, 0, vector, 0)

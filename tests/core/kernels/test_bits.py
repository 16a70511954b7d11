import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.bits import lowest_bit
from core.kernels.jit import kernel


@kernel
def place_of(mask):  # type: ignore[no-untyped-def]
    return lowest_bit(np.uint32(mask))


@given(st.sets(st.integers(0, 31), min_size=1))
def test_the_lowest_bit_that_is_set_is_found(places: set[int]) -> None:
    assert place_of(sum(1 << place for place in places)) == min(places)


@pytest.mark.parametrize("place", [0, 31])
def test_a_bit_alone_is_found_at_either_end(place: int) -> None:
    assert place_of(1 << place) == place

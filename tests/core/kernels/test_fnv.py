from hypothesis import given
from hypothesis import strategies as st

from core.kernels.fnv import OFFSET_BASIS, fnv1a, fnv1a_twice
from tests.oracles import fnv1a as readable

#: Of the authors' own test suite.
KNOWN = {"": 0x811C9DC5, "a": 0xE40C292C, "foobar": 0xBF9CF968}


def test_known_hashes() -> None:
    assert {text: fnv1a(text.encode(), 1, OFFSET_BASIS) for text in KNOWN} == KNOWN


@given(st.binary(max_size=60), st.integers(0, 2**32 - 1))
def test_units_of_a_byte_are_hashed_as_the_readable_twin_does(raw: bytes, state: int) -> None:
    expected = readable(raw, state)
    assert fnv1a(raw, 1, state) == expected
    assert fnv1a_twice(raw, 1, state) == readable(str(expected).encode(), OFFSET_BASIS)


@given(st.text(max_size=30), st.integers(0, 2**32 - 1))
def test_units_of_two_bytes_have_the_low_one_first(text: str, state: int) -> None:
    raw = text.encode("utf-16-le", "surrogatepass")
    units = [int.from_bytes(raw[at : at + 2], "little") for at in range(0, len(raw), 2)]
    expected = readable(units, state)
    assert fnv1a(raw, 2, state) == expected
    assert fnv1a_twice(raw, 2, state) == readable(str(expected).encode(), OFFSET_BASIS)

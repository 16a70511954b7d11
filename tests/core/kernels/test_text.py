import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.copying import copy_bytes
from core.kernels.jit import kernel
from core.kernels.text import SLACK, put_decimal, put_signed, put_text, put_whole

LARGEST = 2**62


@kernel
def write(out, number, decimals, text, length):  # type: ignore[no-untyped-def]
    at = put_whole(out, 0, number)
    at = put_text(out, at, text, 1, length - 1)
    at = put_decimal(out, at, number, decimals)
    return put_signed(out, at, -number, decimals)


@kernel
def copy(out, at, blob, start, length):  # type: ignore[no-untyped-def]
    copy_bytes(out, at, blob, start, length)


def decimal(units: int, decimals: int) -> str:
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


@given(
    st.integers(0, LARGEST) | st.integers(0, 1000) | st.sampled_from([10**power - 1 for power in range(19)]),
    st.integers(1, 9),
    st.binary(min_size=1, max_size=70),
    st.binary(max_size=70),
)
def test_numbers_and_texts_follow_each_other(number: int, decimals: int, text: bytes, behind: bytes) -> None:
    out = np.full(200 + SLACK, 7, np.uint8)
    at = write(out, number, decimals, np.frombuffer(text + behind, np.uint8).copy(), len(text))
    sign = "-" if number else ""
    written = f"{decimal(number, decimals)}{sign}{decimal(number, decimals)}".encode()
    assert out[:at].tobytes() == str(number).encode() + text[1:] + written
    assert (out[at + SLACK :] == 7).all()


@kernel
def put_eight(out, numbers):  # type: ignore[no-untyped-def]
    at = 0
    for number in numbers:
        at = put_decimal(out, at, number, 8)
    return at


def test_every_four_digits_are_written_as_they_are() -> None:
    for fours in (np.arange(10_000), np.arange(10_000) * 10_000, np.arange(10_000) * 10_001):
        out = np.empty(fours.size * 10 + SLACK, np.uint8)
        at = put_eight(out, fours)
        assert out[:at].tobytes().decode() == "".join(f"0.{number:08}" for number in fours.tolist())


@given(st.binary(max_size=100), st.integers(0, 9), st.data())
def test_only_what_is_copied_changes(text: bytes, at: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, len(text) - start))
    out = np.full(120, 7, np.uint8)
    copy(out, at, np.frombuffer(text, np.uint8).copy(), start, length)
    assert out.tobytes() == b"\7" * at + text[start : start + length] + b"\7" * (120 - at - length)

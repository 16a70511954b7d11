import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.copying import copy_bytes
from core.kernels.jit import kernel
from core.kernels.text import put_decimal, put_signed, put_text, put_whole

LARGEST = 2**62


@kernel
def write(out, number, decimals, text):  # type: ignore[no-untyped-def]
    at = put_whole(out, 0, number)
    at = put_text(out, at, text, 1, text.size - 1)
    at = put_decimal(out, at, number, decimals)
    return put_signed(out, at, -number, decimals)


@kernel
def copy(out, at, blob, start, length):  # type: ignore[no-untyped-def]
    copy_bytes(out, at, blob, start, length)


def decimal(units: int, decimals: int) -> str:
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


@given(st.integers(0, LARGEST) | st.integers(0, 1000), st.integers(1, 9), st.binary(min_size=1, max_size=70))
def test_numbers_and_texts_follow_each_other_digit_by_digit(number: int, decimals: int, text: bytes) -> None:
    out = np.zeros(200, np.uint8)
    at = write(out, number, decimals, np.frombuffer(text, np.uint8).copy())
    sign = "-" if number else ""
    written = f"{decimal(number, decimals)}{sign}{decimal(number, decimals)}".encode()
    assert out[:at].tobytes() == str(number).encode() + text[1:] + written
    assert not out[at:].any()


@given(st.binary(max_size=100), st.integers(0, 9), st.data())
def test_only_what_is_copied_changes(text: bytes, at: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, len(text) - start))
    out = np.full(120, 7, np.uint8)
    copy(out, at, np.frombuffer(text, np.uint8).copy(), start, length)
    assert out.tobytes() == b"\7" * at + text[start : start + length] + b"\7" * (120 - at - length)

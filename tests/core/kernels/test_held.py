import sys
from typing import NamedTuple

import numba
import numpy as np
import pytest

from core.kernels.held import Held, borrowed, held_in, type_of
from core.kernels.jit import kernel, pinned


class Pair(NamedTuple):
    counts: np.ndarray
    table: np.ndarray


class Both(NamedTuple):
    pair: Pair
    marks: np.ndarray


@kernel
def add_up(both, amount):  # type: ignore[no-untyped-def]
    """Change every array; return what they come to."""
    pair, marks = held_in(both)
    rows, columns = pair.table.shape
    for row in range(rows):
        for column in range(columns):
            pair.table[row, column] += amount * marks[row]
    pair.counts[-1] += pair.counts.size
    return pair.table[-1, 0] + pair.counts.sum()


def both() -> Both:
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Both(Pair(np.array([1, 2], np.int64), table), np.array([1, 0, 2], np.uint8))


def test_a_kernel_reads_and_changes_the_arrays_that_are_held() -> None:
    value = both()
    held = Held(value)
    assert add_up(held, 10.0) == 28.0 + 5.0
    np.testing.assert_array_equal(value.pair.counts, [1, 4])
    expected = np.arange(12).reshape(3, 4) + np.array([[10.0], [0.0], [20.0]])
    np.testing.assert_array_equal(value.pair.table, expected)
    assert held.value is value


def test_another_tuple_of_the_same_types_goes_to_the_same_form_of_a_kernel() -> None:
    add = pinned(add_up, Held(both()), 1.0)
    value = Both(Pair(np.array([7], np.int64), np.ones((1, 1), np.float32)), np.array([3], np.uint8))
    assert add(Held(value), 1.0) == 4.0 + 8.0


def test_what_is_held_is_kept_alive() -> None:
    held = Held(Both(Pair(np.full(200_000, 3, np.int64), np.zeros((1, 1), np.float32)), np.ones(1, np.uint8)))
    others = [np.full(200_000, 9, np.int64) for _ in range(5)]
    assert add_up(held, 0.0) == 3 * 200_000 + 200_000
    assert all((other == 9).all() for other in others)


@kernel
def add_borrowed(both, more):  # type: ignore[no-untyped-def]
    """Change every array; return what they come to."""
    (pair, marks), more = borrowed(both), borrowed(more)
    for place in range(more.size):
        pair.counts[place] += more[place] * marks[place]
        more[place] = 0
    return pair.counts.sum() + pair.table[0, 1]


def test_a_kernel_reads_and_changes_arrays_that_it_borrows_and_leaves_them_to_their_owner() -> None:
    value, more = both(), np.array([5, 7], np.int64)
    before = [sys.getrefcount(array) for array in (value.pair.counts, value.marks, more)]
    for _ in range(3):
        assert add_borrowed(value, more) == value.pair.counts.sum() + 1.0
        assert value.pair.counts.tolist() == [6, 2] and more.tolist() == [0, 0]
    assert [sys.getrefcount(array) for array in (value.pair.counts, value.marks, more)] == before


@pytest.mark.parametrize("part", [np.ones((4, 4))[:, :2], 3, None])
def test_only_arrays_in_c_order_can_be_held(part: object) -> None:
    with pytest.raises(TypeError, match="C-contiguous"):
        Held((np.ones(2), part))


def test_types_are_those_that_numba_finds() -> None:
    read_only = np.zeros(3, np.int32)
    read_only.flags.writeable = False
    table = np.zeros((3, 4), np.float32)
    values = [read_only, np.zeros(3, np.int32), np.zeros(3, np.int64), table, table.T, table[:, ::2]]
    values += [both(), both().pair, (table, 1, 2.0, np.float32(3.0)), Held(both())]

    for value in (*values, *values):  # the second time from what is known
        assert type_of(value) == numba.typeof(value)

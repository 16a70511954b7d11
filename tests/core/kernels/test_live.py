"""The walk over postings: what it adds up, and what it lists as touched."""

import numpy as np
import pytest

from core.kernels.live import LiveRows, spread

N_COLUMNS = 4


def rows_of(
    entries: list[list[tuple[int, int]]], additions: list[tuple[int, int, int]] | None = None
) -> LiveRows:
    """Rows of (column, weight); additions are (row, column, weight), oldest first."""
    columns, weights = zip(*(pair for row in entries for pair in row), strict=True)
    head, following = [-1] * len(entries), []
    for number, (row, _, _) in enumerate(additions or []):
        following.append(head[row])
        head[row] = number
    return LiveRows(
        np.cumsum([0, *map(len, entries)]),
        np.array(columns, np.int32),
        np.array(weights, np.uint8),
        np.array(head, np.int32),
        np.array(following, np.int32),
        np.array([column for _, column, _ in additions or []], np.int32),
        np.array([weight for _, _, weight in additions or []], np.uint8),
    )


def walked(rows: LiveRows, chosen: list[int], factors: list[float]) -> tuple[list[int], list[float]]:
    """The columns touched and all sums."""
    sums, touched = np.zeros(N_COLUMNS, np.float32), np.empty(N_COLUMNS + 1, np.int32)
    size = spread(rows, np.array(chosen, np.int32), np.array(factors, np.float32), len(chosen), sums, touched)
    return touched[:size].tolist(), sums.tolist()


def test_columns_are_listed_once_in_order_of_first_touch() -> None:
    rows = rows_of([[(2, 255), (0, 1)], [(0, 2), (2, 3)]], [(1, 3, 4)])
    assert walked(rows, [0, 1], [1.0, 0.5]) == ([2, 0, 3], [2.0, 0.0, 256.5, 2.0])


@pytest.mark.parametrize("weight", [1, 255])
def test_a_pair_taken_back_touches_nothing_before_or_after_one_that_counts(weight: int) -> None:
    rows = rows_of([[(0, 0), (1, 0)], [(1, weight), (0, 0)], [(1, 0), (0, 0)]], [(2, 3, 0)])
    assert walked(rows, [0, 1, 2], [1.0, 1.0, 1.0]) == ([1], [0.0, weight, 0.0, 0.0])


@pytest.mark.parametrize("factor", [0.0, 1e-44])
def test_a_row_whose_products_could_be_rounded_to_nothing_is_left_out(factor: float) -> None:
    """Else its columns would be listed again and again, beyond the room there is."""
    rows = rows_of([[(0, 1), (1, 1)], [(1, 1)]], [(0, 2, 1)])
    assert walked(rows, [0, 0, 0, 1, 0], [factor, factor, factor, 1.0, factor]) == ([1], [0.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_the_least_and_the_greatest_factors_touch_once(factor: float) -> None:
    rows = rows_of([[(0, 1), (1, 255)]])
    touched, sums = walked(rows, [0, 0], [factor, factor])
    assert touched == [0, 1]
    assert sums[:2] == pytest.approx([2 * factor, 510 * factor])

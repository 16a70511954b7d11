from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import sparse
from core.sparse import Pairs, Rows
from tests import strategies

GOOD = Rows(np.array([0, 2, 2, 3], np.int64), np.array([0, 3, 1], np.int32), np.array([255, 1, 7], np.uint8))


def test_a_good_matrix_passes() -> None:
    sparse.check_rows(GOOD, 4)


@given(strategies.matrices())
def test_every_matrix_made_of_a_dense_one_passes(matrix: tuple[Rows, int]) -> None:
    sparse.check_rows(*matrix)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        (
            "indptr",
            np.array([0, 2, 2, 3], np.int32),
            "indptr: expected one dimension of int64, got 1 of int32",
        ),
        ("indptr", np.array([[0, 3]], np.int64), "indptr: expected one dimension of int64, got 2 of int64"),
        ("indptr", np.array([], np.int64), "indptr: must run from 0"),
        ("indptr", np.array([1, 2, 2, 3], np.int64), "indptr: must run from 0"),
        ("indptr", np.array([0, 2, 2, 4], np.int64), "indptr: must run from 0 to the number of indices, 3"),
        ("indptr", np.array([0, 2, 1, 3], np.int64), "indptr: must not descend"),
        ("indptr", np.array([0, 9, 2, 3], np.int64), "indptr: must not descend"),
        ("indices", np.array([0, 3, 1], np.int64), "indices: expected one dimension of int32"),
        ("indices", np.array([3, 0, 1], np.int32), "indices: 0 at position 1 .* does not ascend"),
        ("indices", np.array([3, 3, 1], np.int32), "indices: 3 at position 1 .* does not ascend"),
        ("indices", np.array([0, 4, 1], np.int32), r"indices: 4 at position 1 is not in 0\.\.3"),
        ("indices", np.array([-1, 3, 1], np.int32), r"indices: -1 at position 0 is not in 0\.\.3"),
        ("weights", np.array([255, 1, 7], np.int64), "weights: expected one dimension of uint8"),
        ("weights", np.array([255, 1], np.uint8), "weights: 2 values for 3 indices"),
        ("weights", np.array([255, 0, 7], np.uint8), "weights: zero at position 1"),
    ],
)
def test_a_bad_matrix_is_refused_with_what_is_wrong(field: str, value: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=rf"^{complaint}"):
        sparse.check_rows(GOOD._replace(**{field: value}), 4)


@given(strategies.matrices(), st.integers(1, 6))
def test_pieces_of_the_rows_are_all_of_them_and_no_larger_than_their_last_row_makes_them(
    matrix: tuple[Rows, int], at_once: int
) -> None:
    indptr = matrix[0].indptr
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "_AT_ONCE", at_once)
        pieces = list(sparse.row_pieces(indptr))
        sparse.check_rows(*matrix)

    assert [row for piece in pieces for row in range(*piece)] == list(range(indptr.size - 1))
    assert all(indptr[max(start, stop - 1)] - indptr[start] <= at_once for start, stop in pieces)


def test_what_is_wrong_in_a_later_piece_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "_AT_ONCE", 1)
    rested: list[None] = []
    with pytest.raises(ValueError, match=r"^indices: 9 at position 2"):
        sparse.check_rows(
            GOOD._replace(indices=np.array([0, 3, 9], np.int32)), 4, lambda: rested.append(None)
        )
    assert len(rested) > 1


@given(strategies.matrices(), st.data())
def test_some_rows_come_in_the_order_asked_for(matrix: tuple[Rows, int], data: st.DataObject) -> None:
    rows, _ = matrix
    wanted = data.draw(st.lists(st.integers(-1, rows.n_rows - 1), max_size=8))

    some = sparse.rows_of(rows, np.array(wanted, np.int32))

    sizes = np.diff(some.indptr)
    assert [row.tolist() for row in np.split(some.indices, some.indptr[1:-1])][: len(wanted)] == [
        sparse.row_columns(rows, row).tolist() if row >= 0 else [] for row in wanted
    ]
    assert (sizes.size, some.indptr.dtype, some.indices.dtype) == (len(wanted), np.int64, np.int32)


def test_pairs_are_checked_like_rows() -> None:
    sparse.check_pairs(Pairs(GOOD.indptr, GOOD.indices), 4)
    with pytest.raises(ValueError, match=r"^indices: 3 at position 1"):
        sparse.check_pairs(Pairs(GOOD.indptr, GOOD.indices), 3)


def test_a_row_is_its_columns_and_weights() -> None:
    indices, weights = sparse.row(GOOD, 0)
    assert (indices.tolist(), weights.tolist()) == ([0, 3], [255, 1])
    assert sparse.row(GOOD, 1)[0].size == 0
    assert sparse.row_columns(Pairs(GOOD.indptr, GOOD.indices), 2).tolist() == [1]


@given(strategies.dense_matrices())
def test_transposing_agrees_with_the_dense_transpose(dense: np.ndarray) -> None:
    transposed = sparse.transpose(strategies.rows_from_dense(dense), dense.shape[1])
    sparse.check_rows(transposed, dense.shape[0])
    np.testing.assert_array_equal(strategies.dense_from_rows(transposed, dense.shape[0]), dense.T)


@given(strategies.matrices())
def test_transposing_twice_changes_nothing(matrix: tuple[Rows, int]) -> None:
    rows, n_columns = matrix
    again = sparse.transpose(sparse.transpose(rows, n_columns), rows.n_rows)
    assert_equal(again, rows)


def test_transposing_holds_more_entries_than_16_bits_count() -> None:
    n_rows = 70_000
    rows = Rows(
        np.arange(n_rows + 1, dtype=np.int64),
        (np.arange(n_rows) % 3).astype(np.int32),
        (1 + np.arange(n_rows) % 255).astype(np.uint8),
    )
    transposed = sparse.transpose(rows, 3)
    np.testing.assert_array_equal(sparse.row_columns(transposed, 1), np.arange(1, n_rows, 3))
    np.testing.assert_array_equal(transposed.weights[: transposed.indptr[1]], rows.weights[::3])


@given(strategies.matrices(), st.data())
def test_selecting_keeps_the_entries_asked_for(matrix: tuple[Rows, int], data: st.DataObject) -> None:
    rows, n_columns = matrix
    size = rows.indices.size
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), np.bool_)
    selected = sparse.select(rows, keep)
    dense = strategies.dense_from_rows(rows, n_columns)
    dense[sparse.entry_rows(rows)[~keep], rows.indices[~keep]] = 0
    assert_equal(selected, strategies.rows_from_dense(dense))


@given(strategies.matrices(max_columns=20), st.integers(1, 6), st.integers(0, 5))
def test_capped_postings_are_a_part_of_each_row_no_longer_than_the_cap(
    matrix: tuple[Rows, int], cap: int, seed: int
) -> None:
    postings, n_columns = matrix
    capped = sparse.cap_postings(postings, cap, seed)
    sparse.check_rows(capped, n_columns)
    np.testing.assert_array_equal(np.diff(capped.indptr), np.minimum(np.diff(postings.indptr), cap))
    dense = strategies.dense_from_rows(capped, n_columns)
    original = strategies.dense_from_rows(postings, n_columns)
    np.testing.assert_array_equal(dense[dense > 0], original[dense > 0])


@given(strategies.matrices(max_columns=20), st.integers(1, 6), st.integers(0, 5))
def test_the_same_seed_keeps_the_same_postings(matrix: tuple[Rows, int], cap: int, seed: int) -> None:
    assert_equal(sparse.cap_postings(matrix[0], cap, seed), sparse.cap_postings(matrix[0], cap, seed))


def test_another_seed_keeps_other_postings() -> None:
    postings = one_full_row(1000)
    first, second = (sparse.cap_postings(postings, 10, seed).indices for seed in (1, 2))
    assert first.tolist() != second.tolist()


def test_no_cap_keeps_everything() -> None:
    assert_equal(sparse.cap_postings(GOOD, None, seed=1), GOOD)


@pytest.mark.parametrize("cap", [0, -3])
def test_a_cap_below_one_is_refused(cap: int) -> None:
    with pytest.raises(ValueError, match=f"^cap: {cap} is below 1"):
        sparse.cap_postings(GOOD, cap, seed=1)


def test_every_posting_is_kept_equally_often() -> None:
    # Each of 12 entries is kept with p = 1/3. Over 3,000 seeds its count has a standard deviation of 26, so
    # that five of them are never left by chance; the seeds are fixed.
    postings = one_full_row(12)
    kept = np.zeros(12, np.int64)
    for seed in range(3000):
        kept[sparse.cap_postings(postings, 4, seed).indices] += 1
    assert kept.sum() == 12_000
    assert np.abs(kept - 1000).max() < 5 * 26


@given(strategies.matrices())
def test_a_matrix_contains_its_own_pairs_and_no_others(matrix: tuple[Rows, int]) -> None:
    rows, n_columns = matrix
    grid_rows, grid_columns = np.indices((rows.n_rows + 1, n_columns + 1), dtype=np.int32).reshape(2, -1) - 1
    held = sparse.contains(rows, grid_rows.astype(np.int32), grid_columns.astype(np.int32))
    dense = strategies.dense_from_rows(rows, n_columns)
    expected = [i >= 0 and j >= 0 and dense[i, j] > 0 for i, j in zip(grid_rows, grid_columns, strict=True)]
    np.testing.assert_array_equal(held, np.array(expected, np.bool_))


def test_entry_rows_names_the_row_of_each_entry() -> None:
    rows = sparse.entry_rows(GOOD)
    assert (rows.tolist(), rows.dtype) == ([0, 0, 2], np.int32)


def one_full_row(n: int) -> Rows:
    return Rows(np.array([0, n], np.int64), np.arange(n, dtype=np.int32), np.full(n, 9, np.uint8))


def assert_equal(a: Any, b: Any) -> None:
    for mine, theirs in zip(a, b, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


@given(strategies.matrices(), st.data())
def test_rows_of_are_the_rows_asked_for(matrix: tuple[Rows, int], data: st.DataObject) -> None:
    rows, _ = matrix
    wanted = data.draw(st.lists(st.integers(-1, rows.n_rows - 1), max_size=6))

    found = sparse.rows_of(rows, np.array(wanted, np.int32))

    expected = [[] if one < 0 else sparse.row_columns(rows, one).tolist() for one in wanted]
    assert [sparse.row_columns(found, place).tolist() for place in range(len(wanted))] == expected
    assert found.indptr.dtype == np.int64
    assert found.indices.dtype == np.int32

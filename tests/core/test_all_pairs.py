import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.all_pairs import NearestRows, all_pairs_cosine, equal_work
from core.sparse import Rows, transpose
from tests import oracles
from tests.strategies import dense_matrices, matrices, rows_from_dense

THREADS = min(2, numba.config.NUMBA_NUM_THREADS)
SQUARE = rows_from_dense(np.full((4, 4), 255, np.uint8))


def lists_of(nearest: NearestRows) -> list[list[tuple[int, float]]]:
    """(row, similarity) of the neighbours of each row, without the padding."""
    return [
        [(int(other), float(cosine)) for other, cosine in zip(indices, cosines, strict=True) if other >= 0]
        for indices, cosines in zip(*nearest, strict=True)
    ]


@given(matrices(), st.integers(1, 10))
def test_neighbours_and_similarities_are_those_of_the_slow_twin(matrix: tuple[Rows, int], k: int) -> None:
    rows, n_columns = matrix
    assert lists_of(all_pairs_cosine(rows, n_columns, k)) == oracles.all_pairs_cosine(rows, k)


@given(matrices(max_rows=20), st.integers(1, 10))
def test_any_number_of_threads_gives_the_same_bits(matrix: tuple[Rows, int], k: int) -> None:
    rows, n_columns = matrix
    for serial, parallel in zip(
        all_pairs_cosine(rows, n_columns, k), all_pairs_cosine(rows, n_columns, k, THREADS), strict=True
    ):
        np.testing.assert_array_equal(serial, parallel)


@given(dense_matrices())
def test_similarities_are_the_cosines_of_the_dense_rows(dense: np.ndarray) -> None:
    n = dense.shape[0]
    unit = dense / np.maximum(np.linalg.norm(dense.astype(np.float64), axis=1, keepdims=True), 1e-300)
    expected = unit @ unit.T
    np.fill_diagonal(expected, 0.0)
    found = np.zeros((n, n))
    for row, neighbours in enumerate(
        lists_of(all_pairs_cosine(rows_from_dense(dense), dense.shape[1], n + 1))
    ):
        for other, cosine in neighbours:
            found[row, other] = cosine
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@given(matrices(), st.integers(1, 10))
def test_lists_descend_are_padded_at_their_end_and_never_name_the_row_itself(
    matrix: tuple[Rows, int], k: int
) -> None:
    rows, n_columns = matrix
    indices, similarities = all_pairs_cosine(rows, n_columns, k)
    assert indices.shape == similarities.shape == (rows.n_rows, k)
    assert (indices.dtype, similarities.dtype) == (np.int32, np.float32)
    assert (similarities <= 1.0).all()
    np.testing.assert_array_equal(indices == -1, similarities == 0.0)
    for row in range(rows.n_rows):
        ranked = list(zip(-similarities[row], indices[row], strict=True))
        named = [pair for pair in ranked if pair[1] >= 0]
        assert named == sorted(set(named)) == ranked[: len(named)]
        assert row not in indices[row]


def test_equally_similar_rows_are_listed_by_index_and_cut_off_there() -> None:
    rows = rows_from_dense(np.full((6, 1), 255, np.uint8))
    indices, similarities = all_pairs_cosine(rows, 1, 3)
    assert indices.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert (similarities == 1.0).all()


def test_no_rows_and_rows_without_entries_have_no_neighbours() -> None:
    nothing = Rows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8))
    assert all_pairs_cosine(nothing, 0, 3, THREADS).indices.shape == (0, 3)
    empty = nothing._replace(indptr=np.zeros(5, np.int64))
    for threads in (1, THREADS):
        indices, similarities = all_pairs_cosine(empty, 7, 3, threads)
        assert (indices == -1).all()
        assert (similarities == 0.0).all()


@given(matrices(max_rows=20), st.integers(1, 5))
def test_work_is_cut_into_contiguous_parts_that_cover_all_rows(matrix: tuple[Rows, int], parts: int) -> None:
    rows, n_columns = matrix
    bounds = equal_work(rows, transpose(rows, n_columns), parts)
    assert bounds.size == parts + 1
    assert (bounds[0], bounds[-1]) == (0, rows.n_rows)
    assert (np.diff(bounds) >= 0).all()


def test_a_part_with_costly_rows_has_fewer_of_them() -> None:
    dense = np.zeros((400, 200), np.uint8)
    dense[:100] = 255
    bounds = equal_work(rows_from_dense(dense), transpose(rows_from_dense(dense), 200), 2)
    assert 50 <= bounds[1] < 100


def test_numba_has_as_many_threads_afterwards_as_before() -> None:
    before = numba.get_num_threads()
    all_pairs_cosine(SQUARE, 4, 2, THREADS)
    assert numba.get_num_threads() == before


@pytest.mark.parametrize(
    ("n_columns", "k", "threads", "complaint"),
    [
        (4, 0, 1, "k: expected at least 1, got 0"),
        (4, 1, 0, "threads: expected 1 to"),
        (4, 1, 10_000, "threads: expected 1 to .*, got 10000"),
        (3, 1, 1, r"indices: 3 at position 3 is not in 0\.\.2"),
    ],
)
def test_a_bad_argument_is_refused_by_name(n_columns: int, k: int, threads: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}"):
        all_pairs_cosine(SQUARE, n_columns, k, threads)

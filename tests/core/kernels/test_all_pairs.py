import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.all_pairs import inverse_norms, nearest_rows
from core.sparse import Rows, transpose
from tests import oracles
from tests.strategies import dense_matrices, rows_from_dense


def lists_of(rows: Rows, n_columns: int, first: int, last: int, k: int) -> list[list[tuple[int, float]]]:
    """(row, similarity) of the neighbours of rows first…last-1."""
    indices, similarities = np.full((rows.n_rows, k), -1, np.int32), np.zeros((rows.n_rows, k), np.float32)
    norms = inverse_norms(rows.indptr, rows.weights)
    nearest_rows(first, last, rows, transpose(rows, n_columns), norms, indices, similarities)
    assert (np.delete(indices, range(first, last), axis=0) == -1).all()
    return [
        [(int(other), float(cosine)) for other, cosine in zip(*line, strict=True)]
        for line in zip(indices[first:last], similarities[first:last], strict=True)
    ]


@given(dense_matrices())
def test_inverse_norms_are_those_of_the_dense_rows_and_zero_for_empty_ones(dense: np.ndarray) -> None:
    rows = rows_from_dense(dense)
    norms = np.linalg.norm(dense.astype(np.float64), axis=1)
    expected = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    np.testing.assert_array_equal(inverse_norms(rows.indptr, rows.weights), expected.astype(np.float32))


def test_the_norm_of_a_row_longer_than_16_bits_count_is_exact() -> None:
    n = 70_000
    inverse = inverse_norms(np.array([0, n], np.int64), np.full(n, 255, np.uint8))
    assert inverse[0] == np.float32(1.0 / np.sqrt(n * 255**2))


@given(st.integers(1, 255))
def test_a_row_with_one_entry_has_its_weight_as_norm(weight: int) -> None:
    inverse = inverse_norms(np.array([0, 1], np.int64), np.array([weight], np.uint8))
    assert inverse[0] == np.float32(1.0 / weight)


@pytest.mark.parametrize("order", [1, -1])
def test_of_more_candidates_than_are_held_at_once_the_best_are_kept_whatever_their_order(order: int) -> None:
    weights = (np.arange(1_500) % 255 + 1)[::order]
    rows = rows_from_dense(np.stack([weights, np.full_like(weights, 100)], axis=1).astype(np.uint8))
    assert lists_of(rows, 2, 0, 2, 7) == oracles.all_pairs_cosine_of(rows, [0, 1], 7)


def test_more_entries_than_16_bits_count() -> None:
    rng = np.random.default_rng(0)
    dense = rng.integers(1, 256, (700, 120)).astype(np.uint8)
    dense[rng.random(dense.shape) < 0.2] = 0
    dense[-2:, 12:] = 0
    rows = rows_from_dense(dense)
    assert rows.indices.size > 65_536
    assert lists_of(rows, 120, 698, 700, 20) == oracles.all_pairs_cosine_of(rows, [698, 699], 20)

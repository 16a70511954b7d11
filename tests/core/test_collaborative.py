import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.collaborative import CollaborativeSettings, fit_neighbourhood, scale
from core.sparse import Rows, check_rows
from tests.strategies import dense_from_rows, dense_matrices, rows_from_dense


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("neighbours", 0),
        ("posting_cap", 0),
        ("posting_cap", -1),
        ("rarity", -0.01),
        ("rarity", 1.01),
        ("rarity", math.nan),
        ("activity", 2.0),
        ("activity", math.nan),
        ("popularity_discount", -1.0),
        ("popularity_discount", math.inf),
        ("amplification", 0.5),
        ("amplification", 1.25),
        ("amplification", math.nan),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{setting}: expected .*, got {value}"):
        CollaborativeSettings(**{setting: value})


@pytest.mark.parametrize(
    ("setting", "value"),
    [("neighbours", 1), ("posting_cap", 1), ("posting_cap", None), ("rarity", 0.0), ("activity", 1.0)],
)
def test_the_ends_of_a_range_are_allowed(setting: str, value: Any) -> None:
    assert getattr(CollaborativeSettings(**{setting: value}), setting) == value


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CollaborativeSettings().neighbours = 5  # type: ignore[misc]


@pytest.mark.parametrize(("amplification", "half_powers"), [(1.0, 2), (1.5, 3), (2.0, 4)])
def test_kernels_take_the_amplification_in_halves(amplification: float, half_powers: int) -> None:
    assert CollaborativeSettings(amplification=amplification).half_powers == half_powers


@given(dense_matrices())
def test_without_a_cap_the_postings_are_the_transposed_preferences(dense: np.ndarray) -> None:
    settings = CollaborativeSettings(posting_cap=None)
    savers = fit_neighbourhood(rows_from_dense(dense), dense.shape[1], settings).savers
    check_rows(savers, dense.shape[0])
    np.testing.assert_array_equal(dense_from_rows(savers, dense.shape[0]), dense.T)


@given(dense_matrices(), st.integers(1, 5), st.integers(0, 3))
def test_a_cap_keeps_so_many_savers_of_each_event_with_their_preferences(
    dense: np.ndarray, cap: int, seed: int
) -> None:
    settings = CollaborativeSettings(posting_cap=cap, seed=seed)
    savers = fit_neighbourhood(rows_from_dense(dense), dense.shape[1], settings).savers
    check_rows(savers, dense.shape[0])
    np.testing.assert_array_equal(np.diff(savers.indptr), np.minimum((dense > 0).sum(axis=0), cap))
    kept = dense_from_rows(savers, dense.shape[0])
    np.testing.assert_array_equal(kept, np.where(kept > 0, dense.T, 0))


def test_the_seed_chooses_the_sample() -> None:
    liked = rows_from_dense(np.full((50, 3), 255, np.uint8))
    first, again, other = (
        fit_neighbourhood(liked, 3, CollaborativeSettings(posting_cap=10, seed=seed)).savers.indices.tolist()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@given(dense_matrices(), st.one_of(st.none(), st.integers(1, 3)))
def test_masses_are_the_sums_of_all_preferences_whatever_the_cap(dense: np.ndarray, cap: int | None) -> None:
    fitted = fit_neighbourhood(rows_from_dense(dense), dense.shape[1], CollaborativeSettings(posting_cap=cap))
    sums = dense.astype(np.int64)
    np.testing.assert_array_equal(fitted.user_masses, (sums.sum(axis=1) / 255).astype(np.float32))
    np.testing.assert_array_equal(fitted.event_masses, (sums.sum(axis=0) / 255).astype(np.float32))
    assert fitted.user_masses.dtype == fitted.event_masses.dtype == np.float32


def test_masses_of_more_entries_than_16_bits_count_are_exact() -> None:
    fitted = fit_neighbourhood(
        rows_from_dense(np.full((70_000, 1), 255, np.uint8)), 1, CollaborativeSettings()
    )
    assert fitted.event_masses.tolist() == [70_000.0]
    assert (fitted.user_masses == 1.0).all()


def test_preferences_that_are_no_matrix_of_these_events_are_refused() -> None:
    liked = Rows(np.array([0, 1], np.int64), np.array([3], np.int32), np.array([255], np.uint8))
    with pytest.raises(ValueError, match=r"indices: 3 at position 0 is not in 0\.\.2"):
        fit_neighbourhood(liked, 3, CollaborativeSettings())


@given(st.lists(st.floats(0, 1e6, width=32)), st.floats(0, 1))
def test_a_scale_is_a_negative_power_of_a_mass_of_at_least_one(masses: list[float], exponent: float) -> None:
    scales = scale(np.array(masses, np.float32), exponent)
    assert scales.dtype == np.float32
    np.testing.assert_allclose(scales, [max(mass, 1.0) ** -exponent for mass in masses], rtol=1e-6)

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import sites
from bench.sites import load_site, synthetic_site
from core.all_pairs import all_pairs_cosine
from core.sparse import check_pairs, check_rows, entry_rows
from tests.strategies import rows_from_dense

GOOD: dict[str, Any] = {
    "train_indptr": np.array([0, 2, 3], np.int32),
    "train_indices": np.array([0, 2, 1], np.int32),
    "test_indptr": np.array([0, 0, 1], np.int32),
    "test_indices": np.array([2], np.int32),
    "shape": np.array([2, 3]),
}


def saved(directory: Path, **arrays: Any) -> Path:
    """A file of the good arrays with some replaced, or left out for None."""
    path = directory / "site.npz"
    np.savez(path, **{name: array for name, array in (GOOD | arrays).items() if array is not None})
    return path


def test_a_file_becomes_a_training_and_a_test_matrix(tmp_path: Path) -> None:
    site = load_site(saved(tmp_path))
    check_rows(site.train, site.n_events)
    check_pairs(site.test, site.n_events)
    assert site.n_events == 3
    assert (site.train.indptr.tolist(), site.train.indices.tolist()) == ([0, 2, 3], [0, 2, 1])
    assert site.train.weights.tolist() == [255, 255, 255]
    assert (site.test.indptr.tolist(), site.test.indices.tolist()) == ([0, 0, 1], [2])


def test_a_file_without_a_test_split_has_an_empty_one(tmp_path: Path) -> None:
    site = load_site(saved(tmp_path, test_indptr=None, test_indices=None))
    assert site.test.indptr.tolist() == [0, 0, 0]


def test_without_a_file_the_one_that_the_environment_names_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(saved(tmp_path)))
    assert load_site(None).n_events == 3


def test_without_any_file_the_site_is_synthetic_with_a_fifth_held_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BENCH_DATA", raising=False)
    monkeypatch.setattr(sites, "GOWALLA", (200, 150, 3_000))
    site = load_site(None)
    assert (site.train.n_rows, site.n_events) == (200, 150)
    assert site.train.indices.size + site.test.indices.size == 3_000
    assert site.test.indices.size == pytest.approx(600, rel=0.1)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"shape": None}, "shape: missing"),
        ({"train_indices": None}, "train_indices: missing"),
        ({"test_indptr": None}, "test_indptr: missing"),
        ({"shape": np.array([2, 3, 4])}, r"shape: expected users and events, got \[2, 3, 4\]"),
        ({"shape": np.array([3, 3])}, "train_indptr: 2 rows for 3 users"),
        ({"test_indptr": np.array([0, 1])}, "test_indptr: 1 rows for 2 users"),
        ({"shape": np.array([2, 2])}, r"train_indices: 2 at position 1 is not in 0\.\.1"),
        ({"train_indices": np.array([2, 0, 1])}, "train_indices: 0 at position 1 .* does not ascend"),
        ({"train_indices": np.array([0, 2])}, "train_indptr: must run from 0 to the number of indices, 2"),
        (
            {"train_indices": np.array([0.0, 2.0, 1.0])},
            "train_indices: expected .* integers, got 1 of float64",
        ),
        ({"train_indptr": np.array([[0, 2, 3]])}, "train_indptr: expected .* integers, got 2 of int64"),
        ({"train_indices": np.array([0, 2**31, 1])}, "train_indices: values do not fit int32"),
        ({"shape": np.array([2, "x"], object)}, "Object arrays cannot be loaded"),
    ],
)
def test_a_file_of_another_shape_is_refused_by_file_and_array(
    tmp_path: Path, arrays: dict[str, Any], complaint: str
) -> None:
    path = saved(tmp_path, **arrays)
    with pytest.raises(ValueError, match=rf"^{path}: {complaint}"):
        load_site(path)


def test_a_file_that_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    text, array = tmp_path / "site.csv", tmp_path / "site.npy"
    text.write_text("user_id,event_id\n")
    np.save(array, np.arange(3))
    for path in (text, array):
        with pytest.raises(ValueError, match=f"^{path}: "):
            load_site(path)


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_site(tmp_path / "none.npz")


def test_a_synthetic_site_has_exactly_so_many_likes_and_is_the_same_for_the_same_seed() -> None:
    first, again, other = (synthetic_site(300, 400, 6_000, seed) for seed in (1, 1, 2))
    check_rows(first, 400)
    assert (first.n_rows, first.indices.size) == (300, 6_000)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.indices, other.indices)


def test_in_a_synthetic_site_a_few_people_and_events_have_many_likes() -> None:
    rows = synthetic_site(3_000, 2_000, 60_000, seed=0)
    for counts in (np.diff(rows.indptr), np.bincount(rows.indices, minlength=2_000)):
        most_active_tenth = np.sort(counts)[-counts.size // 10 :]
        assert 0.2 < most_active_tenth.sum() / 60_000 < 0.8


def test_in_a_synthetic_site_people_resemble_each_other_more_than_by_chance() -> None:
    n_users, n_events = 1_000, 2_000
    rows = synthetic_site(n_users, n_events, 20_000, seed=0)
    by_chance = np.zeros((n_users, n_events), np.uint8)
    by_chance[entry_rows(rows), np.random.default_rng(0).permutation(rows.indices)] = 255
    nearest, nearest_by_chance = (
        all_pairs_cosine(matrix, n_events, 5).similarities.mean()
        for matrix in (rows, rows_from_dense(by_chance))
    )
    assert nearest > 1.3 * nearest_by_chance


@pytest.mark.parametrize("n_interactions", [-1, 601])
def test_a_synthetic_site_that_would_be_too_dense_is_refused(n_interactions: int) -> None:
    with pytest.raises(ValueError, match=f"^n_interactions: expected .*, got {n_interactions}"):
        synthetic_site(60, 100, n_interactions, seed=0)


def test_a_synthetic_site_may_be_empty() -> None:
    rows = synthetic_site(0, 0, 0, seed=0)
    assert (rows.n_rows, rows.indices.size) == (0, 0)

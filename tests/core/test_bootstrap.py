import numpy as np
import pytest

from core import bootstrap
from core.bootstrap import percentile_interval, resampled_sums

RNG = np.random.default_rng(5)


def test_the_interval_of_a_mean_is_that_of_the_normal_theory_for_many_people():
    values = RNG.exponential(size=(1, 2_000))

    low, high = percentile_interval(resampled_sums(values, seed=1, resamples=4_000)[0] / 2_000)

    half = 1.96 * values.std() / np.sqrt(2_000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    truth, covered = 0.3, 0
    for seed in range(200):
        hits = (np.random.default_rng(1_000 + seed).random((1, 80)) < truth).astype(np.float64)
        low, high = percentile_interval(resampled_sums(hits, seed, 300)[0] / 80)
        covered += low <= truth <= high

    assert 0.89 <= covered / 200 <= 0.99


def test_all_rows_share_the_people_of_a_resample():
    one = RNG.random(50)

    sums = resampled_sums(np.stack([one, 3.0 * one, np.ones(50)]), seed=2, resamples=100)

    assert np.allclose(sums[1], 3.0 * sums[0])
    assert np.array_equal(sums[2], np.full(100, 50.0))


def test_a_seed_gives_one_result_whatever_is_drawn_at_once(monkeypatch):
    values = RNG.random((2, 30))
    at_once = resampled_sums(values, seed=3, resamples=64)

    monkeypatch.setattr(bootstrap, "_MOST_DRAWS", 7 * 30)
    assert np.allclose(resampled_sums(values, seed=3, resamples=64), at_once)
    assert not np.allclose(resampled_sums(values, seed=4, resamples=64), at_once)


def test_one_person_is_always_the_same_sample():
    assert percentile_interval(resampled_sums(np.array([[0.25]]), seed=0, resamples=10)[0]) == (0.25, 0.25)

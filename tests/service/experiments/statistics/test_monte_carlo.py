"""Thousands of invented experiments whose truth is known. Seeds are fixed, so each test's figure is always the same.

The standard error of a rate of 0.05 over 4,000 experiments is 0.0034.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from operator import add

import numpy as np
import pytest

from service.experiments.statistics.effects import Effect, difference, lift
from service.experiments.statistics.estimates import Side, adjusted, plain, theta_of
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.mismatch import ALARM, Spread, mismatch_p_value
from service.experiments.statistics.moments import Moments
from tests.service.experiments.statistics.populations import (
    BEFORE,
    MEAN,
    PROPORTION,
    RATIO,
    draw,
    experiments,
    moments_of,
)

RUNS = 4_000
Sides = Callable[[Metric, Moments, Moments], tuple[Side, Side]]


def as_it_is(metric: Metric, control: Moments, variant: Moments) -> tuple[Side, Side]:
    return plain(metric, control), plain(metric, variant)


def after_cuped(metric: Metric, control: Moments, variant: Moments) -> tuple[Side, Side]:
    theta = theta_of(metric, BEFORE, [(control, variant)])
    return adjusted(metric, control, theta, BEFORE), adjusted(metric, variant, theta, BEFORE)


def difference_of(sides: tuple[Side, Side]) -> Effect:
    return difference(*sides, 0.05, 5_000)


def lift_of(sides: tuple[Side, Side]) -> Effect:
    return lift(*sides, 0.05, 5_000)


@cache
def identical(metric: Metric) -> Sequence[tuple[Moments, Moments]]:
    return experiments(12, metric, RUNS, 500)


@pytest.mark.parametrize(
    ("metric", "sides"),
    [(PROPORTION, as_it_is), (RATIO, as_it_is), (MEAN, after_cuped), (RATIO, after_cuped)],
    ids=["proportion", "ratio", "mean after CUPED", "ratio after CUPED"],
)
def test_identical_variants_differ_significantly_in_one_of_twenty_experiments(metric: Metric, sides: Sides):
    found = [difference_of(sides(metric, *pair)).p_value < 0.05 for pair in identical(metric)]
    assert np.mean(found[:2_000]) == pytest.approx(0.05, abs=0.01)
    assert np.mean(found) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("metric", [PROPORTION, MEAN, RATIO], ids=["proportion", "mean", "ratio"])
def test_intervals_hold_the_truth_in_nineteen_of_twenty_experiments(metric: Metric):
    true_lift = 0.2
    [everyone] = moments_of(draw(np.random.default_rng(7), metric, (1, 2_000_000), 0.0))
    base = plain(metric, everyone).value
    drawn = experiments(3, metric, RUNS, 800, true_lift)
    for sides in (as_it_is, after_cuped):
        for effect_of, truth in ((difference_of, true_lift * base), (lift_of, true_lift)):
            found = [effect_of(sides(metric, *pair)) for pair in drawn]
            assert np.mean([one.low <= truth <= one.high for one in found]) == pytest.approx(0.95, abs=0.01)
            # The median, since a quotient's mean is a little above the quotient of the means.
            assert np.median([one.estimate for one in found]) == pytest.approx(truth, rel=0.03)


@pytest.mark.parametrize("metric", [PROPORTION, RATIO], ids=["proportion", "ratio"])
def test_looking_twenty_times_finds_a_difference_between_identical_variants_in_at_most_one_of_twenty(
    metric: Metric,
):
    looks, runs = 20, 2_000
    by_look = [experiments(100 + look, metric, runs, 100) for look in range(looks)]
    fooled_always = fooled_once = 0
    for run in range(runs):
        controls = accumulate([look[run][0] for look in by_look], add)
        variants = accumulate([look[run][1] for look in by_look], add)
        seen = [
            difference(*as_it_is(metric, a, b), 0.05, 2_000) for a, b in zip(controls, variants, strict=True)
        ]
        outside = [not one.sequential_low <= 0.0 <= one.sequential_high for one in seen]
        assert outside == [one.sequential_p_value < 0.05 for one in seen]
        fooled_always += any(outside)
        fooled_once += any(one.p_value < 0.05 for one in seen)
    assert fooled_always / runs <= 0.05
    assert fooled_once / runs > 0.2, "which is what the interval for one look would make of it"


def test_after_cuped_the_interval_of_a_large_lift_is_neither_too_wide_nor_too_narrow():
    """The divisor varies more than the adjusted control does, and moves with it: its covariance matters here."""
    true_lift, runs, held = 2.0, RUNS, 0
    rng = np.random.default_rng(23)
    before = rng.normal(10.0, 3.0, (runs, 2, 300))
    y = before + rng.normal(0.0, 1.0, before.shape)
    y[:, 1] *= 1.0 + true_lift
    tables = np.stack([y, np.ones_like(y), before], axis=-1)
    for control, variant in zip(moments_of(tables[:, 0]), moments_of(tables[:, 1]), strict=True):
        one = lift_of(after_cuped(MEAN, control, variant))
        held += one.low <= true_lift <= one.high
    assert held / runs == pytest.approx(0.95, abs=0.01)


def test_cuped_halves_the_variance_that_half_is_explained_by_what_people_did_before():
    rng = np.random.default_rng(1)
    before = rng.normal(0.0, 1.0, (2, 50_000))
    tables = np.stack([before + rng.normal(0.0, 1.0, before.shape), np.ones_like(before), before], axis=-1)
    sides = after_cuped(MEAN, *moments_of(tables))
    assert sides[1].adjusted_variance / sides[1].variance == pytest.approx(0.5, abs=0.02)


def test_fifty_to_fifty_three_is_found_at_fifty_thousand_people_and_chance_is_not():
    rng = np.random.default_rng(2)

    def alarms(share: float, runs: int) -> float:
        counts = rng.binomial(50_000, share, runs).tolist()
        spreads = [Spread({"a": n, "b": 50_000 - n}, {"a": 0.5, "b": 0.5}) for n in counts]
        return float(np.mean([mismatch_p_value([spread]) < ALARM for spread in spreads]))

    assert alarms(50 / 103, 2_000) == pytest.approx(1.0, abs=0.002)
    assert alarms(0.5, 20_000) == pytest.approx(0.001, abs=0.001)

import math

import numpy as np
import pytest

from service.experiments.statistics.power import (
    Baseline,
    always_critical_value,
    plan,
    power_of,
    smallest_difference,
)
from service.experiments.statistics.sequential import critical_value, mixture_variance

# statsmodels 0.15: NormalIndPower().solve_power(effect_size, alpha=alpha, power=power, ratio=ratio), people in the
# first group, without the few in the other tail.
STATSMODELS = [(0.05, 0.05, 0.8, 1.0, 6279.1), (0.1, 0.01, 0.9, 2.0, 2231.9), (0.2, 0.05, 0.95, 0.5, 974.6)]


@pytest.mark.parametrize(("size", "alpha", "power", "ratio", "expected"), STATSMODELS)
def test_one_look_needs_as_many_people_as_statsmodels_says(size, alpha, power, ratio, expected):
    found = plan(Baseline(1.0, 1.0), size, (1.0, ratio), alpha=alpha, power=power)
    assert found.people_one_look == pytest.approx(expected * (1.0 + ratio), rel=2e-4)


def test_the_planned_size_finds_the_effect_as_often_as_planned():
    rng, rate, effect, runs = np.random.default_rng(5), 0.2, 0.15, 20_000
    found = plan(Baseline.proportion(rate), effect)
    for people, critical in (
        (found.people, always_critical_value(0.05)),
        (found.people_one_look, 1.959964),
    ):
        n = people / 2
        a = rng.binomial(int(n), rate, runs) / n
        b = rng.binomial(int(n), rate * (1 + effect), runs) / n
        z = (b - a) / np.sqrt((a * (1 - a) + b * (1 - b)) / n)
        assert np.mean(z > critical) == pytest.approx(0.8, abs=0.01)


def test_the_size_is_that_at_which_power_and_smallest_difference_come_out_as_planned():
    baseline = Baseline(3.0, 2.0)
    found = plan(baseline, -0.1, (2.0, 1.0, 1.0), comparisons=4, power=0.9)
    error = baseline.standard_deviation * math.sqrt((4 / 2 + 4 / 1) / found.people)
    critical = always_critical_value(0.05 / 4)
    assert power_of(found.difference, error, critical) == pytest.approx(0.9, abs=1e-3)
    assert smallest_difference(error, critical, 0.9) == pytest.approx(0.3, rel=1e-3)
    assert sum(found.per_variant) == pytest.approx(found.people, abs=3)


def test_looking_at_any_time_costs_people_and_days_are_rounded_up():
    found = plan(Baseline.proportion(0.1), 0.1, people_a_day=1_000)
    assert 1.8 < found.people / found.people_one_look < 2.0
    assert found.days == math.ceil(found.people / 1_000)


def test_more_comparisons_and_smaller_effects_need_more_people():
    one = plan(Baseline.proportion(0.1), 0.1)
    assert plan(Baseline.proportion(0.1), 0.1, comparisons=6).people > one.people
    assert plan(Baseline.proportion(0.1), 0.05).people == pytest.approx(4 * one.people, rel=0.05)


def test_the_interval_for_every_look_is_narrowest_about_the_size_that_it_is_tuned_for():
    rho2 = mixture_variance(0.05, 1_000)
    width = {n: critical_value(n * rho2, 0.05) / math.sqrt(n) for n in (250, 1_000, 4_000)}
    tuned_elsewhere = {
        n: critical_value(n * mixture_variance(0.05, 8_000), 0.05) / math.sqrt(n) for n in width
    }
    assert width[1_000] < tuned_elsewhere[1_000]
    assert width[250] > width[1_000] > width[4_000]
    assert always_critical_value(0.05) == pytest.approx(critical_value(1_000 * rho2, 0.05))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"effect": 0.0}, "effect: "),
        ({"baseline": Baseline(0.0, 1.0)}, "effect: "),
        ({"baseline": Baseline(1.0, 0.0)}, "standard_deviation: "),
        ({"baseline": Baseline.proportion(0.6), "effect": 0.7}, "effect: "),
        ({"weights": (1.0,)}, "weights: "),
        ({"weights": (0.0, 1.0)}, "weights: "),
        ({"comparisons": 0}, "comparisons: "),
        ({"power": 1.0}, "power: "),
        ({"alpha": math.nan}, "alpha: "),
    ],
)
def test_what_cannot_be_planned_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        plan(**{"baseline": Baseline.proportion(0.1), "effect": 0.1, **change})


def test_a_proportion_lies_between_none_and_all():
    with pytest.raises(ValueError, match="baseline"):
        Baseline.proportion(1.0)

"""What holds for any people."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.experiments.statistics.effects import difference, lift
from service.experiments.statistics.errors import NotComputableError
from service.experiments.statistics.estimates import Side, adjusted, plain, theta_of, weighted
from service.experiments.statistics.holm import holm
from service.experiments.statistics.metrics import COLUMNS, METRICS
from service.experiments.statistics.mismatch import Spread, mismatch_p_value
from service.experiments.statistics.moments import Moments
from tests.service.experiments.statistics.populations import (
    BEFORE,
    MEAN,
    PROPORTION,
    RATIO,
    experiments,
    moments_from_sums,
)

TABLES = arrays(
    np.float64, st.tuples(st.integers(0, 30), st.just(3)), elements=st.floats(-1e3, 1e3, width=32)
)
P_VALUES = st.dictionaries(st.integers(0, 50), st.floats(0.0, 1.0), min_size=1, max_size=10)


def same(one: Moments, other: Moments) -> None:
    assert one.n == other.n
    np.testing.assert_allclose(one.means, other.means, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.comoments, other.comoments, rtol=1e-9, atol=1e-3)


@given(TABLES, TABLES)
def test_the_moments_of_parts_add_up_to_those_of_the_whole(one, other):
    same(Moments.of(one) + Moments.of(other), Moments.of(np.vstack([one, other])))


@given(TABLES, TABLES, TABLES)
def test_in_whatever_order_they_are_added(a, b, c):
    parts = [Moments.of(table) for table in (a, b, c)]
    same((parts[0] + parts[1]) + parts[2], parts[2] + (parts[1] + parts[0]))


def test_a_small_spread_far_from_zero_does_not_cancel():
    values = 1e8 + np.array([[0.0], [1.0], [2.0]])
    total = sum((Moments.of(values[n : n + 1]) for n in range(3)), Moments.none(1))
    assert total.comoments[0, 0] == pytest.approx(2.0)


def test_sums_of_squares_come_to_the_same():
    table = np.random.default_rng(1).normal(size=(50, 3))
    same(moments_from_sums(50, table.sum(axis=0).tolist(), table.T @ table), Moments.of(table))


@given(P_VALUES, st.integers(0, 20))
def test_holm_keeps_the_order_and_lies_between_the_raw_p_and_bonferronis(p_values, comparisons):
    corrected, count = holm(p_values, comparisons), max(comparisons, len(p_values))
    assert list(corrected) == list(p_values)
    for name, p in p_values.items():
        assert p <= corrected[name] <= min(1.0, count * p)
        assert all(corrected[name] <= corrected[other] for other, q in p_values.items() if p < q)
    smallest = min(p_values, key=lambda name: p_values[name])
    assert corrected[smallest] == min(1.0, count * p_values[smallest])


def test_holm_as_statsmodels_has_it():
    # statsmodels.stats.multitest.multipletests([0.01, 0.04, 0.03, 0.005], method="holm")
    found = holm(dict(enumerate([0.01, 0.04, 0.03, 0.005])))
    assert list(found.values()) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def pair(seed: int = 8, metric=RATIO, n: int = 400) -> tuple[Moments, Moments]:
    [found] = experiments(seed, metric, 1, n, 0.1)
    return found


def scaled(people: Moments, by: list[float], shift: list[float]) -> Moments:
    factor = np.array(by)
    return Moments(people.n, people.means * factor + shift, people.comoments * np.outer(factor, factor))


@pytest.mark.parametrize("metric", [MEAN, RATIO])
def test_another_unit_changes_no_lift_and_no_p(metric):
    control, variant = pair()
    one = lift(plain(metric, control), plain(metric, variant), 0.05, 5_000)
    factors = [1_000.0, 1.0, 1.0]
    sides = [plain(metric, scaled(people, factors, [0.0] * 3)) for people in (control, variant)]
    assert lift(*sides, 0.05, 5_000) == pytest.approx(one)
    assert difference(*sides, 0.05, 5_000).p_value == pytest.approx(
        difference(plain(metric, control), plain(metric, variant), 0.05, 5_000).p_value
    )


@pytest.mark.parametrize("metric", [MEAN, RATIO])
def test_cuped_does_not_see_from_where_or_in_what_unit_the_past_is_counted(metric):
    found = []
    for by, shift in ((1.0, 0.0), (60.0, 0.0), (1.0, 500.0)):
        people = [scaled(one, [1.0, 1.0, by], [0.0, 0.0, shift]) for one in pair()]
        theta = theta_of(metric, BEFORE, [(people[0], people[1])])
        sides = [adjusted(metric, one, theta, BEFORE) for one in people]
        found.append((difference(*sides, 0.05, 5_000), lift(*sides, 0.05, 5_000)))
    for one in found[1:]:
        for effect, first in zip(one, found[0], strict=True):
            assert effect == pytest.approx(first, rel=1e-6)


def test_the_other_way_round_the_difference_has_the_other_sign():
    control, variant = (plain(PROPORTION, people) for people in pair(metric=PROPORTION))
    one, other = difference(control, variant, 0.05, 5_000), difference(variant, control, 0.05, 5_000)
    assert (other.estimate, other.low, other.high) == pytest.approx((-one.estimate, -one.high, -one.low))
    assert (other.p_value, other.sequential_p_value) == pytest.approx((one.p_value, one.sequential_p_value))


def test_a_single_stratum_is_the_pooled_estimate():
    side = plain(RATIO, pair()[0])
    assert weighted([side], [1.0]) == side


def test_the_interval_for_every_look_is_wider_than_that_for_one():
    one = difference(*(plain(RATIO, people) for people in pair()), 0.05, 5_000)
    assert one.sequential_low < one.low < one.high < one.sequential_high
    assert one.p_value < one.sequential_p_value


def test_a_p_too_small_for_a_float_is_none_that_overflows():
    sides = [Side(value, value, 1e-12, 1e-12, 1e-12, ((1e-12, 1_000),)) for value in (1.0, 2.0)]
    one = difference(*sides, 0.05, 5_000)
    assert (one.p_value, one.sequential_p_value) == (pytest.approx(0.0), 0.0)
    assert all(math.isfinite(figure) for figure in one)


NOBODY, ONE = Moments.none(3), Moments.of([[1.0, 2.0, 0.0]])
ALIKE = Moments.of([[0.0, 2.0, 1.0]] * 10)


@pytest.mark.parametrize(
    ("control", "message"),
    [(NOBODY, "nobody"), (ONE, "fewer than two"), (Moments.of([[0.0, 0.0, 0.0]] * 5), "divide")],
)
def test_what_cannot_be_computed_is_said_and_is_no_p_of_one(control, message):
    with pytest.raises(NotComputableError, match=message):
        plain(RATIO, control)


def test_a_variant_in_which_nobody_does_anything_can_be_compared_while_the_other_varies():
    some = plain(RATIO, pair()[0])
    none = plain(RATIO, ALIKE)
    assert difference(some, none, 0.05, 5_000).estimate == -some.value
    with pytest.raises(NotComputableError, match="control's is 0"):
        lift(none, some, 0.05, 5_000)
    with pytest.raises(NotComputableError, match="nobody differs"):
        difference(none, none, 0.05, 5_000)
    with pytest.raises(NotComputableError, match="says nothing"):
        theta_of(RATIO, BEFORE, [(ALIKE, ALIKE)])


def test_people_in_a_variant_without_weight_are_reported_and_expected_nowhere():
    spread = Spread({"a": 500, "b": 400, "c": 7}, {"a": 1.0, "b": 1.0, "c": 0.0})
    assert spread.unexpected == 7
    assert spread.expected == {"a": 450.0, "b": 450.0, "c": 0.0}
    assert mismatch_p_value([spread]) == mismatch_p_value(
        [Spread({"a": 500, "b": 400}, {"a": 1.0, "b": 1.0})]
    )


def test_each_version_of_the_map_is_held_to_its_own_weights():
    before = Spread({"a": 900, "b": 100}, {"a": 0.9, "b": 0.1})
    after = Spread({"a": 480, "b": 520}, {"a": 0.5, "b": 0.5})
    assert mismatch_p_value([before, after]) > 0.3
    pooled = Spread({"a": 1_380, "b": 620}, {"a": 0.5, "b": 0.5})
    assert mismatch_p_value([pooled]) < 1e-10
    with pytest.raises(NotComputableError, match="too few people"):
        mismatch_p_value([Spread({"a": 3, "b": 0}, {"a": 1.0, "b": 1.0})])


def test_every_metric_is_made_of_what_is_counted():
    table = np.zeros((4, len(COLUMNS)))
    table[:, COLUMNS.index("exposures")] = 2.0
    table[:, COLUMNS.index("requests")] = 2.5
    table[:, COLUMNS.index("errors")] = [0.0, 1.0, 1.0, 0.0]
    table[:, COLUMNS.index("clicks")] = [0.0, 1.0, 2.0, 3.0]
    people = Moments.of(table)
    values = {name: plain(metric, people).value for name, metric in METRICS.items()}
    assert values["click_through_rate"] == pytest.approx(0.75)
    assert values["clicks_per_person"] == pytest.approx(1.5)
    assert values["error_rate"] == pytest.approx(0.2)

"""How much a variant differs from control: estimates, 95 % intervals for one look and for every look, p values."""

import math
from typing import NamedTuple

from service.experiments.statistics import sequential
from service.experiments.statistics.distributions import student_quantile, student_two_sided
from service.experiments.statistics.errors import NotComputableError
from service.experiments.statistics.estimates import Side


class Effect(NamedTuple):
    """A difference or a lift. `low` to `high` and `p_value` hold for one look at a time fixed before (Welch's t
    test), those of `sequential_…` at every look (see `sequential`)."""

    estimate: float
    standard_error: float
    low: float
    high: float
    p_value: float
    sequential_low: float
    sequential_high: float
    sequential_p_value: float


def difference(control: Side, variant: Side, alpha: float, tuning_people: float) -> Effect:
    """Variant less control. NotComputableError when nothing varies."""
    variance = control.adjusted_variance + variant.adjusted_variance
    return _effect(variant.adjusted - control.adjusted, variance, control, variant, alpha, tuning_people)


def lift(control: Side, variant: Side, alpha: float, tuning_people: float) -> Effect:
    """The difference over control's value, with the variance by the delta method.

    NotComputableError when nothing varies, or control's value is 0. The value divided by is control's as it was;
    after CUPED it is correlated with the difference, which enters by their covariance.
    """
    base = control.value
    if base == 0.0:
        raise NotComputableError("control's is 0, so there is no relative change")
    share = (variant.adjusted - control.adjusted) / base
    variance = (
        variant.adjusted_variance
        + control.adjusted_variance
        + share**2 * control.variance
        + 2.0 * share * control.covariance
    ) / base**2
    return _effect(share, variance, control, variant, alpha, tuning_people)


def _effect(
    estimate: float, variance: float, control: Side, variant: Side, alpha: float, tuning_people: float
) -> Effect:
    if not variance > 0.0:
        raise NotComputableError("nobody differs in it")
    error, freedom = math.sqrt(variance), degrees_of_freedom(control, variant)
    width = student_quantile(1.0 - alpha / 2.0, freedom) * error
    n = control.n + variant.n
    always = sequential.half_width(variance, n, alpha, tuning_people)
    return Effect(
        estimate,
        error,
        estimate - width,
        estimate + width,
        student_two_sided(estimate / error, freedom),
        estimate - always,
        estimate + always,
        sequential.p_value(estimate, variance, n, alpha, tuning_people),
    )


def degrees_of_freedom(control: Side, variant: Side) -> float:
    """Welch and Satterthwaite's, of the absolute difference."""
    parts = [*control.parts, *variant.parts]
    total = sum(part for part, _ in parts)
    return total**2 / sum(part**2 / (n - 1) for part, n in parts)

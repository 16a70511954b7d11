"""How many people an experiment needs, and what difference so many can show.

By the normal approximation of the two-sample test: with weights w_a and w_b of control and variant and N people, the
difference has variance (s_a²/w_a + s_b²/w_b) / N, and is found with probability `power` when it is as large as
(c + z_power) of its standard errors. For one look at the end c is z_(1 - alpha/2); for intervals that hold at every
look it is what `sequential.critical_value` comes to at the planned size, for which they are tuned. With m comparisons
alpha is divided by m, Holm's first step and so the worst case.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from service.experiments.statistics.sequential import critical_value, mixture_variance

ALPHA = 0.05
POWER = 0.8
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Baseline:
    """A metric as it is in control: its mean and its standard deviation, both for one person.

    For a ratio of sums the standard deviation is that of the linearised values, as results give it. A change is taken
    to leave it as it is, but for a proportion, whose mean fixes it.
    """

    mean: float
    standard_deviation: float
    is_proportion: bool = False

    @classmethod
    def proportion(cls, rate: float) -> "Baseline":
        """Of something that a person did or did not do; ValueError unless 0 < rate < 1."""
        if not 0.0 < rate < 1.0:
            raise ValueError(f"baseline: expected a rate between 0 and 1, got {rate:g}")
        return cls(rate, math.sqrt(rate * (1.0 - rate)), is_proportion=True)

    def variance_after(self, effect: float) -> float:
        """Of one person, after a relative change."""
        rate = self.mean * (1.0 + effect)
        return rate * (1.0 - rate) if self.is_proportion else self.standard_deviation**2


@dataclass(frozen=True)
class Plan:
    """How many people take part, over all variants: `people`, for looks at any time, and `people_one_look`, for a
    single look at the end. `days` are those of `people`, None when it is not known how many come in a day.

    `per_variant` are the parts of `people`, by weight; `effect` is the relative and `difference` the absolute change
    that is found with probability `power` at level `alpha` after correction for so many `comparisons`.
    """

    people: int
    people_one_look: int
    per_variant: tuple[int, ...]
    days: int | None
    effect: float
    difference: float
    alpha: float
    power: float
    comparisons: int


def plan(
    baseline: Baseline,
    effect: float,
    weights: Sequence[float] = (1.0, 1.0),
    comparisons: int = 1,
    alpha: float = ALPHA,
    power: float = POWER,
    people_a_day: float | None = None,
) -> Plan:
    """The size at which a relative change of `effect` (0.05 is 5 %) is found in every variant.

    `weights` are control's first. ValueError names what does not fit.
    """
    _check(baseline, effect, weights, comparisons, alpha, power)
    difference = abs(effect * baseline.mean)
    level = alpha / comparisons
    total, rarest = sum(weights), min([weight for weight in weights[1:] if weight > 0.0])
    unit = total * (baseline.variance_after(0.0) / weights[0] + baseline.variance_after(effect) / rarest)
    needed = _needed(unit, difference, always_critical_value(level), power)
    one_look = _needed(unit, difference, _NORMAL.inv_cdf(1.0 - level / 2.0), power)
    return Plan(
        people=needed,
        people_one_look=one_look,
        per_variant=tuple([math.ceil(needed * weight / sum(weights)) for weight in weights]),
        days=None if people_a_day is None else math.ceil(needed / people_a_day),
        effect=effect,
        difference=difference,
        alpha=alpha,
        power=power,
        comparisons=comparisons,
    )


def always_critical_value(alpha: float) -> float:
    """Standard errors to either side of an interval that holds at every look, at the size it is tuned for."""
    return critical_value(mixture_variance(alpha, 1.0), alpha)


def smallest_difference(standard_error: float, critical: float, power: float = POWER) -> float:
    """The smallest true difference that is found with probability `power`, in the unit of its standard error."""
    return (critical + _NORMAL.inv_cdf(power)) * standard_error


def power_of(difference: float, standard_error: float, critical: float) -> float:
    """With what probability a true difference is found, on either side."""
    distance = abs(difference) / standard_error
    return _NORMAL.cdf(distance - critical) + _NORMAL.cdf(-distance - critical)


def _needed(unit: float, difference: float, critical: float, power: float) -> int:
    """People, where the difference of N people has variance `unit` / N."""
    return math.ceil(unit * ((critical + _NORMAL.inv_cdf(power)) / difference) ** 2)


def _check(
    baseline: Baseline, effect: float, weights: Sequence[float], comparisons: int, alpha: float, power: float
) -> None:
    if not (math.isfinite(effect) and effect * baseline.mean != 0.0):
        raise ValueError("effect: expected a relative change other than 0 of a baseline other than 0")
    if not (math.isfinite(baseline.standard_deviation) and baseline.standard_deviation > 0.0):
        raise ValueError("standard_deviation: expected a number above 0")
    if baseline.is_proportion and not 0.0 < baseline.mean * (1.0 + effect) < 1.0:
        raise ValueError("effect: expected one that leaves the rate between 0 and 1")
    if len(weights) < 2 or min(weights) < 0.0 or not weights[0] > 0.0 or not max(weights[1:]) > 0.0:
        raise ValueError("weights: expected control's, above 0, and those of other variants, one above 0")
    if comparisons < 1:
        raise ValueError("comparisons: expected at least 1")
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{name}: expected a number between 0 and 1, got {value:g}")

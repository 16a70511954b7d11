"""One variant's part of a comparison: a metric's value with its variance, adjusted by what people did before or not.

Every metric is, to first order, the mean of a linear form of a person's figures: the figure itself for a mean, and
(y - R x) / mean(x) for the ratio R of the sums of y and x (the delta method, for which the person is the unit although
their answers depend on one another; Deng, Knoblich, Lu: "Applying the Delta Method in Metric Analytics", KDD 2018).
CUPED takes theta times the figure from before away from it (Deng, Xu, Kohavi, Walker: "Improving the Sensitivity of
Online Controlled Experiments by Utilizing Pre-Experiment Data", WSDM 2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.experiments.statistics.errors import NotComputableError
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments, Vector


@dataclass(frozen=True)
class Side:
    """A value over some strata of people, and the variances of this estimate, not of single people.

    `adjusted` is the value less theta · the mean from before, the value itself without CUPED; `covariance` is between
    both. `parts` has for each stratum its part of `adjusted_variance` and its people: what degrees of freedom need.
    """

    value: float
    adjusted: float
    variance: float
    adjusted_variance: float
    covariance: float
    parts: tuple[tuple[float, int], ...]

    @property
    def n(self) -> int:
        return sum(people for _, people in self.parts)


def value_of(metric: Metric, people: Moments) -> float:
    """The metric of these people. NotComputableError when there is nothing to divide by."""
    if not people.n:
        raise NotComputableError("there is nobody in it")
    value = people.means[metric.numerator]
    if metric.denominator is not None:
        if not people.means[metric.denominator] > 0.0:
            raise NotComputableError("there is nothing to divide by")
        value = value / people.means[metric.denominator]
    return float(value)


def gradient_of(metric: Metric, people: Moments) -> Vector:
    """How the metric changes with the mean of each figure, float64[k]."""
    gradient = np.zeros(len(people.means))
    gradient[metric.numerator] = 1.0
    if metric.denominator is not None:
        gradient[metric.denominator] = -value_of(metric, people)
        gradient /= people.means[metric.denominator]
    return gradient


def variance_of(metric: Metric, people: Moments) -> float:
    """Of one person: of the linear form, for a proportion p the Bernoulli variance p (1 - p)."""
    if people.n < 2:
        raise NotComputableError("there are fewer than two people in it")
    divisor = people.n if metric.kind == "proportion" else people.n - 1
    gradient = gradient_of(metric, people)
    # Rounding may leave a little less than nothing where everybody is alike.
    return max(0.0, float(gradient @ people.comoments @ gradient) / divisor)


def plain(metric: Metric, people: Moments) -> Side:
    """The estimate as it is."""
    value, variance = value_of(metric, people), variance_of(metric, people) / people.n
    return Side(value, value, variance, variance, variance, ((variance, people.n),))


def theta_of(metric: Metric, before: int, strata: Sequence[tuple[Moments, Moments]]) -> float:
    """The slope of the metric on the figure at place `before`, both variants of each stratum taken together.

    NotComputableError when it cannot help: one of them does not vary.
    """
    shared = varied = spread = 0.0
    for control, variant in strata:
        both = control + variant
        gradient = gradient_of(metric, both)
        shared += float(gradient @ both.comoments[:, before])
        spread += float(gradient @ both.comoments @ gradient)
        varied += float(both.comoments[before, before])
    if not (varied > 0.0 and spread > 0.0 and shared != 0.0):
        raise NotComputableError("what people did before says nothing about it")
    return shared / varied


def adjusted(metric: Metric, people: Moments, theta: float, before: int) -> Side:
    """The estimate after CUPED."""
    value = value_of(metric, people)
    variance = variance_of(metric, people) / people.n
    plain_form = gradient_of(metric, people)
    form = plain_form.copy()
    form[before] -= theta
    scale = 1.0 / ((people.n - 1) * people.n)
    adjusted_variance = max(0.0, float(form @ people.comoments @ form) * scale)
    covariance = float(form @ people.comoments @ plain_form) * scale
    shifted = value - theta * float(people.means[before])
    return Side(value, shifted, variance, adjusted_variance, covariance, ((adjusted_variance, people.n),))


def weighted(sides: Sequence[Side], weights: Sequence[float]) -> Side:
    """One estimate from those of several strata, by weights that add up to 1 and do not depend on the variant."""
    pairs = list(zip(sides, weights, strict=True))
    return Side(
        value=sum(weight * side.value for side, weight in pairs),
        adjusted=sum(weight * side.adjusted for side, weight in pairs),
        variance=sum(weight**2 * side.variance for side, weight in pairs),
        adjusted_variance=sum(weight**2 * side.adjusted_variance for side, weight in pairs),
        covariance=sum(weight**2 * side.covariance for side, weight in pairs),
        parts=tuple([(weight**2 * part, n) for side, weight in pairs for part, n in side.parts]),
    )

"""The distributions that results need beyond the standard library's normal one: Student's t and χ².

By the continued fractions of the incomplete beta and gamma functions (Press et al.: "Numerical Recipes", 6.2 and 6.4),
since SciPy would take tens of megabytes of a serving process for these few numbers. Relative errors are below 1e-8.
"""

import math
from collections.abc import Iterable
from itertools import count
from statistics import NormalDist

_TINY = 1e-300
_ENOUGH = 1e-13
_NEWTON_STEPS = 200
_FEW = 30.0


def student_two_sided(t: float, degrees_of_freedom: float) -> float:
    """The probability of a value at least as far from 0 as `t`, of Student's t."""
    freedom = degrees_of_freedom
    return _incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t), t * t / (freedom + t * t))


def student_quantile(probability: float, degrees_of_freedom: float) -> float:
    """The value below which Student's t lies with that probability, which is above 1/2; by Newton's method."""
    tails, t = 2.0 * (1.0 - probability), _first_quantile(probability, degrees_of_freedom)
    for _ in range(_NEWTON_STEPS):
        step = (student_two_sided(t, degrees_of_freedom) - tails) / (2.0 * _density(t, degrees_of_freedom))
        t += step
        # The error after a step is about the square of the step.
        if abs(step) < 1e-6 * t:
            break
    return t


def _first_quantile(probability: float, freedom: float) -> float:
    """By the Cornish-Fisher expansion; for few degrees of freedom the normal quantile.

    That one is below the root, where the tail is convex, so that Newton's steps never overshoot.
    """
    z = NormalDist().inv_cdf(probability)
    if freedom < _FEW:
        return z
    z2 = z * z
    first, second = z * (z2 + 1.0) / 4.0, z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0
    return z + first / freedom + second / freedom**2


def chi_squared_above(x: float, degrees_of_freedom: float) -> float:
    """The probability of a value above `x`, of χ²."""
    shape, half = degrees_of_freedom / 2.0, x / 2.0
    if half <= 0.0:
        return 1.0
    scale = math.exp(shape * math.log(half) - half - math.lgamma(shape))
    if half < shape + 1.0:
        return 1.0 - scale * _gamma_series(shape, half)
    return scale * _fraction(half + 1.0 - shape, _gamma_terms(shape, half))


def _density(t: float, freedom: float) -> float:
    log_scale = math.lgamma((freedom + 1.0) / 2.0) - math.lgamma(freedom / 2.0)
    log_scale -= math.log(freedom * math.pi) / 2.0
    return math.exp(log_scale - (freedom + 1.0) / 2.0 * math.log1p(t * t / freedom))


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """The regularised one at x; `rest` is 1 - x, given for where the subtraction would cancel."""
    if x <= 0.0 or rest <= 0.0:
        return float(rest <= 0.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _incomplete_beta(b, a, rest, x)
    log_scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    return math.exp(log_scale) / a * _fraction(1.0, _beta_terms(a, b, x))


def _beta_terms(a: float, b: float, x: float) -> Iterable[tuple[float, float]]:
    yield -(a + b) * x / (a + 1.0), 1.0
    for m in count(1):
        yield m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m)), 1.0
        yield -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0)), 1.0


def _gamma_terms(shape: float, x: float) -> Iterable[tuple[float, float]]:
    return ((-n * (n - shape), x + 2 * n + 1.0 - shape) for n in count(1))


def _gamma_series(shape: float, x: float) -> float:
    term = total = 1.0 / shape
    for n in count(1):
        term *= x / (shape + n)
        total += term
        if term < total * _ENOUGH:
            break
    return total


def _fraction(first: float, terms: Iterable[tuple[float, float]]) -> float:
    """1 / (first + a1 / (b1 + a2 / (b2 + …))) for the terms (a, b), by Lentz's method."""
    above, below = 1.0 / _TINY, 1.0 / first
    value = below
    for a, b in terms:
        below = 1.0 / (a * below + b or _TINY)
        above = b + a / above or _TINY
        change = above * below
        value *= change
        if abs(change - 1.0) < _ENOUGH:
            break
    return value

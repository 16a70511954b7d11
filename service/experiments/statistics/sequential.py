"""Intervals that hold at every look: asymptotic confidence sequences.

Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: "Time-uniform central limit theory and asymptotic confidence sequences"
(2023, https://arxiv.org/abs/2103.06476v7); equations by the numbers there. GrowthBook's engine uses the same ones.
"""

from math import exp, log, sqrt

#: The number of people, both variants together, at which the intervals are narrowest unless a size was planned.
TUNING_PEOPLE = 5_000.0


def half_width(variance: float, n: float, alpha: float, tuning_people: float) -> float:
    """Half the width of the interval around an estimate with that variance, from n people (equation 9)."""
    information = n * mixture_variance(alpha, tuning_people)
    return sqrt(variance) * critical_value(information, alpha)


def critical_value(information: float, alpha: float) -> float:
    """How many standard errors the interval reaches to either side; `information` is n · rho²."""
    return sqrt(2.0 * (information + 1.0) * log(sqrt(information + 1.0) / alpha) / information)


def p_value(estimate: float, variance: float, n: float, alpha: float, tuning_people: float) -> float:
    """The always-valid p of no difference: the inverse of the mixture's e-value (equation 155), at most 1."""
    information = n * mixture_variance(alpha, tuning_people)
    evidence = information * estimate * estimate / (2.0 * variance * (information + 1.0))
    # The exponent keeps its sign small where the e-value itself would overflow.
    return min(1.0, exp(0.5 * log(information + 1.0) - evidence))


def mixture_variance(alpha: float, tuning_people: float) -> float:
    """rho², which makes the interval narrowest at `tuning_people` (equation 161)."""
    return (-2.0 * log(alpha) + log(-2.0 * log(alpha) + 1.0)) / tuning_people

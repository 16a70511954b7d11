"""Whether people were spread over the variants as the weights say: the first thing to look at.

Where they were not, something between the assignment and the counting treats the variants differently, and no other
figure can be believed (Fabijan et al.: "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", KDD 2019).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from service.experiments.statistics.distributions import chi_squared_above
from service.experiments.statistics.errors import NotComputableError

#: Below this p the alarm is raised.
ALARM = 0.001
#: χ² is a fair approximation when every variant is to have so many people.
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class Spread:
    """The people that one version of the map assigned, by variant: `observed`, and `shares` of those to expect."""

    observed: Mapping[str, int]
    shares: Mapping[str, float]

    @property
    def unexpected(self) -> int:
        """People in variants that were to have none."""
        return sum(n for variant, n in self.observed.items() if not self.shares.get(variant, 0.0) > 0.0)

    @property
    def expected(self) -> dict[str, float]:
        """How many people each variant was to have of those in variants that were to have some."""
        total = sum(self.observed.values()) - self.unexpected
        weight = sum(self.shares.values())
        return {variant: total * share / weight for variant, share in self.shares.items()}


def mismatch_p_value(spreads: list[Spread]) -> float:
    """The probability of people being spread so unevenly by chance: Pearson's χ² test, added up over versions.

    Variants without weight take no part: neither their people nor their degrees of freedom. NotComputableError when
    there are too few people.
    """
    statistic, freedom = 0.0, 0
    for spread in spreads:
        expected = {variant: n for variant, n in spread.expected.items() if spread.shares[variant] > 0.0}
        if len(expected) < 2 or min(expected.values()) < _LEAST_EXPECTED:
            continue
        statistic += sum((spread.observed.get(name, 0) - n) ** 2 / n for name, n in expected.items())
        freedom += len(expected) - 1
    if not freedom:
        raise NotComputableError("there are too few people")
    return chi_squared_above(statistic, freedom)

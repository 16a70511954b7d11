"""How sure a mean over people is: the bootstrap over people (Efron & Tibshirani 1993, ch. 13)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
LEVEL = 0.95

#: Draws made at once, so that memory is bounded whatever the number of people.
_MOST_DRAWS = 500_000


class Interval(NamedTuple):
    """The middle `level` of what other samples of as many people would have given."""

    low: float
    high: float


def resampled_sums(values: NDArray[np.float64], seed: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Sums of each row of `values` float64[m, people ≥ 1] over samples of its people: float64[m, resamples].

    A sample draws as many people as there are, with replacement. All rows share each sample, so that differences and
    ratios of sums keep what the rows have in common. Deterministic by `seed`.
    """
    rng = np.random.default_rng(seed)
    n_people = values.shape[1]
    sums = np.empty((values.shape[0], resamples))
    at_once = max(1, _MOST_DRAWS // n_people)
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn = rng.integers(0, n_people, (count, n_people))
        drawn += n_people * np.arange(count)[:, None]
        times = np.bincount(drawn.reshape(-1), minlength=count * n_people).reshape(count, n_people)
        sums[:, start : start + count] = values @ times.T.astype(np.float64)
    return sums


def percentile_interval(figures: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """The percentile interval of a figure from its values in the resamples, float64[resamples]."""
    low, high = np.quantile(figures, ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    return Interval(float(low), float(high))

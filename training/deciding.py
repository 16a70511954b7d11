"""Deciding between settings that held-out likes can hardly tell apart.

Likes that are held out at random come from the same days, places and moods as those that are left. What people like
next need not, and it can lean to what everybody likes more than a random share of the past does. A correction against
popularity is fitted to that share, so it has to show that it is needed: the least one is taken that is as good as the
best, as far as the people who judge can tell. That is the rule of one standard error (Breiman, Friedman, Olshen and
Stone, Classification and Regression Trees, 1984, section 3.4.3), with the 95 % interval by which everything else here
is decided.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.bootstrap import percentile_interval, resampled_sums


def first_as_good(qualities: Sequence[NDArray[np.float64]], seed: int = 0) -> int:
    """Which of several is the first that the best one does not beat beyond the interval, by the paired bootstrap.

    `qualities` are float64[people ≥ 1] each, of the same people, the simplest first; the best has the greatest mean.
    """
    best = max(qualities, key=lambda one: float(one.mean()))
    sums = resampled_sums(best - np.stack(qualities), seed)
    return next(place for place, of_one in enumerate(sums) if percentile_interval(of_one).low <= 0.0)

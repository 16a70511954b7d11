"""Naming what adds most to a score."""

import numpy as np

from core.kernels.jit import inlined
from core.kernels.workspace import REASONS


@inlined
def name_greatest(shares, rank, answer):  # type: ignore[no-untyped-def]
    """Write the greatest of `shares`, [p] by position in the profile, to a rank of an answer, in order.

    Of equal shares the earlier position comes first; only what adds is named. Whatever is not 0 counts as contributor.
    """
    reasons, contributions = answer.reasons[rank], answer.contributions[rank]
    reasons[:] = -1
    contributions[:] = 0.0
    contributors = 0
    for position in range(shares.size):
        share = np.float32(shares[position])
        contributors += share != 0.0
        if share > contributions[REASONS - 1]:
            place = REASONS - 1
            while place > 0 and share > contributions[place - 1]:
                reasons[place] = reasons[place - 1]
                contributions[place] = contributions[place - 1]
                place -= 1
            reasons[place] = position
            contributions[place] = share
    answer.contributors[rank] = contributors

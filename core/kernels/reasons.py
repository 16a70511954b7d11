"""Writing a ranking to an answer, and naming what adds most to a score."""

import numpy as np

from core.kernels.heap import index_of, score_of
from core.kernels.jit import inlined
from core.kernels.workspace import REASONS
from core.reasons import Part


@inlined
def write_ranked(keys, size, answer):  # type: ignore[no-untyped-def]
    """Write the events and scores of `size` keys, best first, to an answer; no part of a score is named yet."""
    for rank in range(size):
        answer.scores[rank] = score_of(keys[rank])
        answer.events[rank] = index_of(keys[rank])
        answer.parts[rank] = 0.0
        answer.subjects[rank] = -1


@inlined
def all_collaborative(size, answer):  # type: ignore[no-untyped-def]
    """Make the collaborative part the whole of the first `size` scores."""
    for rank in range(size):
        answer.parts[rank, Part.COLLABORATIVE] = answer.scores[rank]


@inlined
def without_reasons(size, answer):  # type: ignore[no-untyped-def]
    """Say of the first `size` events that no neighbour and no event of a profile stands behind them."""
    for rank in range(size):
        answer.supporters[rank] = 0
        answer.contributors[rank] = 0
        answer.reasons[rank] = -1
        answer.contributions[rank] = 0.0


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

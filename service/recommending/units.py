"""The numbers of an answer as it shows them, in whole units of their last decimal, so that sums come out in print."""

import numpy as np

from core.kernels.jit import inlined
from core.kernels.text import POWERS_OF_TEN
from core.kernels.workspace import REASONS

#: Fewer people than this are never counted in an answer, so that nobody can be singled out.
FEWEST_TOLD = 3
#: How many people it takes for half of full confidence.
HALF_CONFIDENCE = 5.0
#: Scores are written in units of 10⁻⁸, so that the parts of a score add up to it in print.
SCORE_DECIMALS = 8


@inlined
def units_of(value, decimals):  # type: ignore[no-untyped-def]
    """A number ≥ 0 in units of 10^-decimals, halves upwards."""
    return np.int64(np.float64(value) * np.float64(POWERS_OF_TEN[decimals]) + 0.5)


@inlined
def shown_score(answer, rank):  # type: ignore[no-untyped-def]
    """A score as it is shown: a sum of float32 can come out a little above 1, where exact arithmetic would not."""
    return min(answer.scores[rank], np.float32(1.0))


@inlined
def confidence_of(count):  # type: ignore[no-untyped-def]
    """How sure a score is, from 0 to 1. People too few to be told count as one, or this figure would tell them."""
    if count < 1.0:
        return 0.0
    if count < FEWEST_TOLD:
        count = 1.0
    return count / (count + HALF_CONFIDENCE)


@inlined
def split_score(parts, total, units):  # type: ignore[no-untyped-def]
    """Fill `units` int64[PARTS] so that they add up to `total`; return the greatest part, of equal ones the first.

    Each part is rounded by itself, but for the greatest: it takes what is left.
    """
    greatest, most, left = 0, parts[0], total
    for part in range(1, parts.size):
        if parts[part] > most:
            greatest, most = part, parts[part]
    for part in range(parts.size):
        if part != greatest:
            units[part] = min(left, units_of(parts[part], SCORE_DECIMALS)) if parts[part] > 0.0 else 0
            left -= units[part]
    units[greatest] = left
    return greatest


@inlined
def count_named(reasons):  # type: ignore[no-untyped-def]
    """How many events of the profile are named as reasons of a recommendation."""
    named = 0
    while named < REASONS and reasons[named] >= 0:
        named += 1
    return named


@inlined
def split_cause(contributions, named, contributors, total, units):  # type: ignore[no-untyped-def]
    """Fill `units` int64[REASONS] with what the named events add to a part of `total` units; return what the others do.

    Together they add up to the total. What rounding leaves goes to the last named event that stays at 0 or above. The
    others may add less than nothing, as events that speak against a recommendation do.
    """
    rest = total
    for place in range(named):
        units[place] = units_of(contributions[place], SCORE_DECIMALS)
        rest -= units[place]
    # Sums of float32 are right to some millionths; the others of which there are none have no part at all.
    is_rounding = contributors <= named or -REASONS - total // 100_000 <= rest < 0
    if named == 0 or not is_rounding:
        return rest
    place = named - 1
    while place > 0 and units[place] + rest < 0:
        place -= 1
    units[place] += rest
    return 0

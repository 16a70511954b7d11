"""What comes between an arm's ranking and an answer where it is wanted: how soon, how popular, how much alike.

A score becomes (1 - s - p) · score + s · soonness + p · popularity, so that its parts go on adding up to it. Of
each group of events (one venue, one series) only the best few are kept.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.content import Content
from core.kernels.held import Held
from core.kernels.workspace import Answer
from core.reasons import Part
from core.recommender import Ranking
from core.tastes import Kind

#: An event so many days ahead is half as soon as one now.
SOON_HALF_LIFE_DAYS = 7.0
_DAY = 86_400.0


class Arrangement(NamedTuple):
    """What is wanted of an answer beside its arm's ranking; nothing by default."""

    soon: float = 0.0  #: s, 0…1/2
    popular: float = 0.0  #: p, 0…1/2
    most_per_venue: int | None = None
    most_per_series: int | None = None


AS_RANKED = Arrangement()


class Facts(NamedTuple):
    """What is known of each event of a ranking, in its order."""

    soonness: NDArray[np.float32]  #: 0…1
    popularity: NDArray[np.float32]  #: 0…1
    venues: NDArray[np.int32]  #: -1 for none
    series: NDArray[np.int32]  #: -1 for none


def soonness(starts: NDArray[np.float64], now: float) -> NDArray[np.float32]:
    """2^(-days / SOON_HALF_LIFE_DAYS) for events that start at these unix seconds, not before `now`."""
    days = np.maximum(starts - now, 0.0) / _DAY
    return np.asarray(np.exp2(-days / SOON_HALF_LIFE_DAYS), np.float32)


def groups_of(content: Content, events: NDArray[np.int32], kind: Kind) -> NDArray[np.int32]:
    """int32[events]: the feature of a kind that each event has, the greatest of several, -1 for none."""
    known = np.where(events < content.indptr.size - 1, events, 0)
    starts = content.indptr[known]
    counts = np.where(events < content.indptr.size - 1, content.indptr[known + 1] - starts, 0)
    which = np.repeat(np.arange(events.size), counts)
    positions = np.arange(which.size) + np.repeat(starts - np.cumsum(counts) + counts, counts)
    features = content.features[positions]
    is_meant = content.kinds[features] == kind
    groups = np.full(events.size, -1, np.int32)
    groups[which[is_meant]] = features[is_meant]
    return groups


def arrange(ranking: Ranking, wanted: Arrangement, facts: Facts, n: int) -> Ranking:
    """The best n of a longer ranking as they are wanted, in arrays of their own.

    Popular events that only fill an answer up stay behind those that are personal; where no event is personal all take
    part. A cap may leave fewer than n.
    """
    answer = Answer._make(array[: ranking.n].copy() for array in ranking.answer)
    n_scored = ranking.n_personal or ranking.n
    _blend(answer, n_scored, wanted, facts)
    order = np.lexsort((answer.events[:n_scored], -answer.scores[:n_scored]))
    order = np.concatenate((order, np.arange(n_scored, ranking.n)))
    capped = ((facts.venues, wanted.most_per_venue), (facts.series, wanted.most_per_series))
    kept = _within_caps(order.tolist(), [(groups.tolist(), most) for groups, most in capped if most], n)
    n_personal = sum(rank < ranking.n_personal for rank in kept)
    return Ranking(Held(Answer._make(array[kept] for array in answer)), n_personal, len(kept))


def _blend(answer: Answer, n_scored: int, wanted: Arrangement, facts: Facts) -> None:
    share = np.float32(1.0 - wanted.soon - wanted.popular)
    for array in (answer.scores, answer.parts, answer.contributions):
        array *= share
    for part, weight, values in (
        (Part.RECENCY, wanted.soon, facts.soonness),
        (Part.POPULARITY, wanted.popular, facts.popularity),
    ):
        added = np.float32(weight) * values[:n_scored]
        answer.scores[:n_scored] += added
        answer.parts[:n_scored, part] += added


def _within_caps(order: list[int], caps: Sequence[tuple[list[int], int]], n: int) -> list[int]:
    """The first n of `order` with no more of a group than its cap allows; what is in no group is not capped."""
    counts: list[dict[int, int]] = [{} for _ in caps]
    kept: list[int] = []
    for rank in order:
        if len(kept) == n:
            break
        groups = [groups[rank] for groups, _ in caps]
        if any(
            group >= 0 and seen.get(group, 0) >= most
            for group, seen, (_, most) in zip(groups, counts, caps, strict=True)
        ):
            continue
        for group, seen in zip(groups, counts, strict=True):
            seen[group] = seen.get(group, 0) + 1
        kept.append(rank)
    return kept

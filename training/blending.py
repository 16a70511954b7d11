"""Learning how to blend the arms: weights by how much is known of a person, on held-out training data.

A share of each person's likes is held out and the components are fitted on the rest. Where a band has too few people,
others are shown to the components as if only so many of their likes were known. What the components say of a pool of
events is computed once for each person; then, for each discount of what is popular, the weights take one after the
other the value that ranks the held-out likes best, and the best of all these is taken.

What people like next is no random share of what they like, and it may lean to what is popular by more: nothing in
likes without times says by how much. Weights are therefore judged twice, and the mean counts: by the likes that are
held out as they are, and by the same likes as if each had been drawn with a chance that grows with the square root of
the event's popularity, for which a hit gains n_e^½ (importance weighting; the root is what is assumed of missing likes
where no more is known, as by Saito et al., WSDM 2020).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.als import AlsSettings, Factors
from core.collaborative import CollaborativeSettings, Neighbourhood, fit_neighbourhood
from core.hybrid import BANDS, COMPONENTS, Blend, Component, default_blend
from core.kernels.live import Profile
from core.kernels.pools import gains_reached
from core.live_site import LiveSite
from core.recommender import Recommender
from core.sparse import Rows, row_columns
from core.splits import holdout_per_user
from training.als import FactorsFit, fit_factors

HELD_OUT = 0.2
#: By band; more would take time and change the weights by less than their error.
MOST_PEOPLE = 2_000
#: Fewer people prove nothing: their band keeps the weights that serve by default.
LEAST_PEOPLE = 50
K = 20
#: The powers of an event's popularity that a hit gains, one for each way of judging.
LEANINGS = (0.0, 0.5)
#: What a weight is tried at, in units of the greatest other one, and what a discount, from the least on.
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
DISCOUNTS = (0.0, 0.05, 0.1, 0.15)
_ROUNDS = 3
_WORTHS = 1.0 / np.log2(np.arange(2, K + 2))
#: A table of likes says nothing of content: that keeps the share that it has by default.
LEARNED = (Component.NEIGHBOURS, Component.FACTORS, Component.POPULARITY)


class Pools(NamedTuple):
    """What the components say of events for some people, who have m at most; 0 behind the last."""

    scores: NDArray[np.float32]  #: [people, components, m], not discounted
    masses: NDArray[np.float32]  #: [people, m], ≥ 1
    gains: NDArray[np.float32]  #: [people, leanings, m], > 0 for a held-out like, 0 for all else
    ideals: NDArray[np.float64]  #: [people, leanings], the greatest DCG


class _Trial(NamedTuple):
    quality: float
    weights: NDArray[np.float64]  #: [components]
    discount: float


def learn_blend(
    liked: Rows,
    n_events: int,
    collaborative: CollaborativeSettings,
    als: AlsSettings,
    seed: int = 0,
    fit: FactorsFit = fit_factors,
) -> Blend:
    """The blend that ranks held-out likes best, by band; that of `default_blend` for a band of too few people.

    `liked` has rows users. Content keeps the share that it has by default, and the others divide what is left.
    """
    train, held_out = holdout_per_user(liked, HELD_OUT, seed)
    if np.count_nonzero(np.diff(held_out.indptr)) < LEAST_PEOPLE:
        return default_blend()
    neighbourhood = fit_neighbourhood(train, n_events, collaborative)
    factors = fit(train, neighbourhood, als)
    return blend_of(train, held_out, neighbourhood, factors, collaborative, als, seed)


def blend_of(
    train: Rows,
    held_out: Rows,
    neighbourhood: Neighbourhood,
    factors: Factors,
    collaborative: CollaborativeSettings,
    als: AlsSettings,
    seed: int,
) -> Blend:
    """The same of components that are fitted on `train` already."""
    masses = neighbourhood.event_masses
    live = LiveSite(train, neighbourhood, masses.size, collaborative)
    # Popularity as the rest has it: that of the model counts the held-out likes.
    arm = Recommender(live, masses / max(1.0, float(masses.max(initial=0.0))), factors, als)
    blend = default_blend()
    rng = np.random.default_rng(seed)
    for band, (least, most) in enumerate(_bounds()):
        people = _people(train, held_out, max(least, 1), most, rng)
        if least > 0 and people.size >= LEAST_PEOPLE:
            # No name for the pools: those of one band are gone when the next one's are collected.
            _learn_band(collect_pools(arm, people, held_out, least, most, rng), blend, band)
    return blend


def _bounds() -> Iterator[tuple[int, int]]:
    """The least and the greatest number of likes of each band."""
    return pairwise([*BANDS, np.iinfo(np.int32).max])


def _people(
    train: Rows, held_out: Rows, least: int, most: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Some of those who are of the band; where they are too few, of those who could be if less of them were known."""
    sizes, judges = np.diff(train.indptr), np.diff(held_out.indptr) > 0
    people = np.flatnonzero(judges & (sizes >= least) & (sizes < most)).astype(np.int32)
    if people.size < LEAST_PEOPLE:
        people = np.flatnonzero(judges & (sizes >= least)).astype(np.int32)
    return people if people.size <= MOST_PEOPLE else np.sort(rng.choice(people, MOST_PEOPLE, replace=False))


def collect_pools(
    arm: Recommender,
    people: NDArray[np.int32],
    held_out: Rows,
    least: int,
    most: int,
    rng: np.random.Generator,
) -> Pools:
    """What the components say when of each person at least `least` and less than `most` likes are known."""
    open_events = np.ones(arm.live.event_room, np.uint8)
    found = []
    for user in people.tolist():
        events, weights = arm.live.liked(user)
        size = events.size if events.size < most else int(rng.integers(least, most))
        kept = np.sort(rng.choice(events.size, size, replace=False))
        profile = Profile(events[kept], weights[kept], events, user)
        pool, scores = arm.components(profile, open_events)
        found.append((pool, scores.astype(np.float32), row_columns(held_out, user)))
    return _padded(found, arm.live.event_masses)


def _padded(
    found: list[tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]],
    event_masses: NDArray[np.float32],
) -> Pools:
    longest = max(1, *(events.size for events, _, _ in found))
    leanings = np.array(LEANINGS, np.float32)[:, np.newaxis]
    pools = Pools(
        np.zeros((len(found), COMPONENTS, longest), np.float32),
        np.ones((len(found), longest), np.float32),
        np.zeros((len(found), len(LEANINGS), longest), np.float32),
        np.zeros((len(found), len(LEANINGS)), np.float64),
    )
    masses = np.maximum(event_masses, np.float32(1.0))
    for line, (events, scores, right) in enumerate(found):
        pools.scores[line, :, : events.size] = scores
        pools.masses[line, : events.size] = masses[events]
        pools.gains[line, :, : events.size] = np.isin(events, right) * masses[events] ** leanings
        greatest = np.sort(masses[right])[::-1][:K]
        pools.ideals[line] = greatest**leanings @ _WORTHS[: greatest.size]
    return pools


def scaled(pools: Pools, discount: float) -> NDArray[np.float32]:
    """float32[people, components, m]: the scores, collaborative ones discounted, in units of each one's greatest."""
    scores = pools.scores.copy()
    for component in (Component.NEIGHBOURS, Component.FACTORS):
        scores[:, component] *= pools.masses**-discount
    greatest = scores.max(axis=2, keepdims=True)
    scores /= np.where(greatest > 0.0, greatest, np.float32(1.0))
    return scores


def quality(scores: NDArray[np.float32], pools: Pools, weights: NDArray[np.float64]) -> float:
    """The mean NDCG@20 of the held-out likes by the weighted sum of scaled `scores`, over people and leanings."""
    reached = gains_reached(scores, weights.astype(np.float32), pools.gains, _WORTHS)
    return float((reached / pools.ideals).mean())


def _learn_band(pools: Pools, blend: Blend, band: int) -> None:
    """Write the best weights and discount to the blend. Of equals those of the least discount."""
    share = float(blend.weights[band, Component.CONTENT])
    default = blend.weights[band].astype(np.float64)
    default[Component.CONTENT] = 0.0
    starts = [default, *(np.eye(COMPONENTS)[component] for component in LEARNED)]
    found = max((_ascend(pools, starts, discount) for discount in DISCOUNTS), key=lambda one: one.quality)
    blend.weights[band] = found.weights / found.weights.sum() * (1.0 - share)
    blend.weights[band, Component.CONTENT] = share
    blend.discounts[band] = found.discount


def _ascend(pools: Pools, starts: Sequence[NDArray[np.float64]], discount: float) -> _Trial:
    """Coordinate ascent of the weights from the best start, until a round changes nothing, _ROUNDS at most."""
    scores = scaled(pools, discount)

    def trial(weights: NDArray[np.float64]) -> _Trial:
        return _Trial(quality(scores, pools, weights), weights, discount)

    best = max(map(trial, starts), key=lambda one: one.quality)
    for _ in range(_ROUNDS):
        before = best
        for component in LEARNED:
            moved = [_with(best.weights, component, value) for value in WEIGHTS]
            best = max(
                [best, *(trial(weights) for weights in moved if weights.any())], key=lambda one: one.quality
            )
        if best is before:
            break
    return best


def _with(weights: NDArray[np.float64], component: int, value: float) -> NDArray[np.float64]:
    """The weights with one of them `value` times the greatest of the others, or 1 where those are all 0."""
    changed = weights.copy()
    changed[component] = 0.0
    changed[component] = value * (changed.max() or 1.0)
    return changed

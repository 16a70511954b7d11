"""Blending: the scores of several components for a pool of events, their weighted sum, and its exact parts."""

import numpy as np

from core.hybrid import COMPONENTS, Component
from core.kernels.als import ROWS_AHEAD, add_shares, ask_for_row, fold_in, vector_of
from core.kernels.heap import key_of, push_bounded, sort_best_first
from core.kernels.held import held_in
from core.kernels.jit import inlined, kernel
from core.kernels.neighbourhood import factors_of, rank, shares_of
from core.kernels.reasons import name_greatest, write_ranked
from core.reasons import Part

#: The greatest component of a person's vector in whole numbers: products with bytes fit into 64 bits by far.
_THIRTY_BITS = 1073741823.0
#: The powers of masses below this are worked out once for a pool.
_MASSES_KEPT = 1024
#: Of those thirty bits, the lower half.
_LOW_BITS, _LOW = 15, 32767


@kernel
def pool_neighbours(profile, site, half_powers, open_events, space, neighbours, pool):  # type: ignore[no-untyped-def]
    """Fill `pool`, an answer, with the events the neighbourhood likes most; return what `explain_blend` needs of it.

    Site, space, neighbours and pool are `Held`. Returns (how many events, how many neighbours, the scale of the scores,
    the log of the votes).
    """
    site, space, neighbours, pool = held_in(site), held_in(space), held_in(neighbours), held_in(pool)
    return rank(
        profile, factors_of(profile, site), site, half_powers, open_events, space, neighbours, pool, False
    )


@inlined
def add_factor_scores(profile, factors, positions, weights, events, scores):  # type: ignore[no-untyped-def]
    """Write to scores float64[m] what the factors say of each event, 0 where that is against it."""
    n_factors = factors.values.shape[1]
    whole = np.empty(n_factors, np.int32)
    step = vector_of(profile, factors, positions, weights, _THIRTY_BITS, whole)
    # Sums of products with 16 bits fit into 32, in which a processor adds up twice as many at a time.
    high, low = np.empty(n_factors, np.int16), np.empty(n_factors, np.int16)
    for factor in range(n_factors):
        high[factor] = whole[factor] >> _LOW_BITS
        low[factor] = whole[factor] & _LOW
    for place in range(events.size):
        if place + ROWS_AHEAD < events.size:
            ask_for_row(factors, events[place + ROWS_AHEAD])
        event = np.uint32(events[place])
        if event < factors.steps.size:
            of_high, of_low = np.int32(0), np.int32(0)
            for factor in range(n_factors):
                value = np.int32(factors.values[event, factor])
                of_high = np.int32(of_high + value * np.int32(high[factor]))
                of_low = np.int32(of_low + value * np.int32(low[factor]))
            total = (np.int64(of_high) << np.int64(_LOW_BITS)) + np.int64(of_low)
            scores[place] = max(0.0, np.float64(total) * (np.float64(factors.steps[event]) * step))


@inlined
def units_of_components(scores, weights):  # type: ignore[no-untyped-def]
    """float64[components]: what a component's score is multiplied by: its weight over its greatest score, or 0."""
    units = np.zeros(COMPONENTS, np.float64)
    for component in range(COMPONENTS):
        greatest = 0.0
        for place in range(scores.shape[1]):
            greatest = max(greatest, scores[component, place])
        if greatest > 0.0:
            units[component] = np.float64(weights[component]) / greatest
    return units


@inlined
def discounts_of(events, masses, discount):  # type: ignore[no-untyped-def]
    """float64[m]: max(mass, 1)^-discount of each event. Most masses are small whole numbers, whose powers are kept."""
    discounts = np.ones(events.size, np.float64)
    if discount > 0.0:
        known = np.zeros(_MASSES_KEPT, np.float64)
        for place in range(events.size):
            mass = max(np.float64(masses[events[place]]), 1.0)
            whole = np.uint32(min(mass, _MASSES_KEPT - 1.0))
            power = known[whole] if mass == whole else 0.0
            if power == 0.0:
                power = mass ** -np.float64(discount)
                if mass == whole:
                    known[whole] = power
            discounts[place] = power
    return discounts


@inlined
def score_components(profile, factors, folded, events, votes, content, popularity, masses, discount):  # type: ignore[no-untyped-def]
    """float64[components, m]: the scores of a pool of events, the collaborative ones discounted; and the discounts."""
    scores = np.zeros((COMPONENTS, events.size), np.float64)
    discounts = discounts_of(events, masses, discount)
    add_factor_scores(profile, factors, folded[0], folded[1], events, scores[Component.FACTORS])
    for place in range(events.size):
        event = events[place]
        scores[Component.NEIGHBOURS, place] = np.float64(votes[place]) * discounts[place]
        scores[Component.FACTORS, place] *= discounts[place]
        scores[Component.CONTENT, place] = content[place] if content.size > 0 else 0.0
        scores[Component.POPULARITY, place] = popularity[event] if event < popularity.size else 0.0
    return scores, discounts


@inlined
def keep_best_blended(scores, units, events, space, capacity):  # type: ignore[no-untyped-def]
    """The keys of the best events to `space.keys`, with places in the pool in `space.touched_events` by event.

    Popularity alone makes no event personal. Returns how many are kept.
    """
    size = 0
    for place in range(events.size):
        own, total = 0.0, 0.0
        for component in range(COMPONENTS):
            part = units[component] * scores[component, place]
            total += part
            own += part if component != Component.POPULARITY else 0.0
        if own > 0.0:
            space.touched_events[events[place]] = place
            key = key_of(np.float32(min(total, 1.0)), events[place])
            size = push_bounded(space.keys, size, capacity, key)
    sort_best_first(space.keys, size)
    return size


@kernel
def components(profile, factors, activity, pooled, popularity, masses):  # type: ignore[no-untyped-def]
    """float64[components, m]: what the components say of a pool of events, as `blend` takes it, not discounted."""
    factors = held_in(factors)
    folded = fold_in(profile, factors, activity)
    scores, _ = score_components(
        profile, factors, folded, pooled[0], pooled[1], pooled[2], popularity, masses, np.float32(0.0)
    )
    return scores


@kernel
def blend(  # type: ignore[no-untyped-def]
    profile,
    site,
    walked,
    factors,
    activity,
    pooled,
    popularity,
    masses,
    weights,
    discount,
    space,
    neighbours,
    answer,
):
    """Rank a pool of events by the weighted sum of the components, with reasons; return (how many, content's unit).

    `walked` is what `pool_neighbours` returned from its second value on; `pooled` are (events int32[m], votes
    float32[m], content float32[m], or [0] where nothing is known of it); weights float32[components] and the discount
    are of the person's band. The parts of content are left to be added: its scores times the returned unit. Site,
    factors, space, neighbours and answer are `Held`.
    """
    site, factors, space = held_in(site), held_in(factors), held_in(space)
    neighbours, answer = held_in(neighbours), held_in(answer)
    n_neighbours, scale, log = walked
    events, votes, content = pooled
    folded = fold_in(profile, factors, activity)
    scores, discounts = score_components(
        profile, factors, folded, events, votes, content, popularity, masses, discount
    )
    units = units_of_components(scores, weights)
    n_answers = keep_best_blended(scores, units, events, space, answer.events.size)
    write_ranked(space.keys, n_answers, answer)
    for rank_ in range(n_answers):
        place = space.touched_events[answer.events[rank_]]
        answer.parts[rank_, Part.COLLABORATIVE] = (
            units[Component.NEIGHBOURS] * scores[Component.NEIGHBOURS, place]
            + units[Component.FACTORS] * scores[Component.FACTORS, place]
        )
        answer.parts[rank_, Part.POPULARITY] = (
            units[Component.POPULARITY] * scores[Component.POPULARITY, place]
        )
    if n_answers == 0:
        return 0, units[Component.CONTENT]
    of_votes = shares_of(
        profile, factors_of(profile, site), site, log, space, neighbours, n_neighbours, answer, n_answers
    )
    shares = np.zeros(profile.events.size, np.float64)
    for rank_ in range(n_answers):
        event = answer.events[rank_]
        place = space.touched_events[event]
        unit = units[Component.NEIGHBOURS] * discounts[place] * site.event_scales[event] * scale
        for position in range(shares.size):
            shares[position] = of_votes[position, rank_] * unit
        if scores[Component.FACTORS, place] > 0.0:
            unit = units[Component.FACTORS] * discounts[place]
            add_shares(profile, factors, folded[0], folded[1], event, unit, shares)
        name_greatest(shares, rank_, answer)
    return n_answers, units[Component.CONTENT]

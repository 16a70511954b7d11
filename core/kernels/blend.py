"""Blending: the scores of several components for a pool of events, their weighted sum, and its exact parts.

Everything from a profile to a ranking with its reasons is one kernel: to leave it and come back between the components
would take longer than some of them do.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.hybrid import COMPONENTS, NAMED_BY_CONTENT, NAMED_BY_VOTES, Component
from core.kernels.als import ROWS_AHEAD, add_shares, ask_for_row, fold_in, vector_of
from core.kernels.content import name_by_content, split_by_content
from core.kernels.dot import BLOCK, dot_of_words
from core.kernels.heap import index_of, key_of, least_kept, score_of, sort_keys
from core.kernels.held import borrowed, held_in
from core.kernels.jit import inlined, kernel
from core.kernels.neighbourhood import factors_of, keep_voted, shares_of, vote
from core.kernels.reasons import name_greatest, write_ranked
from core.reasons import Part

#: The greatest component of a person's vector in whole numbers: products with bytes fit into 64 bits by far.
_THIRTY_BITS = 1073741823.0
#: The powers of masses below this are worked out once for a pool.
_MASSES_KEPT = 1024
#: Of those thirty bits, the lower half.
_LOW_BITS, _LOW = 15, 32767


class Pool(NamedTuple):
    """The events that there are to blend; scratch space with no rest state."""

    events: NDArray[np.int32]  #: [m]
    votes: NDArray[np.float32]  #: [m], what the neighbourhood says of each, 0…1
    content: NDArray[np.float32]  #: [m], what content says of each, 0…1


def pool() -> Pool:
    """Room for one."""
    room = NAMED_BY_VOTES + NAMED_BY_CONTENT
    return Pool(np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.float32))


@inlined
def name_by_votes(profile, site, half_powers, open_events, space, neighbours, pool):  # type: ignore[no-untyped-def]
    """Write the events that the neighbourhood likes most to a pool, of which content says nothing.

    Returns how many, how many neighbours there are, the scale of the votes, and their log.
    """
    n_neighbours, scale, log = vote(profile, factors_of(profile, site), site, half_powers, space, neighbours)
    n = keep_voted(scale, site.event_scales, open_events, profile.excluded, space, NAMED_BY_VOTES)
    for place in range(n):
        pool.events[place] = index_of(space.keys[place])
        pool.votes[place] = score_of(space.keys[place])
        pool.content[place] = 0.0
    return n, n_neighbours, scale, log


@inlined
def add_factor_scores(factors, folded, events, scores):  # type: ignore[no-untyped-def]
    """Write to scores float64[m] what the factors say of each event, 0 where that is against it."""
    n_factors = factors.values.shape[1]
    whole = np.empty(n_factors, np.int32)
    step = vector_of(folded, _THIRTY_BITS, whole)
    # Sums of products with 16 bits fit into 32, in which a processor adds up twice as many at a time.
    high, low = np.empty(n_factors, np.int16), np.empty(n_factors, np.int16)
    for factor in range(n_factors):
        high[factor] = whole[factor] >> _LOW_BITS
        low[factor] = whole[factor] & _LOW
    whole_blocks = n_factors // BLOCK * BLOCK
    for place in range(events.size):
        if place + ROWS_AHEAD < events.size:
            ask_for_row(factors, events[place + ROWS_AHEAD])
        event = np.uint32(events[place])
        if event < factors.steps.size:
            of_high, of_low = np.int32(0), np.int32(0)
            row = np.int64(event) * n_factors
            for start in range(0, whole_blocks, BLOCK):
                of_high = np.int32(of_high + dot_of_words(factors.values, row + start, high, start))
                of_low = np.int32(of_low + dot_of_words(factors.values, row + start, low, start))
            for factor in range(np.uint64(whole_blocks), np.uint64(n_factors)):
                value = np.int32(factors.values[event, factor])
                of_high = np.int32(of_high + value * np.int32(high[factor]))
                of_low = np.int32(of_low + value * np.int32(low[factor]))
            total = (np.int64(of_high) << np.int64(_LOW_BITS)) + np.int64(of_low)
            scores[place] = max(0.0, np.float64(total) * (np.float64(factors.steps[event]) * step))


@inlined
def units_of_components(scores, weights):  # type: ignore[no-untyped-def]
    """float64[components]: what a component's score is multiplied by: its weight over its greatest score, or 0.

    Scores are 0 at least, so their bits order as they do; of whole numbers a compiler compares several at a time.
    """
    units, bits = np.zeros(COMPONENTS, np.float64), scores.view(np.int64)
    for component in range(COMPONENTS):
        most = np.int64(0)
        for place in range(scores.shape[1]):
            most = max(most, bits[component, place])
        greatest = np.int64(most).view(np.float64)
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
def score_components(factors, folded, pool, n_pool, popularity, masses, discount):  # type: ignore[no-untyped-def]
    """float64[components, m]: the scores of a pool of events, the collaborative ones discounted; and the discounts."""
    events = pool.events[:n_pool]
    scores = np.zeros((COMPONENTS, n_pool), np.float64)
    discounts = discounts_of(events, masses, discount)
    add_factor_scores(factors, folded, events, scores[Component.FACTORS])
    for place in range(events.size):
        event = events[place]
        scores[Component.NEIGHBOURS, place] = np.float64(pool.votes[place]) * discounts[place]
        scores[Component.FACTORS, place] *= discounts[place]
        scores[Component.CONTENT, place] = pool.content[place]
        scores[Component.POPULARITY, place] = popularity[event] if event < popularity.size else 0.0
    return scores, discounts


@inlined
def keep_best_blended(scores, units, events, space, capacity):  # type: ignore[no-untyped-def]
    """The keys of the best events to `space.keys`, with places in the pool in `space.touched_events` by event.

    Popularity alone makes no event personal. Returns how many are kept. A key is written before it is known whether it
    counts.
    """
    keys, places, size = space.keys, space.touched_events, np.uint64(0)
    own, bits = np.zeros(events.size, np.float64), np.empty(events.size, np.int32)
    for component in range(Component.POPULARITY):
        for place in range(events.size):
            own[place] += units[component] * scores[component, place]
    for place in range(events.size):
        total = own[place] + units[Component.POPULARITY] * scores[Component.POPULARITY, place]
        of_event = np.float32(min(total, 1.0)).view(np.int32)
        bits[place] = of_event & np.int32(-np.int32(own[place] > 0.0))
    least = least_kept(bits, events.size, capacity)
    for place in range(np.uint64(events.size)):
        event = np.uint32(events[place])
        places[event] = place
        keys[size] = key_of(np.int32(bits[place]).view(np.float32), event)
        size += np.uint64(bits[place] >= least)
    sort_keys(keys, np.int64(size))
    return min(np.int64(size), capacity)


@kernel
def components(  # type: ignore[no-untyped-def]
    profile, site, half_powers, open_events, factors, activity, popularity, masses, space, neighbours, pool
):
    """float64[components, m]: what the components say of the events that the neighbourhood likes most, not discounted.

    The events are left in `pool`; content says nothing. Site, factors, space, neighbours and pool are `Held`.
    """
    profile, open_events = borrowed(profile), borrowed(open_events)
    popularity, masses = borrowed(popularity), borrowed(masses)
    site, factors, space = held_in(site), held_in(factors), held_in(space)
    neighbours, pool = held_in(neighbours), held_in(pool)
    n_pool, _, _, _ = name_by_votes(profile, site, half_powers, open_events, space, neighbours, pool)
    folded = fold_in(profile, factors, activity)
    scores, _ = score_components(factors, folded, pool, n_pool, popularity, masses, np.float32(0.0))
    return scores


@kernel
def blend(  # type: ignore[no-untyped-def]
    profile,
    taste,
    site,
    half_powers,
    open_events,
    factors,
    activity,
    content,
    popularity,
    masses,
    weights,
    discount,
    space,
    content_space,
    neighbours,
    pool,
    answer,
):
    """Rank the open events by the weighted sum of the components, with reasons; return how many.

    In question are those that the neighbourhood or the content names first. weights float32[components] and the
    discount are of the person's band. Site, factors, content, both spaces, neighbours, pool and answer are `Held`.
    """
    profile, taste, open_events = borrowed(profile), borrowed(taste), borrowed(open_events)
    popularity, masses, weights = borrowed(popularity), borrowed(masses), borrowed(weights)
    site, factors, content = held_in(site), held_in(factors), held_in(content)
    space, content_space = held_in(space), held_in(content_space)
    neighbours, pool, answer = held_in(neighbours), held_in(pool), held_in(answer)
    n_pool, n_neighbours, scale, log = name_by_votes(
        profile, site, half_powers, open_events, space, neighbours, pool
    )
    if taste.features.size > 0:
        n_pool = name_by_content(
            taste, content, open_events, profile.excluded, content_space, NAMED_BY_CONTENT, pool, n_pool
        )
    folded = fold_in(profile, factors, activity)
    scores, discounts = score_components(factors, folded, pool, n_pool, popularity, masses, discount)
    units = units_of_components(scores, weights)
    n_answers = keep_best_blended(scores, units, pool.events[:n_pool], space, answer.events.size)
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
        return 0
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
            add_shares(factors, folded, event, unit, shares)
        name_greatest(shares, rank_, answer)
    if taste.features.size > 0 and units[Component.CONTENT] > 0.0:
        unit_of_content = np.float32(units[Component.CONTENT])
        split_by_content(taste, content, content_space, answer, n_answers, unit_of_content)
    return n_answers

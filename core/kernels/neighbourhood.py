"""User-based collaborative filtering for one person, live: neighbourhood, votes, ranking, exact reasons.

    similarity(u, v) = m_u^-g · m_v^-g · Σ_p r_up · r_vp · n_p^-a
    score(u, e)      = n_e^-d · Σ_v amplified(similarity(u, v)) · r_ve / Σ_v amplified(similarity(u, v))

with r the preferences (0…1), m_v the sum of a person's preferences, n_e the number of an event's savers, v over the
k most similar people and amplified(s) = s^1, s^1.5 or s^2. With a = 0, g = ½, d = 0 and binary preferences this is
the plain cosine neighbourhood (Herlocker et al., SIGIR 1999). Weighting an event by its rarity is the inverse user
frequency and the exponent on the similarity the case amplification of Breese, Heckerman and Kadie (UAI 1998).

A score is linear in what the profile's events add to each similarity, so it splits exactly: the vote of a neighbour
is shared among the events of the profile in proportion to what each adds to that neighbour's similarity.
"""

import numpy as np

from core.kernels.heap import least_kept, sort_keys
from core.kernels.held import borrowed, held_in
from core.kernels.jit import inlined, kernel
from core.kernels.live import Profile, spread
from core.kernels.reasons import all_collaborative, name_greatest, write_ranked
from core.kernels.votes import LAST_BIT, WORD_SHIFT, cast_votes, find_best, find_votes

_AT_A_TIME = 8
_LAST_INDEX = np.int32(0x7FFFFFFF)


@inlined
def amplified(similarity, half_powers):  # type: ignore[no-untyped-def]
    """similarity ** (half_powers / 2) for 2, 3 or 4 half powers: products and roots only, the same on any machine."""
    if half_powers == 2:
        return similarity
    if half_powers == 3:
        return similarity * np.sqrt(similarity)
    return similarity * similarity


@inlined
def factors_of(profile, site):  # type: ignore[no-untyped-def]
    """What each event of the profile adds to a similarity, per 1/255 of the other's preference: float32[p]."""
    factors = np.empty(profile.events.size, np.float32)
    for position in range(factors.size):
        factors[position] = profile.weights[position] * site.event_weights[profile.events[position]]
    return factors


@inlined
def weigh(n_touched, user_scales, space):  # type: ignore[no-untyped-def]
    """Write the similarities of the touched users to `space.user_bits`, as bits; return how many are > 0.

    Their sums are moved to `space.touched_sums`, so that what is read from all over memory is read once.
    """
    sums, touched, bits, moved = space.user_sums, space.touched_users, space.user_bits, space.touched_sums
    similar = np.int64(0)
    for position in range(np.uint64(n_touched)):
        user = np.uint32(touched[position])
        total = np.float32(sums[user])
        sums[user] = 0.0
        moved[position] = total
        similarity = np.float32(total * user_scales[user]).view(np.int32)
        bits[position] = similarity
        similar += similarity > 0
    return similar


@inlined
def leave_out_ties(size, k, least, space):  # type: ignore[no-untyped-def]
    """Of `size` > k chosen places keep k: of those as similar as the last the lower users; return k."""
    touched, bits, places = space.touched_users, space.user_bits, space.places
    ties = np.empty(size, np.int32)
    n_ties = np.uint64(0)
    for which in range(np.uint64(size)):
        position = np.uint32(places[which])
        ties[n_ties] = _LAST_INDEX - touched[position]
        n_ties += np.uint64(bits[position] == least)
    last = _LAST_INDEX - least_kept(ties, n_ties, k - (size - np.int64(n_ties)))
    kept = np.uint64(0)
    for which in range(np.uint64(size)):
        position = np.uint32(places[which])
        places[kept] = position
        kept += np.uint64((bits[position] > least) | (touched[position] <= last))
    return np.int64(kept)


@inlined
def choose(n_touched, n_similar, k, space):  # type: ignore[no-untyped-def]
    """Note where among the touched users the k most similar stand in `space.places`; return how many there are.

    In order of first touch, in which a reader can follow the sums of their votes. As in `spread`, a place is written
    before it is known whether it counts.
    """
    bits, places = space.user_bits, space.places
    least = least_kept(bits, n_touched, k) if n_similar > k else np.int32(1)
    size = np.uint64(0)
    for position in range(np.uint64(n_touched)):
        places[size] = position
        size += np.uint64(bits[position] >= least)
    return leave_out_ties(np.int64(size), k, least, space) if size > k else np.int64(size)


@inlined
def nearest(n_touched, own_row, half_powers, user_scales, space, neighbours):  # type: ignore[no-untyped-def]
    """Make the most similar of the touched users the neighbourhood, clear the sums, return how many there are."""
    touched, sums, bits, places = space.touched_users, space.touched_sums, space.user_bits, space.places
    users, kept_sums, votes = neighbours.users, neighbours.sums, neighbours.votes
    if own_row >= 0:
        space.user_sums[own_row] = 0.0
    n_similar = weigh(n_touched, user_scales, space)
    size = choose(n_touched, n_similar, users.size, space)
    for slot in range(np.uint64(size)):
        position = np.uint32(places[slot])
        user = np.uint32(touched[position])
        users[slot] = user
        kept_sums[slot] = sums[position]
        votes[slot] = amplified(np.int32(bits[position]).view(np.float32), half_powers)
    return size


@inlined
def keep_voted(scale, event_scales, open_events, excluded, space, capacity):  # type: ignore[no-untyped-def]
    """Keep the best of the events with votes that are open and not excluded, in no order; clear the votes.

    Their keys come to `space.keys`; returns how many.
    """
    for position in range(excluded.size):
        space.event_sums[excluded[position]] = 0.0
    size = find_best(scale, event_scales, open_events, space, capacity)
    space.event_sums[:] = 0.0
    return size


@inlined
def attribute(events, factors, savers, sums, slot_of_user, votes, places, shares):  # type: ignore[no-untyped-def]
    """Fill `shares` [p, width]: what each event of the profile adds to the votes for each ranked event.

    `places` is scratch space: most savers did not vote, and those who did are found without a branch to guess.
    """
    indptr, indices, weights = savers.indptr, savers.indices, savers.weights
    head, following, added, added_weights = savers.head, savers.following, savers.added, savers.added_weights
    n_base = indptr.size - 1
    for row in range(np.uint64(events.size)):
        event = np.uint64(events[row])
        if event < n_base:
            start, n_found = np.uint64(indptr[event]), np.uint64(0)
            for place in range(np.uint64(indptr[event + np.uint64(1)]) - start):
                places[n_found] = place
                n_found += np.uint64(slot_of_user[np.uint32(indices[start + place])] >= 0)
            for which in range(n_found):
                position = start + np.uint64(places[which])
                slot = np.uint32(slot_of_user[np.uint32(indices[position])])
                part = factors[row] * np.float32(weights[position]) / sums[slot]
                _add_part(part, votes, slot, shares, row)
        link = head[event]
        while link >= 0:
            slot = slot_of_user[np.uint32(added[link])]
            if slot >= 0:
                part = factors[row] * np.float32(added_weights[link]) / sums[np.uint32(slot)]
                _add_part(part, votes, np.uint32(slot), shares, row)
            link = following[link]


@inlined
def _add_part(part, votes, slot, shares, row):  # type: ignore[no-untyped-def]
    """Add a part of all votes of a neighbour, most of which are 0: several at a time, and no branch to guess."""
    for rank in range(np.uint64(votes.shape[1])):
        shares[row, rank] += part * votes[slot, rank]


@inlined
def name_reasons(shares, n_answers, scale, event_scales, answer):  # type: ignore[no-untyped-def]
    """Write the greatest contributions to each ranked event, in order, and how many events contribute."""
    of_event = np.empty(shares.shape[0], np.float32)
    for rank in range(n_answers):
        factor = event_scales[answer.events[rank]] * scale
        for position in range(of_event.size):
            of_event[position] = shares[position, rank] * factor
        name_greatest(of_event, rank, answer)


@inlined
def shares_of(profile, factors, site, log, space, neighbours, n_neighbours, answer, n_answers):  # type: ignore[no-untyped-def]
    """float32[p, width]: what each event of the profile adds to the votes for each ranked event; counts supporters."""
    rank_of_event, slot_of_user = space.rank_of_event, space.slot_of_user
    for rank in range(n_answers):
        event = np.uint32(answer.events[rank])
        rank_of_event[event] = rank + 1
        space.is_ranked[event >> WORD_SHIFT] |= np.uint32(1) << (event & LAST_BIT)
        answer.supporters[rank] = 0
    # A multiple of what the processor adds up at a time.
    width = (n_answers + _AT_A_TIME - 1) // _AT_A_TIME * _AT_A_TIME
    votes = find_votes(log, n_neighbours, site.liked, space, neighbours, answer.supporters, width)
    shares = np.zeros((profile.events.size, width), np.float32)
    attribute(
        profile.events, factors, site.savers, neighbours.sums, slot_of_user, votes, space.places, shares
    )
    for rank in range(n_answers):
        event = np.uint32(answer.events[rank])
        rank_of_event[event] = 0
        space.is_ranked[event >> WORD_SHIFT] = 0
    for slot in range(n_neighbours):
        slot_of_user[neighbours.users[slot]] = -1
    return shares


@inlined
def explain(profile, factors, site, scale, log, space, neighbours, n_neighbours, answer, n_answers):  # type: ignore[no-untyped-def]
    """Split each score among the events of the profile and count the neighbours behind it."""
    shares = shares_of(profile, factors, site, log, space, neighbours, n_neighbours, answer, n_answers)
    name_reasons(shares, n_answers, scale, site.event_scales, answer)


@inlined
def vote(profile, factors, site, half_powers, space, neighbours):  # type: ignore[no-untyped-def]
    """Let the neighbourhood of a profile vote; return (how many neighbours, the scale of the scores, the log)."""
    touched = spread(site.savers, profile.events, factors, factors.size, space.user_sums, space.touched_users)
    n_neighbours = nearest(touched, profile.own_row, half_powers, site.user_scales, space, neighbours)
    log = cast_votes(site.liked, neighbours, n_neighbours, space)
    # Added up like the votes for an event that the whole neighbourhood likes, whose weights are 255 for 1: so no sum of
    # votes is above this one by a rounding, and no score above 1.
    total = np.float32(0.0)
    for slot in range(n_neighbours):
        total += neighbours.votes[slot] * np.float32(255.0)
    scale = np.float32(1.0) / total if total > 0.0 else np.float32(0.0)
    return n_neighbours, scale, log


@inlined
def rank(profile, factors, site, half_powers, open_events, space, neighbours, answer):  # type: ignore[no-untyped-def]
    """Rank the open events for one profile; return (how many, how many neighbours, scale of scores, log of votes).

    All of their scores is their collaborative part.
    """
    n_neighbours, scale, log = vote(profile, factors, site, half_powers, space, neighbours)
    n_answers = keep_voted(scale, site.event_scales, open_events, profile.excluded, space, answer.events.size)
    sort_keys(space.keys, n_answers)
    write_ranked(space.keys, n_answers, answer)
    all_collaborative(n_answers, answer)
    return n_answers, n_neighbours, scale, log


@kernel
def recommend(profile, site, half_powers, open_events, space, neighbours, answer):  # type: ignore[no-untyped-def]
    """Rank the open events for one profile with reasons; return how many events and how many neighbours there are.

    Site, space, neighbours and answer are `Held`. open_events uint8[events] marks the candidates. The size of
    `neighbours` is k, the size of `answer` n.
    """
    profile, open_events = borrowed(profile), borrowed(open_events)
    site, space, neighbours, answer = held_in(site), held_in(space), held_in(neighbours), held_in(answer)
    factors = factors_of(profile, site)
    n_answers, n_neighbours, scale, log = rank(
        profile, factors, site, half_powers, open_events, space, neighbours, answer
    )
    if n_answers > 0:
        explain(profile, factors, site, scale, log, space, neighbours, n_neighbours, answer, n_answers)
    return n_answers, n_neighbours


@kernel
def recommend_many(users, site, half_powers, open_events, space, neighbours, answer, ranked):  # type: ignore[no-untyped-def]
    """Rank the open events for many people of the model, without reasons, into `ranked` int32[m, n], -1 padded.

    Site, space, neighbours and answer are `Held`. users int32[m] are rows of the model; what they already like is left
    out.
    """
    site, space, neighbours, answer = held_in(site), held_in(space), held_in(neighbours), held_in(answer)
    liked = site.liked
    for line in range(users.size):
        user = users[line]
        events = liked.indices[liked.indptr[user] : liked.indptr[user + 1]]
        weights = liked.weights[liked.indptr[user] : liked.indptr[user + 1]]
        profile = Profile(events, weights.astype(np.float32) / np.float32(255.0), events, user)
        n_answers, _, _, _ = rank(
            profile,
            factors_of(profile, site),
            site,
            half_powers,
            open_events,
            space,
            neighbours,
            answer,
        )
        ranked[line, :n_answers] = answer.events[:n_answers]
        ranked[line, n_answers:] = -1

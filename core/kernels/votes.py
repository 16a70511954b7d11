"""The votes of a neighbourhood: adding up what the neighbours like, finding the best of it, and who voted for that.

Votes are added to a dense array, whose blocks of 64 events are marked when something is added, so that
finding the best looks at marked blocks only, several events at a time. The walk over the neighbours' rows also logs the
events it meets: who voted for the few ranked ones is then a pass over that log, not another walk through memory.
"""

import numpy as np

from core.kernels.heap import index_of, key_of, push_bounded, sort_best_first
from core.kernels.jit import inlined
from core.kernels.prefetch import prefetch
from core.kernels.workspace import BLOCK_BITS

_BLOCK = 1 << BLOCK_BITS
_SCORE_BITS = np.uint64(32)
#: How many rows ahead the place of a row is asked for, then its entries, and of those how many.
_PLACES_AHEAD, _ROWS_AHEAD, _ENTRIES_AHEAD, _ENTRIES_IN_A_LINE = 16, 4, 96, 16


@inlined
def locate_rows(rows, neighbours, n_neighbours):  # type: ignore[no-untyped-def]
    """Note where each neighbour's row of the model begins and stops; return how many entries there are in all."""
    indptr, head, following = rows.indptr, rows.head, rows.following
    users, starts, stops = neighbours.users, neighbours.starts, neighbours.stops
    n_base = indptr.size - 1
    total = np.int64(0)
    for slot in range(n_neighbours):
        if slot + _PLACES_AHEAD < n_neighbours:
            prefetch(indptr, users[slot + _PLACES_AHEAD])
            prefetch(head, users[slot + _PLACES_AHEAD])
        row = users[slot]
        starts[slot] = stops[slot] = 0
        if row < n_base:
            starts[slot], stops[slot] = indptr[row], indptr[row + 1]
        total += stops[slot] - starts[slot]
        link = head[row]
        while link >= 0:
            total += 1
            link = following[link]
    return total


@inlined
def _ask_ahead(indices, weights, start, stop):  # type: ignore[no-untyped-def]
    prefetch(weights, start)
    prefetch(weights, stop)
    for position in range(start, min(stop, start + _ENTRIES_AHEAD), _ENTRIES_IN_A_LINE):
        prefetch(indices, position)


@inlined
def cast_votes(rows, neighbours, n_neighbours, space):  # type: ignore[no-untyped-def]
    """Add vote × weight to the sum of each event that a neighbour likes, and mark its block; return the log.

    The log int32[entries] has the events in the order of the walk, row after row, those of slot s before
    `neighbours.ends[s]`: first the entries of the model's row, then the additions, newest first.
    """
    log = np.empty(locate_rows(rows, neighbours, n_neighbours), np.int32)
    indices, weights, head = rows.indices, rows.weights, rows.head
    following, added, added_weights = rows.following, rows.added, rows.added_weights
    users, votes, ends = neighbours.users, neighbours.votes, neighbours.ends
    starts, stops = neighbours.starts, neighbours.stops
    sums, marks = space.event_sums, space.marked_blocks
    logged = np.uint64(0)
    for slot in range(n_neighbours):
        if slot + _ROWS_AHEAD < n_neighbours:
            _ask_ahead(indices, weights, starts[slot + _ROWS_AHEAD], stops[slot + _ROWS_AHEAD])
        vote = votes[slot]
        for position in range(np.uint64(starts[slot]), np.uint64(stops[slot])):
            event = np.uint32(indices[position])
            sums[event] += vote * np.float32(weights[position])
            marks[event >> np.uint32(BLOCK_BITS)] = 1
            log[logged] = event
            logged += np.uint64(1)
        link = head[users[slot]]
        while link >= 0:
            event = np.uint32(added[link])
            sums[event] += vote * np.float32(added_weights[link])
            marks[event >> np.uint32(BLOCK_BITS)] = 1
            log[logged] = event
            logged += np.uint64(1)
            link = following[link]
        ends[slot] = logged
    return log


@inlined
def _best_of_block(block, scale, event_scales, open_events, sums):  # type: ignore[no-untyped-def]
    """The greatest score of an open event of a block, as bits: those of floats ≥ 0 order as the floats do.

    What is not open is masked out: a choice would make the loads depend on it, which Arm cannot do several at a time.
    """
    start = np.uint64(block * _BLOCK)
    best = np.int32(0)
    for event in range(start, start + np.uint64(_BLOCK)):
        score = np.float32(sums[event] * event_scales[event] * scale)
        bits = np.int32(score.view(np.int32) & np.int32(-np.int32(open_events[event] != 0)))
        best = bits if bits > best else best
    return best


@inlined
def _push_events(start, stop, least, scale, event_scales, open_events, sums, keys, size, capacity):  # type: ignore[no-untyped-def]
    """Offer the open events from start to stop with a score above `least` to the heap `keys`; return its new size."""
    for event in range(start, stop):
        score = sums[event] * event_scales[event] * scale
        if score > least and open_events[event] != 0:
            size = push_bounded(keys, size, capacity, key_of(score, event))
    return size


@inlined
def find_best(scale, event_scales, open_events, space, capacity):  # type: ignore[no-untyped-def]
    """Put the best `capacity` of the open events with votes to the front of `space.keys`, best first; return how many.

    A score is sum × event_scales × scale. The best events of different blocks are different events, so none that ranks
    can be below the best `capacity` of those: a first pass finds these, a second one looks into the few blocks that
    reach as far.
    """
    sums, marks, keys = space.event_sums, space.marked_blocks, space.keys
    n_blocks = event_scales.size >> BLOCK_BITS
    size, listed, least = 0, capacity, np.int32(0)
    for block in range(n_blocks):
        if marks[block] == 0:
            continue
        best = _best_of_block(block, scale, event_scales, open_events, sums)
        if best > least:
            key = key_of(np.int32(best).view(np.float32), block)
            keys[listed] = key
            listed += 1
            size = push_bounded(keys, size, capacity, key)
            if size == capacity:
                # One less than the least that is kept: an equal score of a later block may still have a lower event.
                least = np.int32(keys[0] >> _SCORE_BITS) - np.int32(1)
    size, least_score = 0, np.int32(least).view(np.float32)
    for place in range(capacity, listed):
        if np.int32(keys[place] >> _SCORE_BITS) > least:
            start = index_of(keys[place]) * _BLOCK
            size = _push_events(
                start,
                start + _BLOCK,
                least_score,
                scale,
                event_scales,
                open_events,
                sums,
                keys,
                size,
                capacity,
            )
    start, stop = n_blocks * _BLOCK, event_scales.size
    size = _push_events(
        start, stop, least_score, scale, event_scales, open_events, sums, keys, size, capacity
    )
    sort_best_first(keys, size)
    return size


@inlined
def clear_votes(space):  # type: ignore[no-untyped-def]
    """Put the sums of marked blocks, and the marks, back to rest."""
    sums, marks = space.event_sums, space.marked_blocks
    for block in range(marks.size):
        if marks[block] != 0:
            marks[block] = 0
            start = np.uint64(block * _BLOCK)
            for event in range(start, start + np.uint64(_BLOCK)):
                sums[event] = 0.0


@inlined
def find_in_log(log, rank_of_event):  # type: ignore[no-untyped-def]
    """Where in the log a ranked event stands: (places int32[entries], how many of them count)."""
    found = np.empty(log.size, np.int32)
    n_found = 0
    for at in range(np.uint64(log.size)):
        # Noted behind the last whether it counts or not: few do, and no processor knows which.
        found[n_found] = at
        n_found += rank_of_event[np.uint32(log[at])] != 0
    return found, n_found


@inlined
def find_votes(log, n_neighbours, rows, space, neighbours, supporters, width):  # type: ignore[no-untyped-def]
    """Who voted for the ranked events: float32[neighbours, width], each neighbour's votes by rank.

    `space.rank_of_event` has the ranked events. Neighbours with a vote get their slot in `space.slot_of_user`, and
    `supporters` int32[ranks] counts them.
    """
    rank_of_event, slot_of_user = space.rank_of_event, space.slot_of_user
    weights, head, following, added_weights = rows.weights, rows.head, rows.following, rows.added_weights
    users, votes, ends = neighbours.users, neighbours.votes, neighbours.ends
    starts, stops = neighbours.starts, neighbours.stops
    found, n_found = find_in_log(log, rank_of_event)
    of_rank = np.zeros((n_neighbours, width), np.float32)
    slot, begin = 0, np.int64(0)
    for which in range(n_found):
        at = found[which]
        while ends[slot] <= at:
            begin = ends[slot]
            slot += 1
        position = starts[slot] + at - begin
        if position < stops[slot]:
            weight = weights[position]
        else:
            link = head[users[slot]]
            for _ in range(position - stops[slot]):
                link = following[link]
            weight = added_weights[link]
        if weight != 0:
            rank = np.int64(rank_of_event[log[at]]) - 1
            of_rank[slot, rank] = votes[slot] * np.float32(weight)
            supporters[rank] += 1
            slot_of_user[users[slot]] = slot
    return of_rank

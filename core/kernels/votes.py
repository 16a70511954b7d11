"""The votes of a neighbourhood: adding up what the neighbours like, finding the best of it, and who voted for that.

Votes are added to a dense array, and the best are found by a pass over all of it, several events at a time: a
neighbourhood votes for events of most blocks of 64, so to note which would cost more than it spares. The walk over the
neighbours' rows also logs the events it meets: who voted for the few ranked ones is then a pass over that log, not
another walk through memory.
"""

import numpy as np

from core.kernels.bits import lowest_bit
from core.kernels.heap import keep_best, key_of, least_kept
from core.kernels.jit import inlined
from core.kernels.prefetch import prefetch
from core.kernels.workspace import VOTES_BLOCK_BITS

_BLOCK_BITS = np.uint64(VOTES_BLOCK_BITS)
_BLOCK = np.uint64(1 << VOTES_BLOCK_BITS)
#: To find a bound that some more blocks reach takes fewer steps: one in so many more.
_SPARE = 8
#: How many rows ahead the place of a row is asked for, then its entries: as many lines of 64 bytes.
_PLACES_AHEAD, _ROWS_AHEAD, _LINES_AHEAD, _ENTRIES_IN_A_LINE = np.uint64(16), np.uint64(4), 3, 16
#: Where the bit of an event is among words of 32: so many events of a word, and which of them.
WORD_SHIFT, LAST_BIT = np.uint32(5), np.uint32(31)
#: Entries of the log are looked at in groups of so many; it has room for a whole last group.
_GROUP = np.uint64(4)


@inlined
def locate_rows(rows, neighbours, n_neighbours):  # type: ignore[no-untyped-def]
    """Note where each neighbour's row of the model begins and stops; return how many entries there are in all."""
    indptr, head, following = rows.indptr, rows.head, rows.following
    users, starts, stops = neighbours.users, neighbours.starts, neighbours.stops
    n_base = indptr.size - 1
    total = np.int64(0)
    for slot in range(np.uint64(n_neighbours)):
        if slot + _PLACES_AHEAD < n_neighbours:
            prefetch(indptr, users[slot + _PLACES_AHEAD])
            prefetch(head, users[slot + _PLACES_AHEAD])
        row = np.uint64(users[slot])
        starts[slot] = stops[slot] = 0
        if row < n_base:
            starts[slot], stops[slot] = indptr[row], indptr[row + np.uint64(1)]
        total += stops[slot] - starts[slot]
        link = head[row]
        while link >= 0:
            total += 1
            link = following[link]
    return total


@inlined
def _ask_ahead(indices, weights, start):  # type: ignore[no-untyped-def]
    prefetch(weights, start)
    for line in range(_LINES_AHEAD):
        prefetch(indices, start + line * _ENTRIES_IN_A_LINE)


@inlined
def cast_votes(rows, neighbours, n_neighbours, space):  # type: ignore[no-untyped-def]
    """Add vote × weight to the sum of each event that a neighbour likes; return the log.

    The log int32[entries and a group of zeros] has the events in the order of the walk, row after row, those of slot s
    before `neighbours.ends[s]`: first the entries of the model's row, then the additions, newest first.
    """
    n_entries = np.uint64(locate_rows(rows, neighbours, n_neighbours))
    log = np.empty(n_entries + _GROUP, np.int32)
    log[n_entries:] = 0
    indices, weights, head = rows.indices, rows.weights, rows.head
    following, added, added_weights = rows.following, rows.added, rows.added_weights
    users, votes, ends = neighbours.users, neighbours.votes, neighbours.ends
    starts, stops = neighbours.starts, neighbours.stops
    sums = space.event_sums
    logged = np.uint64(0)
    for slot in range(min(np.uint64(n_neighbours), _ROWS_AHEAD)):
        _ask_ahead(indices, weights, starts[slot])
    for slot in range(np.uint64(n_neighbours)):
        if slot + _ROWS_AHEAD < n_neighbours:
            _ask_ahead(indices, weights, starts[slot + _ROWS_AHEAD])
        vote = votes[slot]
        for position in range(np.uint64(starts[slot]), np.uint64(stops[slot])):
            event = np.uint32(indices[position])
            sums[event] += vote * np.float32(weights[position])
            log[logged] = event
            logged += np.uint64(1)
        link = head[np.uint32(users[slot])]
        while link >= 0:
            event = np.uint32(added[link])
            sums[event] += vote * np.float32(added_weights[link])
            log[logged] = event
            logged += np.uint64(1)
            link = following[link]
        ends[slot] = logged
    return log


@inlined
def _write_bests(scale, event_scales, open_events, sums, bits):  # type: ignore[no-untyped-def]
    """Write the best score of an open event of each whole block to `bits`; return how many blocks there are.

    As the bits of floats, which order as floats ≥ 0 do; multiplied by the scale last, which leaves the best the best.
    What is not open is masked out: a choice would make the loads depend on it, which Arm cannot do several at a time.
    """
    n_blocks = np.uint64(event_scales.size) >> _BLOCK_BITS
    for block in range(n_blocks):
        best = np.int32(0)
        for event in range(block * _BLOCK, (block + np.uint64(1)) * _BLOCK):
            score = np.float32(sums[event] * event_scales[event])
            of_event = np.int32(score.view(np.int32) & np.int32(-np.int32(open_events[event] != 0)))
            best = of_event if of_event > best else best
        bits[block] = np.float32(np.int32(best).view(np.float32) * scale).view(np.int32)
    return n_blocks


@inlined
def _mask_of(start, count, least, scale, event_scales, open_events, sums):  # type: ignore[no-untyped-def]
    """uint32: which of `count` events from `start` on are open and score at least what has the bits `least`."""
    found = np.uint32(0)
    for place in range(np.uint32(count)):
        event = start + np.uint64(place)
        score = np.float32(sums[event] * event_scales[event] * scale)
        counts = (score.view(np.int32) >= least) & (open_events[event] != 0)
        found |= np.uint32(np.uint32(counts) << np.uint32(place))
    return found


@inlined
def _list_marked(chosen, masks, n_chosen, scale, event_scales, sums, keys):  # type: ignore[no-untyped-def]
    """Write the keys of the events that the masks of the chosen blocks mark, each at least one; return how many.

    When a mask is worked off the next one takes its place without a branch that no processor would guess.
    """
    which, listed = np.uint64(0), np.uint64(0)
    mask = np.uint32(masks[0]) if n_chosen > 0 else np.uint32(0)
    while mask != 0:
        event = np.uint64(chosen[which]) * _BLOCK + np.uint64(lowest_bit(mask))
        keys[listed] = key_of(np.float32(sums[event] * event_scales[event] * scale), event)
        listed += np.uint64(1)
        rest = np.uint32(mask & np.uint32(mask - np.uint32(1)))
        is_done = np.uint32(rest == 0)
        which += np.uint64(is_done)
        following = (
            np.uint32(masks[min(which, n_chosen - np.uint64(1))]) if which < n_chosen else np.uint32(0)
        )
        mask = np.uint32(rest | np.uint32(following * is_done))
    return np.int64(listed)


@inlined
def find_best(scale, event_scales, open_events, space, capacity):  # type: ignore[no-untyped-def]
    """Put the best `capacity` of the open events with votes to the front of `space.keys`, in no order; return how many.

    A score is sum × event_scales × scale. The best events of different blocks are different events, so none that ranks
    can be below the best `capacity` of those: a first pass finds these, a second one looks into the few blocks that
    reach as far. Blocks are small, so that it looks at few more events than it keeps.
    """
    sums, bits, keys, chosen = space.event_sums, space.block_bits, space.keys, space.touched_events
    n_blocks = _write_bests(scale, event_scales, open_events, sums, bits)
    least = least_kept(bits, n_blocks, capacity, capacity // _SPARE)
    # Which blocks these are is written down first, without a branch that no processor would guess.
    n_chosen = np.uint64(0)
    for block in range(n_blocks):
        chosen[n_chosen] = block
        n_chosen += np.uint64(bits[block] >= least)
    # Their masks take the place of what was noted of the blocks, none of which is behind its own.
    for which in range(n_chosen):
        start = np.uint64(chosen[which]) * _BLOCK
        bits[which] = np.int32(_mask_of(start, _BLOCK, least, scale, event_scales, open_events, sums))
    start = n_blocks * _BLOCK
    left = np.uint64(event_scales.size) - start
    last = _mask_of(start, left, least, scale, event_scales, open_events, sums)
    chosen[n_chosen], bits[n_chosen] = n_blocks, np.int32(last)
    n_chosen += np.uint64(last != 0)
    listed = _list_marked(chosen, bits, n_chosen, scale, event_scales, sums, keys)
    return keep_best(keys, listed, capacity)


@inlined
def find_in_log(log, is_ranked, rank_of_event):  # type: ignore[no-untyped-def]
    """Where in the log a ranked event stands: (places int32[entries], how many of them count).

    Places are noted whether they count or not: few do, and no processor knows which. A first pass notes groups of
    entries, so that most entries cost no more than to be looked up, in a bit each, which stay near the core.
    """
    n_entries = np.uint64(log.size) - _GROUP
    groups = np.empty(log.size, np.int32)
    n_groups = np.uint64(0)
    for first in range(np.uint64(0), n_entries, _GROUP):
        bits = np.uint32(0)
        for entry in range(_GROUP):
            event = np.uint32(log[first + entry])
            bits |= is_ranked[event >> WORD_SHIFT] >> (event & LAST_BIT)
        groups[n_groups] = first
        n_groups += np.uint64(bits & np.uint32(1))
    found = np.empty(n_groups * _GROUP + np.uint64(1), np.int32)
    n_found = np.uint64(0)
    for which in range(n_groups):
        start = np.uint64(groups[which])
        for at in range(start, min(start + _GROUP, n_entries)):
            found[n_found] = at
            n_found += np.uint64(rank_of_event[np.uint32(log[at])] != 0)
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
    found, n_found = find_in_log(log, space.is_ranked, rank_of_event)
    of_rank = np.zeros((n_neighbours, width), np.float32)
    slot, begin = np.uint64(0), np.int64(0)
    for which in range(n_found):
        at = np.int64(found[which])
        while ends[slot] <= at:
            begin = ends[slot]
            slot += np.uint64(1)
        position = starts[slot] + at - begin
        if position < stops[slot]:
            weight = weights[np.uint64(position)]
        else:
            link = head[users[slot]]
            for _ in range(position - stops[slot]):
                link = following[link]
            weight = added_weights[link]
        if weight != 0:
            rank = np.uint64(rank_of_event[np.uint32(log[at])]) - np.uint64(1)
            of_rank[slot, rank] = votes[slot] * np.float32(weight)
            supporters[rank] += 1
            slot_of_user[users[slot]] = slot
    return of_rank

"""Content-based scoring: what events are like against what a person's taste is for, split exactly by kind.

Every feature of an event has a kind (genre, artist, venue, …). Within a kind k the features of event e are weighted by
their rarity, x_ef = idf_f / √(Σ_g idf_g² + pivot²) over the features g of e of kind k, so the part of a kind is at
most 1 however many features it has, and less where all of them are common. A score is the sum of weight · x
over the entries of a taste, linear in both, which is what makes its parts exact.

Most of what events are like many of them share: where and when they are, what they cost, and any feature that a good
part of them has. Events that have all of that in common form a group, whose sum is made once. What is rare is looked up
in lists of the events that have it. Where groups are few, nothing else is looked at: the best are among the events that
stand in those lists and the first members of the best groups.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.heap import (
    bits_of,
    index_of,
    key_of,
    least_kept,
    push_bounded,
    sift_down,
    sort_best_first,
)
from core.kernels.held import borrowed, held_in
from core.kernels.jit import background_kernel, inlined, kernel
from core.kernels.prefetch import prefetch
from core.kernels.reasons import without_reasons, write_ranked
from core.kernels.workspace import BLOCK_BITS
from core.tastes import KINDS, Taste

_BLOCK, _BLOCK_SHIFT = np.uint64(1 << BLOCK_BITS), np.uint64(BLOCK_BITS)
_INDEX_BITS = np.uint64(32)
_HASH_BASIS, _HASH_PRIME = 0x811C9DC5, 0x01000193


class Content(NamedTuple):
    """The content of all events as it is now: rows by event, groups of events, and lists by feature of what is rare.

    Groups and lists tell of what can be recommended. A feature counts by its group or by its list.
    """

    indptr: NDArray[np.int64]  #: [events + 1]
    features: NDArray[np.int32]  #: [nnz], ascending within an event
    values: NDArray[np.float32]  #: [nnz], x
    kinds: NDArray[np.uint8]  #: [features], `core.tastes.Kind`
    idf: NDArray[np.float32]  #: [features], > 0
    is_shared: NDArray[np.uint8]  #: [features], whether it counts by groups
    groups: NDArray[np.int32]  #: [events], which group an event is of
    group_indptr: NDArray[np.int64]  #: [groups + 1]
    group_features: NDArray[np.int32]  #: [entries], ascending within a group; no two groups are alike
    group_values: NDArray[np.float32]  #: [entries], x
    #: [groups + 1]; [1] where groups are too many for their members to be listed
    member_indptr: NDArray[np.int64]
    members: NDArray[np.int32]  #: [listed events], ascending within a group
    list_indptr: NDArray[np.int64]  #: [features + 1]
    list_events: NDArray[np.int32]  #: [entries], ascending within a feature
    list_values: NDArray[np.float32]  #: [entries], x
    pivot: NDArray[np.float32]  #: [1]


class ContentSpace(NamedTuple):
    """Scratch space of content-based scoring; between two requests it holds what is noted."""

    event_sums: NDArray[np.float32]  #: [events], 0
    group_sums: NDArray[np.float32]  #: [events], 0: what the shared features of each group add up to
    group_keys: NDArray[np.uint64]  #: [events], no rest state: the groups by their sums
    listed: NDArray[np.int32]  #: [events + 1], no rest state: the events of which a list says anything
    bits: NDArray[
        np.int32
    ]  #: [events + 1], no rest state: the scores of those, or the best of each block, as bits
    feature_sums: NDArray[np.float32]  #: [features], 0
    entry_of_feature: NDArray[np.int32]  #: [features], -1
    is_marked: NDArray[np.uint8]  #: [events], 0
    keys: NDArray[np.uint64]  #: [longest answer], no rest state


def content_space(events: int, features: int, longest_answer: int) -> ContentSpace:
    """Scratch space for so many events and features."""
    return ContentSpace(
        event_sums=np.zeros(events, np.float32),
        group_sums=np.zeros(events, np.float32),
        group_keys=np.empty(events, np.uint64),
        listed=np.empty(events + 1, np.int32),
        bits=np.empty(events + 1, np.int32),
        feature_sums=np.zeros(features, np.float32),
        entry_of_feature=np.full(features, -1, np.int32),
        is_marked=np.zeros(events, np.uint8),
        keys=np.empty(longest_answer, np.uint64),
    )


@inlined
def _value_alone(content, feature):  # type: ignore[no-untyped-def]
    """x_ef where a feature is the only one of its kind."""
    idf, pivot = content.idf[feature], content.pivot[0]
    return idf / np.sqrt(pivot * pivot + idf * idf)


@background_kernel
def count_events(features, n_features):  # type: ignore[no-untyped-def]
    """int32[features]: how many events have each feature."""
    counts = np.zeros(n_features, np.int32)
    for position in range(features.size):
        counts[features[position]] += 1
    return counts


@background_kernel
def replace_rows(indptr, features, changed, new_indptr, new_features, n_events):  # type: ignore[no-untyped-def]
    """The rows of `n_events` events with those of `changed` (int32, ascending) replaced by the new ones."""
    n_old = indptr.size - 1
    out_indptr = np.zeros(n_events + 1, np.int64)
    room = features.size + new_features.size
    out = np.empty(room, np.int32)
    at, which = 0, 0
    for event in range(n_events):
        if which < changed.size and changed[which] == event:
            for position in range(new_indptr[which], new_indptr[which + 1]):
                out[at] = new_features[position]
                at += 1
            which += 1
        elif event < n_old:
            for position in range(indptr[event], indptr[event + 1]):
                out[at] = features[position]
                at += 1
        out_indptr[event + 1] = at
    return out_indptr, out[:at].copy()


@background_kernel
def count_listed(indptr, features, n_features, is_listed):  # type: ignore[no-untyped-def]
    """int32[features]: how many of the events that `is_listed` uint8 marks have each feature."""
    counts = np.zeros(n_features, np.int32)
    for event in range(indptr.size - 1):
        if is_listed[event]:
            for position in range(indptr[event], indptr[event + 1]):
                counts[features[position]] += 1
    return counts


@background_kernel
def values_of(indptr, features, kinds, idf, pivot):  # type: ignore[no-untyped-def]
    """float32[nnz]: x of each feature of each event."""
    values = np.empty(features.size, np.float32)
    squares = np.empty(KINDS, np.float32)
    for event in range(indptr.size - 1):
        squares[:] = pivot * pivot
        for position in range(indptr[event], indptr[event + 1]):
            feature = features[position]
            squares[kinds[feature]] += idf[feature] * idf[feature]
        for position in range(indptr[event], indptr[event + 1]):
            feature = features[position]
            values[position] = idf[feature] / np.sqrt(squares[kinds[feature]])
    return values


@background_kernel
def fill_lists(content, is_listed):  # type: ignore[no-untyped-def]
    """Fill the lists of `content` for the events that `is_listed` marks; `content.list_indptr` holds the bounds."""
    following = content.list_indptr.copy()
    for event in range(content.indptr.size - 1):
        if is_listed[event]:
            for position in range(content.indptr[event], content.indptr[event + 1]):
                feature = content.features[position]
                if content.is_shared[feature] == 0:
                    place = following[feature]
                    content.list_events[place] = event
                    content.list_values[place] = content.values[position]
                    following[feature] = place + 1


@background_kernel
def shared_rows(indptr, features, values, is_shared):  # type: ignore[no-untyped-def]
    """The rows (indptr, features, values) with the features only that `is_shared` uint8 marks."""
    n_events, size = indptr.size - 1, 0
    for position in range(features.size):
        size += is_shared[features[position]] != 0
    kept_indptr = np.zeros(n_events + 1, np.int64)
    kept, of_kept = np.empty(size, np.int32), np.empty(size, np.float32)
    at = 0
    for event in range(n_events):
        for position in range(indptr[event], indptr[event + 1]):
            if is_shared[features[position]]:
                kept[at], of_kept[at] = features[position], values[position]
                at += 1
        kept_indptr[event + 1] = at
    return kept_indptr, kept, of_kept


@background_kernel
def group_alike(indptr, features, values):  # type: ignore[no-untyped-def]
    """(int32[n], int32[groups]): which group each of n rows is of, and the first row of each.

    Rows are alike that have the same features with the same values. Groups are numbered as they come. By hashing, with
    open addressing.
    """
    n_rows, n_slots = indptr.size - 1, np.uint64(1)
    while n_slots < 2 * n_rows + 1:
        n_slots *= np.uint64(2)
    group_in, group_of = np.full(n_slots, -1, np.int32), np.empty(n_rows, np.int32)
    first_of, bits = np.empty(n_rows, np.int32), values.view(np.int32)
    n_groups = 0
    for row in range(n_rows):
        slot = np.uint64(_hash_of(indptr, features, bits, row)) & (n_slots - np.uint64(1))
        while group_in[slot] >= 0 and not _is_alike(indptr, features, bits, row, first_of[group_in[slot]]):
            slot = (slot + np.uint64(1)) & (n_slots - np.uint64(1))
        if group_in[slot] < 0:
            group_in[slot] = n_groups
            first_of[n_groups] = row
            n_groups += 1
        group_of[row] = group_in[slot]
    return group_of, first_of[:n_groups].copy()


@inlined
def _hash_of(indptr, features, bits, row):  # type: ignore[no-untyped-def]
    """FNV-1a over whole numbers, 32 bits."""
    state = np.uint64(_HASH_BASIS)
    for position in range(indptr[row], indptr[row + 1]):
        for number in (features[position], bits[position]):
            state = ((state ^ np.uint64(np.uint32(number))) * np.uint64(_HASH_PRIME)) & np.uint64(0xFFFFFFFF)
    return state ^ (state >> np.uint64(15))


@inlined
def _is_alike(indptr, features, bits, one, other):  # type: ignore[no-untyped-def]
    start, other_start = indptr[one], indptr[other]
    size = indptr[one + 1] - start
    alike = size == indptr[other + 1] - other_start
    if alike:
        for place in range(size):
            alike &= features[start + place] == features[other_start + place]
            alike &= bits[start + place] == bits[other_start + place]
    return alike


@background_kernel
def list_members(groups, n_groups, is_listed):  # type: ignore[no-untyped-def]
    """(int64[groups + 1], int32[listed]): the events that `is_listed` uint8 marks, group by group, ascending."""
    bounds = np.zeros(n_groups + 1, np.int64)
    for event in range(groups.size):
        if is_listed[event]:
            bounds[groups[event] + 1] += 1
    bounds = np.cumsum(bounds)
    members, following = np.empty(bounds[-1], np.int32), bounds.copy()
    for event in range(groups.size):
        if is_listed[event]:
            place = following[groups[event]]
            members[place] = event
            following[groups[event]] = place + 1
    return bounds, members


@kernel
def taste_of(profile_events, profile_weights, stated, content, parts, kind_weights, space):  # type: ignore[no-untyped-def]
    """A person's taste: what `core.tastes.Taste` holds, as arrays that belong to the caller.

    Liked events count by their preference, stated entries by their weight, each with the value that its feature has in
    an event; within a kind the sum has length 1, and the kinds count as `kind_weights` float32[KINDS] says, of what the
    kinds of which anything is known add up to. So no event scores above 1. The entries of liked events count for
    `parts` uint8[KINDS] of the score. Content and space are `Held`.
    """
    profile_events, profile_weights, stated = (
        borrowed(profile_events),
        borrowed(profile_weights),
        borrowed(stated),
    )
    parts, kind_weights = borrowed(parts), borrowed(kind_weights)
    content, space = held_in(content), held_in(space)
    room, n_events = stated.features.size, content.indptr.size - 1
    for liked in range(profile_events.size):
        event = profile_events[liked]
        if event < n_events:
            _ask_for_row(content, event)
            room += content.indptr[event + 1] - content.indptr[event]
    out = Taste(np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.uint8))
    size = _write_taste(profile_events, profile_weights, stated, content, parts, kind_weights, space, out)
    return out.features[:size], out.weights[:size], out.kinds[:size]


@inlined
def _ask_for_row(content, event):  # type: ignore[no-untyped-def]
    """Prefetch what an event is like: rows are short and lie about."""
    prefetch(content.features, content.indptr[event])
    prefetch(content.values, content.indptr[event])


@inlined
def _write_taste(profile_events, profile_weights, stated, content, parts, kind_weights, space, out):  # type: ignore[no-untyped-def]
    """Write a taste to `out`, which has room for it; return how many entries it has."""
    sums, n_known = space.feature_sums, content.kinds.size
    n_events, size = content.indptr.size - 1, 0
    for liked in range(profile_events.size):
        event = profile_events[liked]
        if event >= n_events:
            continue
        start, stop = content.indptr[event], content.indptr[event + 1]
        for position in range(start, stop):
            feature = content.features[position]
            amount = profile_weights[liked] * content.values[position]
            if amount > 0.0:
                if sums[feature] == 0.0:
                    out.features[size] = feature
                    out.kinds[size] = parts[content.kinds[feature]]
                    size += 1
                sums[feature] += amount
    for entry in range(size):
        out.weights[entry] = sums[out.features[entry]]
    for entry in range(stated.features.size):
        feature = stated.features[entry]
        if 0 <= feature < n_known and stated.weights[entry] > 0.0:
            out.features[size] = feature
            out.kinds[size] = stated.kinds[entry]
            out.weights[size] = stated.weights[entry] * _value_alone(content, feature)
            sums[feature] += out.weights[size]
            size += 1
    _scale_kinds(size, content, kind_weights, space, out)
    return size


@inlined
def _scale_kinds(size, content, kind_weights, space, out):  # type: ignore[no-untyped-def]
    """Give the entries of each kind their weight; clear the sums."""
    sums = space.feature_sums
    squares = np.zeros(KINDS, np.float32)
    for entry in range(size):
        feature = out.features[entry]
        squares[content.kinds[feature]] += sums[feature] * sums[feature]
        sums[feature] = 0.0
    total = np.float32(0.0)
    for kind in range(KINDS):
        if squares[kind] > 0.0:
            total += kind_weights[kind]
    for entry in range(size):
        kind = content.kinds[out.features[entry]]
        scale = kind_weights[kind] / (np.sqrt(squares[kind]) * total) if total > 0.0 else np.float32(0.0)
        out.weights[entry] *= scale


@inlined
def add_scores(taste, content, space):  # type: ignore[no-untyped-def]
    """Add what the taste says to `space.event_sums` by the lists, to `space.group_sums` by what groups share.

    Returns of how many events a list says anything; `space.listed` has each of them once. An event is noted there
    before it is known whether it counts, which spares a branch that no processor predicts.
    """
    n_known, has_shared = content.kinds.size, False
    sums, group_sums, of_features, listed = (
        space.event_sums,
        space.group_sums,
        space.feature_sums,
        space.listed,
    )
    n_listed = np.uint64(0)
    for entry in range(taste.features.size):
        feature = taste.features[entry]
        weight = taste.weights[entry]
        if feature >= n_known or weight == 0.0:
            continue
        if content.is_shared[feature]:
            of_features[feature] += weight
            has_shared = True
            continue
        for position in range(
            np.uint64(content.list_indptr[feature]), np.uint64(content.list_indptr[feature + 1])
        ):
            event = np.uint32(content.list_events[position])
            before = sums[event]
            after = before + weight * content.list_values[position]
            sums[event] = after
            listed[n_listed] = event
            n_listed += np.uint64((before == 0.0) & (after != 0.0))
    if has_shared:
        for group in range(np.uint64(content.group_indptr.size - 1)):
            # In 64 bits, so that groups which differ by what the taste says nothing of, or as much of, score the same.
            total = 0.0
            for position in range(
                np.uint64(content.group_indptr[group]), np.uint64(content.group_indptr[group + np.uint64(1)])
            ):
                feature = np.uint32(content.group_features[position])
                total += np.float64(of_features[feature]) * np.float64(content.group_values[position])
            group_sums[group] = total
    return n_listed


@inlined
def score_of_event(event, content, space):  # type: ignore[no-untyped-def]
    """The score of an event after `add_scores`, float32, 0…1."""
    return np.float32(space.event_sums[event] + space.group_sums[np.uint32(content.groups[event])])


@inlined
def clear_scores(taste, content, space, n_listed):  # type: ignore[no-untyped-def]
    """Bring the sums back to rest."""
    for which in range(n_listed):
        space.event_sums[np.uint32(space.listed[which])] = 0.0
    space.group_sums[: content.group_indptr.size - 1] = 0.0
    for entry in range(taste.features.size):
        if taste.features[entry] < content.kinds.size:
            space.feature_sums[taste.features[entry]] = 0.0


@kernel
def score_events(taste, content, events, space, scores):  # type: ignore[no-untyped-def]
    """Write the score of each of `events` int32[m] to scores float32[m], 0…1: a component for other arms.

    Content and space are `Held`.
    """
    taste, events, scores = borrowed(taste), borrowed(events), borrowed(scores)
    content, space = held_in(content), held_in(space)
    n_listed = add_scores(taste, content, space)
    for place in range(events.size):
        event = events[place]
        is_known = event < content.indptr.size - 1
        scores[place] = score_of_event(event, content, space) if is_known else np.float32(0.0)
    clear_scores(taste, content, space, n_listed)


@inlined
def _bits_of(event, content, open_events, space):  # type: ignore[no-untyped-def]
    """The score of an event after `add_scores` as bits, which order as the floats do; 0 where it must not be named."""
    is_closed = (open_events[event] == 0) | (space.is_marked[event] != 0)
    score = np.float32(score_of_event(event, content, space))
    return np.int32(score.view(np.int32) & (np.int32(is_closed) - np.int32(1)))


@inlined
def _order_groups(content, space):  # type: ignore[no-untyped-def]
    """Make `space.group_keys` a heap of the groups that score above 0, the best at its root; return how many.

    Its keys are complements, since the root of a heap is the least.
    """
    n_groups, size = content.group_indptr.size - 1, 0
    for group in range(n_groups):
        if space.group_sums[group] > 0.0:
            key = ~key_of(space.group_sums[group], group)
            size = push_bounded(space.group_keys, size, n_groups, key)
    return size


@inlined
def _keep_first_members(known, content, open_events, space, capacity):  # type: ignore[no-untyped-def]
    """The best events that stand in no list, to the heap `space.keys`; return how many.

    Of groups with equal sums the lower events are taken: members ascend, so a group is left at the first that is worse
    than what is kept.
    """
    keys, heap, size = space.keys, space.group_keys, 0
    n_left = _order_groups(content, space)
    while n_left > 0:
        key = ~heap[0]
        bits, group = bits_of(key), index_of(key)
        if size == capacity and bits < bits_of(keys[0]):
            break
        score = np.int32(bits).view(np.float32)
        for position in range(content.member_indptr[group], content.member_indptr[group + 1]):
            event = np.uint64(content.members[position])
            if size == capacity and key_of(score, event) < keys[0]:
                break
            is_free = (open_events[event] != 0) & (space.is_marked[event] == 0) if event < known else False
            if is_free and space.event_sums[event] == 0.0:
                size = push_bounded(keys, size, capacity, key_of(score, event))
        n_left -= 1
        sift_down(heap, n_left, heap[n_left])
    return size


@inlined
def _keep_listed(known, content, open_events, space, n_listed, capacity, size):  # type: ignore[no-untyped-def]
    """Offer the events of the lists to the heap `space.keys` of `size`; return its new size."""
    listed, bits, keys = space.listed, space.bits, space.keys
    for which in range(n_listed):
        event = np.uint32(listed[which])
        bits[which] = _bits_of(event, content, open_events, space) if event < known else np.int32(0)
    wanted = _least_wanted(bits, n_listed, keys, size, capacity)
    for which in range(n_listed):
        key = key_of(np.int32(bits[which]).view(np.float32), np.uint32(listed[which]))
        if key >= wanted:
            size = push_bounded(keys, size, capacity, key)
    return size


@inlined
def _least_wanted(bits, n_bits, keys, size, capacity):  # type: ignore[no-untyped-def]
    """A key below which none is to be kept in a heap of `size`, to which events with these `bits` will be offered."""
    least = least_kept(bits, n_bits, capacity) if n_bits > np.uint64(capacity) else np.int32(1)
    wanted = np.uint64(least) << _INDEX_BITS
    return max(wanted, keys[0]) if size == capacity else wanted


@inlined
def _keep_of_all(known, content, open_events, space, capacity):  # type: ignore[no-untyped-def]
    """The best of all events, to the heap `space.keys`; return how many.

    A first pass notes the best score of each block of events, a second one looks into the few blocks that reach as far.
    """
    bits, keys, n_blocks = space.bits, space.keys, (known + _BLOCK - np.uint64(1)) >> _BLOCK_SHIFT
    for block in range(n_blocks):
        start, stop = block * _BLOCK, min((block + np.uint64(1)) * _BLOCK, known)
        has_open, greatest = np.uint8(0), np.int32(0)
        for event in range(start, stop):
            has_open |= open_events[event]
        if has_open != 0:
            for event in range(start, stop):
                greatest = max(greatest, _bits_of(event, content, open_events, space))
        bits[block] = greatest
    size = 0
    wanted = _least_wanted(bits, n_blocks, keys, size, capacity)
    for block in range(n_blocks):
        if bits[block] >= bits_of(wanted):
            for event in range(block * _BLOCK, min((block + np.uint64(1)) * _BLOCK, known)):
                of_event = _bits_of(event, content, open_events, space)
                key = key_of(np.int32(of_event).view(np.float32), event)
                if key >= wanted:
                    size = push_bounded(keys, size, capacity, key)
                    if size == capacity:
                        wanted = max(wanted, keys[0])
    return size


@inlined
def keep_best_by_content(content, open_events, excluded, space, n_listed, capacity):  # type: ignore[no-untyped-def]
    """The best open events that are not `excluded`, to the heap `space.keys`; return how many.

    After `add_scores`, which lists n_listed. Only what scores above 0 counts.
    """
    marks = space.is_marked
    known = np.uint64(min(content.indptr.size - 1, open_events.size))
    for position in range(excluded.size):
        if excluded[position] < known:
            marks[excluded[position]] = 1
    if content.members.size > 0:
        size = _keep_first_members(known, content, open_events, space, capacity)
        size = _keep_listed(known, content, open_events, space, n_listed, capacity, size)
    else:
        size = _keep_of_all(known, content, open_events, space, capacity)
    for position in range(excluded.size):
        if excluded[position] < known:
            marks[excluded[position]] = 0
    return size


@kernel
def rank_by_content(taste, content, open_events, excluded, space, answer):  # type: ignore[no-untyped-def]
    """Rank the events that `open_events` uint8 marks and the taste says anything for; return how many.

    The lists and members of `content` must hold every event that is to be found. Those `excluded` are left out.
    Content, space and answer are `Held`.
    """
    taste, open_events, excluded = borrowed(taste), borrowed(open_events), borrowed(excluded)
    content, space, answer = held_in(content), held_in(space), held_in(answer)
    n_listed = add_scores(taste, content, space)
    size = keep_best_by_content(content, open_events, excluded, space, n_listed, answer.events.size)
    clear_scores(taste, content, space, n_listed)
    sort_best_first(space.keys, size)
    write_ranked(space.keys, size, answer)
    without_reasons(size, answer)
    split_by_content(taste, content, space, answer, size, np.float32(1.0))
    return size


@inlined
def name_by_content(taste, content, open_events, excluded, space, most, pool, n_pool):  # type: ignore[no-untyped-def]
    """Add the events that a taste names first to the `n_pool` of a pool, and say of all how they score by content.

    Of those that `open_events` uint8 marks it names at most `most` that are not `excluded` and score above 0. No votes
    are known of those that were not in. The pool has room for all; returns how many there are.
    """
    n_known, marks = content.indptr.size - 1, space.is_marked
    n_listed = add_scores(taste, content, space)
    size = keep_best_by_content(content, open_events, excluded, space, n_listed, most)
    for place in range(n_pool):
        if pool.events[place] < n_known:
            marks[pool.events[place]] = 1
    total = n_pool
    for rank in range(size):
        event = index_of(space.keys[rank])
        pool.events[total], pool.votes[total] = event, np.float32(0.0)
        total += marks[event] == 0
    for place in range(total):
        event = pool.events[place]
        is_known = event < n_known
        pool.content[place] = score_of_event(event, content, space) if is_known else np.float32(0.0)
        if is_known:
            marks[event] = 0
    clear_scores(taste, content, space, n_listed)
    return total


@inlined
def split_by_content(taste, content, space, answer, n, share):  # type: ignore[no-untyped-def]
    """Add `share` times the content scores of the first n events of an answer to their parts, and name the subjects.

    The subject of a part is the feature that adds most to it, the lower one of two that add the same.
    """
    for rank in range(n):
        if answer.events[rank] < content.indptr.size - 1:
            _ask_for_row(content, answer.events[rank])
    following = np.empty(taste.features.size, np.int32)
    for entry in range(taste.features.size - 1, -1, -1):
        feature = taste.features[entry]
        if feature < content.kinds.size:
            following[entry] = space.entry_of_feature[feature]
            space.entry_of_feature[feature] = entry
    greatest = np.zeros(answer.parts.shape[1], np.float32)
    for rank in range(n):
        event = answer.events[rank]
        if event >= content.indptr.size - 1:
            continue
        start, stop = content.indptr[event], content.indptr[event + 1]
        greatest[:] = 0.0
        for position in range(start, stop):
            feature = content.features[position]
            entry = space.entry_of_feature[feature]
            value = content.values[position]
            while entry >= 0:
                part, amount = taste.kinds[entry], share * (taste.weights[entry] * value)
                answer.parts[rank, part] += amount
                if amount > greatest[part]:
                    greatest[part] = amount
                    answer.subjects[rank, part] = feature
                entry = following[entry]
    for entry in range(taste.features.size):
        if taste.features[entry] < content.kinds.size:
            space.entry_of_feature[taste.features[entry]] = -1

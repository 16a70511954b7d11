"""Content-based scoring: what events are like against what a person's taste is for, split exactly by kind.

Every feature of an event has a kind (genre, artist, venue, …). Within a kind k the features of event e are weighted by
their rarity, x_ef = idf_f / √(Σ_g idf_g² + pivot²) over the features g of e of kind k, so the part of a kind is at
most 1 however many features it has, and less where all of them are common. A score is the sum of weight · x
over the entries of a taste, linear in both, which is what makes its parts exact.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.heap import bits_of, index_of, key_of, least_kept, push_bounded, sort_best_first
from core.kernels.held import held_in
from core.kernels.jit import background_kernel, inlined, kernel
from core.kernels.reasons import without_reasons, write_ranked
from core.kernels.workspace import BLOCK_BITS
from core.tastes import CIRCUMSTANCES, FIRST_CIRCUMSTANCE, KINDS, Taste

_BLOCK = np.uint64(1 << BLOCK_BITS)
_HASH_BASIS, _HASH_PRIME = 0x811C9DC5, 0x01000193


class Content(NamedTuple):
    """The content of all events as it is now: rows by event, and lists by feature of what can be recommended."""

    indptr: NDArray[np.int64]  #: [events + 1]
    features: NDArray[np.int32]  #: [nnz], ascending within an event
    kinds: NDArray[np.uint8]  #: [features], `core.tastes.Kind`
    idf: NDArray[np.float32]  #: [features], > 0
    situations: NDArray[np.int32]  #: [events], which of the circumstances below an event has
    circumstances: NDArray[
        np.int32
    ]  #: [situations, CIRCUMSTANCES], the feature of each, -1 for none; no two alike
    list_indptr: NDArray[np.int64]  #: [features + 1]
    list_events: NDArray[np.int32]  #: [entries], ascending within a feature
    list_values: NDArray[np.float32]  #: [entries]
    pivot: NDArray[np.float32]  #: [1]


class ContentSpace(NamedTuple):
    """Scratch space of content-based scoring; between two requests it holds what is noted."""

    event_sums: NDArray[np.float32]  #: [events], 0
    situation_sums: NDArray[np.float32]  #: [events], 0: what the circumstances of each situation add up to
    block_bits: NDArray[np.int32]  #: [blocks of events], no rest state: the best score of each
    feature_sums: NDArray[np.float32]  #: [features], 0
    entry_of_feature: NDArray[np.int32]  #: [features], -1
    is_marked: NDArray[np.uint8]  #: [events], 0
    keys: NDArray[np.uint64]  #: [longest answer], no rest state


def content_space(events: int, features: int, longest_answer: int) -> ContentSpace:
    """Scratch space for so many events and features."""
    return ContentSpace(
        np.zeros(events, np.float32),
        np.zeros(events, np.float32),
        np.empty((events >> BLOCK_BITS) + 1, np.int32),
        np.zeros(features, np.float32),
        np.full(features, -1, np.int32),
        np.zeros(events, np.uint8),
        np.empty(longest_answer, np.uint64),
    )


@inlined
def _value(content, start, stop, feature):  # type: ignore[no-untyped-def]
    """x_ef of a feature of the row [start, stop)."""
    kind = content.kinds[feature]
    squares = content.pivot[0] * content.pivot[0]
    for position in range(start, stop):
        other = content.features[position]
        if content.kinds[other] == kind:
            squares += content.idf[other] * content.idf[other]
    return content.idf[feature] / np.sqrt(squares)


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
def fill_lists(content, is_listed, circumstances):  # type: ignore[no-untyped-def]
    """Fill the lists of `content`, sized by their counts, for the events that `is_listed` marks; returns nothing.

    And `circumstances` int32[events, CIRCUMSTANCES] for all. `content.list_indptr` holds the bounds already.
    """
    following = content.list_indptr.copy()
    squares = np.empty(KINDS, np.float32)
    for event in range(content.indptr.size - 1):
        start, stop = content.indptr[event], content.indptr[event + 1]
        squares[:] = content.pivot[0] * content.pivot[0]
        for position in range(start, stop):
            feature = content.features[position]
            squares[content.kinds[feature]] += content.idf[feature] * content.idf[feature]
        for position in range(start, stop):
            feature = content.features[position]
            kind = content.kinds[feature]
            if kind >= FIRST_CIRCUMSTANCE:
                circumstances[event, kind - FIRST_CIRCUMSTANCE] = feature
            elif is_listed[event]:
                place = following[feature]
                content.list_events[place] = event
                content.list_values[place] = content.idf[feature] / np.sqrt(squares[kind])
                following[feature] = place + 1


@background_kernel
def group_alike(rows):  # type: ignore[no-untyped-def]
    """(int32[n], int32[groups, width]): which group each of n rows int32[n, width] is of, and what its rows are like.

    Groups are numbered as they come. By hashing, with open addressing.
    """
    n_rows, n_slots = rows.shape[0], np.uint64(1)
    while n_slots < 2 * n_rows + 1:
        n_slots *= np.uint64(2)
    group_in, group_of = np.full(n_slots, -1, np.int32), np.empty(n_rows, np.int32)
    first_of = np.empty(n_rows, np.int32)
    n_groups = 0
    for row in range(n_rows):
        slot = np.uint64(_hash_of(rows[row])) & (n_slots - np.uint64(1))
        while group_in[slot] >= 0 and not _is_alike(rows[row], rows[first_of[group_in[slot]]]):
            slot = (slot + np.uint64(1)) & (n_slots - np.uint64(1))
        if group_in[slot] < 0:
            group_in[slot] = n_groups
            first_of[n_groups] = row
            n_groups += 1
        group_of[row] = group_in[slot]
    groups = np.empty((n_groups, rows.shape[1]), np.int32)
    for group in range(n_groups):
        groups[group] = rows[first_of[group]]
    return group_of, groups


@inlined
def _hash_of(row):  # type: ignore[no-untyped-def]
    """FNV-1a over whole numbers, 32 bits."""
    state = np.uint64(_HASH_BASIS)
    for place in range(row.size):
        state = ((state ^ np.uint64(row[place] + 1)) * np.uint64(_HASH_PRIME)) & np.uint64(0xFFFFFFFF)
    return state ^ (state >> np.uint64(15))


@inlined
def _is_alike(one, other):  # type: ignore[no-untyped-def]
    alike = True
    for place in range(one.size):
        alike &= one[place] == other[place]
    return alike


@background_kernel
def count_listed(indptr, features, kinds, is_listed):  # type: ignore[no-untyped-def]
    """int64[features + 1]: the bounds of the lists that `fill_lists` fills."""
    bounds = np.zeros(kinds.size + 1, np.int64)
    for event in range(indptr.size - 1):
        if is_listed[event]:
            for position in range(indptr[event], indptr[event + 1]):
                feature = features[position]
                if kinds[feature] < FIRST_CIRCUMSTANCE:
                    bounds[feature + 1] += 1
    return np.cumsum(bounds)


@kernel
def taste_of(profile_events, profile_weights, stated, content, parts, kind_weights, space):  # type: ignore[no-untyped-def]
    """A person's taste: what `core.tastes.Taste` holds, as arrays that belong to the caller.

    Liked events count by their preference, stated entries by their weight, each with the value that its feature has in
    an event; within a kind the sum has length 1, and the kinds count as `kind_weights` float32[KINDS] says, of what the
    kinds of which anything is known add up to. So no event scores above 1. The entries of liked events count for
    `parts` uint8[KINDS] of the score. Content and space are `Held`.
    """
    content, space = held_in(content), held_in(space)
    room, n_events = stated.features.size, content.indptr.size - 1
    for liked in range(profile_events.size):
        event = profile_events[liked]
        if event < n_events:
            room += content.indptr[event + 1] - content.indptr[event]
    out = Taste(np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.uint8))
    size = _write_taste(profile_events, profile_weights, stated, content, parts, kind_weights, space, out)
    return out.features[:size], out.weights[:size], out.kinds[:size]


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
            amount = profile_weights[liked] * _value(content, start, stop, feature)
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
    """Add what the taste says to `space.event_sums` by the lists, to `space.situation_sums` by the circumstances."""
    n_known, has_circumstances = content.kinds.size, False
    sums, situation_sums, of_features = space.event_sums, space.situation_sums, space.feature_sums
    for entry in range(taste.features.size):
        feature = taste.features[entry]
        weight = taste.weights[entry]
        if feature >= n_known or weight == 0.0:
            continue
        if content.kinds[feature] >= FIRST_CIRCUMSTANCE:
            of_features[feature] += weight * _value_alone(content, feature)
            has_circumstances = True
            continue
        for position in range(
            np.uint64(content.list_indptr[feature]), np.uint64(content.list_indptr[feature + 1])
        ):
            sums[np.uint32(content.list_events[position])] += weight * content.list_values[position]
    if has_circumstances:
        for situation in range(content.circumstances.shape[0]):
            for which in range(CIRCUMSTANCES):
                feature = content.circumstances[situation, which]
                if feature >= 0:
                    situation_sums[situation] += of_features[feature]


@inlined
def score_of_event(event, content, space):  # type: ignore[no-untyped-def]
    """The score of an event after `add_scores`, float32, 0…1."""
    return np.float32(space.event_sums[event] + space.situation_sums[np.uint32(content.situations[event])])


@inlined
def clear_scores(taste, content, space):  # type: ignore[no-untyped-def]
    """Bring the sums back to rest."""
    space.event_sums[: content.indptr.size - 1] = 0.0
    space.situation_sums[: content.circumstances.shape[0]] = 0.0
    for entry in range(taste.features.size):
        if taste.features[entry] < content.kinds.size:
            space.feature_sums[taste.features[entry]] = 0.0


@kernel
def score_events(taste, content, events, space, scores):  # type: ignore[no-untyped-def]
    """Write the score of each of `events` int32[m] to scores float32[m], 0…1: a component for other arms.

    Content and space are `Held`.
    """
    content, space = held_in(content), held_in(space)
    add_scores(taste, content, space)
    for place in range(events.size):
        event = events[place]
        is_known = event < content.indptr.size - 1
        scores[place] = score_of_event(event, content, space) if is_known else np.float32(0.0)
    clear_scores(taste, content, space)


@inlined
def _bits_of(event, content, open_events, space):  # type: ignore[no-untyped-def]
    """The score of an event after `add_scores` as bits, which order as the floats do; 0 where it must not be named."""
    is_closed = (open_events[event] == 0) | (space.is_marked[event] != 0)
    score = np.float32(score_of_event(event, content, space))
    return np.int32(score.view(np.int32) & (np.int32(is_closed) - np.int32(1)))


@inlined
def _write_bests(known, content, open_events, space):  # type: ignore[no-untyped-def]
    """Write the best score of each block of events to `space.block_bits`, as bits; return how many blocks there are.

    Nothing is written for an event: a compiler that cannot tell that away from the sums would read them one by one.
    """
    block_bits, n_blocks = space.block_bits, (known + _BLOCK - np.uint64(1)) // _BLOCK
    for block in range(n_blocks):
        start, stop = block * _BLOCK, min((block + np.uint64(1)) * _BLOCK, known)
        has_open, greatest = np.uint8(0), np.int32(0)
        for event in range(start, stop):
            has_open |= open_events[event]
        if has_open != 0:
            for event in range(start, stop):
                greatest = max(greatest, _bits_of(event, content, open_events, space))
        block_bits[block] = greatest
    return n_blocks


@inlined
def keep_best_by_content(content, open_events, excluded, space, capacity):  # type: ignore[no-untyped-def]
    """The best open events that are not `excluded`, to `space.keys`, best first; return how many.

    After `add_scores`. Only what scores above 0 counts. Many events of the same circumstances score the same: first
    come those above what so many blocks reach, then of those that just reach it as many as there is room for.
    """
    block_bits, keys, marks = space.block_bits, space.keys, space.is_marked
    known = np.uint64(min(content.indptr.size - 1, open_events.size))
    for position in range(excluded.size):
        if excluded[position] < known:
            marks[excluded[position]] = 1
    n_blocks = _write_bests(known, content, open_events, space)
    least = least_kept(block_bits, n_blocks, capacity)
    size, above = 0, least
    for block in range(n_blocks):
        if block_bits[block] > above:
            for event in range(block * _BLOCK, min((block + np.uint64(1)) * _BLOCK, known)):
                bits = _bits_of(event, content, open_events, space)
                # Of two events with one score the earlier is in already.
                if bits > above:
                    size = push_bounded(keys, size, capacity, key_of(np.int32(bits).view(np.float32), event))
                    if size == capacity:
                        above = max(least, bits_of(keys[0]))
    for block in range(n_blocks):
        if size == capacity:
            break
        if block_bits[block] >= least:
            for event in range(block * _BLOCK, min((block + np.uint64(1)) * _BLOCK, known)):
                bits = _bits_of(event, content, open_events, space)
                if bits == least and size < capacity:
                    size = push_bounded(keys, size, capacity, key_of(np.int32(bits).view(np.float32), event))
    for position in range(excluded.size):
        if excluded[position] < known:
            marks[excluded[position]] = 0
    sort_best_first(keys, size)
    return size


@kernel
def rank_by_content(taste, content, open_events, excluded, space, answer):  # type: ignore[no-untyped-def]
    """Rank the events that `open_events` uint8 marks and the taste says anything for; return how many.

    The lists of `content` must hold every event that is to be found by more than its circumstances. Those `excluded`
    are left out. Content, space and answer are `Held`.
    """
    content, space, answer = held_in(content), held_in(space), held_in(answer)
    add_scores(taste, content, space)
    size = keep_best_by_content(content, open_events, excluded, space, answer.events.size)
    clear_scores(taste, content, space)
    write_ranked(space.keys, size, answer)
    without_reasons(size, answer)
    split_by_content(taste, content, space, answer, size, np.float32(1.0))
    return size


@kernel
def pool_by_content(taste, content, open_events, excluded, most, space, named, named_votes, pool):  # type: ignore[no-untyped-def]
    """Write a pool to blend: the events `named` int32[m] with their votes float32[m], and those the taste names first.

    Of those that `open_events` uint8 marks it names at most `most` that are not `excluded` and score above 0. `pool`
    are (events int32, votes float32, scores by content float32, 0…1), with room for all. Content, space and pool are
    `Held`. Returns how many.
    """
    content, space, pool = held_in(content), held_in(space), held_in(pool)
    pooled, votes, scores = pool
    n_known, marks = content.indptr.size - 1, space.is_marked
    add_scores(taste, content, space)
    size = keep_best_by_content(content, open_events, excluded, space, most)
    for place in range(named.size):
        pooled[place], votes[place] = named[place], named_votes[place]
        if named[place] < n_known:
            marks[named[place]] = 1
    total = named.size
    for rank in range(size):
        event = index_of(space.keys[rank])
        if marks[event] == 0:
            pooled[total], votes[total] = event, np.float32(0.0)
            total += 1
    for place in range(total):
        event = pooled[place]
        is_known = event < n_known
        scores[place] = score_of_event(event, content, space) if is_known else np.float32(0.0)
        if is_known:
            marks[event] = 0
    clear_scores(taste, content, space)
    return total


@inlined
def split_by_content(taste, content, space, answer, n, share):  # type: ignore[no-untyped-def]
    """Add `share` times the content scores of the first n events of an answer to their parts, and name the subjects.

    The subject of a part is the feature that adds most to it, the lower one of two that add the same.
    """
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
            value = _value(content, start, stop, feature) if entry >= 0 else np.float32(0.0)
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


@kernel
def add_parts(taste, content, space, answer, n, share):  # type: ignore[no-untyped-def]
    """`split_by_content` for an arm that blends: the parts of the first n events get `share` of what content says.

    Content, space and answer are `Held`.
    """
    split_by_content(taste, held_in(content), held_in(space), held_in(answer), n, share)

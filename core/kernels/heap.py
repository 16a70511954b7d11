"""Bounded top-k with a stated order for ties: a heap for streams, a partition for arrays.

Both work on keys: a positive float32 score in the upper half of an unsigned 64-bit integer, the complement of the
index in the lower half. A greater key is a better entry; of two equal scores the lower index has the greater key. As
no two keys are equal, every way of computing a top-k (serial, parallel, oracle) keeps the same entries in the same
order, and a comparison is one instruction.
"""

import numpy as np

from core.kernels.jit import inlined

_INDEX_BITS = np.uint64(32)
_INDEX_MASK = np.uint64(0xFFFFFFFF)

#: Distances between the keys that a Shell sort compares (Ciura 2001).
_GAPS = (701, 301, 132, 57, 23, 10, 4, 1)


@inlined
def key_of(score, index):  # type: ignore[no-untyped-def]
    """The key of a score > 0 and an index in 0 … 2³¹-1. Positive IEEE floats order as their bits do."""
    return (np.uint64(np.float32(score).view(np.uint32)) << _INDEX_BITS) | (_INDEX_MASK - np.uint64(index))


@inlined
def index_of(key):  # type: ignore[no-untyped-def]
    """The index that a key was made of."""
    return np.int32(_INDEX_MASK - (key & _INDEX_MASK))


@inlined
def score_of(key):  # type: ignore[no-untyped-def]
    """The score that a key was made of."""
    return np.uint32(key >> _INDEX_BITS).view(np.float32)


@inlined
def bits_of(key):  # type: ignore[no-untyped-def]
    """The bits of the score that a key was made of, int32."""
    return np.int32(key >> _INDEX_BITS)


@inlined
def sift_down(keys, size, key):  # type: ignore[no-untyped-def]
    """Put a key at the root of a heap of `size`, whose root is the least key, and restore the heap order."""
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        child += child + 1 < size and keys[child + 1] < keys[child]
        if keys[child] >= key:
            break
        keys[hole] = keys[child]
        hole = child
    keys[hole] = key


@inlined
def push_bounded(keys, size, capacity, key):  # type: ignore[no-untyped-def]
    """Offer a key to a heap that holds `size` of at most `capacity` ≥ 1 keys; return the new size."""
    if size == capacity:
        if key > keys[0]:
            sift_down(keys, size, key)
        return size
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        if keys[parent] <= key:
            break
        keys[hole] = keys[parent]
        hole = parent
    keys[hole] = key
    return size + 1


@inlined
def sort_best_first(keys, size):  # type: ignore[no-untyped-def]
    """Turn a heap of `size` keys into a list in rank order, in place (heapsort)."""
    for last in range(size - 1, 0, -1):
        key = keys[last]
        keys[last] = keys[0]
        sift_down(keys, last, key)


@inlined
def keep_best(keys, size, capacity):  # type: ignore[no-untyped-def]
    """Bring the best `capacity` ≥ 1 of `size` keys to the front, in no order; return how many that is.

    Quickselect (Hoare 1961) with Lomuto's partition written without a branch on the keys, which no processor could
    predict: each key is stored in both places and the boundary moves by the outcome of the comparison.
    """
    if size <= capacity:
        return size
    low, high = 0, size
    while high - low > 1:
        middle = (low + high) >> 1
        first, last = keys[low], keys[high - 1]
        pivot = max(min(first, last), min(max(first, last), keys[middle]))
        boundary = low
        for position in range(low, high):
            key = keys[position]
            keys[position] = keys[boundary]
            keys[boundary] = key
            boundary += key > pivot
        # Now [low, boundary) is better than the pivot, which stands somewhere at or behind the boundary.
        if boundary >= capacity:
            high = boundary
            continue
        for position in range(boundary, high):
            if keys[position] == pivot:
                keys[position] = keys[boundary]
                keys[boundary] = pivot
                break
        low = boundary + 1
        if low >= capacity:
            break
    return capacity


@inlined
def least_kept(bits, size, capacity, spare=0):  # type: ignore[no-untyped-def]
    """The greatest number that `capacity` ≥ 1 of the first `size` of `bits` int32 reach, 1 where fewer are above 0.

    Bits of floats > 0 order as the floats do. Bisection by counting: 31 passes at most, and each of them takes several
    numbers at a time and no branch that depends on them. Where just `capacity` reach a number, that may be returned
    though it is not one of them; or, which takes fewer passes, one that up to `spare` more reach.
    """
    greatest = np.int32(0)
    for position in range(np.uint64(size)):
        greatest = max(greatest, bits[position])
    low, high = np.int64(1), np.int64(greatest) + 1
    while high - low > 1:
        middle = np.int32(low + ((high - low) >> 1))
        reaching = np.int32(0)
        for position in range(np.uint64(size)):
            reaching += np.int32(bits[position] >= middle)
        if reaching >= capacity:
            low = np.int64(middle)
            if reaching <= capacity + spare:
                break
        else:
            high = np.int64(middle)
    return np.int32(low)


@inlined
def sort_keys(keys, size):  # type: ignore[no-untyped-def]
    """Sort `size` keys in any order into rank order, in place (Shell 1959): some hundred keys at most, no copy."""
    for gap in _GAPS:
        for position in range(gap, size):
            key = keys[position]
            hole = position
            while hole >= gap and keys[hole - gap] < key:
                keys[hole] = keys[hole - gap]
                hole -= gap
            keys[hole] = key

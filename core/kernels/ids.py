"""Finding many ids of one vocabulary in another (`core.vocabulary`)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.jit import background_kernel, inlined

#: An id whose hash is that of another id.
UNCLEAR = -2


class IdTable(NamedTuple):
    """The arrays of a vocabulary."""

    blob: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    hashes: NDArray[np.uint64]  #: ascending
    positions: NDArray[np.int32]


@inlined
def _is_same(one, index, other, other_index):  # type: ignore[no-untyped-def]
    """Whether two ids are the same text."""
    start, other_start = one.offsets[index], other.offsets[other_index]
    length = one.offsets[index + 1] - start
    if length != other.offsets[other_index + 1] - other_start:
        return False
    for place in range(length):
        if one.blob[start + place] != other.blob[other_start + place]:
            return False
    return True


@background_kernel
def match_ids(ids, others, first, end, at, found):  # type: ignore[no-untyped-def]
    """Write to `found` int32[ids] the index among the others of each id whose hash is in [first, end) of all hashes.

    That of an id whose hash no other has stays as it is; UNCLEAR where one has that is another id. `at` is the first
    of the others' hashes that is not less than the hash at `first`. Returns nothing.
    """
    for place in range(first, end):
        wanted = ids.hashes[place]
        while at < others.hashes.size and others.hashes[at] < wanted:
            at += 1
        if at < others.hashes.size and others.hashes[at] == wanted:
            index, other = ids.positions[place], others.positions[at]
            found[index] = other if _is_same(ids, index, others, other) else UNCLEAR

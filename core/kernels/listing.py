"""Non-personal lists: the first open events of a fixed order."""

import numpy as np

from core.kernels.held import borrowed, held_in
from core.kernels.jit import kernel
from core.reasons import Part


@kernel
def first_open(order, scores, open_events, excluded, space, answer, start):  # type: ignore[no-untyped-def]
    """Fill `answer` from rank `start` on with the first events of `order` that are open and not excluded.

    order int32[events], best first; scores float32[events], 0…1; excluded int32[x]. Behind other events the scores are
    scaled to the last of theirs, so that they descend. Space and answer are `Held`. Returns how many are filled in all.
    """
    order, scores, open_events, excluded = (
        borrowed(order),
        borrowed(scores),
        borrowed(open_events),
        borrowed(excluded),
    )
    space, answer = held_in(space), held_in(answer)
    marks = space.rank_of_event
    most = answer.scores[start - 1] if start > 0 else np.float32(1.0)
    for position in range(excluded.size):
        marks[excluded[position]] = 1
    size = start
    for position in range(order.size):
        if size == answer.events.size:
            break
        event = order[position]
        if open_events[event] != 0 and marks[event] == 0:
            answer.events[size] = event
            answer.scores[size] = scores[event] * most
            answer.parts[size] = 0.0
            answer.parts[size, Part.POPULARITY] = answer.scores[size]
            answer.subjects[size] = -1
            size += 1
    for position in range(excluded.size):
        marks[excluded[position]] = 0
    return size

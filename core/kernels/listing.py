"""Non-personal lists: the first open events of a fixed order."""

from core.kernels.jit import kernel


@kernel
def first_open(order, scores, open_events, excluded, space, answer, start):  # type: ignore[no-untyped-def]
    """Fill `answer` from rank `start` on with the first events of `order` that are open and not excluded.

    order int32[events], best first; scores float32[events]; excluded int32[x]. Returns how many are filled in all.
    """
    marks = space.rank_of_event
    for position in range(excluded.size):
        marks[excluded[position]] = 1
    size = start
    for position in range(order.size):
        if size == answer.events.size:
            break
        event = order[position]
        if open_events[event] != 0 and marks[event] == 0:
            answer.events[size] = event
            answer.scores[size] = scores[event]
            size += 1
    for position in range(excluded.size):
        marks[excluded[position]] = 0
    return size

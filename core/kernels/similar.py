"""Event-to-event similarity for one event, live: the cosine over the people who like both.

    cosine(e, f) = Σ_v r_ve · r_vf / (‖r_e‖ · ‖r_f‖)

(Sarwar et al., WWW 2001). The people v are those kept in the posting list of e, and so is ‖r_e‖; with a cap on the
postings that is a sample, which scales all cosines of e alike, so that their order is that of the whole but for chance.
"""

import numpy as np

from core.kernels.heap import key_of, push_bounded, sort_best_first
from core.kernels.held import held_in
from core.kernels.jit import background_kernel, inlined, kernel
from core.kernels.live import read_row, spread
from core.kernels.reasons import all_collaborative, without_reasons, write_ranked


@background_kernel
def add_squares(indices, weights, squares):  # type: ignore[no-untyped-def]
    """Add the weight² of each entry to that of its column, `squares` int64[columns], in 1/255²."""
    for position in range(indices.size):
        weight = np.int64(weights[position])
        squares[indices[position]] += weight * weight


@inlined
def _rank_cosines(n_touched, norm, event_squares, open_events, excluded, space, answer):  # type: ignore[no-untyped-def]
    """Keep the best open events of the touched ones; clear the sums; return how many are kept."""
    sums, touched, keys = space.event_sums, space.touched_events, space.keys
    for position in range(excluded.size):
        sums[excluded[position]] = 0.0
    size = 0
    for position in range(n_touched):
        event = touched[position]
        product = sums[event]
        sums[event] = 0.0
        if product > 0.0 and open_events[event] != 0:
            cosine = np.float64(product) / (norm * np.sqrt(np.float64(event_squares[event])))
            key = key_of(np.float32(min(cosine, 1.0)), event)
            size = push_bounded(keys, size, answer.events.size, key)
    sort_best_first(keys, size)
    return size


@kernel
def rank_similar(event, site, event_squares, open_events, excluded, space, answer):  # type: ignore[no-untyped-def]
    """Rank the open events by their cosine with one event, which is left out itself; return how many there are.

    event_squares int64[events] are Σ r² in 1/255²; excluded int32[x] are left out as well. All of a score is its
    collaborative part, and no event of a profile is named as its reason. Site, space and answer are `Held`.
    """
    site, space, answer = held_in(site), held_in(space), held_in(answer)
    room = site.liked.head.size + 1
    users, weights = np.empty(room, np.int32), np.empty(room, np.float32)
    n_users = read_row(site.savers, event, users, weights)
    squares = 0.0
    for position in range(n_users):
        squares += np.float64(weights[position]) * np.float64(weights[position])
    touched = spread(site.liked, users, weights, n_users, space.event_sums, space.touched_events)
    space.event_sums[event] = 0.0
    size = _rank_cosines(touched, np.sqrt(squares), event_squares, open_events, excluded, space, answer)
    write_ranked(space.keys, size, answer)
    all_collaborative(size, answer)
    without_reasons(size, answer)
    return size

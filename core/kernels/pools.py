"""How well weights rank the pools of events that a blend is learned on, many people in one call."""

import numpy as np

from core.kernels.jit import background_kernel


@background_kernel
def gains_reached(scores, weights, gains, worths):  # type: ignore[no-untyped-def]
    """float64[people, kinds]: Σ gain · worth of its rank, with pools ranked by the weighted sum of their scores.

    scores float32[people, components, m]; weights float32[components]; gains float32[people, kinds, m], of which the
    first kind is 0 only where all are; worths float64[k] of the first k ranks, in order: with 1 / log₂(rank + 1) the
    sums are DCG@k (Järvelin and Kekäläinen, TOIS 2002). Ties go to the lower place.
    """
    n_people, n_components, size = scores.shape
    reached = np.zeros((n_people, gains.shape[1]), np.float64)
    total = np.empty(size, np.float32)
    for person in range(n_people):
        total[:] = 0.0
        for component in range(n_components):
            if weights[component] != 0.0:
                for place in range(size):
                    total[place] += weights[component] * scores[person, component, place]
        for place in range(size):
            if gains[person, 0, place] > 0.0:
                rank = np.int64(0)
                for other in range(size):
                    rank += total[other] > total[place]
                for other in range(place):
                    rank += total[other] == total[place]
                if rank < worths.size:
                    for kind in range(gains.shape[1]):
                        reached[person, kind] += np.float64(gains[person, kind, place]) * worths[rank]
    return reached

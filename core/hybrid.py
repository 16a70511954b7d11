"""`hybrid`: a weighted sum of what the other arms say, with weights by how much is known of the person.

    score(u, e) = Σ_c w_bc · s_c(u, e) / max_f s_c(u, f)

over the components c below, with b the band of the person's number of liked events and f over the events in question:
those that the neighbourhood or the content names first. Each component counts in units of its own best event for this
person, because what a good score is differs by component and by person. The weights of a band add up to 1, and so no
score is above it. In the two collaborative components an event is discounted by n_e^-d, d again by band.

`training.blending` learns weights and discounts on interactions held out of the training data.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Component(IntEnum):
    """What the sum is over; the values index `Blend.weights`."""

    NEIGHBOURS = 0  #: the votes of the neighbourhood (`core.collaborative`)
    FACTORS = 1  #: the factorisation (`core.als`)
    CONTENT = 2  #: what the events are like (`core.content`)
    POPULARITY = 3


COMPONENTS = len(Component)
#: How many events are in question at most because the neighbourhood likes them most, or content names them first.
NAMED_BY_VOTES, NAMED_BY_CONTENT = 255, 100
#: Of how many events at least, by band, a person's likes are known: 0, 1–4, 5–20, more.
BANDS = (0, 1, 5, 21)


class Blend(NamedTuple):
    """The learned part of the arm."""

    weights: NDArray[np.float32]  #: [bands, components], ≥ 0, each band adds up to 1
    discounts: NDArray[np.float32]  #: [bands], d, 0…1


def default_blend() -> Blend:
    """What serves where there is too little to learn from; all components, the more of the person's own the better."""
    weights = [[0.0, 0.0, 0.6, 0.4], [0.4, 0.3, 0.2, 0.1], [0.45, 0.4, 0.1, 0.05], [0.5, 0.45, 0.05, 0.0]]
    return Blend(np.array(weights, np.float32), np.full(len(BANDS), 0.05, np.float32))


def band_of(n_liked: int) -> int:
    """The band of a person who likes so many events."""
    return int(np.searchsorted(BANDS, n_liked, side="right")) - 1


def check_blend(blend: Blend) -> None:
    """Raise ValueError, naming the part, unless weights and discounts are as `Blend` says."""
    for name, array, shape in (
        ("weights", blend.weights, (len(BANDS), COMPONENTS)),
        ("discounts", blend.discounts, (len(BANDS),)),
    ):
        if array.dtype != np.float32 or array.shape != shape:
            raise ValueError(f"{name}: expected float32{list(shape)}, got {array.dtype}{list(array.shape)}")
        if not ((array >= 0.0) & (array <= 1.0)).all():
            raise ValueError(f"{name}: a value is not in 0…1")
    if not np.allclose(blend.weights.sum(axis=1), 1.0, atol=1e-5):
        raise ValueError("weights: a band does not add up to 1")

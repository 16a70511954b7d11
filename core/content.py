"""What is known of a person's taste in the content of events: genres, artists, venues and the like."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Taste(NamedTuple):
    """A person's taste over the content features of events; empty where nothing is known."""

    features: NDArray[np.int32]  #: [t]
    weights: NDArray[np.float32]  #: [t], what a match with the feature counts
    kinds: NDArray[np.uint8]  #: [t], the `core.reasons.Part` of the score that a match counts for


#: The taste of somebody of whom nothing is known.
NO_TASTE = Taste(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.uint8))

"""What answers tell about events, for the kernel that writes them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.live.cards import MEMBERS, Cards
from service.live.labels import NO_LABELS, Labels


class Telling(NamedTuple):
    """What there is to tell of all events."""

    cards: Cards
    labels: Labels  #: of the features that the subjects of a ranking name
    masses: NDArray[np.float32]  #: [event room], the sum of everyone's preferences for an event


#: There are no events.
NOTHING_TOLD = Telling(
    Cards(np.empty(0, np.uint8), np.empty((0, MEMBERS + 2), np.int64)), NO_LABELS, np.empty(0, np.float32)
)

"""What answers call the content features of events: "techno", "Whelan's"."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.live.event import json_text


class Labels(NamedTuple):
    """The names of all features as the encoder takes them, each as it stands between the quotes of a JSON string.

    The label of feature f is blob[bounds[f] : bounds[f + 1]]; an empty one is never named.
    """

    blob: NDArray[np.uint8]  #: [bytes]
    bounds: NDArray[np.int64]  #: [features + 1]


def make_labels(names: Sequence[str]) -> Labels:
    """The labels of features 0, 1, …, by their names."""
    return join_labels([json_text(name) for name in names])


def join_labels(encoded: Sequence[bytes]) -> Labels:
    """The same by what stands between the quotes."""
    bounds = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return Labels(np.frombuffer(b"".join(encoded), np.uint8).copy(), bounds)


#: There are no features.
NO_LABELS = make_labels(())

"""From a ranking to the bytes of an answer.

An answer is mostly text that never changes: what it says about each event is encoded once (`service.live.event`). What
is left is a dozen numbers an event, so a kernel puts the bytes together (`service.recommending.items`), without a
Python object for any of them. `service.answers.RecommendationAnswer` is the type these bytes decode to; a test holds
the two together, and the kernel to a twin that uses a JSON library.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from core.kernels.held import Held
from core.kernels.jit import pinned
from core.kernels.workspace import answer
from core.recommender import Ranking
from service.live.event import json_text
from service.live.telling import NOTHING_TOLD, Telling
from service.recommending.items import Wording, encode_items

#: Names of arms with cities kept as the kernel takes them.
_TEXTS_KEPT = 256


class Envelope(NamedTuple):
    """What an answer says beside its recommendations."""

    recommendation_id: str
    user_id: str | None
    model_version: str
    variant: str
    experiment: bytes  #: JSON, encoded already
    notice: str | None


class Told(NamedTuple):
    """What the recommendations of an answer say beside their ranking."""

    algorithm: str  #: the name of the arm
    liked: NDArray[np.int32]  #: [p], the events of the profile, which the reasons point into
    city: str | None  #: the one that was asked for, as the caller wrote it


class Encoded(NamedTuple):
    """What is recommended, as JSON."""

    items: bytes  #: the members of the list of recommendations
    event_ids: bytes  #: the list of their events' ids


class Encoder:
    """Encodes one answer at a time; holds the buffer that takes."""

    def __init__(self) -> None:
        self._out = np.empty(1 << 17, np.uint8)
        self._wording = lru_cache(_TEXTS_KEPT)(_worded)
        self._encode_items = self._pin_encode_items()

    def encode(self, ranking: Ranking, told: Told, telling: Held[Telling], start: int = 0) -> Encoded:
        """The recommendations of a ranking from rank `start` on, best first."""
        wording = self._wording(told.algorithm, told.city)
        while True:
            stop, end = self._encode_items(self._out, telling, wording, told.liked, *ranking, start)
            if stop >= 0:
                written = self._out.data
                return Encoded(bytes(written[:stop]), bytes(written[stop:end]))
            self._out = np.empty(2 * (self._out.size - stop), np.uint8)

    def _pin_encode_items(self) -> Callable[..., tuple[int, int]]:
        nobody = np.empty(0, np.int32)
        wording = Held(Wording(np.empty(0, np.uint8), np.empty(0, np.uint8)))
        return pinned(encode_items, self._out, Held(NOTHING_TOLD), wording, nobody, Held(answer(1)), 0, 0, 0)


def _worded(algorithm: str, city: str | None) -> Held[Wording]:
    where = b"in " + json_text(city) if city else b"right now"
    return Held(Wording(_as_array(where), _as_array(json_text(algorithm))))


def _as_array(text: bytes) -> NDArray[np.uint8]:
    """A copy: an array over bytes themselves cannot be written to, which makes it another type to the kernel."""
    return np.frombuffer(text, np.uint8).copy()


def encode_answer(envelope: Envelope, items: bytes, latency_ms: float) -> tuple[bytes, ...]:
    """The whole answer as JSON, in pieces."""
    said = _said(envelope.model_version, envelope.variant, envelope.experiment, envelope.notice)
    before = b'{"recommendation_id":"%b","user_id":%b,"recommendations":[' % (
        envelope.recommendation_id.encode(),
        orjson.dumps(envelope.user_id),
    )
    return before, items, said, b"%.3f}" % latency_ms


@lru_cache(_TEXTS_KEPT)
def _said(model_version: str, variant: str, experiment: bytes, notice: str | None) -> bytes:
    """What stands behind the recommendations, up to the time that the answer took: the same for many."""
    return b'],"model_version":"%b","variant":"%b","ab_experiment":%b,"notice":%b,"latency_ms":' % (
        json_text(model_version),
        json_text(variant),
        experiment,
        orjson.dumps(notice),
    )

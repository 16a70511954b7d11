"""Ids of answers: they join what was shown to what people did with it."""

import os

_RANDOM_BYTES = 10
_AT_ONCE = 256


class RecommendationIds:
    """Makes ids of 32 hexadecimal digits: 48 bits of the time in milliseconds, then 80 random ones.

    Ordered by time like a version 7 UUID (RFC 9562), so that an index on them grows at its end. The system is asked for
    randomness for many ids at once: each time costs as much as a hundred ids.
    """

    def __init__(self) -> None:
        self._random = b""
        self._used = 0

    def new(self, now: float) -> str:
        """An id for an answer given at `now`, unix seconds."""
        if self._used == len(self._random):
            self._random, self._used = os.urandom(_RANDOM_BYTES * _AT_ONCE), 0
        start, self._used = self._used, self._used + _RANDOM_BYTES
        return f"{int(now * 1000):012x}{self._random[start : self._used].hex()}"

"""Work in a thread beside the event loop, a bit at a time, so that whoever asks meanwhile meets little of it."""

import time
from collections.abc import Callable

#: The share of the time that the preparing of a model takes beside those who ask.
SHARE = 0.25
#: A thread that was kept from its work for long need not make up for that.
MOST_SECONDS = 0.05


class Pace:
    """Rests after each piece of work for as long as keeps the work to a share, 0…1, of the time.

    It goes by the clock on the wall: where others keep the thread from its work, it rests longer.
    """

    def __init__(
        self,
        share: float = SHARE,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rest_to_work = 1.0 / share - 1.0
        self._clock, self._sleep = clock, sleep
        self._began = clock()

    def rest(self) -> None:
        """Called in the thread, after each piece."""
        self._sleep(min(MOST_SECONDS, self._rest_to_work * (self._clock() - self._began)))
        self._began = self._clock()


def no_rest() -> None:
    """For work that nobody asks beside."""

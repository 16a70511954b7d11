"""Work in a thread beside the event loop, a bit at a time, so that whoever asks meanwhile meets little of it."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

#: The share of the time that the preparing of a model takes beside those who ask.
SHARE = 0.18
#: How long a piece of work is at least, seconds.
LEAST_SECONDS = 0.0003
#: A thread that was kept from its work for long need not make up for that.
MOST_SECONDS = 0.05

_T = TypeVar("_T")


class Pace:
    """Rests after each piece of work for as long as keeps the work to a share, 0…1, of the time.

    It goes by the clock on the wall: where others keep the thread from its work, it rests longer. What takes less than
    LEAST_SECONDS is one piece with what comes next: after a rest nothing is near the core any more.

    A lower priority would do harm: where others want the processor, such a thread is not let on while the event loop,
    which has just handed it the interpreter, waits for it to take that (seen with the policy for batches: 100 ms).
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
        """Called in the thread, as often as the work allows."""
        worked = self._clock() - self._began
        if worked >= LEAST_SECONDS:
            self._sleep(min(MOST_SECONDS, self._rest_to_work * worked))
            self._began = self._clock()


def pause_after(seconds: float, share: float, least: float, most: float) -> float:
    """How long to rest after something that took so long, for it to take `share` of the time, within bounds; seconds.

    What each time costs, however much there is to do, so comes the more rarely the dearer it is where it runs.
    """
    return min(max(least, seconds / share - seconds), most)


def no_rest() -> None:
    """For work that nobody asks beside."""


def in_pieces(call: Callable[..., _T], *args: Any) -> _T:
    """`call(*args, rest)`, which calls `rest` after each piece of its work; in a thread beside those who ask."""
    return call(*args, Pace().rest)


def in_one_go(call: Callable[..., _T], *args: Any) -> _T:
    """The same where nobody asks meanwhile."""
    return call(*args, no_rest)

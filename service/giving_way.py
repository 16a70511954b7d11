"""Giving way: a training beside the service gets the processor in slices, thinner while requests are kept waiting.

The lowest priority (`service.priority`) is enough where the processor is never short. Where its time is bounded, by a
control group or on a machine that is out of credits, whatever a training uses in the moments when nobody asks is gone
when somebody does, and then everything stands still for most of a tenth of a second, over and over. So the training is
stopped for a part of each period, and the part follows from how late the event loop is woken up: it grows slowly while
the loop is in time, and is halved when it is not (additive increase, multiplicative decrease; Chiu and Jain, 1989, with
an increase that is in proportion while the share is large).
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

#: As long as the period in which Linux accounts for a control group's bounds.
PERIOD_SECONDS = 0.1
#: A loop that is woken up so late was kept waiting: more than answering the requests of a turn together takes.
LATE_SECONDS = 0.025
#: Of each period: what a training begins with, and what it always gets.
FIRST_SHARE, LEAST_SHARE = 0.05, 0.01
_GROWTH, _STEP, _CUT = 1.05, 0.001, 0.5


def next_share(share: float, late_seconds: float) -> float:
    """The part of the next period that a training gets, from that of the last and how late the loop was in it."""
    if late_seconds > LATE_SECONDS:
        return max(LEAST_SHARE, _CUT * share)
    return min(1.0, _GROWTH * share + _STEP)


async def _lateness(seconds: float) -> float:
    due = time.perf_counter() + seconds
    await asyncio.sleep(seconds)
    return time.perf_counter() - due


async def give_way(
    send: Callable[[int], None], lateness: Callable[[float], Awaitable[float]] = _lateness
) -> None:
    """Stop a process and let it go on by `send`, which sends it a signal, until it has ended or this is cancelled.

    `send` raises ProcessLookupError once it has ended. `lateness` sleeps for so many seconds and says by how many it
    woke up too late. However this ends, the process goes on.
    """
    share = FIRST_SHARE
    try:
        while True:
            if share == 1.0:
                late = await lateness(PERIOD_SECONDS)
            else:
                send(signal.SIGCONT)
                late = await lateness(share * PERIOD_SECONDS)
                send(signal.SIGSTOP)
                late = max(late, await lateness((1.0 - share) * PERIOD_SECONDS))
            share = next_share(share, late)
            if share == 1.0:
                send(signal.SIGCONT)
    except ProcessLookupError:
        return
    finally:
        with suppress(ProcessLookupError):
            send(signal.SIGCONT)

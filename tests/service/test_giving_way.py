import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator

import psutil
import pytest

from service.giving_way import (
    FIRST_SHARE,
    LATE_SECONDS,
    LEAST_SHARE,
    PERIOD_SECONDS,
    give_way,
    next_share,
)
from tests.service.storage.queue_fakes import until

STOP, GO = signal.SIGSTOP, signal.SIGCONT


class Training:
    """A process that only counts its signals, and ends after so many."""

    def __init__(self, lasts: int) -> None:
        self.signals: list[int] = []
        self._lasts = lasts

    def send(self, number: int) -> None:
        if len(self.signals) == self._lasts:
            raise ProcessLookupError
        self.signals.append(number)


def sleeps(late: Callable[[int], float], slept: list[float]) -> Callable[[float], Awaitable[float]]:
    """A sleep that takes no time and is late as asked for, by its number."""

    async def sleep(seconds: float) -> float:
        slept.append(seconds)
        return late(len(slept) - 1)

    return sleep


def shares(late: Callable[[int], float], periods: int) -> Iterator[float]:
    share = FIRST_SHARE
    for period in range(periods):
        share = next_share(share, late(period))
        yield share


def test_a_share_grows_to_the_whole_while_the_loop_is_in_time_and_stays_there():
    grown = list(shares(lambda _: 0.0, 200))

    assert grown == sorted(grown)
    assert grown[-1] == 1.0


def test_a_share_is_halved_when_the_loop_is_late_but_something_is_always_left():
    assert next_share(0.8, LATE_SECONDS * 1.01) == 0.4
    assert next_share(0.8, LATE_SECONDS) > 0.8
    assert list(shares(lambda _: 1.0, 50))[-1] == LEAST_SHARE


def test_a_share_settles_around_what_the_processor_can_spare():
    share, seen = FIRST_SHARE, []
    for _ in range(1_000):
        share = next_share(share, 0.08 if share > 0.3 else 0.0)
        seen.append(share)

    assert min(seen[200:]) > 0.1
    assert max(seen[200:]) < 0.33


async def test_a_training_is_stopped_for_the_rest_of_each_period():
    training, slept = Training(lasts=40), []

    await give_way(training.send, sleeps(lambda _: 1.0, slept))

    assert training.signals == [GO, STOP] * 20
    on, off = slept[0::2], slept[1::2]
    assert on[0] == pytest.approx(FIRST_SHARE * PERIOD_SECONDS)
    assert on[-1] == pytest.approx(LEAST_SHARE * PERIOD_SECONDS)
    assert [one + other for one, other in zip(on, off, strict=False)] == pytest.approx(
        [PERIOD_SECONDS] * min(len(on), len(off))
    )


async def test_a_training_that_disturbs_nobody_is_not_stopped_any_more_and_is_again_when_it_does():
    training, slept = Training(lasts=10_000), []

    async def late(seconds: float) -> float:
        slept.append(seconds)
        if len(slept) == 1_000:
            assert slept[-100:] == [PERIOD_SECONDS] * 100
            assert training.signals[-1] == GO
            return 1.0
        if len(slept) == 1_002:
            assert training.signals[-2:] == [GO, STOP]
            raise asyncio.CancelledError
        return 0.0

    with pytest.raises(asyncio.CancelledError):
        await give_way(training.send, late)
    assert training.signals[-1] == GO


async def test_a_real_process_goes_on_when_giving_way_is_cancelled_while_it_is_stopped():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    is_stopped = asyncio.Event()

    async def look(seconds: float) -> float:
        if seconds > PERIOD_SECONDS / 2:  # it was told to stop
            await until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
            is_stopped.set()
            await asyncio.Event().wait()
        return 0.0

    giving_way = asyncio.create_task(give_way(process.send_signal, look))
    try:
        await is_stopped.wait()
        giving_way.cancel()
        await asyncio.wait([giving_way])
        await process.communicate(b"\n")  # a stopped process would never end
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

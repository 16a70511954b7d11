import asyncio
import threading

import pytest

from service.tasks import end_tasks, in_thread_to_the_end


async def test_a_task_ends_though_it_swallows_its_first_cancellation():
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end_tasks([task])

    assert (swallowed, task.cancelled()) == (1, True)


async def test_a_task_that_failed_or_ended_before_is_no_trouble():
    async def fail() -> None:
        raise ValueError("of no interest here")

    async def end() -> None:
        pass

    tasks = [asyncio.create_task(fail()), asyncio.create_task(end())]
    await asyncio.wait(tasks)
    await end_tasks(tasks)

    assert isinstance(tasks[0].exception(), ValueError)
    await end_tasks([])


async def test_a_call_that_a_thread_has_begun_is_waited_for_by_whoever_is_cancelled():
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        assert may_end.wait(10)
        done.append("whole")

    task = asyncio.create_task(in_thread_to_the_end(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    await asyncio.wait([task])

    assert (task.cancelled(), done) == (True, ["whole"])


async def test_a_call_in_a_thread_gives_its_result_or_its_error():
    assert await in_thread_to_the_end(int, "12", base=8) == 10
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread_to_the_end(int, "x")

import asyncio

from service.tasks import end_tasks


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

"""Ending tasks that run in the background."""

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_SECONDS = 0.5


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and return when all have ended, however they did.

    Once is not enough: until Python 3.12 `asyncio.wait_for`, which asyncmy connects with, swallows a cancellation that
    comes in the moment in which a connection is refused, and a loop that tries again would go on for ever.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)

"""Entries, a clock and waiting, for the tests of the queue and its drainer."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import Raw

from service.storage.queue_entries import ExposureEntry, FeedbackEntry

NOON = 1_780_000_000.0
WITHIN_SECONDS = 20.0
POLL_SECONDS = 0.01

_FEEDBACK = FeedbackEntry(
    key="key-0",
    request_hash="0" * 64,
    user_id="ann",
    event_id="event-0",
    action="save",
    context='{"page":"home"}',
    recommendation_id=None,
    recorded_at=NOON,
)
_EXPOSURE = ExposureEntry(
    recommendation_id="answer-0",
    user_id="ann",
    model_version="v1",
    variant="hybrid",
    arm="collaborative_filtering",
    city="Dublin",
    event_ids=Raw(b'["e1","e2"]'),
    latency_ms=0.75,
    experiment_id="rec_algorithm_v1",
    is_exposure=True,
    created_at=NOON,
)


def feedback(number: int | str = 0, **changes: Any) -> FeedbackEntry:
    """Entry `number`: its key and event carry the number, the rest is the same for all unless changed."""
    return replace(_FEEDBACK, **{"key": f"key-{number}", "event_id": f"event-{number}", **changes})


def exposure(number: int | str = 0, **changes: Any) -> ExposureEntry:
    """Answer `number`, likewise."""
    return msgspec.structs.replace(_EXPOSURE, **{"recommendation_id": f"answer-{number}", **changes})


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Return once `condition()` holds; the test fails when it does not within `WITHIN_SECONDS`."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        holds = condition()
        if inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < deadline, f"{condition} did not come true within {WITHIN_SECONDS:g} s"
        await asyncio.sleep(POLL_SECONDS)

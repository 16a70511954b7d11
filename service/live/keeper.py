"""Keeps what is served current: loads a model, catches up, follows, and takes over a new model when there is one."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from core.bundle import BundleError
from core.model import Model
from service.answers import ReadyAnswer
from service.live.follower import Follower
from service.live.state import LiveState
from service.live.trial import TrialFailedError, try_out
from service.metrics import Metrics
from service.models import ModelRegistry, NoModelError
from service.serving import Serving
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.queries.events import events_fingerprint, stream_events
from service.storage.queue import DurableQueue
from service.storage.queue_entries import FeedbackEntry, QueueError
from service.storage.snapshot import SnapshotFile

logger = logging.getLogger(__name__)

#: Between two looks for rows that the site has deleted.
REMOVALS_SECONDS = 30.0
#: While the database answers, what is served is never older than this; later than that it is said in /ready.
STALE_SECONDS = 15.0


class Keeper:
    """Owns the way from disk and database into `Serving`. Requests go on with what is there whatever fails."""

    def __init__(
        self,
        serving: Serving,
        registry: ModelRegistry,
        database: Database,
        queue: DurableQueue | None,
        snapshot: SnapshotFile | None,
        metrics: Metrics,
        poll_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._serving = serving
        self._registry = registry
        self._database = database
        self._queue = queue
        self._snapshot = snapshot
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._follower: Follower | None = None
        self._refused: str | None = None  #: the version of a model that was tried and not taken
        self._current_at: float | None = None  #: time.monotonic() when the database last told everything
        self._removals_at = float("-inf")
        self._followed_mark: int | None = None
        self._problems: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load at the start, then follow until the end."""
        await self._take_over_model()
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def acknowledge(self, entry: FeedbackEntry) -> None:
        """Let feedback that was just stored count in the next answer."""
        if self._follower is not None:
            self._follower.acknowledge(entry)

    async def forget(self, user_id: str, at: int) -> None:
        """Stop using anything a person did until `at`, in memory and in the snapshot."""
        if self._follower is not None:
            self._follower.forget(user_id, at)
        if self._snapshot is not None:
            await self._snapshot.erase_user(user_id)

    def readiness(self) -> ReadyAnswer:
        """Whether this process should get traffic, and from what it serves."""
        state = self._serving.current
        age = None if self._current_at is None else time.monotonic() - self._current_at
        fresh = age is not None and age < STALE_SECONDS + self._poll_seconds
        return ReadyAnswer(
            status="ready" if state else "not_ready",
            model_version=state.version if state else None,
            database="connected" if fresh else "away",
            serving_from="nothing" if state is None else "database" if fresh else "snapshot",
            data_age_seconds=None if age is None else round(age, 1),
            problems=list(self._problems.values()),
        )

    async def _follow(self) -> None:
        while True:
            await self._step("model", self._take_over_model)
            if self._follower is not None:
                await self._step("queue", self._follower.follow_queue)
                if await self._step("database", self._follow_database):
                    self._current_at = time.monotonic()
            await asyncio.sleep(self._poll_seconds / 2)

    async def _follow_database(self) -> None:
        assert self._follower is not None  # noqa: S101 - the caller has looked
        mark = await self._database.change_mark()
        if mark is not None and mark == self._followed_mark:
            return
        await self._follower.follow_events()
        await self._follower.follow_actions()
        if time.monotonic() - self._removals_at >= REMOVALS_SECONDS:
            await self._follower.follow_removals()
            self._removals_at = time.monotonic()
            self._followed_mark = mark  # only after a whole round is there nothing left to see

    async def _step(self, what: str, work: Callable[[], Any]) -> bool:
        """Do one part of a round. A failure is told once, kept for /ready, and tried again in the next round."""
        try:
            await work()
        except (StorageError, QueueError, sqlite3.Error, OSError) as error:
            if self._problems.get(what) != str(error):
                logger.warning("%s: %s", what, error)
            self._problems[what] = str(error)
            return False
        if self._problems.pop(what, None):
            logger.info("%s: working again", what)
        return True

    async def _take_over_model(self) -> None:
        """Load the published model if it is another than the one in use; a bad one is named and not taken."""
        version = await asyncio.to_thread(self._registry.current)
        in_use = self._serving.current.version if self._serving.current else None
        if version is not None and version in (in_use, self._refused):
            return
        try:
            model, facts = await asyncio.to_thread(self._registry.load, version)
            await self._start_serving(model, facts)
        except (NoModelError, BundleError, TrialFailedError) as error:
            if self._problems.get("model") != str(error):
                logger.error("%s", error)
            self._problems["model"], self._refused = str(error), version
        else:
            self._problems.pop("model", None)

    async def _start_serving(self, model: Model, facts: dict[str, Any]) -> None:
        state = await asyncio.to_thread(LiveState, model)
        follower = Follower(state, facts, self._database, self._queue, self._snapshot, self._clock)
        await self._step("queue", follower.follow_queue)
        await self._fill(follower)
        await asyncio.to_thread(try_out, state, self._clock())
        await self._step("queue", follower.follow_queue)  # what was acknowledged while this model was loading
        self._follower, self._followed_mark = follower, None
        self._removals_at = float("-inf")
        self._serving.current, self._serving.facts = state, facts
        self._metrics.set_model(model.version, facts["trained_at"])
        logger.info("serving model %s", model.version)

    async def _fill(self, follower: Follower) -> None:
        """Give a new live state its events: from the snapshot where there is one, else from the database."""
        if self._snapshot is not None:
            try:
                events, fingerprint, changes = await self._snapshot.load()
            except sqlite3.Error as error:
                logger.warning("the snapshot cannot be read: %s", error)
            else:
                if events:
                    await follower.take_events(events, fingerprint)
                    follower.take_changes(changes)
                    return
        await self._step("database", lambda: self._fill_from_database(follower))

    async def _fill_from_database(self, follower: Follower) -> None:
        fingerprint = await events_fingerprint(self._database)
        async for batch in stream_events(self._database):
            await follower.take_events(batch.events, None)
            if self._snapshot is not None:
                await self._snapshot.put_events(batch.events, (), fingerprint)
        await follower.take_events((), fingerprint)
        self._current_at = time.monotonic()

"""Keeps what is served current: loads a model, catches up, follows, and takes over a new model when there is one."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from core.bundle import BundleError
from service.answers import ReadyAnswer
from service.live.follower import Follower
from service.live.last_known import LastKnown
from service.live.state import LiveState
from service.live.trial import TrialFailedError, try_out
from service.memory import give_freed_back
from service.metrics import Metrics
from service.models import Loaded, ModelRegistry, NoModelError
from service.pacing import in_one_go, in_pieces, pause_after
from service.serving import Serving
from service.storage.database import Database
from service.storage.errors import StorageError, StorageUnavailable
from service.storage.queue import DurableQueue
from service.storage.queue_entries import FeedbackEntry, QueueError
from service.storage.snapshot import SnapshotFile
from service.tasks import end_tasks

logger = logging.getLogger(__name__)

#: Between two looks for rows that the site has deleted.
REMOVALS_SECONDS = 30.0
#: While the database answers, what is served is never older than this; later than that it is said in /ready.
STALE_SECONDS = 15.0
#: A look at the database scans the table of events inside of it. Where that takes long, as on a machine that is out of
#: credits, looks take at most a twentieth of the time, so long as no more than so many periods pass between two.
LOOKS_SHARE, LONGEST_PERIODS = 0.05, 1.5
#: With a snapshot to start from, a database gets so long to say what is new before it is served.
CATCH_UP_SECONDS = 1.0

_T = TypeVar("_T")

_FORESEEN = (StorageError, QueueError, BundleError, TrialFailedError, NoModelError, sqlite3.Error, OSError)


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
        removals_seconds: float = REMOVALS_SECONDS,
    ) -> None:
        self._serving = serving
        self._registry = registry
        self._database = database
        self._queue = queue
        self._last_known = LastKnown(snapshot)
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._removals_seconds = removals_seconds
        self._follower: Follower | None = None  #: of the model in use
        self._next: Follower | None = None  #: of a model that is being taken over
        self._refused: tuple[str, Exception] | None = None  #: a version that was tried and not taken, and why
        self._current_at: float | None = None  #: time.monotonic() when the database last told everything
        self._verified: Loaded | None = None  #: that was just published again
        self._problems: dict[str, str] = {}
        self._model_news = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load at the start, then follow until the end.

        The three go on beside each other: a database that hangs must keep nobody from the queue or a new model.
        """
        await self._step("model", self._take_over_model)
        following = [
            asyncio.create_task(self._repeat(what, work, news, share))
            for what, work, news, share in (
                ("model", self._take_over_model, self._model_news, 1.0),
                ("queue", self._follow_queue, None, 1.0),
                ("database", self._follow_site, None, LOOKS_SHARE),
            )
        ]
        try:
            yield
        finally:
            await end_tasks(following)

    def acknowledge(self, entry: FeedbackEntry) -> None:
        """Let feedback that was just stored count in the next answer."""
        for follower in self._followers():
            follower.acknowledge(entry)

    async def forget(self, user_id: str, until: int) -> None:
        """Stop using anything a person did until `until` (seconds since 1970), in memory and in the snapshot.

        Raises sqlite3.Error when the snapshot's disk fails.
        """
        for follower in self._followers():
            follower.forget(user_id, until)
        await self._last_known.erase_user(user_id)

    def look_now(self, verified: Loaded | None = None) -> None:
        """Look for another model without waiting for the next time, because one was just published.

        One that was `verified` for that is not read again.
        """
        self._refused, self._verified = None, verified
        self._model_news.set()

    def readiness(self) -> ReadyAnswer:
        """Whether this process should get traffic, and from what it serves."""
        state = self._serving.current
        age = None if self._current_at is None else time.monotonic() - self._current_at
        fresh = age is not None and age < STALE_SECONDS + self._poll_seconds
        problems = [*self._problems.values(), self._last_known.problem]
        return ReadyAnswer(
            status="ready" if state else "not_ready",
            model_version=state.version if state else None,
            database="connected" if fresh else "away",
            serving_from="nothing" if state is None else "database" if fresh else "snapshot",
            data_age_seconds=None if age is None else round(age, 1),
            problems=[problem for problem in problems if problem is not None],
        )

    def _followers(self) -> list[Follower]:
        return [follower for follower in (self._follower, self._next) if follower is not None]

    async def _repeat(
        self, what: str, work: Callable[[], Awaitable[None]], news: asyncio.Event | None, share: float
    ) -> None:
        """Do one thing again and again, `share` of the time at most; `news` cuts the wait between two times short."""
        news = news or asyncio.Event()
        while True:
            news.clear()
            began = time.monotonic()
            await self._step(what, work)
            took, period = time.monotonic() - began, self._poll_seconds
            pause = pause_after(took, share, period / 2, LONGEST_PERIODS * period)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await news.wait()

    async def _step(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do one thing. A failure is told once, kept for /ready, and tried again the next time."""
        try:
            await work()
        except Exception as error:  # logged; were the loop to end, all would go stale unseen
            said = str(error) or type(error).__name__
            if self._problems.get(what) != said:
                foreseen = isinstance(error, _FORESEEN)
                logger.warning("%s: %s", what, said, exc_info=None if foreseen else error)
            self._problems[what] = said
        else:
            if self._problems.pop(what, None):
                logger.info("%s: working again", what)

    async def _follow_queue(self) -> None:
        if self._follower is not None:
            await self._follower.follow_queue()

    async def _follow_site(self) -> None:
        if self._follower is not None:
            await self._follower.follow_site()
            self._current_at = time.monotonic()

    async def _take_over_model(self) -> None:
        """Load the published model if it is another than the one in use; a bad one is named and not taken.

        Raises what is wrong: NoModelError, BundleError, TrialFailedError, StorageError where there is no event yet.
        """
        version = await asyncio.to_thread(self._registry.current)
        if self._serving.current is not None and version == self._serving.current.version:
            return
        if self._refused is not None and version == self._refused[0]:
            raise self._refused[1]
        try:
            follower = await self._prepare(version)
        except (BundleError, TrialFailedError) as error:
            if version is not None:
                self._refused = (version, error)
            raise
        await self._start_serving(follower)

    async def _prepare(self, version: str | None) -> Follower:
        """A model, verified, live, with its events and tried out."""
        model, facts = await self._load(version)
        state = await asyncio.to_thread(self._run, LiveState, model)
        follower = Follower(
            state, facts, self._database, self._queue, self._last_known, self._clock, self._removals_seconds
        )
        await self._step("queue", follower.follow_queue)
        if await self._has_catalogue(follower):
            await self._step("database", lambda: self._catch_up(follower))
        else:
            await follower.catch_up()
            self._current_at = time.monotonic()
        await asyncio.to_thread(self._run, try_out, state, self._clock())
        return follower

    async def _load(self, version: str | None) -> Loaded:
        verified, self._verified = self._verified, None
        if verified is not None and verified[0].version == version:
            return verified
        return await asyncio.to_thread(self._run, self._registry.load, version)

    def _run(self, call: Callable[..., _T], *args: Any) -> _T:
        """In a thread: what prepares a model. Beside those who ask it rests again and again, at a start it need not."""
        return (in_one_go if self._follower is None else in_pieces)(call, *args)

    async def _has_catalogue(self, follower: Follower) -> bool:
        """Whether there are events to serve from without the database, which are taken over then."""
        if self._follower is None:
            return await follower.start()
        await follower.take_over(self._follower)
        return True

    async def _catch_up(self, follower: Follower) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await follower.catch_up()
        except TimeoutError:
            raise StorageUnavailable(f"no answer within {CATCH_UP_SECONDS:g} s") from None
        self._current_at = time.monotonic()

    async def _start_serving(self, follower: Follower) -> None:
        follower.begin_use()
        self._next = follower  # from here on it hears what is acknowledged
        try:
            await self._step("queue", follower.follow_queue)  # what was acknowledged until here
        finally:
            self._next = None
        before = [] if self._follower is None else [self._follower]
        self._follower, self._refused = follower, None
        self._serving.current, self._serving.facts = follower.state, follower.facts
        version = follower.state.version
        self._metrics.set_model(version, follower.facts["trained_at"])
        logger.info("serving model %s", version)
        # What the model before has held, and the preparing of this one.
        await asyncio.to_thread(in_pieces, _let_go, before)
        await self._last_known.drop_changes(int(follower.facts["cutoff"]))


def _let_go(last: list[Follower], rest: Callable[[], None]) -> None:
    """Drop the last reference to what does not serve any more, here, so that the event loop need not free it.

    `last` is emptied; `rest` is called after each of its larger parts.
    """
    arrays = [array for follower in last for array in follower.state.model.arrays().values()]
    last.clear()
    rest()
    while arrays:
        arrays.pop()
        rest()
    give_freed_back()

"""The drainer: moves what the durable queue holds into the main database, in order and once in effect.

Why nothing is lost or counted twice: rows are marked as drained only after the database has committed them, and
the database takes each idempotency key and each recommendation id once. So a drainer that is killed in between
repeats a batch without effect.

Why an erased person does not come back: erasing deletes their rows from the queue and leaves a mark, in one
transaction, and the queue takes in nothing recorded until then. A batch and the marks not yet settled are read
at one instant, and the marks are applied to the database before the batch. So a batch read before an erasure is
written before the database hears of that erasure, which then deletes those rows too; and a batch read after it
holds nothing older. A mark stays unsettled until the database has forgotten the person, whoever is killed
meanwhile. Only one process drains at a time, so no other batch is under way.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import closing

from service.experiments.counting import count_answers, count_feedback
from service.experiments.increments import Increment
from service.pacing import pause_after
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.file_lock import FileLock
from service.storage.queries.privacy import erase_user
from service.storage.queue import DurableQueue
from service.storage.queue_entries import ExposureEntry, QueueError
from service.storage.recorder import Recorder

logger = logging.getLogger(__name__)

#: Rows of a kind in one transaction of the database.
BATCH_ROWS = 1_000
#: Answers counted in one go, so that no request waits for all of a batch.
_COUNTED_AT_ONCE = 200
#: A batch costs its statements, commits and fsyncs whatever its size: batches may take so much of the time, so long as
#: no pause is longer than so many of `gather_seconds`.
SHARE, LONGEST_GATHERS = 0.02, 12.0
PRUNE_EVERY_SECONDS = 60.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 10.0


class Drainer:
    """Drains one queue into one database; every process of a machine may have one, and one of them works.

    `gather_seconds` is the pause after a batch, so that what arrives meanwhile shares a transaction; it gets longer
    where batches take long, so that they take `SHARE` of the time.
    `poll_seconds` is how soon rows are found that other processes stored, and how soon a dead drainer's place
    is taken.
    """

    def __init__(
        self,
        queue: DurableQueue,
        database: Database,
        *,
        batch_rows: int = BATCH_ROWS,
        poll_seconds: float = 1.0,
        gather_seconds: float = 0.25,
    ) -> None:
        self._queue = queue
        self._database = database
        self._recorder = Recorder(database)
        self._batch_rows = batch_rows
        self._poll_seconds = poll_seconds
        self._gather_seconds = gather_seconds
        self._prune_at = 0.0
        self._drains = False
        self._failure: str | None = None
        self._drained = 0
        self._refused = 0

    @property
    def drains(self) -> bool:
        """Whether it is this process that drains."""
        return self._drains

    @property
    def failure(self) -> str | None:
        """Why rows wait, None when they do not have to. For operators: it may name the server."""
        return self._failure

    @property
    def drained(self) -> int:
        """How many rows this process has moved since it started, those already there included."""
        return self._drained

    @property
    def refused(self) -> int:
        """How many rows this process has set aside since it started, because the database refused them."""
        return self._refused

    async def run(self) -> None:
        """Drain until cancelled, as soon as no other process does. OSError when the lock's file cannot be had."""
        with closing(FileLock(self._queue.settings.lock_file)) as lock:
            while not lock.try_acquire():  # noqa: ASYNC110 - another process's lock has no event to wait for
                await asyncio.sleep(self._poll_seconds)
            self._drains = True
            try:
                await self._drain_on()
            finally:
                self._drains = False

    async def drain_once(self) -> bool:
        """Move at most one batch of each kind; returns whether more may wait.

        StorageUnavailable when the database is away or not migrated: the rows wait. Not for two at a time.
        """
        waiting = await self._queue.waiting(self._batch_rows)
        for user_id, at in waiting.erasures.items():
            await erase_user(self._database, user_id, at)
            await self._queue.settle_erasure(user_id, at)
        feedback, exposures = waiting.feedback, waiting.exposures
        if not feedback.is_settled:
            refusals = await self._recorder.record_feedback([row.entry for row in feedback.rows])
            await self._queue.settle_feedback(feedback, refusals)
            self._count(len(feedback.rows), len(refusals))
        if not exposures.is_settled:
            refusals = await self._recorder.record_exposures(exposures.rows)
            await self._queue.settle_exposures(exposures, refusals, await _counts_of(exposures.rows))
            self._count(len(exposures.rows), len(refusals))
        counted = await self._count_for_experiments()
        return max(len(feedback.rows), len(exposures.rows), counted) >= self._batch_rows

    async def _count_for_experiments(self) -> int:
        """Count feedback whose answers the database has by now; how many rows that were."""
        countable = await self._queue.countable(self._batch_rows)
        if countable.position is not None:
            counts = await count_feedback(self._database, countable.rows)
            await self._queue.settle_counted(countable.position, counts)
        return len(countable.rows)

    async def _drain_on(self) -> None:
        failures, loop = 0, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                more = await self.drain_once()
                await self._prune_when_due()
            except Exception as error:  # noqa: BLE001 - logged; were this to end, rows would wait for ever unseen
                failures += 1
                self._note_failure(error)
                await asyncio.sleep(backoff_seconds(failures))
                continue
            failures = 0
            self._note_success()
            if not more:
                gather = self._gather_seconds
                await asyncio.sleep(pause_after(loop.time() - began, SHARE, gather, LONGEST_GATHERS * gather))
                await self._queue.wait_for_news(self._poll_seconds)

    def _count(self, rows: int, refused: int) -> None:
        self._drained += rows - refused
        self._refused += refused

    async def _prune_when_due(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._prune_at and not await self._queue.prune():
            self._prune_at = now + PRUNE_EVERY_SECONDS

    def _note_failure(self, error: Exception) -> None:
        known = isinstance(error, StorageError | QueueError)
        if self._failure is None or not known:
            logger.warning("rows wait in the queue: %s", error, exc_info=None if known else error)
        self._failure = str(error)

    def _note_success(self) -> None:
        if self._failure is not None:
            logger.info("rows are drained again after: %s", self._failure)
            self._failure = None


async def _counts_of(answers: Sequence[ExposureEntry]) -> list[Increment]:
    counts: list[Increment] = []
    for start in range(0, len(answers), _COUNTED_AT_ONCE):
        counts += count_answers(answers[start : start + _COUNTED_AT_ONCE])
        await asyncio.sleep(0)
    return counts


def backoff_seconds(failures: int, jitter: Callable[[], float] = random.random) -> float:
    """How long to wait after so many failures in a row (1 or more); `jitter` gives 0…1 and takes off up to half.

    Without it all machines of a site would come back to a restarted database at the same moments.
    """
    longest = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 16))
    return longest * (1.0 - jitter() / 2.0)

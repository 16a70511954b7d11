"""The durable queue: where every acknowledged feedback is, before anything else, committed and fsynced.

One SQLite file, shared by the worker processes of a machine. SQLite gives what a queue on disk needs and is
hard to get right by hand: a commit that survives `kill -9` and a power cut, a torn tail that is recognised by
its checksums and cut off, and keys that are unique over all processes. A drainer (`service.storage.draining`)
moves the rows in order into the main database; while that is away they wait here. Exposures go the same way,
but are written in batches from memory.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from service.experiments.increments import Increment
from service.priority import let_requests_go_first
from service.storage.errors import StorageUnavailable
from service.storage.file_lock import FileLock
from service.storage.queue_checkpoints import Checkpointer
from service.storage.queue_counts import Countable, Shipment, WaitingCounts
from service.storage.queue_entries import (
    Batch,
    ErasedRows,
    ExposureEntry,
    FeedbackEntry,
    Mark,
    Outcome,
    QueuedAction,
    QueuedFeedback,
    QueuedUserData,
    QueueStatus,
    QueueUnavailableError,
    Refusal,
    Waiting,
)
from service.storage.queue_reads import QueueReads
from service.storage.queue_schema import Kind, open_for_checkpoints, open_for_reading, open_for_writing
from service.storage.queue_writer import QueueWriter
from service.storage.queue_writes import PRUNE_ROWS, QueueWrites

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: An answer is in the file or in the database so long after it was given, whichever process gave it: ten times what
#: `service.storage.queue_writer.FLUSH_SECONDS` makes it wait in memory.
SETTLED_SECONDS = 5.0


@dataclass(frozen=True)
class QueueSettings:
    """Where the queue is and how much it may hold.

    `max_bytes` bounds what waits for the main database, and once more what is kept after it was drained, which
    is for `keep_seconds`. `buffer_rows` exposures may wait in memory. `wait_seconds` bounds how long a write
    waits for the disk and for other processes.
    """

    directory: Path
    max_bytes: int = 64 * 2**20
    keep_seconds: float = 48 * 3_600.0
    buffer_rows: int = 10_000
    wait_seconds: float = 5.0

    @property
    def file(self) -> Path:
        return self.directory / "queue.db"

    @property
    def lock_file(self) -> Path:
        """Locked by the one process that drains."""
        return self.directory / "queue.lock"

    @property
    def shipping_lock_file(self) -> Path:
        """Locked by the one process that sends what experiments count."""
        return self.directory / "experiments.lock"


async def open_queue(settings: QueueSettings, now: Callable[[], float] = time.time) -> "DurableQueue":
    """Open the queue, creating its file when missing. `now` gives seconds since 1970.

    StorageUnavailable, naming the file, when that cannot be done.
    """
    try:
        writes, reads, checkpointer = await asyncio.to_thread(_open, settings)
    except (sqlite3.Error, OSError) as error:
        raise StorageUnavailable(f"{settings.file}: {error}") from error
    return DurableQueue(settings, now, writes, reads, checkpointer)


class DurableQueue:
    """The queue as one process sees it; made by `open_queue`, and to be closed before its event loop is.

    Every method raises QueueUnavailableError when the file cannot be read or written. Nothing here blocks the
    event loop.
    """

    def __init__(
        self,
        settings: QueueSettings,
        now: Callable[[], float],
        writes: QueueWrites,
        reads: QueueReads,
        checkpointer: Checkpointer,
    ) -> None:
        self.settings = settings
        self._now = now
        self._writes = writes
        self._reads = reads
        self._checkpointer = checkpointer
        self._closed = False
        self._news = asyncio.Event()
        self._writer = QueueWriter(
            writes, checkpointer, settings.wait_seconds, settings.buffer_rows, self._news.set
        )
        self._reader = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="queue-reader", initializer=let_requests_go_first
        )

    async def put(self, entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        """Store all of the entries or none; durable when this returns. The outcome of each, in their order.

        When it is cancelled or takes too long, nobody knows whether they are stored: the same keys may be put
        again. Also raises KeyReusedError and QueueFullError, and ValueError for text
        that is not Unicode.
        """
        for entry in entries:
            entry.stored_bytes  # noqa: B018 - here a bad entry is its caller's error, later it would be a group's
        return await self._writer.put(entries)

    def put_exposures(self, exposures: Sequence[ExposureEntry]) -> None:
        """Take answers to be stored within about half a second. What cannot be kept is counted, and logged."""
        self._writer.put_exposures(exposures)

    @property
    def exposures_lost(self) -> int:
        """How many exposures could not be kept since this process started."""
        return self._writer.exposures_lost

    async def flush(self) -> None:
        """Make every exposure given so far durable now."""
        await self._writer.flush()

    async def actions_after(self, position: int, limit: int) -> list[QueuedAction]:
        """What any process acknowledged after the feedback at `position`, at most `limit`, oldest first.

        Cheap when there is none: meant to be polled. 0 is before the first; `status` tells the others.
        """
        return await self._read(lambda: self._reads.actions_after(position, limit))

    async def holds_all_since(self, at: float) -> bool:
        """Whether everything that was recorded `at` (seconds since 1970) or later is here, but for who was erased."""
        return await self._read(lambda: self._reads.holds_all_since(at))

    async def status(self) -> QueueStatus:
        """How the queue stands; counts what waits, so once in some seconds is often enough."""
        return await self._read(lambda: self._reads.status(self._now()))

    async def erase_user(self, user_id: str) -> ErasedRows:
        """Delete everything of a person, drained or not, and take in nothing that was recorded until now.

        The drainer tells the main database when it looks next, or when that is back: whoever asks may do so first.
        """
        await self._writer.flush()
        return await self._writer.call(lambda: self._writes.erase_user(user_id, int(self._now())))

    async def export_user(self, user_id: str) -> QueuedUserData:
        """Everything in the queue about one person."""
        await self._writer.flush()
        return await self._read(lambda: self._reads.export_user(user_id))

    async def erased_users(self, since: int = 0) -> dict[str, int]:
        """Who was erased at `since` or later, and when, both in whole seconds since 1970."""
        return await self._read(lambda: self._reads.erased_users(since))

    async def waiting(self, limit: int) -> Waiting:
        """What the main database is to get next, about `limit` rows of a kind at most."""
        return await self._read(lambda: self._reads.waiting(limit))

    async def wait_for_news(self, seconds: float) -> None:
        """Return as soon as this process has stored feedback, or after `seconds`.

        For one waiter only. News from before the call count, unless an earlier call returned for them.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    async def settle_erasure(self, user_id: str, at: int) -> None:
        """Note that the main database has forgotten a person as they asked `at`."""
        await self._writer.call(lambda: self._writes.settle_erasure(user_id, at))

    async def settle_feedback(self, batch: Batch[QueuedFeedback], refusals: Sequence[Refusal] = ()) -> None:
        """Note that the main database has the batch, but for the refused rows, which are set aside."""
        await self._settle("feedback", batch.end, refusals)

    async def settle_exposures(
        self,
        batch: Batch[ExposureEntry],
        refusals: Sequence[Refusal] = (),
        counts: Sequence[Increment] = (),
    ) -> None:
        """As `settle_feedback`, and delete the batch here; `counts` are what experiments count of it."""
        await self._settle("exposures", batch.end, refusals, counts)

    async def countable(self, limit: int) -> Countable:
        """Feedback that experiments have not counted and that the database has, as it has the answers before it."""
        before = self._now() - SETTLED_SECONDS
        return await self._read(lambda: self._reads.countable(limit, before))

    async def settle_counted(self, position: int, counts: Sequence[Increment]) -> None:
        """Note that feedback up to `position` is counted, and what it came to."""
        await self._writer.call(lambda: self._writes.settle_counted(position, counts))

    async def shipment(self, hold_seconds: float = 0.0) -> Shipment | None:
        """The counts to be sent next: the same until they are settled, None when there are none.

        Those of people whom the store is known to have wait until they are `hold_seconds` old.
        """
        waiting = await self._read(self._reads.shipment)
        if waiting is None:
            before = self._now() - hold_seconds if hold_seconds else None
            while before is not None and await self._writer.call(self._writes.add_up_counts):
                pass  # batch by batch, so that no put waits long behind them
            waiting = await self._writer.call(lambda: self._writes.make_shipment(before))
        return waiting

    async def settle_shipment(self, number: int, *, remembers_people: bool = False) -> None:
        """Note that the experiments' store has a shipment; and, if asked to, that it has those people from now on."""
        sent_at = self._now() if remembers_people else None
        await self._writer.call(lambda: self._writes.settle_shipment(number, sent_at))

    async def waiting_counts(self, experiment_id: str) -> WaitingCounts:
        """What an experiment has counted and its store may not have."""
        return await self._read(
            lambda: self._reads.waiting_counts(lambda one: one.experiment_id == experiment_id)
        )

    async def waiting_counts_of(self, user_id: str) -> WaitingCounts:
        """The same of one person in all experiments."""
        return await self._read(lambda: self._reads.waiting_counts(lambda one: one.user_id == user_id))

    async def forgotten(self) -> list[str]:
        """Whom the experiments' store has yet to forget."""
        return await self._read(self._reads.forgotten)

    async def settle_forgotten(self, user_id: str) -> None:
        """Note that the experiments' store has forgotten a person."""
        await self._writer.call(lambda: self._writes.settle_forgotten(user_id))

    async def prune(self) -> bool:
        """Delete a few of the rows that were kept long enough; returns whether there may be more of them."""
        now = self._now()
        before = now - self.settings.keep_seconds
        return await self._writer.call(lambda: self._writes.prune(before, now)) >= PRUNE_ROWS

    async def close(self) -> None:
        """Store what was given so far and close the file; whatever is asked later raises QueueUnavailableError."""
        self._closed = True
        await self._writer.close()
        await asyncio.to_thread(self._reader.shutdown)
        await asyncio.to_thread(self._close_connections)

    async def _settle(
        self, kind: Kind, end: Mark, refusals: Sequence[Refusal], counts: Sequence[Increment] = ()
    ) -> None:
        await self._writer.call(lambda: self._writes.settle(kind, end, refusals, self._now(), counts))

    async def _read(self, read: Callable[[], T]) -> T:
        if self._closed:
            raise QueueUnavailableError
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, read)
        except sqlite3.Error as error:
            logger.warning("%s cannot be read: %s", self.settings.file, error)
            raise QueueUnavailableError from error

    def _close_connections(self) -> None:
        self._checkpointer.close()
        self._reads.close()
        self._writes.close()


def _open(settings: QueueSettings) -> tuple[QueueWrites, QueueReads, Checkpointer]:
    settings.directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        turn, turn_of_checkpoints = (FileLock(settings.directory / "queue.turn") for _ in range(2))
        opened.callback(turn.close)
        opened.callback(turn_of_checkpoints.close)
        writing = open_for_writing(settings.file, turn, settings.wait_seconds)
        opened.callback(writing.close)
        reading = open_for_reading(settings.file, settings.wait_seconds)
        opened.callback(reading.close)
        checkpointing = open_for_checkpoints(settings.file, settings.wait_seconds)
        opened.pop_all()
        return (
            QueueWrites(writing, turn, settings.max_bytes),
            QueueReads(reading),
            Checkpointer(checkpointing, turn_of_checkpoints),
        )

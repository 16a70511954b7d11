"""The one thread of a process that writes to the queue's file.

Puts that arrive while a commit is being fsynced are committed together by the next one: the busier it gets,
the more of them share an fsync.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from service.storage.queue_checkpoints import Checkpointer
from service.storage.queue_entries import ExposureEntry, FeedbackEntry, Outcome, QueueUnavailableError
from service.storage.queue_packs import pack_exposures
from service.storage.queue_writes import QueueWrites
from service.storage.sparse_log import SparseLog

logger = logging.getLogger(__name__)

#: Entries that one commit may hold, so that the first of a group does not wait long for the last.
GROUP_ENTRIES = 1_000
#: Exposures are written when so many wait, or after so many seconds.
FLUSH_ROWS = 1_000
FLUSH_SECONDS = 0.5
#: Rows and commits between two checkpoints: some megabytes of the log.
CHECKPOINT_EVERY = 500
#: Jobs that may wait for a disk that does not answer.
MAX_JOBS = 10_000

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Put:
    entries: Sequence[FeedbackEntry]
    future: "asyncio.Future[list[Outcome]]"


@dataclass(frozen=True, eq=False)
class _Call:
    run: Callable[[], Any]
    future: "asyncio.Future[Any]"


class QueueWriter:
    """Runs everything that writes in the order it was asked for; exposures aside, which wait for company.

    Its methods belong to the event loop's thread. `wait_seconds` is how long a job may take, `buffer_rows` how
    many exposures may wait in memory. `on_stored` is called in the loop whenever feedback was stored.
    """

    def __init__(
        self,
        writes: QueueWrites,
        checkpointer: Checkpointer,
        wait_seconds: float,
        buffer_rows: int,
        on_stored: Callable[[], None],
    ) -> None:
        self._writes = writes
        self._checkpointer = checkpointer
        self._wait_seconds = wait_seconds
        self._buffer_rows = buffer_rows
        self._on_stored = on_stored
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()  # guards everything below
        self._wake = threading.Condition(self._lock)
        self._jobs: deque[_Put | _Call] = deque()
        self._exposures: list[ExposureEntry] = []
        self._flush_at = 0.0
        self._closing = False
        self._lost = 0
        self._log = SparseLog(logger)
        self._thread = threading.Thread(target=self._run, name="queue-writer", daemon=True)
        self._thread.start()

    @property
    def exposures_lost(self) -> int:
        """How many exposures could not be kept since the start."""
        return self._lost

    async def put(self, entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        """Store feedback durably; see `DurableQueue.put`."""
        future: asyncio.Future[list[Outcome]] = self._loop.create_future()
        return await self._finish(_Put(entries, future), future)

    async def call(self, run: Callable[[], T]) -> T:
        """Run `run`, which writes, in the thread; QueueUnavailableError when the file fails it."""
        future: asyncio.Future[T] = self._loop.create_future()
        return await self._finish(_Call(run, future), future)

    def put_exposures(self, exposures: Sequence[ExposureEntry]) -> None:
        """Keep exposures in memory until they are written; never waits."""
        with self._lock:  # the lock by itself: the condition around it takes longer, of each answer
            before = len(self._exposures)
            kept = exposures[: 0 if self._closing else self._buffer_rows - before]
            self._exposures.extend(kept)
            if not before:
                self._flush_at = time.monotonic() + FLUSH_SECONDS
            if before < FLUSH_ROWS <= len(self._exposures):
                self._flush_at = 0.0
            if not before or not self._flush_at:
                self._wake.notify()
        self._lose(len(exposures) - len(kept), "there was no room in memory")

    async def flush(self) -> None:
        """Write the exposures that wait in memory; QueueUnavailableError when that fails, and they wait on."""
        await self.call(self._write_exposures)

    async def close(self) -> None:
        """Do what was asked for so far, write the exposures that wait, and end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    async def _finish(self, job: _Put | _Call, future: asyncio.Future[T]) -> T:
        with self._wake:
            if self._closing or len(self._jobs) >= MAX_JOBS:
                raise QueueUnavailableError
            self._jobs.append(job)
            self._wake.notify()
        giving_up = self._loop.call_later(self._wait_seconds, _give_up, future)
        try:
            return await future
        finally:
            giving_up.cancel()

    def _run(self) -> None:
        while (work := self._next_work()) is not None:
            work()
            if self._writes.since_checkpoint >= CHECKPOINT_EVERY:
                self._writes.since_checkpoint = 0
                self._checkpointer.begin()

    def _next_work(self) -> Callable[[], None] | None:
        """Wait for something to do; None when there never will be again."""
        with self._wake:
            while True:
                if self._exposures and (self._closing or time.monotonic() >= self._flush_at):
                    return self._flush_due
                if self._jobs:
                    return self._take_jobs()
                if self._closing:
                    return None
                self._wake.wait(max(0.0, self._flush_at - time.monotonic()) if self._exposures else None)

    def _take_jobs(self) -> Callable[[], None]:
        first = self._jobs.popleft()
        if isinstance(first, _Call):
            return partial(self._do_call, first)
        group, size = [first], len(first.entries)
        while self._jobs and isinstance(following := self._jobs[0], _Put) and size < GROUP_ENTRIES:
            self._jobs.popleft()
            group.append(following)
            size += len(following.entries)
        return partial(self._do_puts, group)

    def _do_puts(self, group: Sequence[_Put]) -> None:
        puts = [put for put in group if not put.future.done()]  # nobody waits for the others any more
        try:
            answers = self._store(puts)
        except Exception as error:  # noqa: BLE001 - goes to everyone who waits for it
            answers = [error for _ in puts]
        self._answer(
            [(put.future, answer) for put, answer in zip(puts, answers, strict=True)], self._on_stored
        )

    def _store(self, puts: Sequence[_Put]) -> Sequence[list[Outcome] | Exception]:
        try:
            return self._writes.put_group([put.entries for put in puts])
        except sqlite3.Error as error:
            if len(puts) > 1 and _is_full(error):
                # What is too large for the little room left must not fail the others.
                return [answer for put in puts for answer in self._store([put])]
            self._log.warning("feedback cannot be stored: %s", error)
            return [QueueUnavailableError() for _ in puts]

    def _do_call(self, call: _Call) -> None:
        answer: Any
        try:
            answer = call.run()
        except sqlite3.Error as error:
            self._log.warning("the queue cannot be written: %s", error)
            answer = QueueUnavailableError()
        except Exception as error:  # noqa: BLE001 - goes to whoever waits for it
            answer = error
        self._answer([(call.future, answer)])

    def _answer(
        self, answers: Sequence[tuple["asyncio.Future[Any]", Any]], then: Callable[[], None] = lambda: None
    ) -> None:
        def resolve() -> None:
            for future, answer in answers:
                if future.done():  # its request was cancelled
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
            then()

        self._loop.call_soon_threadsafe(resolve)  # once for all: each wakes the loop

    def _flush_due(self) -> None:
        try:
            self._write_exposures()
        except Exception as error:  # noqa: BLE001 - logged, and tried again; feedback needs this thread
            self._log.warning("exposures cannot be stored: %r", error)
            if self._closing:
                self._give_up_exposures()

    def _write_exposures(self) -> None:
        with self._wake:
            exposures, self._exposures = self._exposures, []
        try:
            packs, reasons = pack_exposures(exposures)
            no_room = self._writes.add_exposures(packs) if packs else 0
        except Exception:
            self._put_back(exposures)
            raise
        self._lose(no_room, "the queue is full")
        for reason in reasons:
            self._lose(1, reason)

    def _put_back(self, exposures: list[ExposureEntry]) -> None:
        with self._wake:
            exposures += self._exposures
            self._exposures = exposures[: self._buffer_rows]
            self._flush_at = time.monotonic() + FLUSH_SECONDS
        self._lose(len(exposures) - len(self._exposures), "there was no room in memory")

    def _give_up_exposures(self) -> None:
        with self._wake:
            given_up, self._exposures = len(self._exposures), []
        self._lose(given_up, "the service ended before they could be stored")

    def _lose(self, count: int, reason: str) -> None:
        if count:
            with self._wake:
                self._lost += count
                lost = self._lost
            self._log.warning("exposures are lost, %d since the start: %s", lost, reason)


def _give_up(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_exception(QueueUnavailableError())


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL

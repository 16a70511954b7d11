"""Everything that changes the queue's file, each call one transaction. Blocks; belongs to one thread.

Positions are given under the write lock, so they grow in the order of the commits, whichever process makes
them: who has seen everything up to a position never misses a row.
"""

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Any

import orjson

from service.storage.file_lock import FileLock
from service.storage.queue_entries import (
    ErasedRows,
    ExposureEntry,
    FeedbackEntry,
    KeyReusedError,
    Mark,
    Outcome,
    QueueError,
    QueueFullError,
    Refusal,
    check_instant,
    row_bytes,
)
from service.storage.queue_schema import Kind, read_marks

#: Seconds a caller is asked to wait when the queue is full: by then the drainer has tried again.
RETRY_AFTER_SECONDS = 10
#: Rows deleted by one transaction, so that no put waits long behind it.
PRUNE_ROWS = 200
#: How long rows that the main database refused are kept for someone to look at.
REFUSED_KEPT_SECONDS = 30 * 86_400.0

_INSERT_FEEDBACK = "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_EXPOSURE = "INSERT INTO exposures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_IS_ERASED = "SELECT 1 FROM erased WHERE user_id = ? AND erased_at >= ?"
_MARK_ERASED = (
    "INSERT INTO erased (user_id, erased_at, settled) VALUES (?, ?, 0) ON CONFLICT (user_id) DO UPDATE"
    " SET erased_at = max(erased_at, excluded.erased_at), settled = 0"
)
_REFUSE = {
    "feedback": "INSERT INTO refused (kind, user_id, content, reason, refused_at)"
    " SELECT 'feedback', user_id, ?, ?, ? FROM feedback WHERE id = ?",
    "exposures": "INSERT INTO refused (kind, user_id, content, reason, refused_at)"
    " SELECT 'exposures', user_id, ?, ?, ? FROM exposures WHERE id = ?",
}
_OLD_REFUSED = (
    "DELETE FROM refused WHERE id IN (SELECT id FROM refused WHERE refused_at < ? ORDER BY id LIMIT ?)"
)


@dataclass(frozen=True)
class PreparedExposure:
    """An answer as the columns of its row, with what the capacity and an erasure ask about it."""

    user_id: str | None
    created_at: float
    bytes: int
    values: tuple[object, ...]


class QueueWrites:
    """The writing side of the queue; `max_bytes` is how much may wait, half of it exposures at most.

    Whatever fails in the file raises sqlite3.Error and leaves it as it was.
    """

    def __init__(self, connection: sqlite3.Connection, turn: FileLock, max_bytes: int) -> None:
        self._db = connection
        self._turn = turn
        self._max_bytes = max_bytes

    def put_group(self, puts: Sequence[Sequence[FeedbackEntry]]) -> list[list[Outcome] | QueueError]:
        """Store many puts with one fsync, each as a whole or not at all; what each came to, in their order."""
        with self._transaction():
            return [self._attempt(entries) for entries in puts]

    def add_exposures(self, exposures: Sequence[PreparedExposure]) -> int:
        """Store answers in their order; returns for how many, the last ones, there was no room."""
        with self._transaction():
            known = [one for one in exposures if not self._is_erased(one.user_id, one.created_at)]
            last, drained = read_marks(self._db, "exposures")
            room = min(self._max_bytes // 2, self._max_bytes - self._waiting_bytes("feedback"))
            numbered = _numbered([(one.bytes, one.values) for one in known], last)
            kept = [row for row in numbered if row[1] - drained.bytes <= room]
            self._append("exposures", _INSERT_EXPOSURE, kept)
            return len(known) - len(kept)

    def erase_user(self, user_id: str, at: int) -> ErasedRows:
        """Delete everything of a person and take nothing in any more that was recorded until `at`."""
        with self._transaction():
            self._db.execute(_MARK_ERASED, (user_id, at))
            _, drained = read_marks(self._db, "feedback")
            return ErasedRows(
                waiting_feedback=self._delete(
                    "DELETE FROM feedback WHERE user_id = ? AND id > ?", user_id, drained.position
                ),
                drained_feedback=self._delete("DELETE FROM feedback WHERE user_id = ?", user_id),
                exposures=self._delete("DELETE FROM exposures WHERE user_id = ?", user_id),
                refused=self._delete("DELETE FROM refused WHERE user_id = ?", user_id),
            )

    # The three below may be lost by a power cut: then the same rows are drained or deleted again, without effect.
    # So they save the fsync, which the puts behind them would wait for.

    def settle_erasure(self, user_id: str, at: int) -> None:
        """Note that the main database has forgotten a person, as they asked `at`; a later wish stays open."""
        with self._transaction(durable=False):
            self._db.execute(
                "UPDATE erased SET settled = 1 WHERE user_id = ? AND erased_at <= ?", (user_id, at)
            )

    def settle(self, kind: Kind, end: Mark, refusals: Sequence[Refusal], now: float) -> None:
        """Note that the main database has everything up to `end` but the refused rows, which are set aside.

        A refused row that was erased meanwhile is not set aside.
        """
        with self._transaction(durable=False):
            self._db.executemany(
                _REFUSE[kind],
                [(refused.content, refused.reason, now, refused.position) for refused in refusals],
            )
            if kind == "exposures":
                self._db.execute("DELETE FROM exposures WHERE id <= ?", (end.position,))
            self._db.execute(
                "UPDATE marks SET drained_id = ?, drained_bytes = ? WHERE kind = ? AND drained_id < ?",
                (end.position, end.bytes, kind, end.position),
            )

    def prune(self, before: float, now: float) -> int:
        """Delete a few of the oldest drained rows, if recorded `before`, or if more than `max_bytes` are kept.

        Returns how many; fewer than `PRUNE_ROWS` when nothing is left to delete.
        """
        with self._transaction(durable=False):
            _, drained = read_marks(self._db, "feedback")
            oldest = self._db.execute(
                "SELECT id, end_bytes, recorded_at FROM feedback WHERE id <= ? ORDER BY id LIMIT ?",
                (drained.position, PRUNE_ROWS),
            )
            old = list(
                takewhile(lambda row: row[2] < before or drained.bytes - row[1] >= self._max_bytes, oldest)
            )
            if old:
                self._db.execute("DELETE FROM feedback WHERE id <= ?", (old[-1][0],))
            return len(old) + self._delete(_OLD_REFUSED, now - REFUSED_KEPT_SECONDS, PRUNE_ROWS)

    def close(self) -> None:
        self._db.close()
        self._turn.close()

    @contextmanager
    def _transaction(self, durable: bool = True) -> Iterator[None]:
        # SQLite's own waiting sleeps and looks again, so that one busy process can starve another for seconds;
        # the kernel wakes whoever waits for a lock.
        with self._turn.hold():
            # In WAL mode FULL adds the fsync after each commit; without it the file stays whole as well.
            self._db.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk has rolled back already
                    self._db.execute("ROLLBACK")
                raise

    def _attempt(self, entries: Sequence[FeedbackEntry]) -> list[Outcome] | QueueError:
        try:
            return self._put(entries)
        except QueueError as error:  # raised before anything was written, so the rest of the group is safe
            return error

    def _put(self, entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        outcomes = self._judge(entries)
        new = [entry for entry, outcome in zip(entries, outcomes, strict=True) if outcome is Outcome.NEW]
        if not new:
            return outcomes
        last, drained = read_marks(self._db, "feedback")
        rows = _numbered([(entry.stored_bytes, _feedback_values(entry)) for entry in new], last)
        if rows[-1][1] - drained.bytes + self._waiting_bytes("exposures") > self._max_bytes:
            raise QueueFullError(RETRY_AFTER_SECONDS)
        self._append("feedback", _INSERT_FEEDBACK, rows)
        return outcomes

    def _judge(self, entries: Sequence[FeedbackEntry]) -> list[Outcome]:
        hashes: dict[str, str] = {}
        outcomes = []
        for entry in entries:
            known = hashes.get(entry.key) or self._hash_of(entry.key)
            if known is not None and known != entry.request_hash:
                raise KeyReusedError(entry.key)
            hashes[entry.key] = entry.request_hash
            if known is not None:
                outcomes.append(Outcome.REPEATED)
            else:
                erased = self._is_erased(entry.user_id, entry.recorded_at)
                outcomes.append(Outcome.FORGOTTEN if erased else Outcome.NEW)
        return outcomes

    def _hash_of(self, key: str) -> str | None:
        row = self._db.execute("SELECT request_hash FROM feedback WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _is_erased(self, user_id: str | None, recorded_at: float) -> bool:
        # In whole seconds, as the main database compares them.
        return self._db.execute(_IS_ERASED, (user_id, int(recorded_at))).fetchone() is not None

    def _waiting_bytes(self, kind: Kind) -> int:
        last, drained = read_marks(self._db, kind)
        return last.bytes - drained.bytes

    def _append(self, kind: Kind, insert: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._db.executemany(insert, rows)
            self._db.execute(
                "UPDATE marks SET last_id = ?, last_bytes = ? WHERE kind = ?", (*rows[-1][:2], kind)
            )

    def _delete(self, statement: str, *params: object) -> int:
        return self._db.execute(statement, params).rowcount


def prepare_exposure(entry: ExposureEntry) -> PreparedExposure:
    """An answer as it is stored; ValueError or TypeError when it cannot be."""
    check_instant("created_at", entry.created_at)
    if not math.isfinite(entry.latency_ms):
        raise ValueError(f"latency_ms: expected a number, got {entry.latency_ms}")
    event_ids = orjson.dumps(entry.event_ids).decode()
    texts = (entry.recommendation_id, entry.model_version, entry.variant, entry.arm, entry.city, event_ids)
    numbers = (entry.latency_ms, entry.experiment_id, int(entry.is_exposure), entry.created_at)
    return PreparedExposure(
        user_id=entry.user_id,
        created_at=entry.created_at,
        bytes=row_bytes(texts=(*texts, entry.experiment_id), indexed=(entry.user_id,)),
        values=(texts[0], entry.user_id, *texts[1:], *numbers),
    )


def _feedback_values(entry: FeedbackEntry) -> tuple[object, ...]:
    return (
        *(entry.key, entry.request_hash, entry.user_id, entry.event_id, entry.action),
        *(entry.context, entry.recommendation_id, entry.recorded_at),
    )


def _numbered(rows: Sequence[tuple[int, tuple[object, ...]]], last: Mark) -> list[tuple[Any, ...]]:
    """Rows of (bytes, values) as (position, end in bytes, *values), going on from the last mark."""
    ends = list(accumulate([size for size, _ in rows], initial=last.bytes))[1:]
    return [
        (position, end, *values)
        for position, (end, (_, values)) in enumerate(zip(ends, rows, strict=True), last.position + 1)
    ]

"""Everything that changes the queue's file, each call one transaction. Blocks; belongs to one thread.

Positions are given under the write lock, so they grow in the order of the commits, whichever process makes
them: who has seen everything up to a position never misses a row.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate, takewhile
from typing import Any

from msgspec import json

from service.experiments.increments import Increment
from service.storage.file_lock import FileLock
from service.storage.queue_counts import (
    SHIPMENT_PEOPLE,
    Shipment,
    add_counts,
    add_up_oldest,
    count_up_to,
    drop_shipment,
    forget_counts,
    make_shipment,
    prune_known,
)
from service.storage.queue_entries import (
    ErasedRows,
    FeedbackEntry,
    KeyReusedError,
    Mark,
    Outcome,
    QueueError,
    QueueFullError,
    Refusal,
)
from service.storage.queue_packs import Pack, filter_pack, mention_of
from service.storage.queue_schema import Kind, read_all_marks, read_marks

#: Seconds a caller is asked to wait when the queue is full: by then the drainer has tried again.
RETRY_AFTER_SECONDS = 10
#: Rows deleted by one transaction, so that no put waits long behind it.
PRUNE_ROWS = 200
#: How long rows that the main database refused are kept for someone to look at.
REFUSED_KEPT_SECONDS = 30 * 86_400.0
#: How long it is remembered whom the experiments' store knows, since it was sent something of them.
KNOWN_KEPT_SECONDS = 60 * 86_400.0

_INSERT_FEEDBACK = "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_PACK = "INSERT INTO exposures VALUES (?, ?, ?, ?, ?)"
# What a group of puts has to be compared with: two JSON lists, of its keys and of its people.
_KNOWN = (
    "SELECT key, NULL, request_hash FROM feedback WHERE key IN (SELECT value FROM json_each(?)) UNION ALL"
    " SELECT NULL, user_id, erased_at FROM erased WHERE user_id IN (SELECT value FROM json_each(?))"
)
_ERASED_SINCE = "SELECT user_id, erased_at FROM erased WHERE erased_at >= ?"
_MARK_ERASED = (
    "INSERT INTO erased (user_id, erased_at, settled) VALUES (?, ?, 0) ON CONFLICT (user_id) DO UPDATE"
    " SET erased_at = max(erased_at, excluded.erased_at), settled = 0"
)
_REFUSE = (
    "INSERT INTO refused (kind, user_id, content, reason, refused_at) SELECT ?, ?, ?, ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM erased WHERE user_id = ? AND erased_at >= ?)"
)
_OLD_REFUSED = (
    "DELETE FROM refused WHERE id IN (SELECT id FROM refused WHERE refused_at < ? ORDER BY id LIMIT ?)"
)


class QueueWrites:
    """The writing side of the queue; `max_bytes` is how much may wait, half of it exposures at most.

    Whatever fails in the file raises sqlite3.Error and leaves it as it was.
    """

    def __init__(self, connection: sqlite3.Connection, turn: FileLock, max_bytes: int) -> None:
        self.since_checkpoint = 0  #: rows and commits since `since_checkpoint` was last set to 0
        self._db = connection
        self._turn = turn
        self._max_bytes = max_bytes
        self._is_durable: bool | None = None  #: whether the connection fsyncs what it commits

    def put_group(self, puts: Sequence[Sequence[FeedbackEntry]]) -> list[list[Outcome] | QueueError]:
        """Store many puts with one fsync, each as a whole or not at all; what each came to, in their order."""
        # Whatever many puts come to, they are few statements: between two the interpreter changes threads.
        with self._transaction():
            group = [entry for entries in puts for entry in entries]
            hashes, erased = self._known_of(group)
            marks = read_all_marks(self._db)
            last, _ = marks["feedback"]
            room = self._max_bytes - sum([end.bytes - drained.bytes for end, drained in marks.values()])
            results: list[list[Outcome] | QueueError] = []
            rows: list[FeedbackEntry] = []
            for entries in puts:
                try:
                    outcomes = _judge(entries, hashes, erased)
                    new = [
                        one for one, is_new in zip(entries, outcomes, strict=True) if is_new is Outcome.NEW
                    ]
                    room = _left(room, new)
                except QueueError as error:
                    results.append(error)
                else:
                    hashes |= {entry.key: entry.request_hash for entry in new}
                    rows += new
                    results.append(outcomes)
            values = [(entry.stored_bytes, _feedback_values(entry)) for entry in rows]
            self._append("feedback", _INSERT_FEEDBACK, _numbered(values, last))
            return results

    def add_exposures(self, packs: Sequence[Pack]) -> int:
        """Store exposures in their order; returns for how many, the last ones, there was no room."""
        with self._transaction():
            kept = self._not_erased(packs)
            marks = read_all_marks(self._db)
            (last, drained), (end_of_feedback, drained_feedback) = marks["exposures"], marks["feedback"]
            waiting_feedback = end_of_feedback.bytes - drained_feedback.bytes
            room = min(self._max_bytes // 2, self._max_bytes - waiting_feedback)
            values = [(pack.stored_bytes, (pack.entries, pack.oldest, pack.text)) for pack in kept]
            rows = [row for row in _numbered(values, last) if row[1] - drained.bytes <= room]
            self._append("exposures", _INSERT_PACK, rows)
            return sum([pack.entries for pack in kept[len(rows) :]])

    def erase_user(self, user_id: str, at: int) -> ErasedRows:
        """Delete everything of a person and take nothing in any more that was recorded until `at`."""
        with self._transaction():
            self._db.execute(_MARK_ERASED, (user_id, at))
            forget_counts(self._db, user_id)
            _, drained = read_marks(self._db, "feedback")
            return ErasedRows(
                waiting_feedback=self._delete(
                    "DELETE FROM feedback WHERE user_id = ? AND id > ?", user_id, drained.position
                ),
                drained_feedback=self._delete("DELETE FROM feedback WHERE user_id = ?", user_id),
                exposures=self._delete_exposures(user_id),
                refused=self._delete("DELETE FROM refused WHERE user_id = ?", user_id),
            )

    def make_shipment(self, before: float | None) -> Shipment | None:
        """Number what is counted, with `before` what is due then, so that it can be sent (`queue_counts`).

        Durable: a number never means two things.
        """
        with self._transaction():
            return make_shipment(self._db, SHIPMENT_PEOPLE, before)

    # Those below may be lost by a power cut: then the same rows are drained or deleted again, without effect.
    # So they save the fsync, which the puts behind them would wait for.

    def settle_erasure(self, user_id: str, at: int) -> None:
        """Note that the main database has forgotten a person, as they asked `at`; a later wish stays open."""
        with self._transaction(durable=False):
            self._db.execute(
                "UPDATE erased SET settled = 1 WHERE user_id = ? AND erased_at <= ?", (user_id, at)
            )

    def add_up_counts(self) -> bool:
        """Add up a batch of what was counted for each person; whether there was one."""
        with self._transaction(durable=False):
            return add_up_oldest(self._db)

    def settle_shipment(self, number: int, sent_at: float | None) -> None:
        """Note that the experiments' store has a shipment, and with `sent_at` that it knows its people."""
        with self._transaction(durable=False):
            drop_shipment(self._db, number, sent_at)

    def settle_forgotten(self, user_id: str) -> None:
        """Note that the experiments' store has forgotten a person."""
        with self._transaction(durable=False):
            self._delete("DELETE FROM forgotten WHERE user_id = ?", user_id)

    def settle_counted(self, position: int, counts: Sequence[Increment]) -> None:
        """Note that feedback up to `position` is counted, and what it came to."""
        with self._transaction(durable=False):
            count_up_to(self._db, position)
            add_counts(self._db, counts)

    def settle(
        self,
        kind: Kind,
        end: Mark,
        refusals: Sequence[Refusal],
        now: float,
        counts: Sequence[Increment] = (),
    ) -> None:
        """Note that the main database has everything up to `end` but the refused rows, which are set aside.

        A refused row whose person was erased since is not set aside. `counts` are what experiments count of the rows.
        """
        with self._transaction(durable=False):
            add_counts(self._db, counts)
            for refusal in refusals:
                row = (kind, refusal.user_id, refusal.content, refusal.reason, now)
                self._db.execute(_REFUSE, (*row, refusal.user_id, int(refusal.recorded_at)))
            if kind == "exposures":
                self._db.execute("DELETE FROM exposures WHERE id <= ?", (end.position,))
            self._db.execute(
                "UPDATE marks SET drained_id = ?, drained_bytes = ? WHERE kind = ? AND drained_id < ?",
                (end.position, end.bytes, kind, end.position),
            )

    def prune(self, before: float, now: float) -> int:
        """Delete a few of the oldest drained rows, if recorded `before`, or if more than `max_bytes` are kept.

        For want of room only such as experiments have counted. Returns how many; fewer than `PRUNE_ROWS` when
        nothing is left to delete.
        """
        with self._transaction(durable=False):
            _, drained = read_marks(self._db, "feedback")
            [(counted,)] = self._db.execute("SELECT counted_id FROM counting")
            oldest = self._db.execute(
                "SELECT id, end_bytes, recorded_at FROM feedback WHERE id <= ? ORDER BY id LIMIT ?",
                (drained.position, PRUNE_ROWS),
            )

            def is_old(row: tuple[int, int, float]) -> bool:
                position, end_bytes, recorded_at = row
                too_many = drained.bytes - end_bytes >= self._max_bytes
                return recorded_at < before or (too_many and position <= counted)

            old = list(takewhile(is_old, oldest))
            if old:
                self._db.execute("DELETE FROM feedback WHERE id <= ?", (old[-1][0],))
            prune_known(self._db, now - KNOWN_KEPT_SECONDS, PRUNE_ROWS)
            return len(old) + self._delete(_OLD_REFUSED, now - REFUSED_KEPT_SECONDS, PRUNE_ROWS)

    def close(self) -> None:
        self._db.close()
        self._turn.close()

    @contextmanager
    def _transaction(self, durable: bool = True) -> Iterator[None]:
        # SQLite's own waiting sleeps and looks again, so that one busy process can starve another for seconds;
        # the kernel wakes whoever waits for a lock.
        with self._turn.hold():
            if durable is not self._is_durable:
                # In WAL mode FULL adds the fsync after each commit; without it the file stays whole as well.
                self._db.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
                self._is_durable = durable
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
                self.since_checkpoint += 1
            except BaseException:
                if self._db.in_transaction:  # a full disk has rolled back already
                    self._db.execute("ROLLBACK")
                raise

    def _known_of(self, entries: Sequence[FeedbackEntry]) -> tuple[dict[str, str], dict[str, int]]:
        """Those of the keys that are taken, with their requests' hashes, and those of the people who were erased."""
        lists = ([entry.key for entry in entries], [entry.user_id for entry in entries])
        known = self._db.execute(_KNOWN, [json.encode(one).decode() for one in lists]).fetchall()
        return (
            {key: request_hash for key, _, request_hash in known if key is not None},
            {user_id: at for key, user_id, at in known if key is None},
        )

    def _not_erased(self, packs: Sequence[Pack]) -> Sequence[Pack]:
        """The packs without exposures whose people were erased after them: as a rule, all as they are."""
        oldest = min([pack.oldest for pack in packs])
        erased: dict[str | None, int] = dict(self._db.execute(_ERASED_SINCE, (int(oldest),)).fetchall())
        if not erased:
            return packs
        filtered = [
            filter_pack(pack.text, lambda entry: int(entry.created_at) > erased.get(entry.user_id, -1))
            for pack in packs
        ]
        return [pack for pack, _ in filtered if pack is not None]

    def _append(self, kind: Kind, insert: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._db.executemany(insert, rows)
            self.since_checkpoint += len(rows)
            self._db.execute(
                "UPDATE marks SET last_id = ?, last_bytes = ? WHERE kind = ?", (*rows[-1][:2], kind)
            )

    def _delete_exposures(self, user_id: str) -> int:
        holding = "SELECT id, pack FROM exposures WHERE instr(pack, ?)"
        deleted = 0
        for position, text in self._db.execute(holding, (mention_of(user_id),)).fetchall():
            pack, dropped = filter_pack(text, lambda entry: entry.user_id != user_id)
            deleted += dropped
            if pack is None:
                self._db.execute("DELETE FROM exposures WHERE id = ?", (position,))
            else:
                self._db.execute(
                    "UPDATE exposures SET entries = ?, pack = ? WHERE id = ?",
                    (pack.entries, pack.text, position),
                )
        return deleted

    def _delete(self, statement: str, *params: object) -> int:
        return self._db.execute(statement, params).rowcount


def _judge(
    entries: Sequence[FeedbackEntry], hashes: Mapping[str, str], erased: Mapping[str, int]
) -> list[Outcome]:
    """What each entry of one put comes to; KeyReusedError when one has the key of another request."""
    given: dict[str, str] = {}
    outcomes = []
    for entry in entries:
        known = given.get(entry.key) or hashes.get(entry.key)
        if known is not None and known != entry.request_hash:
            raise KeyReusedError(entry.key)
        given[entry.key] = entry.request_hash
        if known is not None:
            outcomes.append(Outcome.REPEATED)
        else:
            # In whole seconds, as the main database compares them.
            is_erased = int(entry.recorded_at) <= erased.get(entry.user_id, -1)
            outcomes.append(Outcome.FORGOTTEN if is_erased else Outcome.NEW)
    return outcomes


def _left(room: int, entries: Sequence[FeedbackEntry]) -> int:
    """The bytes of room left behind the entries; QueueFullError when there is not enough for any."""
    left = room - sum([entry.stored_bytes for entry in entries])
    if entries and left < 0:
        raise QueueFullError(RETRY_AFTER_SECONDS)
    return left


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

"""What is read from the queue's file. Blocks; belongs to one thread. Never waits for a writer."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from service.experiments.increments import Increment
from service.storage.queue_counts import (
    Countable,
    Shipment,
    WaitingCounts,
    read_countable,
    read_forgotten,
    read_shipment,
    read_waiting_counts,
)
from service.storage.queue_entries import (
    Batch,
    ExposureEntry,
    FeedbackEntry,
    Mark,
    QueuedAction,
    QueuedFeedback,
    QueuedUserData,
    QueueStatus,
    RefusedRow,
    Waiting,
)
from service.storage.queue_packs import mention_of, unpack_exposures
from service.storage.queue_schema import read_marks

_Row = tuple[Any, ...]

#: Feedback is put in the order in which it was recorded, but for what waited for the disk, and what other clocks say.
MOST_DISORDER_SECONDS = 3_600.0

_FEEDBACK = (
    "SELECT id, key, request_hash, user_id, event_id, action, context, recommendation_id, recorded_at,"
    " end_bytes FROM feedback"
)
_ACTIONS_AFTER = (
    "SELECT id, user_id, event_id, action, recorded_at, id <= (SELECT drained_id FROM marks WHERE kind = 'feedback')"
    " FROM feedback WHERE id > ? ORDER BY id LIMIT ?"
)
_AFTER = " WHERE id > ? ORDER BY id LIMIT ?"
_OF_USER = " WHERE user_id = ? ORDER BY id"
_REFUSED_OF_USER = "SELECT kind, content, reason FROM refused WHERE user_id = ? ORDER BY id"
_PACKS = "SELECT id, end_bytes, pack FROM exposures ORDER BY id"
_PACKS_WITH = "SELECT pack FROM exposures WHERE instr(pack, ?) ORDER BY id"
_COUNTS = (
    "SELECT (SELECT count(*) FROM feedback WHERE id > :drained),"
    " (SELECT coalesce(sum(entries), 0) FROM exposures), (SELECT count(*) FROM erased WHERE NOT settled),"
    " (SELECT count(*) FROM refused),"
    " (SELECT recorded_at FROM feedback WHERE id > :drained ORDER BY id LIMIT 1),"
    " (SELECT oldest FROM exposures ORDER BY id LIMIT 1)"
)


class QueueReads:
    """The reading side of the queue. Whatever fails raises sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def actions_after(self, position: int, limit: int) -> list[QueuedAction]:
        """Of feedback with a position above `position`, at most `limit` rows, oldest first."""
        return list(map(QueuedAction._make, self._db.execute(_ACTIONS_AFTER, (position, limit))))

    def holds_all_since(self, at: float) -> bool:
        """Whether nothing was dropped for its age, or for want of room, that was recorded `at` or later."""
        with self._snapshot():
            oldest = self._db.execute("SELECT id, recorded_at FROM feedback ORDER BY id LIMIT 1").fetchone()
            last, _ = read_marks(self._db, "feedback")
        if oldest is None:
            return last.position == 0
        return bool(oldest[0] == 1 or oldest[1] < at - MOST_DISORDER_SECONDS)

    def waiting(self, limit: int) -> Waiting:
        """What the main database is to get next, all at one instant.

        At most `limit` rows of feedback, and packs of exposures until they hold `limit`.
        """
        with self._snapshot():
            erasures = self._db.execute("SELECT user_id, erased_at FROM erased WHERE NOT settled").fetchall()
            return Waiting(
                erasures=dict(erasures),
                feedback=self._waiting_feedback(limit),
                exposures=self._waiting_exposures(limit),
            )

    def status(self, now: float) -> QueueStatus:
        """How the queue stands `now` (seconds since 1970)."""
        with self._snapshot():
            last, drained = read_marks(self._db, "feedback")
            last_exposure, drained_exposure = read_marks(self._db, "exposures")
            counts = self._db.execute(_COUNTS, {"drained": drained.position}).fetchone()
        waiting_feedback, waiting_exposures, waiting_erasures, refused, *oldest = counts
        return QueueStatus(
            waiting_feedback=waiting_feedback,
            waiting_exposures=waiting_exposures,
            waiting_erasures=waiting_erasures,
            waiting_bytes=last.bytes - drained.bytes + last_exposure.bytes - drained_exposure.bytes,
            oldest_age_seconds=max([0.0, *(now - at for at in oldest if at is not None)]),
            refused=refused,
            last_position=last.position,
            drained_position=drained.position,
        )

    def export_user(self, user_id: str) -> QueuedUserData:
        """Everything in the queue about one person."""
        with self._snapshot():
            _, drained = read_marks(self._db, "feedback")
            feedback = self._db.execute(_FEEDBACK + _OF_USER, (user_id,))
            packs = self._db.execute(_PACKS_WITH, (mention_of(user_id),))
            exposures = [entry for (pack,) in packs for entry in unpack_exposures(pack)]
            refused = self._db.execute(_REFUSED_OF_USER, (user_id,))
            erased = self._db.execute("SELECT erased_at FROM erased WHERE user_id = ?", (user_id,)).fetchone()
            return QueuedUserData(
                feedback=tuple([_feedback(row, drained) for row in feedback]),
                exposures=tuple([entry for entry in exposures if entry.user_id == user_id]),
                refused=tuple([RefusedRow(*row) for row in refused]),
                erased_at=None if erased is None else erased[0],
            )

    def erased_users(self, since: int) -> dict[str, int]:
        """Who was erased at `since` or later, and when (whole seconds since 1970)."""
        rows = self._db.execute("SELECT user_id, erased_at FROM erased WHERE erased_at >= ?", (since,))
        return dict(rows.fetchall())

    def countable(self, limit: int, before: float) -> Countable:
        """At most `limit` feedback from before `before`, all whose answers the main database has."""
        with self._snapshot():
            return read_countable(self._db, limit, before)

    def shipment(self) -> Shipment | None:
        """The shipment that is under way to the experiments' store."""
        with self._snapshot():
            return read_shipment(self._db)

    def waiting_counts(self, is_wanted: Callable[[Increment], bool]) -> WaitingCounts:
        """What experiments have counted and their store may not have, of that what is wanted."""
        with self._snapshot():
            return read_waiting_counts(self._db, is_wanted)

    def forgotten(self) -> list[str]:
        """Whom the experiments' store has yet to forget."""
        return read_forgotten(self._db)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """All reads of the block see the file as it was at the first of them."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    # What is read up to the limit ends with its last row; otherwise with the last mark, so that what may have
    # been erased behind the last row is passed over with it.

    def _waiting_feedback(self, limit: int) -> Batch[QueuedFeedback]:
        last, drained = read_marks(self._db, "feedback")
        rows = self._db.execute(_FEEDBACK + _AFTER, (drained.position, limit)).fetchall()
        end = Mark(rows[-1][0], rows[-1][-1]) if len(rows) == limit else last
        return Batch(tuple([_feedback(row, drained) for row in rows]), drained, end)

    def _waiting_exposures(self, limit: int) -> Batch[ExposureEntry]:
        last, drained = read_marks(self._db, "exposures")
        exposures: list[ExposureEntry] = []
        for position, end_bytes, pack in self._db.execute(_PACKS):
            exposures += unpack_exposures(pack)
            if len(exposures) >= limit:
                return Batch(tuple(exposures), drained, Mark(position, end_bytes))
        return Batch(tuple(exposures), drained, last)


def _feedback(row: _Row, drained: Mark) -> QueuedFeedback:
    return QueuedFeedback(row[0], FeedbackEntry(*row[1:-1]), drained=row[0] <= drained.position)

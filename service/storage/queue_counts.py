"""What experiments count, on its way through the queue's file. Blocks; belongs to one thread.

Counts are added up for each person until they are sent. Then they become a numbered shipment, which is the same
however often it is sent: the store takes each number of a source once, so nothing counts twice.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from service.experiments.increments import Increment, decode_increment, encode_increment, summed
from service.storage.queue_entries import FeedbackEntry

#: People in one shipment.
SHIPMENT_PEOPLE = 500

_OPEN = "SELECT increment FROM counts WHERE experiment_id = ? AND user_id = ? AND shipment = 0"
_PUT = "INSERT OR REPLACE INTO counts (experiment_id, user_id, shipment, increment) VALUES (?, ?, 0, ?)"
_IS_ERASED = "SELECT 1 FROM erased WHERE user_id = ? AND erased_at >= ?"
_FREEZE = (
    "UPDATE counts SET shipment = ? WHERE shipment = 0 AND (experiment_id, user_id) IN"
    " (SELECT experiment_id, user_id FROM counts WHERE shipment = 0 LIMIT ?)"
)
# What nobody could attribute yet is left: what was put in the last moments, what is behind answers that wait
# themselves, and what the main database does not have.
_COUNTABLE = (
    "SELECT id, key, request_hash, user_id, event_id, action, context, recommendation_id, recorded_at FROM feedback"
    " WHERE id > (SELECT counted_id FROM counting)"
    " AND id <= (SELECT drained_id FROM marks WHERE kind = 'feedback') ORDER BY id LIMIT ?"
)
_OLDEST_ANSWER = "SELECT min(oldest) FROM exposures"


@dataclass(frozen=True)
class Shipment:
    """Counts that are sent together: from which queue, under which number, one increment for each person."""

    source: str
    number: int
    increments: tuple[Increment, ...]


@dataclass(frozen=True)
class Countable:
    """Feedback to be counted, oldest first, and the position up to which that is all; None when there is nothing."""

    rows: tuple[FeedbackEntry, ...]
    position: int | None


# Within the caller's transaction:


def add_counts(db: sqlite3.Connection, increments: Sequence[Increment]) -> None:
    """Add to what is open, but for people who were erased since."""
    for increment in summed(increments):
        if db.execute(_IS_ERASED, (increment.user_id, int(increment.last_at))).fetchone():
            continue
        key = increment.experiment_id, increment.user_id
        row = db.execute(_OPEN, key).fetchone()
        total = increment if row is None else decode_increment(row[0]).plus(increment)
        db.execute(_PUT, (*key, encode_increment(total)))


def count_up_to(db: sqlite3.Connection, position: int) -> None:
    """Note that all feedback up to `position` is counted."""
    db.execute("UPDATE counting SET counted_id = ? WHERE counted_id < ?", (position, position))


def make_shipment(db: sqlite3.Connection, people: int) -> None:
    """Make a shipment of open counts unless one is under way."""
    if db.execute("SELECT 1 FROM counts WHERE shipment > 0 LIMIT 1").fetchone():
        return
    [(last,)] = db.execute("SELECT shipment FROM counting")
    if db.execute(_FREEZE, (last + 1, people)).rowcount:
        db.execute("UPDATE counting SET shipment = ?", (last + 1,))


def drop_shipment(db: sqlite3.Connection, number: int) -> None:
    """Note that the store has a shipment."""
    db.execute("DELETE FROM counts WHERE shipment = ?", (number,))


def forget_counts(db: sqlite3.Connection, user_id: str) -> None:
    """Delete a person's counts, and remember to have the store forget them too."""
    db.execute("DELETE FROM counts WHERE user_id = ?", (user_id,))
    db.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (user_id,))


# For reading:


def read_shipment(db: sqlite3.Connection) -> Shipment | None:
    """The shipment that is under way."""
    rows = db.execute("SELECT shipment, increment FROM counts WHERE shipment > 0").fetchall()
    if not rows:
        return None
    [(source,)] = db.execute("SELECT source FROM counting")
    return Shipment(source, rows[0][0], tuple([decode_increment(text) for _, text in rows]))


def read_forgotten(db: sqlite3.Connection) -> list[str]:
    """Whom the store has yet to forget."""
    return [user_id for (user_id,) in db.execute("SELECT user_id FROM forgotten")]


def read_countable(db: sqlite3.Connection, limit: int, before: float) -> Countable:
    """At most `limit` feedback from before `before` (seconds since 1970), all whose answers the database has."""
    [(oldest,)] = db.execute(_OLDEST_ANSWER)
    before = before if oldest is None else min(before, oldest)
    rows: list[FeedbackEntry] = []
    position = None
    for identifier, *values in db.execute(_COUNTABLE, (limit,)):
        entry = FeedbackEntry(*values)
        if entry.recorded_at >= before:
            break
        rows.append(entry)
        position = identifier
    return Countable(tuple(rows), position)

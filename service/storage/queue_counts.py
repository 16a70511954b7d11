"""What experiments count, on its way through the queue's file. Blocks; belongs to one thread.

Counts are added up for each person until they are sent: at once for somebody whom the store does not know yet, so that
it has their variant, and after a while for others, since every sending costs. Then they become a numbered shipment,
which is the same however often it is sent: the store takes each number of a source once, so nothing counts twice.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.experiments.increments import Increment, decode_increment, encode_increment, summed
from service.storage.queue_entries import FeedbackEntry

#: People in one shipment.
SHIPMENT_PEOPLE = 500

_OPEN = "SELECT increment FROM counts WHERE experiment_id = ? AND user_id = ? AND shipment = 0"
_PUT = (
    "INSERT INTO counts (experiment_id, user_id, shipment, increment, opened_at) VALUES (?, ?, 0, ?, iif(EXISTS"
    " (SELECT 1 FROM known WHERE experiment_id = ? AND user_id = ?), ?, 0))"
)
_ADD = "UPDATE counts SET increment = ? WHERE experiment_id = ? AND user_id = ? AND shipment = 0"
_IS_ERASED = "SELECT 1 FROM erased WHERE user_id = ? AND erased_at >= ?"
_FREEZE = (
    "UPDATE counts SET shipment = ? WHERE shipment = 0 AND (experiment_id, user_id) IN"
    " (SELECT experiment_id, user_id FROM counts WHERE shipment = 0 AND opened_at <= ? LIMIT ?)"
)
_KNOW = "INSERT OR REPLACE INTO known SELECT experiment_id, user_id, ? FROM counts WHERE shipment = ?"
_OLD_KNOWN = (
    "DELETE FROM known WHERE (experiment_id, user_id) IN"
    " (SELECT experiment_id, user_id FROM known WHERE sent_at < ? LIMIT ?)"
)
_WAITING = "SELECT experiment_id, user_id, shipment, increment FROM counts"
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


@dataclass(frozen=True)
class WaitingCounts:
    """What has been counted and not been sent for sure, by experiment and person.

    Each with the number of the shipment that it is in, or the lowest that it can come to be in: a store whose last
    shipment of `source` for a person is that one, or a later one, has it.
    """

    source: str
    texts: Mapping[tuple[str, str], Sequence[tuple[int, str]]]

    def missing(self, key: tuple[str, str], shipment: int) -> list[Increment]:
        """What a store does not have yet of a person in an experiment, whose last shipment was this one."""
        return [decode_increment(text) for number, text in self.texts.get(key, ()) if number > shipment]


# Within the caller's transaction:


def add_counts(db: sqlite3.Connection, increments: Sequence[Increment]) -> None:
    """Add to what is open, but for people who were erased since."""
    for increment in summed(increments):
        if db.execute(_IS_ERASED, (increment.user_id, int(increment.last_at))).fetchone():
            continue
        key = increment.experiment_id, increment.user_id
        row = db.execute(_OPEN, key).fetchone()
        if row is None:
            db.execute(_PUT, (*key, encode_increment(increment), *key, increment.last_at))
        else:
            db.execute(_ADD, (encode_increment(decode_increment(row[0]).plus(increment)), *key))


def count_up_to(db: sqlite3.Connection, position: int) -> None:
    """Note that all feedback up to `position` is counted."""
    db.execute("UPDATE counting SET counted_id = ? WHERE counted_id < ?", (position, position))


def make_shipment(db: sqlite3.Connection, people: int, before: float) -> None:
    """Make a shipment, unless one is under way, of counts open since `before` and of people whom the store lacks."""
    if db.execute("SELECT 1 FROM counts WHERE shipment > 0 LIMIT 1").fetchone():
        return
    [(last,)] = db.execute("SELECT shipment FROM counting")
    if db.execute(_FREEZE, (last + 1, before, people)).rowcount:
        db.execute("UPDATE counting SET shipment = ?", (last + 1,))


def drop_shipment(db: sqlite3.Connection, number: int, sent_at: float | None) -> None:
    """Note that the store has a shipment, and with `sent_at`, seconds since 1970, that it knows its people."""
    if sent_at is not None:
        db.execute(_KNOW, (sent_at, number))
    db.execute("DELETE FROM counts WHERE shipment = ?", (number,))


def forget_counts(db: sqlite3.Connection, user_id: str) -> None:
    """Delete a person's counts, and remember to have the store forget them too."""
    db.execute("DELETE FROM counts WHERE user_id = ?", (user_id,))
    db.execute("DELETE FROM known WHERE user_id = ?", (user_id,))
    db.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (user_id,))


def prune_known(db: sqlite3.Connection, before: float, limit: int) -> None:
    """Forget that the store knows a few of those of whom it was sent nothing since `before`: that costs one sending."""
    db.execute(_OLD_KNOWN, (before, limit))


# For reading:


def read_waiting_counts(
    db: sqlite3.Connection, experiment_id: str | None, user_id: str | None
) -> "WaitingCounts":
    """What waits of one experiment, or of one person."""
    column, value = ("experiment_id", experiment_id) if user_id is None else ("user_id", user_id)
    [(last, source)] = db.execute("SELECT shipment, source FROM counting")
    texts: defaultdict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for experiment, user, shipment, text in db.execute(f"{_WAITING} WHERE {column} = ?", (value,)):
        texts[experiment, user].append((shipment or last + 1, text))
    return WaitingCounts(source, texts)


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

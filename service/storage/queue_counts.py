"""What experiments count, on its way through the queue's file. Blocks; belongs to one thread.

What is counted is put down as it comes, a batch in a row (`tallies`), and added up for each person when it is sent: at
once for somebody whom the store does not know yet, so that it has their variant, and after a while for others, since
every sending costs; those wait in `counts`, a row each. Then they become a numbered shipment, which is the same however
often it is sent: the store takes each number of a source once, so nothing counts twice.

To add up each batch for each person at once, in their rows, took a third of all that recording an answer takes.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.experiments.increments import (
    Increment,
    decode_increment,
    decode_increments,
    encode_increment,
    encode_increments,
    summed,
)
from service.storage.queue_entries import FeedbackEntry
from service.storage.queue_packs import mention_of

#: People in one shipment.
SHIPMENT_PEOPLE = 500
#: Batches that wait as they came. Beyond that, as while the store is away, the oldest is added up for each person, so
#: that the file grows with the people only.
MOST_TALLIES = 16

_OPEN = "SELECT increment FROM counts WHERE experiment_id = ? AND user_id = ?"
_PUT = (
    "INSERT INTO counts (experiment_id, user_id, increment, opened_at) VALUES (?, ?, ?, iif(EXISTS"
    " (SELECT 1 FROM known WHERE experiment_id = ? AND user_id = ?), ?, 0))"
)
_ADD = "UPDATE counts SET increment = ? WHERE experiment_id = ? AND user_id = ?"
_ERASED_SINCE = "SELECT user_id, erased_at FROM erased WHERE erased_at >= ?"
_DUE = "SELECT increment FROM counts WHERE opened_at <= ? ORDER BY opened_at LIMIT ?"
_TALLIES = "SELECT increments FROM tallies ORDER BY id"
_KNOW = "INSERT OR REPLACE INTO known (experiment_id, user_id, sent_at) VALUES (?, ?, ?)"
_OLD_KNOWN = (
    "DELETE FROM known WHERE (experiment_id, user_id) IN"
    " (SELECT experiment_id, user_id FROM known WHERE sent_at < ? LIMIT ?)"
)
_UNDER_WAY = "SELECT number, increments FROM shipments ORDER BY number"
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
    increments: Mapping[tuple[str, str], Sequence[tuple[int, Increment]]]

    def missing(self, key: tuple[str, str], shipment: int) -> list[Increment]:
        """What a store does not have yet of a person in an experiment, whose last shipment was this one."""
        return [increment for number, increment in self.increments.get(key, ()) if number > shipment]


# Within the caller's transaction:


def add_counts(db: sqlite3.Connection, increments: Sequence[Increment]) -> None:
    """Put down what was counted, but of people who were erased since."""
    if not increments:
        return
    oldest = int(min([one.last_at for one in increments]))
    erased: dict[str, int] = dict(db.execute(_ERASED_SINCE, (oldest,)).fetchall())
    kept = (
        [one for one in increments if int(one.last_at) > erased.get(one.user_id, -1)]
        if erased
        else increments
    )
    if kept:
        db.execute("INSERT INTO tallies (increments) VALUES (?)", (encode_increments(kept),))
    if db.execute("SELECT count(*) FROM tallies").fetchone()[0] > MOST_TALLIES:
        add_up_oldest(db)


def add_up_oldest(db: sqlite3.Connection) -> bool:
    """Add the batch that has waited longest to the rows of its people; whether there was one."""
    row = db.execute("SELECT id, increments FROM tallies ORDER BY id LIMIT 1").fetchone()
    if row is None:
        return False
    db.execute("DELETE FROM tallies WHERE id = ?", (row[0],))
    for increment in summed(decode_increments(row[1])):
        key = increment.experiment_id, increment.user_id
        counted = db.execute(_OPEN, key).fetchone()
        if counted is None:
            db.execute(_PUT, (*key, encode_increment(increment), *key, increment.last_at))
        else:
            db.execute(_ADD, (encode_increment(decode_increment(counted[0]).plus(increment)), *key))
    return True


def count_up_to(db: sqlite3.Connection, position: int) -> None:
    """Note that all feedback up to `position` is counted."""
    db.execute("UPDATE counting SET counted_id = ? WHERE counted_id < ?", (position, position))


def make_shipment(db: sqlite3.Connection, people: int, before: float | None) -> Shipment | None:
    """Make shipments of `people` at most, unless one is under way, of all there is; returns the first.

    With `before`, of the rows of people who are open since then and of those whom the store lacks; what is not added up
    yet waits then (`add_up_oldest`).
    """
    if (under_way := read_shipment(db)) is not None:
        return under_way
    [(last, source)] = db.execute("SELECT shipment, source FROM counting")
    until = float("inf") if before is None else before
    due = [decode_increment(text) for (text,) in db.execute(_DUE, (until, people)).fetchall()]
    db.executemany(
        "DELETE FROM counts WHERE experiment_id = ? AND user_id = ?",
        [(one.experiment_id, one.user_id) for one in due],
    )
    if before is None and len(due) < people:
        due += [one for (text,) in db.execute(_TALLIES).fetchall() for one in decode_increments(text)]
        db.execute("DELETE FROM tallies")
    due = summed(due)
    parts = [due[start : start + people] for start in range(0, len(due), people)]
    if not parts:
        return None
    db.executemany(
        "INSERT INTO shipments (number, increments) VALUES (?, ?)",
        [(number, encode_increments(part)) for number, part in enumerate(parts, last + 1)],
    )
    db.execute("UPDATE counting SET shipment = ?", (last + len(parts),))
    return Shipment(source, last + 1, tuple(parts[0]))


def drop_shipment(db: sqlite3.Connection, number: int, sent_at: float | None) -> None:
    """Note that the store has a shipment, and with `sent_at`, seconds since 1970, that it knows its people."""
    if sent_at is not None:
        [(text,)] = db.execute("SELECT increments FROM shipments WHERE number = ?", (number,)).fetchall() or [
            ("[]",)
        ]
        people = [(one.experiment_id, one.user_id, sent_at) for one in decode_increments(text)]
        db.executemany(_KNOW, people)
    db.execute("DELETE FROM shipments WHERE number = ?", (number,))


def forget_counts(db: sqlite3.Connection, user_id: str) -> None:
    """Delete a person's counts, and remember to have the store forget them too."""
    db.execute("DELETE FROM counts WHERE user_id = ?", (user_id,))
    db.execute("DELETE FROM known WHERE user_id = ?", (user_id,))
    for table, key in (("tallies", "id"), ("shipments", "number")):
        holding = f"SELECT {key}, increments FROM {table} WHERE instr(increments, ?)"  # noqa: S608 - names from above
        for place, text in db.execute(holding, (mention_of(user_id),)).fetchall():
            kept = [one for one in decode_increments(text) if one.user_id != user_id]
            change = f"UPDATE {table} SET increments = ? WHERE {key} = ?"  # noqa: S608 - as above
            db.execute(change, (encode_increments(kept), place))
    db.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (user_id,))


def prune_known(db: sqlite3.Connection, before: float, limit: int) -> None:
    """Forget that the store knows a few of those of whom it was sent nothing since `before`: that costs one sending."""
    db.execute(_OLD_KNOWN, (before, limit))


# For reading:


def read_waiting_counts(db: sqlite3.Connection, is_wanted: Callable[[Increment], bool]) -> "WaitingCounts":
    """What waits, of that what is wanted."""
    [(last, source)] = db.execute("SELECT shipment, source FROM counting")
    found: defaultdict[tuple[str, str], list[tuple[int, Increment]]] = defaultdict(list)

    def add(number: int, increments: Sequence[Increment]) -> None:
        for one in filter(is_wanted, increments):
            found[one.experiment_id, one.user_id].append((number, one))

    for number, text in db.execute(_UNDER_WAY):
        add(number, decode_increments(text))
    for (text,) in db.execute("SELECT increment FROM counts"):
        add(last + 1, [decode_increment(text)])
    for (text,) in db.execute(_TALLIES):
        add(last + 1, decode_increments(text))
    return WaitingCounts(source, found)


def read_shipment(db: sqlite3.Connection) -> Shipment | None:
    """The shipment that is under way."""
    row = db.execute(_UNDER_WAY + " LIMIT 1").fetchone()
    if row is None:
        return None
    [(source,)] = db.execute("SELECT source FROM counting")
    return Shipment(source, row[0], tuple(decode_increments(row[1])))


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

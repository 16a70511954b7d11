"""The last known state of the site on this machine's disk, to start from while the site's database is away.

One SQLite file, updated with what changed, so that keeping it costs little. It holds what the queue and the model do
not: the events, what other services wrote to the tables of saves and hides since the model was trained, and rows of
ml_feedback that came from elsewhere. It may be behind; the database has the last word as soon as it answers.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from service.live.description import Described
from service.storage.queries.events import EventsFingerprint

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: user id, event id
Pair = tuple[str, str]
#: table, user id, event id, seconds since 1970
SiteChange = tuple[str, str, str, int]
#: id in ml_feedback, user id, event id, action, seconds since 1970
SiteFeedback = tuple[int, str, str, str, int]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (event_id TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    site_table TEXT NOT NULL, user_id TEXT NOT NULL, event_id TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (site_table, user_id, event_id, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY, user_id TEXT NOT NULL, event_id TEXT NOT NULL, action TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS feedback_span (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    model_version TEXT NOT NULL, settled_id INTEGER NOT NULL, seen_id INTEGER NOT NULL, seen_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS fingerprint (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), content BLOB NOT NULL);
"""
_KEEP_SPAN = (
    "INSERT INTO feedback_span VALUES (1, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " settled_id = max(settled_id, excluded.settled_id), seen_id = excluded.seen_id, seen_at = excluded.seen_at"
)
_BUSY_SECONDS = 5.0
_EVENTS_AT_ONCE = 500


class FeedbackSpan(NamedTuple):
    """How far ml_feedback is known since a model was trained: the queue and the snapshot hold all of it.

    Up to `settled_id` no row can appear any more; the greatest id was `seen_id` at `seen_at` (unix seconds).
    """

    model_version: str
    settled_id: int
    seen_id: int
    seen_at: float


class Kept(NamedTuple):
    """What is in a snapshot beside the events. Without a fingerprint nobody knows whether they are all."""

    n_events: int
    fingerprint: EventsFingerprint | None  #: of the events table when the events were as they are here
    changes: Sequence[SiteChange]  #: in the order of time
    feedback: Sequence[SiteFeedback] = ()
    feedback_span: FeedbackSpan | None = None


NOTHING_KEPT = Kept(0, None, ())


class SnapshotFile:
    """The snapshot at one path. Every method raises sqlite3.Error when the disk fails; nothing blocks the loop."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self, take: Callable[[Sequence[Described]], object]) -> Kept:
        """Everything; `take` gets the events, some at a time, in a thread.

        In a form of another version they are dropped, and those already taken may be no events any more; a damaged
        file is removed.
        """
        try:
            return await self._run(lambda connection: _load(connection, take))
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:  # no database, or one with damaged pages
            logger.warning("%s is damaged and begun anew: %s", self._path, error)
            await asyncio.to_thread(self._remove)
            return NOTHING_KEPT

    async def load_changes(self) -> Sequence[SiteChange]:
        """Only the rows that the site's tables got, in the order of time."""
        return await self._run(_load_changes)

    async def put_events(
        self, events: Sequence[Described], gone: Collection[str], fingerprint: EventsFingerprint | None
    ) -> None:
        """Note that events are new or changed, that others are gone, and what the table's fingerprint is now.

        None for a fingerprint says that there is more to come.
        """

        def write(connection: sqlite3.Connection) -> None:
            rows = ((event.row.event_id, msgspec.msgpack.encode(event)) for event in events)
            connection.executemany("INSERT OR REPLACE INTO events VALUES (?, ?)", rows)
            connection.executemany(
                "DELETE FROM events WHERE event_id = ?", [(event_id,) for event_id in gone]
            )
            connection.execute("DELETE FROM fingerprint")
            if fingerprint is not None:
                content = msgspec.json.encode(fingerprint)
                connection.execute("INSERT INTO fingerprint VALUES (1, ?)", (content,))

        await self._run(write)

    async def add_changes(self, changes: Iterable[SiteChange]) -> None:
        """Note rows that the site's tables got; one that is there already stays."""
        await self._run(
            lambda connection: connection.executemany(
                "INSERT OR IGNORE INTO changes VALUES (?, ?, ?, ?)", changes
            )
        )

    async def keep_feedback(self, span: FeedbackSpan, rows: Sequence[SiteFeedback], *, begins: bool) -> None:
        """Note how far ml_feedback is known, and rows of it that the queue does not hold.

        Whoever `begins` gives all such rows since their model was trained, which replace those of another model. Others
        add to those of their own model, and to none where another's have come since.
        """

        def write(connection: sqlite3.Connection) -> None:
            known = connection.execute("SELECT model_version FROM feedback_span").fetchone()
            if known != (span.model_version,):
                if not begins:
                    return
                connection.execute("DELETE FROM feedback")
                connection.execute("DELETE FROM feedback_span")
            connection.execute(_KEEP_SPAN, span)
            connection.executemany("INSERT OR IGNORE INTO feedback VALUES (?, ?, ?, ?, ?)", rows)

        await self._run(write)

    async def drop_pairs(self, table: str, pairs: Collection[Pair]) -> None:
        """Delete the changes of pairs that are gone from the site's table."""
        await self._run(
            lambda connection: connection.executemany(
                "DELETE FROM changes WHERE site_table = ? AND user_id = ? AND event_id = ?",
                [(table, *pair) for pair in pairs],
            )
        )

    async def drop_changes(self, before: int) -> None:
        """Delete the changes before `before` (seconds since 1970): a model was trained on them."""
        await self._run(lambda connection: connection.execute("DELETE FROM changes WHERE at < ?", (before,)))

    async def erase_user(self, user_id: str) -> int:
        """Delete what is kept of a person; returns how many rows that was."""

        def erase(connection: sqlite3.Connection) -> int:
            of_changes = connection.execute("DELETE FROM changes WHERE user_id = ?", (user_id,)).rowcount
            return (
                of_changes + connection.execute("DELETE FROM feedback WHERE user_id = ?", (user_id,)).rowcount
            )

        return await self._run(erase)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA secure_delete = ON")  # who is erased leaves no trace in free pages
                connection.executescript(_SCHEMA)
                with connection:
                    return work(connection)

        return await asyncio.to_thread(run)

    def _remove(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)


def _load_changes(connection: sqlite3.Connection) -> list[SiteChange]:
    rows = connection.execute("SELECT site_table, user_id, event_id, at FROM changes ORDER BY at")
    return rows.fetchall()


def _load(connection: sqlite3.Connection, take: Callable[[Sequence[Described]], object]) -> Kept:
    changes = _load_changes(connection)
    decoder = msgspec.msgpack.Decoder(Described)
    n_events = 0
    try:
        events = connection.execute("SELECT content FROM events")
        # Bit by bit, so that what is kept of one page and what is not do not share their memory with all others'.
        while rows := events.fetchmany(_EVENTS_AT_ONCE):
            take([decoder.decode(content) for (content,) in rows])
            n_events += len(rows)
        row = connection.execute("SELECT content FROM fingerprint").fetchone()
        fingerprint = msgspec.json.decode(row[0], type=EventsFingerprint) if row else None
    except msgspec.DecodeError:
        connection.execute("DELETE FROM events")
        connection.execute("DELETE FROM fingerprint")
        return Kept(0, None, changes)
    feedback = connection.execute("SELECT id, user_id, event_id, action, at FROM feedback").fetchall()
    span = connection.execute(
        "SELECT model_version, settled_id, seen_id, seen_at FROM feedback_span"
    ).fetchone()
    return Kept(n_events, fingerprint, changes, feedback, FeedbackSpan(*span) if span else None)

"""The last known state of the site on this machine's disk, to start from while the site's database is away.

One SQLite file, updated with what changed, so that keeping it costs little. It holds what the queue and the model do
not: the events, and what other services wrote to the tables of saves and hides since the model was trained. It may be
behind; the database has the last word as soon as it answers.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import msgspec

from service.storage.queries.events import EventRow, EventsFingerprint

T = TypeVar("T")

#: table, user id, event id, seconds since 1970
SiteChange = tuple[str, str, str, int]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (event_id TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    site_table TEXT NOT NULL, user_id TEXT NOT NULL, event_id TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (site_table, user_id, event_id, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fingerprint (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), content BLOB NOT NULL);
"""
_BUSY_SECONDS = 5.0


class SnapshotFile:
    """The snapshot at one path. Every method raises sqlite3.Error when the disk fails; nothing blocks the loop."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> tuple[list[EventRow], EventsFingerprint | None, list[SiteChange]]:
        """All events with the fingerprint they were read under, and the site's changes in the order of time.

        Rows of another version of the service cannot be read and count as absent.
        """
        return await self._run(_load)

    async def put_events(
        self, events: Sequence[EventRow], gone: Collection[str], fingerprint: EventsFingerprint
    ) -> None:
        """Note that events are new or changed, that others are gone, and what the table's fingerprint is now."""

        def write(connection: sqlite3.Connection) -> None:
            rows = ((event.event_id, msgspec.json.encode(event)) for event in events)
            connection.executemany("INSERT OR REPLACE INTO events VALUES (?, ?)", rows)
            connection.executemany(
                "DELETE FROM events WHERE event_id = ?", [(event_id,) for event_id in gone]
            )
            content = msgspec.json.encode(fingerprint)
            connection.execute("INSERT OR REPLACE INTO fingerprint VALUES (1, ?)", (content,))

        await self._run(write)

    async def add_changes(self, changes: Iterable[SiteChange]) -> None:
        """Note rows that the site's tables got; one that is there already stays."""
        await self._run(
            lambda connection: connection.executemany(
                "INSERT OR IGNORE INTO changes VALUES (?, ?, ?, ?)", changes
            )
        )

    async def drop_changes(self, before: int) -> None:
        """Delete the changes before `before` (seconds since 1970): a model was trained on them."""
        await self._run(lambda connection: connection.execute("DELETE FROM changes WHERE at < ?", (before,)))

    async def erase_user(self, user_id: str) -> int:
        """Delete what is kept of a person; returns how many rows that was."""
        return await self._run(
            lambda connection: (
                connection.execute("DELETE FROM changes WHERE user_id = ?", (user_id,)).rowcount
            )
        )

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
                with connection:
                    return work(connection)

        return await asyncio.to_thread(run)


def _load(
    connection: sqlite3.Connection,
) -> tuple[list[EventRow], EventsFingerprint | None, list[SiteChange]]:
    changes = connection.execute(
        "SELECT site_table, user_id, event_id, at FROM changes ORDER BY at"
    ).fetchall()
    try:
        events = [
            msgspec.json.decode(content, type=EventRow)
            for (content,) in connection.execute("SELECT content FROM events")
        ]
        row = connection.execute("SELECT content FROM fingerprint").fetchone()
        fingerprint = msgspec.json.decode(row[0], type=EventsFingerprint) if row else None
    except msgspec.DecodeError:
        return [], None, changes
    return events, fingerprint, changes

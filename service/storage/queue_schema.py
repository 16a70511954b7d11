"""The file of the durable queue: its tables, and how it is opened so that a commit outlives a power cut."""

import sqlite3
from pathlib import Path
from typing import Literal

from service.storage.file_lock import FileLock
from service.storage.queue_entries import Mark

Kind = Literal["feedback", "exposures"]

SCHEMA_VERSION = 4

# `end_bytes` is to bytes what `id` is to rows: how many were put up to and including this row since the file
# began. So how much lies between two rows is a difference, and nothing has to be added up or kept in step.
_SCHEMA = (
    """CREATE TABLE feedback (
        id INTEGER PRIMARY KEY,
        end_bytes INTEGER NOT NULL,
        key TEXT NOT NULL UNIQUE,
        request_hash TEXT NOT NULL,
        user_id TEXT NOT NULL,
        event_id TEXT NOT NULL,
        action TEXT NOT NULL,
        context TEXT,
        recommendation_id TEXT,
        recorded_at REAL NOT NULL
    )""",
    "CREATE INDEX feedback_user ON feedback (user_id)",
    """CREATE TABLE exposures (
        id INTEGER PRIMARY KEY,
        end_bytes INTEGER NOT NULL,
        entries INTEGER NOT NULL,
        oldest REAL NOT NULL,
        pack TEXT NOT NULL
    )""",
    # The last position given, which is never given again whatever is deleted, and the last one that the main
    # database has.
    """CREATE TABLE marks (
        kind TEXT PRIMARY KEY,
        last_id INTEGER NOT NULL,
        last_bytes INTEGER NOT NULL,
        drained_id INTEGER NOT NULL,
        drained_bytes INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "INSERT INTO marks VALUES ('exposures', 0, 0, 0, 0), ('feedback', 0, 0, 0, 0)",
    # Kept for good: a person and a time, so that nothing recorded before it is ever taken in again.
    """CREATE TABLE erased (
        user_id TEXT PRIMARY KEY,
        erased_at INTEGER NOT NULL,
        settled INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX erased_unsettled ON erased (user_id) WHERE NOT settled",
    """CREATE TABLE refused (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        user_id TEXT,
        content TEXT NOT NULL,
        reason TEXT NOT NULL,
        refused_at REAL NOT NULL
    )""",
)
# From version 2 on: what experiments count waits here, added up for each person, until their store has it. A row
# belongs to a numbered shipment as soon as that may have been sent, and does not change from then on; 0 is open.
_COUNTS = (
    """CREATE TABLE counts (
        experiment_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        shipment INTEGER NOT NULL,
        increment TEXT NOT NULL,
        PRIMARY KEY (experiment_id, user_id, shipment)
    ) WITHOUT ROWID""",
    "CREATE INDEX counts_user ON counts (user_id)",
    "CREATE INDEX counts_shipment ON counts (shipment)",
    # Up to which position feedback was counted, the last number given to a shipment, and the name by which stores
    # know this queue's shipments.
    """CREATE TABLE counting (
        counted_id INTEGER NOT NULL,
        shipment INTEGER NOT NULL,
        source TEXT NOT NULL
    )""",
    "INSERT INTO counting SELECT last_id, 0, lower(hex(randomblob(6))) FROM marks WHERE kind = 'feedback'",
    # Whom the experiments' store has yet to forget.
    "CREATE TABLE forgotten (user_id TEXT PRIMARY KEY) WITHOUT ROWID",
)
# From version 3 on: whom the store knows in which experiment, so that their counts may be gathered for longer; and
# since when a row of counts is open, 0 for somebody whom it does not know.
_KNOWN = (
    """CREATE TABLE known (
        experiment_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        sent_at REAL NOT NULL,
        PRIMARY KEY (experiment_id, user_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX known_user ON known (user_id)",
    "CREATE INDEX known_sent ON known (sent_at)",
    "ALTER TABLE counts ADD COLUMN opened_at REAL NOT NULL DEFAULT 0",
    "DROP INDEX counts_shipment",
    "CREATE INDEX counts_opened ON counts (shipment, opened_at)",
)
# From version 4 on: what is counted waits as it comes, a batch in a row, and a shipment is a row as well, each a JSON
# list of `service.experiments.increments.Increment`; `counts` has what was added up for each person since.
_TALLIES = (
    "CREATE TABLE tallies (id INTEGER PRIMARY KEY, increments TEXT NOT NULL)",
    "CREATE TABLE shipments (number INTEGER PRIMARY KEY, increments TEXT NOT NULL)",
    "INSERT INTO shipments SELECT shipment, '[' || group_concat(increment) || ']' FROM counts WHERE shipment > 0"
    " GROUP BY shipment",
    "ALTER TABLE counts RENAME TO counts_before",
    "DROP INDEX counts_user",
    "DROP INDEX counts_opened",
    """CREATE TABLE counts (
        experiment_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        increment TEXT NOT NULL,
        opened_at REAL NOT NULL,
        PRIMARY KEY (experiment_id, user_id)
    ) WITHOUT ROWID""",
    "INSERT INTO counts SELECT experiment_id, user_id, increment, opened_at FROM counts_before WHERE shipment = 0",
    "DROP TABLE counts_before",
    "CREATE INDEX counts_user ON counts (user_id)",
    "CREATE INDEX counts_opened ON counts (opened_at)",
)
_STAMP = f"PRAGMA user_version = {SCHEMA_VERSION}"


#: Rows are written at the end and read once: pages kept in memory would only be in the way.
_CACHE_KIB = 256


def open_for_writing(path: Path, turn: FileLock, busy_seconds: float) -> sqlite3.Connection:
    """Open the file, creating it when missing; `turn` is the lock that every process takes to write.

    sqlite3.DatabaseError when it is no database or of another version.
    """
    # SQLite answers "locked" at once, without waiting, when two processes turn a new file to WAL.
    with turn.hold():
        connection = _connect(path, busy_seconds)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # `service.storage.queue_checkpoints`
            connection.execute("PRAGMA secure_delete = ON")  # what was erased leaves no trace in free pages
            _create_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def open_for_checkpoints(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Open a file that `open_for_writing` opened before."""
    return _connect(path, busy_seconds)


def open_for_reading(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Open a file that `open_for_writing` opened before."""
    connection = _connect(path, busy_seconds)
    connection.execute("PRAGMA query_only = ON")
    return connection


def read_marks(connection: sqlite3.Connection, kind: Kind) -> tuple[Mark, Mark]:
    """Where the rows of a kind end, and where those end that the main database has."""
    row = connection.execute(
        "SELECT last_id, last_bytes, drained_id, drained_bytes FROM marks WHERE kind = ?", (kind,)
    ).fetchone()
    return Mark(*row[:2]), Mark(*row[2:])


def read_all_marks(connection: sqlite3.Connection) -> dict[str, tuple[Mark, Mark]]:
    """The same of every kind, with one statement."""
    rows = connection.execute(
        "SELECT kind, last_id, last_bytes, drained_id, drained_bytes FROM marks"
    ).fetchall()
    return {row[0]: (Mark(*row[1:3]), Mark(*row[3:])) for row in rows}


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    # Opened in one thread and used in another, never in two at a time.
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    [(version,)] = connection.execute("PRAGMA user_version")
    missing = {
        0: (*_SCHEMA, *_COUNTS, *_KNOWN, *_TALLIES, _STAMP),
        1: (*_COUNTS, *_KNOWN, *_TALLIES, _STAMP),
        2: (*_KNOWN, *_TALLIES, _STAMP),
        3: (*_TALLIES, _STAMP),
    }
    for statement in missing.get(version, ()):
        connection.execute(statement)
    connection.execute("COMMIT")
    if version not in (*missing, SCHEMA_VERSION):
        raise sqlite3.DatabaseError(f"written by another version of this service (schema {version})")

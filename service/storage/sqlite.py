"""The embedded database: one SQLite file, one connection, one thread that owns it.

The thread keeps the event loop free. WAL lets other processes (a training, a second worker) read while one
writes.
"""

import asyncio
import re
import sqlite3
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from service.priority import let_requests_go_first
from service.storage.database import ChangeMark, Row, Session
from service.storage.dialect import SQLITE, Dialect, Statement
from service.storage.errors import StatementError, StorageError, StorageUnavailable

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: Rows of one INSERT. The interpreter changes threads between two statements: row by row, each would be a switch to the
#: thread that answers requests and back.
ROWS_AT_ONCE = 50
#: Pages of the log (WAL), 16 MB at most, that are moved into the file together. People come in any order, so that each
#: batch changes pages all over the indexes by person; the same ones are moved once then for several batches.
_CHECKPOINT_PAGES = 4_000
_INSERT_VALUES = re.compile(r"(INSERT INTO .* VALUES )(\(\?(?:, \?)*\))(.*)", re.DOTALL)

# Result codes that say something about the file or its locks, not about the statement.
_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}


async def open_sqlite(path: Path, busy_seconds: float) -> "SQLiteDatabase":
    """Open the file at `path`, creating it and its folder; StorageUnavailable when that fails."""
    database = SQLiteDatabase(path)
    try:
        await database.connect(busy_seconds)
    except BaseException:
        await database.close()
        raise
    return database


class SQLiteDatabase:
    """`Database` over one SQLite file; made by `open_sqlite`."""

    dialect: Dialect = SQLITE

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="sqlite", initializer=let_requests_go_first
        )
        self._connection: sqlite3.Connection | None = None
        # Held through a transaction: the connection is shared, so another task's statement would become part
        # of it.
        self._turn = asyncio.Lock()
        self._closed = False

    async def connect(self, busy_seconds: float) -> None:
        await self._in_thread(self._connect, busy_seconds)

    async def fetch(self, statement: Statement, params: Sequence[Any] = ()) -> list[Row]:
        async with self._turn:
            return await self._fetch(statement, params)

    async def execute(self, statement: Statement, params: Sequence[Any] = ()) -> int:
        async with self._turn:
            return await self._execute(statement, params)

    async def execute_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        async with self.transaction() as session:
            return await session.execute_many(statement, rows)

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        return self._transaction()

    async def change_mark(self, tables: Sequence[str]) -> ChangeMark | None:
        """Of the whole file, whichever tables are asked about."""
        async with self._turn:
            [(version,)] = await self._in_thread(self._fetch_in_thread, "PRAGMA data_version", ())
            return (int(version),)

    async def close(self) -> None:
        async with self._turn:
            if not self._closed:
                await self._in_thread(self._close)
                self._closed = True
                self._thread.shutdown(wait=False)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Session]:
        async with self._turn:
            try:
                # IMMEDIATE takes the write lock at once; a lock taken half-way through cannot be waited for.
                await self._in_thread(self._execute_in_thread, "BEGIN IMMEDIATE")
                yield _InTransaction(self)
                await self._in_thread(self._execute_in_thread, "COMMIT")
            except BaseException:
                # Not awaited: a cancelled task could be cancelled again here. The one thread keeps the order.
                if not self._closed:
                    self._thread.submit(self._roll_back)
                raise

    async def _fetch(self, statement: Statement, params: Sequence[Any]) -> list[Row]:
        return await self._in_thread(self._fetch_in_thread, self.dialect.render(statement), params)

    async def _execute(self, statement: Statement, params: Sequence[Any]) -> int:
        return await self._in_thread(self._execute_in_thread, self.dialect.render(statement), params)

    async def _execute_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        return await self._in_thread(self._execute_many_in_thread, self.dialect.render(statement), rows)

    async def _in_thread(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if self._closed:
            raise StorageUnavailable(f"{self._path}: the database is closed")
        try:
            return await asyncio.wrap_future(self._thread.submit(call, *args, **kwargs))
        except (sqlite3.Error, OSError) as error:
            raise self._translated(error) from error

    def _connect(self, busy_seconds: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self._path, timeout=busy_seconds, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.create_function("checksum", -1, _checksum, deterministic=True)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageUnavailable(f"{self._path}: the database is not open")
        return self._connection

    def _fetch_in_thread(self, sql: str, params: Sequence[Any]) -> list[Row]:
        return self._connected().execute(sql, params).fetchall()

    def _execute_in_thread(self, sql: str, params: Sequence[Any] = ()) -> int:
        return max(self._connected().execute(sql, params).rowcount, 0)

    def _execute_many_in_thread(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        many = _insert_of_many(sql)
        start = changed = 0
        if many is not None:
            for start in range(0, len(rows) - ROWS_AT_ONCE + 1, ROWS_AT_ONCE):
                part = [value for row in rows[start : start + ROWS_AT_ONCE] for value in row]
                changed += self._execute_in_thread(many, part)
            start = len(rows) - len(rows) % ROWS_AT_ONCE
        if start < len(rows):
            changed += max(self._connected().executemany(sql, rows[start:]).rowcount, 0)
        return changed

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _translated(self, error: Exception) -> StorageError:
        code = getattr(error, "sqlite_errorcode", None)
        # The low byte is the primary code, the rest says more about it.
        unavailable = isinstance(error, OSError) or (code is not None and code & 0xFF in _UNAVAILABLE)
        return (StorageUnavailable if unavailable else StatementError)(f"{self._path}: {error}")


class _InTransaction:
    """The session inside a transaction, whose task holds the database's turn."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database

    async def fetch(self, statement: Statement, params: Sequence[Any] = ()) -> list[Row]:
        return await self._database._fetch(statement, params)

    async def execute(self, statement: Statement, params: Sequence[Any] = ()) -> int:
        return await self._database._execute(statement, params)

    async def execute_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        return await self._database._execute_many(statement, rows)


@lru_cache
def _insert_of_many(sql: str) -> str | None:
    """An INSERT of one row of parameters as one of `ROWS_AT_ONCE` of them; None for any other statement."""
    match = _INSERT_VALUES.fullmatch(sql)
    if match is None:
        return None
    insert, row, rest = match.groups()
    return insert + ", ".join([row] * ROWS_AT_ONCE) + rest


def _checksum(*values: object) -> int:
    return zlib.crc32(",".join(str(value) for value in values if value is not None).encode())

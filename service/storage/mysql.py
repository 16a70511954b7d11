"""The site's MySQL 8 or MariaDB through asyncmy."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from asyncmy.connection import Connection

from service.storage.database import ChangeMark, DatabaseSettings, Row, Session
from service.storage.dialect import MYSQL, Dialect, Statement
from service.storage.mysql_pool import ConnectionPool

#: When tables were changed last, and what time it is: seconds of the server, whose zone is the same for both.
_CHANGED_AT = Statement(
    "SELECT {epoch:UPDATE_TIME}, {epoch:CURRENT_TIMESTAMP} FROM information_schema.TABLES"
    " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ({list}) ORDER BY TABLE_NAME"
)
_SETTLED_SECONDS, _BELIEVED_SECONDS = 2, 600


class MySQLDatabase:
    """`Database` over a server. Nothing is contacted before the first statement."""

    dialect: Dialect = MYSQL

    def __init__(self, settings: DatabaseSettings) -> None:
        self._pool = ConnectionPool(settings)

    async def fetch(self, statement: Statement, params: Sequence[Any] = ()) -> list[Row]:
        async with self._pool.lend() as connection:
            return await _Lent(self._pool, connection).fetch(statement, params)

    async def execute(self, statement: Statement, params: Sequence[Any] = ()) -> int:
        async with self._pool.lend() as connection:
            return await _Lent(self._pool, connection).execute(statement, params)

    async def execute_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        async with self.transaction() as session:  # a long batch is sent as several statements
            return await session.execute_many(statement, rows)

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        return self._transaction()

    async def change_mark(self, tables: Sequence[str]) -> ChangeMark | None:
        """When each table was changed last, which the server knows for InnoDB once that was since it started.

        Times are whole seconds, so one that is hardly over may see another change. What the server says is believed for
        `_BELIEVED_SECONDS`, then the mark is another whether anything has changed or not.
        """
        rows = await self.fetch(_CHANGED_AT.with_list(len(tables)), tables)
        if len(rows) < len(tables):
            return None
        times: list[int] = []
        for changed_at, now in rows:
            if changed_at is None or changed_at + _SETTLED_SECONDS > now:
                return None
            times.append(int(changed_at))
        return (rows[0][1] // _BELIEVED_SECONDS, *times)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Session]:
        timeout = self._pool.settings.write_timeout
        async with self._pool.lend() as connection:
            async with self._pool.within(timeout, "beginning a transaction"):
                await connection.begin()
            yield _Lent(self._pool, connection)
            async with self._pool.within(timeout, "committing"):
                await connection.commit()


class _Lent:
    """The session of one connection for as long as the pool lends it."""

    def __init__(self, pool: ConnectionPool, connection: Connection) -> None:
        self._pool = pool
        self._connection = connection

    async def fetch(self, statement: Statement, params: Sequence[Any] = ()) -> list[Row]:
        cursor = self._connection.cursor()
        async with self._pool.within(self._pool.settings.read_timeout, "reading"):
            await cursor.execute(MYSQL.render(statement), tuple(params))
            return list(await cursor.fetchall())

    async def execute(self, statement: Statement, params: Sequence[Any] = ()) -> int:
        cursor = self._connection.cursor()
        async with self._pool.within(self._pool.settings.write_timeout, "writing"):
            return int(await cursor.execute(MYSQL.render(statement), tuple(params)))

    async def execute_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        if not rows:
            return 0
        cursor = self._connection.cursor()
        async with self._pool.within(self._pool.settings.write_timeout, "writing"):
            return await cursor.executemany(MYSQL.render(statement), rows) or 0

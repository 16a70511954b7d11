"""Connections to the site's server: at most four, each lent to one task at a time, every wait bounded.

MySQL 8's default `caching_sha2_password` is asyncmy's to speak, with the help of cryptography.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncmy
from asyncmy.connection import Connection
from asyncmy.errors import MySQLError

from service.storage.database import DatabaseSettings
from service.storage.errors import StatementError, StorageError, StorageUnavailable

# A connection that rested longer is asked whether it still lives: the server may have been restarted
# meanwhile.
_PING_AFTER_SECONDS = 1.0

# UTC whatever the server's zone; strict, so that a value too long is an error and never cut to fit; no notes and no
# warnings, which asyncmy would ask for and log: MySQL warns of VALUES(), for which MariaDB has nothing else. In text as
# standard SQL has it only a quote is doubled, where the driver else looks at each character of each parameter; it goes
# by what the server says of the session with every answer. No single statement sets these and the isolation level on
# MySQL and MariaDB alike. MySQL 8 keeps what it says of tables for a day unless told otherwise; a MariaDB does not, and
# takes what is meant for that version as a comment.
_SESSION = (
    "SET /*!80000 information_schema_stats_expiry = 0, */ time_zone = '+00:00', sql_notes = 0, max_error_count = 0,"
    " sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_BACKSLASH_ESCAPES'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)

# What a server answers when it cannot serve now: disk full, too many connections, no access, no such
# database, shutting down, table full, host not let in, trouble on the line; limits, a lock not had, a deadlock,
# read-only; the statement or the connection killed.
_UNAVAILABLE = {
    *(1021, 1040, 1044, 1045, 1049, 1053, 1114, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1184),
    *(1203, 1205, 1213, 1226, 1290, 1836),
    *(1317, 1927, 1969, 3024, 3159, 4031),
}


class ConnectionPool:
    """Connections, made when first needed and kept while they answer.

    A connection on which anything failed, was cancelled or timed out is closed, never lent again: what the
    server would still send on it belongs to nobody, and closing rolls back whatever it had begun.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self._slots = asyncio.Semaphore(settings.max_connections)
        self._idle: list[tuple[Connection, float]] = []
        self._closed = False

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """A connection for the time of the block; StorageUnavailable when none can be had in time."""
        async with self.within(self.settings.acquire_timeout, "waiting for a free connection"):
            await self._slots.acquire()
        try:
            connection = await self._answering()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._put_back(connection)
        finally:
            self._slots.release()

    @asynccontextmanager
    async def within(self, seconds: float, doing: str) -> AsyncIterator[None]:
        """Bound the block's time and raise what fails in it as the errors of this package."""
        # asyncmy's own read_timeout bounds the wait for each packet and no sending; this bounds the whole.
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            message = f"{self.settings.where}: no answer within {seconds:g} s while {doing}"
            raise StorageUnavailable(message) from error
        except (MySQLError, OSError) as error:
            raise _translated(error, self.settings.where) from error

    async def close(self) -> None:
        """Close what rests now, and what is lent when it comes back."""
        self._closed = True
        while self._idle:
            connection, _ = self._idle.pop()
            try:
                async with self.within(self.settings.connect_timeout, "closing"):
                    await connection.ensure_closed()
            except StorageUnavailable:
                connection.close()  # nobody there to take leave of

    async def _answering(self) -> Connection:
        if self._closed:
            raise StorageUnavailable(f"{self.settings.where}: the database is closed")
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.pop()
            if now - since < _PING_AFTER_SECONDS or await self._still_answers(connection):
                return connection
        return await self._connect()

    async def _still_answers(self, connection: Connection) -> bool:
        """Whether the server knows the connection; StorageUnavailable when it hangs, as the next would."""
        try:
            async with self.within(self.settings.connect_timeout, "pinging"):
                try:
                    await connection.ping(reconnect=False)
                except MySQLError:
                    connection.close()
                    return False
        except BaseException:
            connection.close()
            raise
        return True

    async def _connect(self) -> Connection:
        settings = self.settings
        async with self.within(settings.connect_timeout, "connecting"):
            connection = await asyncmy.connect(
                host=settings.host,
                port=settings.port,
                user=settings.user,
                password=settings.password.encode(),  # as text it would have to be Latin-1
                database=settings.name,
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=settings.connect_timeout,
            )
            try:
                for statement in _SESSION:
                    await connection.cursor().execute(statement)
            except BaseException:
                connection.close()
                raise
        return connection

    def _put_back(self, connection: Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append((connection, asyncio.get_running_loop().time()))


def _translated(error: Exception, where: str) -> StorageError:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    # Codes below 1000 and from 2000 to 2999 are the client's: the connection is lost or out of step.
    refused = 1000 <= code < 2000 or code >= 3000
    kind = StatementError if refused and code not in _UNAVAILABLE else StorageUnavailable
    return kind(f"{where}: {error}")

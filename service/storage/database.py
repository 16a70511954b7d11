"""One interface to the site's MySQL or MariaDB and to the embedded SQLite file."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from service.storage.dialect import Dialect, Statement

#: The site's server allows 50 connections to six services; this one holds few.
MOST_CONNECTIONS = 4

Row = tuple[Any, ...]
#: Equal to another of the same tables only while nothing in them has changed.
ChangeMark = tuple[int, ...]


@dataclass(frozen=True)
class DatabaseSettings:
    """Where the interactions are: a SQLite file (`path`), or a server (`host` and the rest).

    Timeouts are in seconds. `acquire_timeout` bounds the wait for a free connection, `connect_timeout` the
    way to a new one with its handshake, `read_timeout` one whole query and `write_timeout` one whole write,
    sending included. For SQLite `write_timeout` is how long to wait for another process's lock.

    ValueError names the field that is wrong.
    """

    path: Path | None = None
    host: str | None = None
    port: int = 3306
    user: str = ""
    password: str = field(default="", repr=False)
    name: str = "gigsdb"
    max_connections: int = MOST_CONNECTIONS
    connect_timeout: float = 3.0
    acquire_timeout: float = 5.0
    read_timeout: float = 20.0
    write_timeout: float = 10.0

    def __post_init__(self) -> None:
        if (self.path is None) == (not self.host):
            raise ValueError("database settings need either path or host, not both")
        if not 1 <= self.max_connections <= MOST_CONNECTIONS:
            raise ValueError(f"max_connections: {self.max_connections} is outside 1..{MOST_CONNECTIONS}")
        for name in ("connect_timeout", "acquire_timeout", "read_timeout", "write_timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: {getattr(self, name)} is not a number of seconds above 0")

    @property
    def where(self) -> str:
        """The database as messages name it, without the password."""
        return str(self.path) if self.path is not None else f"{self.host}:{self.port}/{self.name}"


class Session(Protocol):
    """Where statements run: a database, each statement for itself, or one of its transactions.

    Every method raises StorageUnavailable or StatementError.
    """

    async def fetch(self, statement: Statement, params: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query. Large tables are read in pages, see `service.storage.queries.pages`."""
        ...

    async def execute(self, statement: Statement, params: Sequence[Any] = ()) -> int:
        """Run one write; returns how many rows it changed."""
        ...

    async def execute_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        """Run one write for each row of parameters, all of them or none; returns how many rows changed."""
        ...


class Database(Session, Protocol):
    """A database that stays open for the life of the process and survives the server's restarts."""

    @property
    def dialect(self) -> Dialect: ...

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """A session whose writes all take place when the block ends, or none when it is left by an exception.

        Within the block statements go to the session; the database itself may wait for the block to end.
        """
        ...

    async def change_mark(self, tables: Sequence[str]) -> ChangeMark | None:
        """Something that stays the same while nobody else changes these tables; None where nothing tells that.

        A change that is made after it was asked for makes the next one differ.
        """
        ...

    async def close(self) -> None:
        """Close every connection. Nothing can be run afterwards."""
        ...

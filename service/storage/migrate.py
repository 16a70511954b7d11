"""Bring a database's tables up to date: the site's by `migrations`, the embedded file's by `embedded`."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files

from service.storage.database import Database, Session
from service.storage.dialect import Statement
from service.storage.errors import StorageError, StorageUnavailable

_PACKAGES = {"mysql": "migrations", "sqlite": "service.storage.embedded"}

_CREATE_RECORD = Statement(
    "CREATE TABLE IF NOT EXISTS ml_schema_migrations ("
    " name VARCHAR(191) NOT NULL PRIMARY KEY,"
    " sha256 CHAR(64) NOT NULL,"
    " applied_at TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP)"
)
_APPLIED = Statement("SELECT name, sha256 FROM ml_schema_migrations")
_RECORD = Statement("INSERT INTO ml_schema_migrations (name, sha256) VALUES (?, ?)")


class MigrationError(StorageError):
    """A migration was applied with other content than it has now, so nobody can say what the tables hold."""


@dataclass(frozen=True)
class Migration:
    """One numbered file: its name, such as `003_ml_service_tables`, and its SQL."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> Iterator[Statement]:
        """The statements one by one; each ends at the end of a line, a trigger's body inside it."""
        text = ""
        for line in self.sql.splitlines(keepends=True):
            if line.lstrip().startswith("--"):
                continue
            text += line
            if sqlite3.complete_statement(text):
                yield Statement(text.strip().removesuffix(";"))
                text = ""
        if text.strip():
            raise ValueError(f"{self.name}: the last statement does not end in a semicolon")


def migrations_for(dialect_name: str) -> list[Migration]:
    """Every migration of "mysql" or "sqlite" in the order they are applied."""
    found = [entry for entry in files(_PACKAGES[dialect_name]).iterdir() if entry.name.endswith(".sql")]
    return [
        Migration(entry.name.removesuffix(".sql"), entry.read_text("utf-8"))
        for entry in sorted(found, key=lambda entry: entry.name)
    ]


async def migrate(db: Database, progress: Callable[[str], None] = lambda name: None) -> list[str]:
    """Apply the migrations that `db` has not on record; returns their names. `progress` gets each beforehand.

    Migrations applied by the plain client are not on record and run again, which is harmless. Two processes
    may call this at once. MigrationError names a file that was edited after it had been applied.

    A large table takes long to alter: open `db` with a `write_timeout` of an hour for this.
    """
    async with db.transaction() as session:
        [(locked,)] = await session.fetch(db.dialect.lock_migrations)
        if locked != 1:
            raise StorageUnavailable("another process is migrating this database")
        applied = await _apply_missing(session, migrations_for(db.dialect.name), progress)
        # After a failure the connection is closed, which unlocks as well.
        await session.fetch(db.dialect.unlock_migrations)
    return applied


async def _apply_missing(
    session: Session, migrations: list[Migration], progress: Callable[[str], None]
) -> list[str]:
    await session.execute(_CREATE_RECORD)
    applied: dict[str, str] = dict(await session.fetch(_APPLIED))
    for migration in migrations:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise MigrationError(f"migration {migration.name} was changed after it had been applied")
    missing = [migration for migration in migrations if migration.name not in applied]
    for migration in missing:
        progress(migration.name)
        for statement in migration.statements():
            await session.execute(statement)
        await session.execute(_RECORD, (migration.name, migration.sha256))
    return [migration.name for migration in missing]

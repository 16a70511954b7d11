"""The way of every import: rows checked in order, written in batches, all of them or none.

SQLite takes the whole file in one transaction, so each row is read once and a bad one undoes everything. On
the site's server a transaction may not last that long: there the whole file is checked before the first row
is written, and what is written is idempotent, so an import that broke off is simply run again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from service.importing.errors import BadValueError, ImportFileError
from service.importing.reading import Columns, RowFile
from service.storage.database import Database, Session

BATCH_ROWS = 5_000

#: Called with the rows done so far, and how much of the work that is, from 0 to 1.
Progress = Callable[[int, float], None]

T = TypeVar("T")


@dataclass(frozen=True)
class ImportReport:
    """What became of a file's rows. They add up: reports of parts of a file make the report of the file.

    `known` rows were in the database as they are, `refused` ones are of people who were erased since.
    """

    rows: int = 0
    added: int = 0
    changed: int = 0
    known: int = 0
    refused: int = 0

    def __add__(self, other: "ImportReport") -> "ImportReport":
        return ImportReport(
            rows=self.rows + other.rows,
            added=self.added + other.added,
            changed=self.changed + other.changed,
            known=self.known + other.known,
            refused=self.refused + other.refused,
        )


class Kind(Protocol[T]):
    """What is imported: its columns, what a row must be, and how checked rows are written."""

    @property
    def columns(self) -> Columns: ...

    def parse(self, values: Sequence[str | None]) -> T:
        """A checked row from the values in the order of `columns.names`; BadValueError says what is wrong."""
        ...

    async def write(self, session: Session, rows: Sequence[T]) -> ImportReport: ...


def no_progress(rows: int, share: float) -> None:
    """For callers who do not watch."""


async def load(db: Database, path: Path, kind: Kind[T], progress: Progress) -> ImportReport:
    """Import the file at `path`; ImportFileError, with nothing written, when anything in it is wrong."""
    for statement in db.dialect.begin_import:
        await db.execute(statement)
    try:
        if db.dialect.allows_long_transactions:
            return await _load_at_once(db, path, kind, progress)
        return await _check_and_load(db, path, kind, progress)
    finally:
        for statement in db.dialect.end_import:
            await db.execute(statement)


async def _load_at_once(db: Database, path: Path, kind: Kind[T], progress: Progress) -> ImportReport:
    async with db.transaction() as session:
        return await _write(session, _Batches(path, kind), kind, progress)


async def _check_and_load(db: Database, path: Path, kind: Kind[T], progress: Progress) -> ImportReport:
    checking = _Batches(path, kind)
    async for _ in checking:
        progress(0, checking.share / 2)
    return await _write(db, _Batches(path, kind), kind, lambda rows, share: progress(rows, (1 + share) / 2))


async def _write(session: Session, batches: "_Batches[T]", kind: Kind[T], progress: Progress) -> ImportReport:
    report = ImportReport()
    async for batch in batches:
        report += await kind.write(session, batch)
        progress(report.rows, batches.share)
    progress(report.rows, 1.0)
    return report


class _Batches(Generic[T]):
    """The checked rows of one file in batches, read and parsed in a thread to keep the event loop free."""

    def __init__(self, path: Path, kind: Kind[T]) -> None:
        self._path = path
        self._kind = kind
        self._file = RowFile(path, kind.columns)

    @property
    def share(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        return min(self._file.read_bytes / max(self._path.stat().st_size, 1), 1.0)

    async def __aiter__(self) -> AsyncIterator[list[T]]:
        parsed = self._parsed()
        while batch := await asyncio.to_thread(lambda: list(islice(parsed, BATCH_ROWS))):
            yield batch

    def _parsed(self) -> Iterator[T]:
        parse = self._kind.parse
        for line, values in self._file.rows():
            try:
                row = parse(values)
            except BadValueError as bad:
                raise ImportFileError(self._path, bad.reason, line, bad.column, bad.value) from bad
            yield row

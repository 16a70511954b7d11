"""Rows of CSV and JSONL files, one at a time: a file larger than memory works.

What a row says is not looked at here, only that it is a row with the right columns.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson

from service.importing.errors import ImportFileError

#: A longer line is taken for damage: reading it would take the memory that the rest is spared.
LONGEST_LINE_BYTES = 1 << 20

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINES_BETWEEN_LOOKS = 1_000  # how often the position in the file is asked for

_Bytes = BufferedReader | gzip.GzipFile

#: Where a row begins, and its values in the order of `Columns.names`: "" for an empty one, None for an absent one.
NumberedRow = tuple[int, Sequence[str | None]]


@dataclass(frozen=True)
class Columns:
    """The columns a file must have and those it may have."""

    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.required + self.optional


class RowFile:
    """A .csv, .jsonl or .ndjson file, plain or with .gz, read once from its start.

    Everything wrong with it is an ImportFileError.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path = path
        self._columns = columns
        self._line = 0
        self._read_bytes = 0
        suffix = Path(path.name.removesuffix(".gz")).suffix
        if suffix not in (".csv", ".jsonl", ".ndjson"):
            raise ImportFileError(path, "the name must end in .csv, .jsonl or .ndjson, and may add .gz")
        self._parse = self._csv_rows if suffix == ".csv" else self._json_rows

    @property
    def read_bytes(self) -> int:
        """How far the file has been read, compressed bytes where it is compressed."""
        return self._read_bytes

    def rows(self) -> Iterator[NumberedRow]:
        """Every row in order."""
        with self._open() as (plain, stored):
            yield from self._parse(self._lines(plain, stored))

    @contextmanager
    def _open(self) -> Iterator[tuple[_Bytes, BufferedReader]]:
        """The bytes of the content and of the file itself."""
        try:
            with self._path.open("rb") as stored:
                if self._path.suffix != ".gz":
                    yield stored, stored
                    return
                with gzip.open(stored) as plain:
                    yield plain, stored
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._error(f"is not whole gzip data: {error}", self._line + 1) from error
        except OSError as error:
            raise ImportFileError(self._path, error.strerror or str(error)) from error

    def _lines(self, plain: _Bytes, stored: BufferedReader) -> Iterator[str]:
        if plain.peek(len(_BYTE_ORDER_MARK)).startswith(_BYTE_ORDER_MARK):
            plain.read(len(_BYTE_ORDER_MARK))
        for line in iter(partial(plain.readline, LONGEST_LINE_BYTES), b""):
            self._line += 1
            if len(line) == LONGEST_LINE_BYTES:
                raise self._error(f"is longer than {LONGEST_LINE_BYTES:,} bytes", self._line)
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise self._not_utf8(line, error.start) from error
            yield text
            if self._line % _LINES_BETWEEN_LOOKS == 0:
                self._read_bytes = stored.tell()

    def _not_utf8(self, line: bytes, position: int) -> ImportFileError:
        around = line[max(position - 20, 0) : position + 10].decode(errors="backslashreplace")
        return ImportFileError(self._path, "is not UTF-8", self._line, None, around)

    def _csv_rows(self, lines: Iterable[str]) -> Iterator[NumberedRow]:
        reader = csv.reader(lines, strict=True)
        first_line = 1
        try:
            header = next((row for row in reader if row), [])
            pick = itemgetter(*self._positions([name.strip() for name in header]))
            width, first_line = len(header), reader.line_num + 1
            for row in reader:
                if len(row) == width:
                    yield first_line, pick((*row, None))
                elif row:
                    raise self._error(f"has {len(row)} values where the header has {width}", first_line)
                first_line = reader.line_num + 1
        except csv.Error as error:
            raise self._error(f"is not CSV: {error}", first_line) from error

    def _positions(self, header: list[str]) -> list[int]:
        """Where each column stands; an absent one takes the None that is put behind each row."""
        known = self._columns.names
        for position, name in enumerate(header):
            if name not in known:
                raise self._error(f"the column {name!r} is unknown, expected {', '.join(known)}", self._line)
            if name in header[:position]:
                raise self._error(f"the column {name!r} is there twice", self._line)
        for name in self._columns.required:
            if name not in header:
                raise self._error(f"the header has no column {name!r}", max(self._line, 1))
        return [header.index(name) if name in header else len(header) for name in known]

    def _json_rows(self, lines: Iterable[str]) -> Iterator[NumberedRow]:
        names = self._columns.names
        for line in lines:
            if not line.strip():
                continue
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ImportFileError(self._path, f"is not JSON: {error}", self._line, None, line) from error
            if not isinstance(record, dict):
                raise ImportFileError(self._path, "is no JSON object", self._line, None, line)
            for name in record:
                if name not in names:
                    raise self._error(
                        f"the column {name!r} is unknown, expected {', '.join(names)}", self._line
                    )
            yield self._line, [self._text(name, record[name]) if name in record else None for name in names]

    def _text(self, column: str, value: Any) -> str:
        """A JSON value as a CSV file would spell it."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return orjson.dumps(value).decode()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        shown = orjson.dumps(value).decode()
        raise ImportFileError(self._path, "is no text, number or list", self._line, column, shown)

    def _error(self, reason: str, line: int) -> ImportFileError:
        return ImportFileError(self._path, reason, line)

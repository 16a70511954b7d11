"""The files that recommendations for many people can go to: JSON lines, CSV or Parquet, by their ending."""

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson

from service.importing.errors import ImportFileError
from service.storage.whole_file import appearing

#: The columns of a table: one row for each recommendation, people in the order they were asked for.
COLUMNS = (
    *("user_id", "rank", "event_id", "title", "start_time", "city", "venue_name", "ticket_url"),
    *("price", "score", "reason", "algorithm"),
)
#: A group of rows in a Parquet file: read and written as one.
_GROUP_ROWS = 20_000
#: Buffered bytes of a text file.
_BUFFER = 1 << 20

#: What is asked to be written of one person: their id, and the decoded answer.
Write = Callable[[str, Mapping[str, Any]], None]


class Sink(Protocol):
    """An open file of one format."""

    def write(self, user_id: str, answer: Mapping[str, Any]) -> None:
        """Add one person."""

    def close(self) -> None:
        """Bring the rest to the file."""


class JsonLines:
    """One line for each person, with everything that is known of each recommendation."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=_BUFFER)

    def write(self, user_id: str, answer: Mapping[str, Any]) -> None:
        kept = ("user_id", "recommendations", "model_version", "variant", "notice")
        self._file.write(
            orjson.dumps({name: answer[name] for name in kept}, option=orjson.OPT_APPEND_NEWLINE)
        )

    def close(self) -> None:
        self._file.close()


class CsvTable:
    """One row for each recommendation, behind a line with the names of the columns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=_BUFFER, newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
        self._writer.writeheader()

    def write(self, user_id: str, answer: Mapping[str, Any]) -> None:
        self._writer.writerows(_rows(user_id, answer))

    def close(self) -> None:
        self._file.close()


class ParquetTable:
    """The same rows with types."""

    def __init__(self, path: Path) -> None:
        import pyarrow
        from pyarrow import parquet

        kinds = {"rank": pyarrow.int32(), "price": pyarrow.float64(), "score": pyarrow.float64()}
        self._schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in COLUMNS])
        self._writer = parquet.ParquetWriter(path, self._schema)
        self._to_table = pyarrow.Table.from_pylist
        self._rows: list[dict[str, Any]] = []

    def write(self, user_id: str, answer: Mapping[str, Any]) -> None:
        self._rows.extend(_rows(user_id, answer))
        if len(self._rows) >= _GROUP_ROWS:
            self._write_group()

    def close(self) -> None:
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        self._writer.write_table(self._to_table(self._rows, schema=self._schema))
        self._rows = []


FORMATS: dict[str, Callable[[Path], Sink]] = {
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".csv": CsvTable,
    ".parquet": ParquetTable,
}


def check_output(path: Path) -> None:
    """Raise ValueError when a file of this name cannot be written, before anything is worked out for it."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path.name}: expected a name that ends in {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path.absolute().parent} is no directory")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401 - 40 MB that nobody else needs
        except ImportError:
            raise ValueError("Parquet needs pyarrow: pip install 'whatsthecraic-ml[parquet]'") from None


@contextmanager
def writing(path: Path) -> Iterator[Write]:
    """Write people to a file of this name, which appears when it is whole; after a failure there is none.

    The name is one that `check_output` has passed. Raises OSError.
    """
    with appearing(path) as beside:
        sink = FORMATS[path.suffix.lower()](beside)
        try:
            yield sink.write
        finally:
            sink.close()


def read_users(path: Path) -> list[str]:
    """The people that a file names, one a line, each once. Raises ImportFileError naming a line that is no id."""
    found: dict[str, None] = {}
    with path.open(encoding="utf-8-sig", errors="strict") as lines:
        try:
            for number, line in enumerate(lines, 1):
                user_id = line.strip()
                if len(user_id) > 255 or not user_id.isprintable():
                    raise ImportFileError(path, "is no user id of up to 255 printable characters", number)
                if user_id:
                    found[user_id] = None
        except UnicodeDecodeError as error:
            raise ImportFileError(path, f"is not UTF-8 text: {error.reason}") from None
    return list(found)


def _rows(user_id: str, answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for rank, item in enumerate(answer["recommendations"], 1):
        yield {"user_id": user_id, "rank": rank, **{name: item[name] for name in COLUMNS[2:]}}

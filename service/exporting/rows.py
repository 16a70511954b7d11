"""Events and interactions as files that `craic import` takes back."""

import csv
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from core.actions import Action
from service.importing.events import EVENT_COLUMNS
from service.importing.interactions import INTERACTION_COLUMNS
from service.importing.values import LAST_TIMESTAMP
from service.live.event import iso
from service.storage.database import Database
from service.storage.queries.events import EventRow, stream_events
from service.storage.queries.interactions import stream_interactions
from service.storage.whole_file import appearing

ENDINGS = (".csv", ".jsonl", ".ndjson")
_ACTIONS = {action.label for action in Action}
#: Not kept in the live catalogue, which these rows come from.
_NOT_EXPORTED = ("description",)

Record = Mapping[str, Any]
WriteRecords = Callable[[Iterable[Record]], None]


async def export_events(database: Database, path: Path) -> int:
    """Every event with a real start; how many."""
    columns = [name for name in EVENT_COLUMNS.names if name not in _NOT_EXPORTED]
    return await _export(path, columns, _events(database, columns))


async def export_interactions(database: Database, path: Path) -> int:
    """Everything people did that is known and still counts, saves and hides that stand included; how many.

    What people did before they asked to be erased is left out.
    """
    return await _export(path, INTERACTION_COLUMNS.names, _interactions(database))


async def _export(path: Path, columns: Sequence[str], pages: AsyncIterator[list[Record]]) -> int:
    count = 0
    with appearing(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        write = _writer(path, file, columns)
        async for page in pages:
            write(page)
            count += len(page)
    return count


def _writer(path: Path, file: IO[str], columns: Sequence[str]) -> WriteRecords:
    if path.suffix.lower() == ".csv":
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        return lambda records: table.writerows(map(_as_text, records))
    return lambda records: file.writelines(orjson.dumps(record).decode() + "\n" for record in records)


def _as_text(record: Record) -> Record:
    return {
        name: orjson.dumps(value).decode() if isinstance(value, list) else value
        for name, value in record.items()
    }


async def _events(database: Database, columns: Sequence[str]) -> AsyncIterator[list[Record]]:
    async for batch in stream_events(database):
        yield [_event(event, columns) for event in batch.events]


def _event(event: EventRow, columns: Sequence[str]) -> Record:
    record = {name: getattr(event, name) for name in columns}
    lists = {name: list(value) or None for name, value in record.items() if isinstance(value, tuple)}
    times = {name: _iso(record[name]) for name in ("start_time", "end_time")}
    return {**record, **lists, **times}


async def _interactions(database: Database) -> AsyncIterator[list[Record]]:
    async for rows in stream_interactions(database, LAST_TIMESTAMP):
        yield [
            {"user_id": user_id, "event_id": event_id, "action": action, "created_at": _iso(at or None)}
            for user_id, event_id, action, at in rows
            if action in _ACTIONS
        ]


def _iso(seconds: int | None) -> str | None:
    return None if seconds is None else iso(seconds)

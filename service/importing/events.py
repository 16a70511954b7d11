"""Import of events into the site's events table: new ones are added, changed ones updated, equal ones untouched."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import Any

import orjson

from service.importing import values as check
from service.importing.errors import BadValueError
from service.importing.loading import ImportReport, Progress, load, no_progress
from service.importing.reading import Columns
from service.storage.database import Database, Row, Session
from service.storage.dialect import Statement
from service.storage.times import optional_text

#: The event as a row of the table, times in seconds since 1970; a column that the file does not have is absent.
ImportedEvent = Mapping[str, Any]

# In the order of INSERT_EVENTS after the id and the key, and of UPDATE_EVENTS before the id.
_STORED = (
    "title",
    "description",
    "start_time",
    "end_time",
    "city",
    "latitude",
    "longitude",
    "venue_name",
    "ticket_url",
    "age_restriction",
    "price_min",
    "price_max",
    "currency",
    "genres",
    "tags",
    "images",
)

KNOWN_EVENTS = Statement(
    "SELECT CAST(id AS CHAR), title, description, {epoch:start_time}, {epoch:end_time}, city, latitude, longitude,"
    " venue_name, ticket_url, age_restriction, price_min, price_max, currency, genres, tags, images"
    " FROM events WHERE id IN ({list})"
)
INSERT_EVENTS = Statement(
    "INSERT INTO events (id, dedupe_key, title, description, start_time, end_time, city, latitude, longitude,"
    " venue_name, ticket_url, age_restriction, price_min, price_max, currency, genres, tags, images)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {skip_known:id}"
)
UPDATE_EVENTS = Statement(
    "UPDATE events SET title = ?, description = ?, start_time = ?, end_time = ?, city = ?, latitude = ?,"
    " longitude = ?, venue_name = ?, ticket_url = ?, age_restriction = ?, price_min = ?, price_max = ?,"
    " currency = ?, genres = ?, tags = ?, images = ?, updated_at = CURRENT_TIMESTAMP WHERE id = ?"
)

_NUMBERS = ("latitude", "longitude", "price_min", "price_max")
_LISTS = ("genres", "tags", "images")

_price = partial(check.number, low=0.0, high=99_999_999.99, decimals=2)
_CHECKS: Mapping[str, Callable[[str, str | None], Any]] = {
    "title": partial(check.required_line, longest=255),
    "start_time": check.required_instant,
    "city": partial(check.line, longest=100),
    "end_time": check.instant,
    "venue_name": partial(check.line, longest=255),
    "genres": check.names,
    "tags": check.names,
    "price_min": _price,
    "price_max": _price,
    "latitude": partial(check.number, low=-90.0, high=90.0, decimals=6),
    "longitude": partial(check.number, low=-180.0, high=180.0, decimals=6),
    "ticket_url": partial(check.line, longest=500),
    "description": partial(check.line, longest=16_000),  # fits into a TEXT column whatever the characters
    "images": check.images,
    "currency": partial(check.line, longest=10),
    "age_restriction": partial(check.line, longest=50),
}
EVENT_COLUMNS = Columns(
    required=("event_id", "title", "start_time"),
    optional=tuple(column for column in _CHECKS if column not in ("title", "start_time")),
)


async def import_events(db: Database, path: Path, progress: Progress = no_progress) -> ImportReport:
    """Bring the events of a .csv, .jsonl or .ndjson file, plain or with .gz, into the events table.

    Columns: see `EVENT_COLUMNS`. Times are ISO 8601 or unix seconds, UTC when they have no offset; genres and
    tags are JSON lists, or texts separated by | or commas. An absent column leaves an event that is there as
    it was in that respect, an empty value clears it. On the site's server ids are whole numbers.

    Raises ImportFileError, with nothing written, or a StorageError, after which it is run again.
    """
    return await load(db, path, _Events(numeric_ids=db.dialect.numeric_site_ids), progress)


class _Events:
    """How events are checked and written."""

    columns = EVENT_COLUMNS

    def __init__(self, numeric_ids: bool) -> None:
        self._identifier = check.numeric_identifier if numeric_ids else check.identifier

    def parse(self, values: Sequence[str | None]) -> ImportedEvent:
        texts = dict(zip(EVENT_COLUMNS.names, values, strict=True))
        event: dict[str, Any] = {"id": self._identifier("event_id", texts["event_id"])}
        for column, check_value in _CHECKS.items():
            if texts[column] is not None or column in EVENT_COLUMNS.required:
                event[column] = check_value(column, texts[column])
        for low, high in (("start_time", "end_time"), ("price_min", "price_max")):
            if not _in_order(event.get(low), event.get(high)):
                raise BadValueError(high, str(texts[high]), f"is less than {low}, {texts[low]!r}")
        return event

    async def write(self, session: Session, rows: Sequence[ImportedEvent]) -> ImportReport:
        known = await _known_events(session, list({row["id"] for row in rows}))
        merged: dict[str, ImportedEvent] = {}
        for row in rows:  # an event may come twice, and the later row counts
            before = merged.get(row["id"]) or known.get(row["id"]) or dict.fromkeys(_STORED)
            merged[row["id"]] = {**before, **row}
        new = [event for event in merged.values() if event["id"] not in known]
        changed = [event for event in merged.values() if event["id"] in known and event != known[event["id"]]]
        await session.execute_many(INSERT_EVENTS, [(row["id"], _key(row), *_stored(row)) for row in new])
        await session.execute_many(UPDATE_EVENTS, [(*_stored(row), row["id"]) for row in changed])
        untouched = len(rows) - len(new) - len(changed)
        return ImportReport(rows=len(rows), added=len(new), changed=len(changed), known=untouched)


def _in_order(low: float | None, high: float | None) -> bool:
    return low is None or high is None or low <= high


async def _known_events(session: Session, ids: Sequence[str]) -> dict[str, ImportedEvent]:
    rows = await session.fetch(KNOWN_EVENTS.with_list(len(ids)), ids)
    return {row[0]: _known_event(row) for row in rows}


def _known_event(row: Row) -> ImportedEvent:
    """A row in the form in which an imported event comes, so that equal ones compare equal."""
    event = dict(zip(("id", *_STORED), row, strict=True))
    event |= {column: float(event[column]) for column in _NUMBERS if event[column] is not None}
    event |= {column: _canonical(event[column]) for column in _LISTS if event[column] is not None}
    return event


def _canonical(text: str) -> str:
    # MySQL 8 gives JSON back with its own spacing.
    try:
        return orjson.dumps(orjson.loads(text)).decode()
    except orjson.JSONDecodeError:
        return text


def _stored(event: ImportedEvent) -> tuple[Any, ...]:
    times = {column: optional_text(event[column]) for column in ("start_time", "end_time")}
    return tuple(times.get(column, event[column]) for column in _STORED)


def _key(event: ImportedEvent) -> str:
    """A dedupe_key, which the table needs: unique because the id is."""
    return sha1(f"import:{event['id']}".encode(), usedforsecurity=False).hexdigest()

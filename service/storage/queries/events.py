"""Events: all of them, those that changed, and a fingerprint that tells when one is gone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from service.storage.database import Database, Row, Session
from service.storage.dialect import Statement
from service.storage.queries.json_columns import JsonColumns
from service.storage.queries.pages import read_pages
from service.storage.times import to_text

EVENT_PAGE_ROWS = 2_000
_AT_ONCE = 50

_COLUMNS = (
    " CAST(id AS CHAR), title, {epoch:start_time}, {epoch:end_time}, city, latitude, longitude, venue_name,"
    " ticket_url, age_restriction, price_min, price_max, currency, genres, tags, images,"
    " COALESCE({epoch:created_at}, 0), COALESCE({epoch:updated_at}, 0) "
)
ALL_EVENTS = Statement("SELECT" + _COLUMNS + "FROM events WHERE id > ? ORDER BY id LIMIT ?")
CHANGED_EVENTS = Statement(
    "SELECT" + _COLUMNS + "FROM events WHERE updated_at >= ? AND (updated_at > ? OR id > ?)"
    " ORDER BY updated_at, id LIMIT ?"
)
EVENT_IDS = Statement("SELECT CAST(id AS CHAR) FROM events WHERE id > ? ORDER BY id LIMIT ?")
EVENTS_FINGERPRINT = Statement(
    "SELECT COUNT(*), COALESCE(SUM({checksum:id, updated_at}), 0), COALESCE({epoch:MAX(updated_at)}, 0)"
    " FROM events"
)


class EventRow(Struct, frozen=True, gc=False):
    """One event as the site has it. Times in seconds since 1970, prices in `currency`, degrees for the place.

    `created_at`, when it was put on sale, and `updated_at` are `UNKNOWN_TIME` when nobody knows. `images` holds
    what the site put there, texts or objects. A struct, which is made six times as fast as a dataclass: each new
    model reads the whole table.
    """

    event_id: str
    title: str
    start_time: int
    end_time: int | None
    city: str | None
    latitude: float | None
    longitude: float | None
    venue_name: str | None
    ticket_url: str | None
    age_restriction: str | None
    price_min: float | None
    price_max: float | None
    currency: str | None
    genres: tuple[str, ...]
    tags: tuple[str, ...]
    images: tuple[Any, ...]
    created_at: int
    updated_at: int


@dataclass(frozen=True)
class EventBatch:
    """Some events; `unreadable` counts JSON taken as empty, and events left out for want of a real start."""

    events: tuple[EventRow, ...]
    unreadable: int


@dataclass(frozen=True)
class EventsFingerprint:
    """Changes when an event is added, changed or deleted, as far as `updated_at` tells of a change."""

    count: int
    checksum: int
    last_update: int


async def stream_events(db: Database, page_rows: int = EVENT_PAGE_ROWS) -> AsyncIterator[EventBatch]:
    """Every event, by id, in batches of at most `page_rows`; decoded in a thread, so that nobody waits for that."""
    first = (db.dialect.before_first_id,)
    async for rows in read_pages(db, ALL_EVENTS, first, lambda row: row[:1], page_rows):
        yield await asyncio.to_thread(_batch, rows)


async def stream_changed_events(
    db: Database, since: int, page_rows: int = EVENT_PAGE_ROWS
) -> AsyncIterator[EventBatch]:
    """The events whose `updated_at` is `since` (seconds since 1970) or later, the latest last, in small batches.

    Pages are large, since each scans the table, and decoded bit by bit, since nobody should wait for all of one.

    A row is stamped when it is written and seen when it is committed, so ask with some seconds of overlap.
    """

    def after(at: int, event_id: str) -> tuple[str, str, str]:
        return (to_text(at), to_text(at), event_id)

    first = after(since, db.dialect.before_first_id)
    async for rows in read_pages(db, CHANGED_EVENTS, first, lambda row: after(row[-1], row[0]), page_rows):
        for start in range(0, len(rows), _AT_ONCE):
            yield _batch(rows[start : start + _AT_ONCE])


async def read_event_ids(db: Database) -> set[str]:
    """The ids of all events: what is known and not among them was deleted."""
    ids: set[str] = set()
    async for rows in read_pages(db, EVENT_IDS, (db.dialect.before_first_id,), lambda row: row):
        ids.update(event_id for (event_id,) in rows)
    return ids


async def events_fingerprint(session: Session) -> EventsFingerprint:
    """One value for the whole table, cheap enough to ask for every few seconds."""
    [(count, checksum, last_update)] = await session.fetch(EVENTS_FINGERPRINT)
    return EventsFingerprint(count, int(checksum), last_update)


def _batch(rows: list[Row]) -> EventBatch:
    columns = JsonColumns()
    dated = [row for row in rows if row[2] is not None]  # MySQL may hold 0000-00-00
    events = tuple(_event(row, columns) for row in dated)
    return EventBatch(events, columns.unreadable + len(rows) - len(dated))


def _event(row: Row, columns: JsonColumns) -> EventRow:
    (event_id, title, start, end, city, latitude, longitude, venue, url, age, low, high, currency) = row[:13]
    genres, tags, images, created_at, updated_at = row[13:]
    return EventRow(
        event_id=event_id,
        title=title,
        start_time=start,
        end_time=end,
        city=city,
        latitude=_number(latitude),
        longitude=_number(longitude),
        venue_name=venue,
        ticket_url=url,
        age_restriction=age,
        price_min=_number(low),
        price_max=_number(high),
        currency=currency,
        genres=columns.names(genres),
        tags=columns.names(tags),
        images=columns.entries(images),
        created_at=created_at,
        updated_at=updated_at,
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)  # DECIMAL on the site's server

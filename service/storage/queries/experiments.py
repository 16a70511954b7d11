"""Experiments in this service's own database: their versions, and what each person was shown and did."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import chain

from service.experiments.increments import Increment
from service.experiments.revisions import Revision, decode_revision, encode_revision
from service.experiments.stores import Person
from service.storage.database import Database, Row, Session
from service.storage.dialect import Statement
from service.storage.queries.pages import read_pages
from service.storage.times import to_text

REVISIONS = Statement("SELECT revision FROM ml_experiments ORDER BY experiment_id, version")
ADD_REVISION = Statement(
    "INSERT INTO ml_experiments (experiment_id, version, changed_at, revision) VALUES (?, ?, ?, ?)"
    " {skip_known_pair:version}"
)
REVISION_OF = Statement("SELECT revision FROM ml_experiments WHERE experiment_id = ? AND version = ?")
ASSIGN = Statement(
    "INSERT INTO ml_experiment_people (experiment_id, user_id, variant, map_version, pre_activity, assigned_at)"
    " VALUES (?, ?, ?, ?, ?, ?) {skip_known_pair:user_id}"
)
VARIANT_OF = Statement("SELECT variant FROM ml_experiment_people WHERE user_id = ? AND experiment_id = ?")
# Each assignment sees what those before it have made of the row (MySQL), so `pre_activity` and `other_exposures` come
# before what they depend on.
ADD_COUNTS = Statement(
    "INSERT INTO ml_experiment_people (experiment_id, user_id, variant, map_version, pre_activity, assigned_at,"
    " exposures, clicks, saves, hides, latency_ms, errors, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " {add_to_known:user_id, experiment_id}"
    " pre_activity = CASE WHEN exposures = 0 THEN {given:pre_activity} ELSE pre_activity END,"
    " other_exposures = other_exposures + CASE WHEN variant <> {given:variant} THEN {given:exposures} ELSE 0 END,"
    " exposures = exposures + {given:exposures}, clicks = clicks + {given:clicks}, saves = saves + {given:saves},"
    " hides = hides + {given:hides}, latency_ms = latency_ms + {given:latency_ms}, errors = errors + {given:errors},"
    " seen_at = {given:seen_at}"
)
TAKE_SHIPMENT = Statement(
    "INSERT INTO ml_experiment_shipments (source, number) VALUES (?, ?) {skip_known_pair:number}"
)
DROP_SHIPMENTS = Statement("DELETE FROM ml_experiment_shipments WHERE source = ? AND number < ?")
FORGET = Statement("DELETE FROM ml_experiment_people WHERE user_id = ?")
_COLUMNS = (
    "SELECT id, experiment_id, user_id, variant, map_version, exposures, other_exposures, clicks, saves, hides,"
    " pre_activity, latency_ms, {epoch:assigned_at}, {epoch:seen_at}, errors FROM ml_experiment_people"
)
OF_PERSON = Statement(f"{_COLUMNS} WHERE user_id = ? ORDER BY id")
PEOPLE = Statement(f"{_COLUMNS} WHERE experiment_id = ? AND id > ? ORDER BY id LIMIT ?")

#: Increments made into rows in one go, so that no request waits for all of a shipment.
_AT_ONCE = 100
_NOTHING_DONE = (0, 0, 0, 0.0, 0)
#: People of a page: decoding it takes a few milliseconds of the event loop.
PEOPLE_ROWS = 500


async def read_revisions(session: Session) -> list[Revision]:
    """Every version of every experiment."""
    return [decode_revision(text) for (text,) in await session.fetch(REVISIONS)]


async def add_revision(session: Session, revision: Revision) -> bool:
    """Keep a version; False when its number was taken by another."""
    text, key = encode_revision(revision), (revision.experiment_id, revision.version)
    await session.execute(ADD_REVISION, (*key, to_text(revision.changed_at), text))
    [(kept,)] = await session.fetch(REVISION_OF, key)
    return bool(kept == text)


async def claim(
    session: Session, experiment_id: str, user_id: str, variant: str, map_version: int, now: float
) -> str:
    """Assign a person unless they are; returns the variant that holds."""
    await session.execute(ASSIGN, (experiment_id, user_id, variant, map_version, 0, to_text(now)))
    [(held,)] = await session.fetch(VARIANT_OF, (user_id, experiment_id))
    return str(held)


async def add_shipment(db: Database, source: str, number: int, increments: Sequence[Increment]) -> None:
    """Add counts in one transaction with the number that makes them count once."""
    async with db.transaction() as session:
        if not await session.execute(TAKE_SHIPMENT, (source, number)):
            return
        await session.execute(DROP_SHIPMENTS, (source, number))
        rows: list[tuple[object, ...]] = []
        for start in range(0, len(increments), _AT_ONCE):
            rows += chain.from_iterable(map(_counts, increments[start : start + _AT_ONCE]))
            await asyncio.sleep(0)
        await session.execute_many(ADD_COUNTS, rows)


async def forget(session: Session, user_id: str) -> int:
    """Delete everything about a person; returns how many rows."""
    return await session.execute(FORGET, (user_id,))


async def of_person(session: Session, user_id: str) -> list[Person]:
    """Everything about a person."""
    return [_person(row) for row in await session.fetch(OF_PERSON, (user_id,))]


async def read_people(session: Session, experiment_id: str) -> AsyncIterator[list[Person]]:
    """Everyone in an experiment, page by page."""
    first, following = (experiment_id, 0), (lambda row: (experiment_id, row[0]))
    async for page in read_pages(session, PEOPLE, first, following, PEOPLE_ROWS):
        yield [_person(row) for row in page]


def _counts(one: Increment) -> list[tuple[object, ...]]:
    """A row for the variant that a new person is assigned to, with what they did, and one for each other shown."""
    key, first_at, last_at = (one.experiment_id, one.user_id), to_text(one.first_at), to_text(one.last_at)
    done = one.clicks, one.saves, one.hides, one.latency_ms, one.errors
    shown = {one.variant: 0} | one.shown
    return [
        (
            *(*key, variant, one.map_version, one.pre_activity, first_at),
            *(exposures, *(done if variant == one.variant else _NOTHING_DONE), last_at),
        )
        for variant, exposures in shown.items()
    ]


def _person(row: Row) -> Person:
    return Person(*row[1:])

"""Experiments in this service's own database: their versions, and what each person was shown and did."""

from collections.abc import AsyncIterator, Sequence

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
ADD_COUNTS = Statement(
    "UPDATE ml_experiment_people SET pre_activity = CASE WHEN exposures = 0 THEN ? ELSE pre_activity END,"
    " exposures = exposures + ?, clicks = clicks + ?, saves = saves + ?, hides = hides + ?,"
    " latency_ms = latency_ms + ?, errors = errors + ?, seen_at = ? WHERE user_id = ? AND experiment_id = ?"
)
ADD_OTHER = Statement(
    "UPDATE ml_experiment_people SET other_exposures = other_exposures + ?"
    " WHERE user_id = ? AND experiment_id = ? AND variant <> ?"
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
        await session.execute_many(ASSIGN, [_assignment(one) for one in increments])
        await session.execute_many(ADD_COUNTS, [_counts(one) for one in increments])
        others = [
            (shown, one.user_id, one.experiment_id, variant)
            for one in increments
            for variant, shown in one.shown.items()
        ]
        if others:
            await session.execute_many(ADD_OTHER, others)


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


def _assignment(one: Increment) -> tuple[object, ...]:
    key = one.experiment_id, one.user_id
    return (*key, one.variant, one.map_version, one.pre_activity, to_text(one.first_at))


def _counts(one: Increment) -> tuple[object, ...]:
    added = one.exposures, one.clicks, one.saves, one.hides, one.latency_ms, one.errors
    return (one.pre_activity, *added, to_text(one.last_at), one.user_id, one.experiment_id)


def _person(row: Row) -> Person:
    return Person(*row[1:])

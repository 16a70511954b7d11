"""What is written for people: feedback and exposures. Writing the same twice is one effect.

Nothing is kept of what a person did before asking to be erased: a replayed queue or a repeated import does
not bring it back. The marker of an erasure is committed before its deletes begin, and written rows are looked
at again afterwards, so in whatever order the two happen one of them removes the rows.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import orjson

from service.storage.database import Database, Session
from service.storage.dialect import Statement
from service.storage.queue_entries import ExposureEntry
from service.storage.times import UNKNOWN_TIME, optional_text, to_text

INSERT_FEEDBACK = Statement(
    "INSERT INTO ml_feedback (user_id, event_id, action, context, created_at, idempotency_key, request_hash,"
    " recommendation_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?) {skip_known:idempotency_key}"
)
INSERT_PREDICTIONS = Statement(
    "INSERT INTO model_predictions (user_id, model_version, variant, num_recommendations, latency_ms,"
    " created_at, recommendation_id, arm, city, event_ids, experiment_id, is_exposure, experiments)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {skip_known:recommendation_id}"
)
FIND_FEEDBACK = Statement(
    "SELECT idempotency_key, id, request_hash FROM ml_feedback WHERE idempotency_key IN ({list})"
)
ERASED_SINCE = Statement("SELECT user_id, {epoch:erased_at} FROM ml_erased_users WHERE erased_at >= ?")
WITHDRAW_FEEDBACK = Statement(
    "DELETE FROM ml_feedback WHERE user_id = ? AND (created_at IS NULL OR created_at <= ?)"
)
WITHDRAW_PREDICTIONS = Statement(
    "DELETE FROM model_predictions WHERE user_id = ? AND (created_at IS NULL OR created_at <= ?)"
)

_LIST_SIZE = 500
#: Rows made ready in one go, so that no request waits for all of a batch.
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Feedback:
    """One action as it is stored. `created_at` in seconds since 1970, None when unknown; `context` is JSON.

    `idempotency_key` is ASCII, at most 128 long; without one each call stores a row of its own.
    `request_hash` is 64 hexadecimal digits and tells whether a key comes back with another request.
    """

    user_id: str
    event_id: str
    action: str
    created_at: int | None
    context: str | None = None
    idempotency_key: str | None = None
    request_hash: str | None = None
    recommendation_id: str | None = None


@dataclass(frozen=True)
class Recorded:
    """Of the rows given, how many were `added`, and how many `refused` because their person was erased since.

    The rest were there already.
    """

    added: int
    refused: int


@dataclass(frozen=True, slots=True)
class KnownFeedback:
    """The row that holds an idempotency key."""

    id: int
    request_hash: str | None


_Row = TypeVar("_Row", Feedback, ExposureEntry)


async def insert_feedback(db: Database, rows: Sequence[Feedback]) -> Recorded:
    """Store all `rows` or none, each idempotency key once, in their order."""
    if not rows:
        return Recorded(0, 0)
    oldest = min([row.created_at or UNKNOWN_TIME for row in rows])
    kept = _without(await erased_since(db, oldest), rows)
    values = [
        (
            *(row.user_id, row.event_id, row.action, row.context, optional_text(row.created_at)),
            *(row.idempotency_key, row.request_hash, row.recommendation_id),
        )
        for row in kept
    ]
    added = await db.execute_many(INSERT_FEEDBACK, values)
    await _withdraw_erased(db, WITHDRAW_FEEDBACK, oldest, kept)
    return Recorded(added, len(rows) - len(kept))


async def insert_predictions(db: Database, rows: Sequence[ExposureEntry]) -> Recorded:
    """Store all answers or none, each recommendation id once."""
    if not rows:
        return Recorded(0, 0)
    oldest = int(min([row.created_at for row in rows]))
    kept = _without(await erased_since(db, oldest), rows)
    values: list[tuple[object, ...]] = []
    for start in range(0, len(kept), _AT_ONCE):
        values += map(_prediction, kept[start : start + _AT_ONCE])
        await asyncio.sleep(0)
    added = await db.execute_many(INSERT_PREDICTIONS, values)
    await _withdraw_erased(db, WITHDRAW_PREDICTIONS, oldest, kept)
    return Recorded(added, len(rows) - len(kept))


async def find_feedback(session: Session, keys: Collection[str]) -> dict[str, KnownFeedback]:
    """Which of the idempotency keys are taken, and by which request."""
    found: dict[str, KnownFeedback] = {}
    for part in _parts(sorted(keys)):
        for key, row_id, request_hash in await session.fetch(FIND_FEEDBACK.with_list(len(part)), part):
            found[key] = KnownFeedback(row_id, request_hash)
    return found


async def erased_since(session: Session, at: int) -> dict[str, int]:
    """Who was erased `at` or later, and when (seconds since 1970): of a batch as old as that, only their rows may go.

    As a rule there is nobody, and one short question tells that of all the people of the batch.
    """
    return dict(await session.fetch(ERASED_SINCE, (to_text(at),)))


def _without(erased: Mapping[str, int], rows: Sequence[_Row]) -> Sequence[_Row]:
    """The rows but those of people who were erased after them."""
    if not erased:
        return rows
    return [
        row
        for row in rows
        if row.user_id is None or int(row.created_at or UNKNOWN_TIME) > erased.get(row.user_id, -1)
    ]


async def _withdraw_erased(session: Session, withdraw: Statement, oldest: int, rows: Sequence[_Row]) -> None:
    erased = await erased_since(session, oldest)
    for user_id in erased.keys() & {row.user_id for row in rows} if erased else ():
        await session.execute(withdraw, (user_id, to_text(erased[user_id])))


def _prediction(row: ExposureEntry) -> tuple[object, ...]:
    """The parameters of `INSERT_PREDICTIONS`."""
    return (
        *(row.user_id, row.model_version, row.variant, row.n_shown, row.latency_ms, to_text(row.created_at)),
        *(row.recommendation_id, row.arm, row.city, bytes(row.event_ids).decode(), row.experiment_id),
        *(int(row.is_exposure), _experiments_text(row.experiments)),
    )


@lru_cache
def _experiments_text(experiments: tuple[tuple[str, str, int], ...]) -> str | None:
    """JSON of the experiments that an answer counts in, the same for thousands of answers."""
    return orjson.dumps(experiments).decode() if experiments else None


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + _LIST_SIZE] for start in range(0, len(values), _LIST_SIZE))

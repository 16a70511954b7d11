"""What is written for people: feedback and exposures. Writing the same twice is one effect.

Nothing is kept of what a person did before asking to be erased: a replayed queue or a repeated import does
not bring it back. The marker of an erasure is committed before its deletes begin, and written rows are looked
at again afterwards, so in whatever order the two happen one of them removes the rows.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec import Struct

from service.storage.database import Database, Session
from service.storage.dialect import Statement
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
ERASED_AMONG = Statement("SELECT user_id, {epoch:erased_at} FROM ml_erased_users WHERE user_id IN ({list})")
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


class Prediction(Struct, frozen=True, gc=False):
    """One answer: who was shown which events, in `event_ids` by position as JSON, by what and how fast (ms).

    `user_id` is None for a guest; `is_exposure` says whether the answer counts in experiments, `experiments` in which:
    a JSON list of [experiment, variant, version of its map].
    """

    user_id: str | None
    model_version: str
    variant: str
    num_recommendations: int
    latency_ms: float
    created_at: int
    recommendation_id: str
    arm: str | None = None
    city: str | None = None
    event_ids: str | None = None
    experiment_id: str | None = None
    is_exposure: bool = False
    experiments: str | None = None


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


_Row = TypeVar("_Row", Feedback, Prediction)


async def insert_feedback(db: Database, rows: Sequence[Feedback]) -> Recorded:
    """Store all `rows` or none, each idempotency key once, in their order."""
    kept = await _without_erased(db, rows)
    values = [
        (
            *(row.user_id, row.event_id, row.action, row.context, optional_text(row.created_at)),
            *(row.idempotency_key, row.request_hash, row.recommendation_id),
        )
        for row in kept
    ]
    added = await db.execute_many(INSERT_FEEDBACK, values)
    await _withdraw_erased(db, WITHDRAW_FEEDBACK, kept)
    return Recorded(added, len(rows) - len(kept))


async def insert_predictions(db: Database, rows: Sequence[Prediction]) -> Recorded:
    """Store all `rows` or none, each recommendation id once."""
    kept = await _without_erased(db, rows)
    times = {at: to_text(at) for at in {row.created_at for row in kept}}
    values: list[tuple[object, ...]] = []
    for start in range(0, len(kept), _AT_ONCE):
        values += [
            (
                *(row.user_id, row.model_version, row.variant, row.num_recommendations, row.latency_ms),
                *(times[row.created_at], row.recommendation_id, row.arm, row.city, row.event_ids),
                *(row.experiment_id, int(row.is_exposure), row.experiments),
            )
            for row in kept[start : start + _AT_ONCE]
        ]
        await asyncio.sleep(0)
    added = await db.execute_many(INSERT_PREDICTIONS, values)
    await _withdraw_erased(db, WITHDRAW_PREDICTIONS, kept)
    return Recorded(added, len(rows) - len(kept))


async def find_feedback(session: Session, keys: Collection[str]) -> dict[str, KnownFeedback]:
    """Which of the idempotency keys are taken, and by which request."""
    found: dict[str, KnownFeedback] = {}
    for part in _parts(sorted(keys)):
        for key, row_id, request_hash in await session.fetch(FIND_FEEDBACK.with_list(len(part)), part):
            found[key] = KnownFeedback(row_id, request_hash)
    return found


async def erased_among(session: Session, user_ids: Collection[str]) -> dict[str, int]:
    """Which of these people were erased, and when (seconds since 1970)."""
    erased: dict[str, int] = {}
    for part in _parts(sorted(user_ids)):
        erased.update(await session.fetch(ERASED_AMONG.with_list(len(part)), part))
    return erased


async def _without_erased(session: Session, rows: Sequence[_Row]) -> list[_Row]:
    erased = await erased_among(session, _people(rows))
    return [
        row
        for row in rows
        if row.user_id not in erased or (row.created_at or UNKNOWN_TIME) > erased[row.user_id]
    ]


async def _withdraw_erased(session: Session, withdraw: Statement, rows: Sequence[_Row]) -> None:
    for user_id, at in (await erased_among(session, _people(rows))).items():
        await session.execute(withdraw, (user_id, to_text(at)))


def _people(rows: Sequence[_Row]) -> set[str]:
    return {row.user_id for row in rows if row.user_id is not None}


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + _LIST_SIZE] for start in range(0, len(values), _LIST_SIZE))

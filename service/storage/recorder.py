"""Writes the queue's rows into the main database, and sorts out those that it will not have."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.errors import StatementError, StorageUnavailable
from service.storage.queries.recording import Feedback, find_feedback, insert_feedback, insert_predictions
from service.storage.queue_entries import ExposureEntry, FeedbackEntry, Refusal

logger = logging.getLogger(__name__)

# Write nothing, but fail as a write would when the table is not there, not migrated, or not ours to write to.
_PROBE_FEEDBACK = Statement(
    "INSERT INTO ml_feedback (user_id, event_id, action, context, created_at, idempotency_key, request_hash,"
    " recommendation_id) SELECT user_id, event_id, action, context, created_at, idempotency_key, request_hash,"
    " recommendation_id FROM ml_feedback WHERE 1 = 0"
)
_PROBE_PREDICTIONS = Statement(
    "INSERT INTO model_predictions (user_id, model_version, variant, num_recommendations, latency_ms,"
    " created_at, recommendation_id, arm, city, event_ids, experiment_id, is_exposure, experiments) SELECT"
    " user_id, model_version, variant, num_recommendations, latency_ms, created_at, recommendation_id, arm, city,"
    " event_ids, experiment_id, is_exposure, experiments FROM model_predictions WHERE 1 = 0"
)

R = TypeVar("R", FeedbackEntry, ExposureEntry)


class Recorder:
    """Records rows in their order, each once in effect; both methods return the rows that were refused.

    A row is refused for what it holds, never because the table is not there or not migrated: that, like a
    database that is away, is StorageUnavailable, and some of the rows may have been written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_feedback(self, rows: Sequence[FeedbackEntry]) -> list[Refusal]:
        return await self._record(rows, self._insert_feedback, _PROBE_FEEDBACK)

    async def record_exposures(self, rows: Sequence[ExposureEntry]) -> list[Refusal]:
        return await self._record(rows, self._insert_exposures, _PROBE_PREDICTIONS)

    async def _record(
        self, rows: Sequence[R], insert: Callable[[Sequence[R]], Awaitable[list[Refusal]]], probe: Statement
    ) -> list[Refusal]:
        if not rows:
            return []
        with suppress(StatementError):
            return await insert(rows)
        if len(rows) == 1:
            return await self._record_alone(rows[0], insert, probe)
        middle = len(rows) // 2
        first = await self._record(rows[:middle], insert, probe)
        return first + await self._record(rows[middle:], insert, probe)

    async def _record_alone(
        self, row: R, insert: Callable[[Sequence[R]], Awaitable[list[Refusal]]], probe: Statement
    ) -> list[Refusal]:
        """Record a row that failed; it is refused when it fails again while the table is there before and after."""
        await self._check_table(probe)
        try:
            return await insert([row])
        except StatementError as error:
            await self._check_table(probe)
            return [_refusal(row, str(error))]

    async def _check_table(self, probe: Statement) -> None:
        try:
            await self._database.execute(probe)
        except StatementError as error:
            raise StorageUnavailable(f"nothing can be recorded: {error}") from error

    async def _insert_feedback(self, rows: Sequence[FeedbackEntry]) -> list[Refusal]:
        recorded = await insert_feedback(self._database, [_feedback(row) for row in rows])
        if recorded.added + recorded.refused == len(rows):
            return []
        # Some were there: drained before, or a key that came back with another request long after the queue
        # had forgotten it.
        known = await find_feedback(self._database, [row.key for row in rows])
        hashes = {key: one.request_hash for key, one in known.items()}
        return [
            _refusal(row, "another request has used its idempotency key")
            for row in rows
            if hashes.get(row.key) not in (None, row.request_hash)
        ]

    async def _insert_exposures(self, rows: Sequence[ExposureEntry]) -> list[Refusal]:
        await insert_predictions(self._database, [row for row in rows if not row.has_failed])
        return []


def _refusal(row: FeedbackEntry | ExposureEntry, reason: str) -> Refusal:
    if isinstance(row, FeedbackEntry):
        name, recorded_at = f"feedback {row.key!r}", row.recorded_at
    else:
        name, recorded_at = f"exposure {row.recommendation_id!r}", row.created_at
    logger.error("%s is set aside, the database refuses it: %s", name, reason)
    return Refusal(row.user_id, recorded_at, msgspec.json.encode(row).decode(), reason)


def _feedback(row: FeedbackEntry) -> Feedback:
    return Feedback(
        user_id=row.user_id,
        event_id=row.event_id,
        action=row.action,
        created_at=int(row.recorded_at),
        context=row.context,
        idempotency_key=row.key,
        request_hash=row.request_hash,
        recommendation_id=row.recommendation_id,
    )

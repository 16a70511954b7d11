"""GET /v1/users/{user_id}/data and DELETE /v1/users/{user_id}: a person's rights over what is kept of them."""

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from service.answers import (
    CachedRecord,
    ExperimentRecord,
    FeedbackRecord,
    PredictionRecord,
    UserDataAnswer,
    UserErasedAnswer,
)
from service.errors import BadRequestError, UnavailableError
from service.experiments.live import LiveExperiments
from service.experiments.stores import PeopleReader, Person
from service.identity import Credentials, require_self_or_admin
from service.live.event import iso
from service.live.keeper import Keeper
from service.routes.json import json_answer
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.queries.privacy import UserData, erase_user, export_user
from service.storage.queue import DurableQueue
from service.storage.queue_entries import QueuedUserData

logger = logging.getLogger(__name__)

_LONGEST_ID = 255


class PeopleRoutes:
    """The handlers with what they need."""

    def __init__(
        self,
        database: Database,
        queue: DurableQueue | None,
        keeper: Keeper,
        reader: PeopleReader,
        experiments: LiveExperiments,
        credentials: Credentials,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._queue = queue
        self._keeper = keeper
        self._reader = reader
        self._experiments = experiments
        self._credentials = credentials
        self._clock = clock

    async def export(self, request: web.Request) -> web.Response:
        """Everything this service owns about a person, from the database and from what still waits for it."""
        user_id = self._allowed(request)
        queue = self._working_queue()
        waiting = await queue.export_user(user_id)
        try:
            stored = await export_user(self._database, user_id)
            people = await self._reader.of_person(user_id)
        except StorageError as error:
            logger.warning("nothing can be exported: %s", error)
            raise UnavailableError("The database does not answer at the moment", retry_after=5) from error
        answer = UserDataAnswer(
            user_id=user_id,
            feedback=[*map(_stored_feedback, stored.feedback), *_waiting_feedback(waiting)],
            predictions=[*map(_stored_prediction, stored.predictions), *_waiting_predictions(waiting)],
            cached=[_cached(row) for row in stored.cached],
            experiments=list(map(_part_taken, people)),
            erased_at=_last_erased(stored, waiting),
        )
        return json_answer(answer)

    async def erase(self, request: web.Request) -> web.Response:
        """Erase a person: at once here and in the queue; in the database at once, or as soon as it is back."""
        user_id = self._allowed(request)
        now = int(self._clock())
        # The store of experiments is told by the queue (service.experiments.shipping).
        rows = await self._working_queue().erase_user(user_id)
        self._experiments.forget(user_id)
        await self._forget(user_id, now)
        erased = rows.waiting_feedback + rows.exposures + rows.refused
        try:
            erased += await erase_user(self._database, user_id, now)
        except StorageError as error:
            # The queue remembers, and tells the database when it is back (service.storage.draining).
            logger.warning("the database will forget a person later: %s", error)
            return json_answer(UserErasedAnswer("pending", user_id, erased), status=202)
        return json_answer(UserErasedAnswer("success", user_id, erased))

    async def _forget(self, user_id: str, now: int) -> None:
        try:
            await self._keeper.forget(user_id, now)
        except (sqlite3.Error, OSError) as error:
            logger.warning("the snapshot cannot forget a person: %s", error)
            raise UnavailableError("The disk of this service does not answer", retry_after=5) from error

    def _allowed(self, request: web.Request) -> str:
        user_id = request.match_info["user_id"]
        if not 1 <= len(user_id) <= _LONGEST_ID or not user_id.isprintable():
            raise BadRequestError(f"user_id: expected 1 to {_LONGEST_ID} printable characters")
        require_self_or_admin(request.headers, request.remote, user_id, self._credentials)
        return user_id

    def _working_queue(self) -> DurableQueue:
        if self._queue is None:
            raise UnavailableError(
                "The disk of this service does not answer; nothing was done", retry_after=5
            )
        return self._queue


def _stored_feedback(row: dict[str, Any]) -> FeedbackRecord:
    return FeedbackRecord(
        event_id=row["event_id"],
        action=row["action"],
        context=_json_or_none(row["context"]),
        recommendation_id=row["recommendation_id"],
        created_at=_time(row["created_at"]),
    )


def _waiting_feedback(waiting: QueuedUserData) -> list[FeedbackRecord]:
    """Feedback that the database does not have yet."""
    return [
        FeedbackRecord(
            event_id=row.entry.event_id,
            action=row.entry.action,
            context=_json_or_none(row.entry.context),
            recommendation_id=row.entry.recommendation_id,
            created_at=iso(row.entry.recorded_at),
        )
        for row in waiting.feedback
        if not row.drained
    ]


def _stored_prediction(row: dict[str, Any]) -> PredictionRecord:
    return PredictionRecord(
        recommendation_id=row["recommendation_id"],
        model_version=row["model_version"],
        variant=row["variant"],
        arm=row["arm"],
        city=row["city"],
        event_ids=_json_or_none(row["event_ids"]),
        num_recommendations=row["num_recommendations"],
        latency_ms=row["latency_ms"],
        experiment_id=row["experiment_id"],
        is_exposure=bool(row["is_exposure"]),
        created_at=_time(row["created_at"]),
    )


def _waiting_predictions(waiting: QueuedUserData) -> list[PredictionRecord]:
    """Answers that the database does not have yet."""
    return [
        PredictionRecord(
            recommendation_id=entry.recommendation_id,
            model_version=entry.model_version,
            variant=entry.variant,
            arm=entry.arm,
            city=entry.city,
            event_ids=orjson.loads(bytes(entry.event_ids)),
            num_recommendations=entry.n_shown,
            latency_ms=entry.latency_ms,
            experiment_id=entry.experiment_id,
            is_exposure=entry.is_exposure,
            created_at=iso(entry.created_at),
        )
        for entry in waiting.exposures
        if not entry.has_failed
    ]


def _cached(row: dict[str, Any]) -> CachedRecord:
    return CachedRecord(
        cache_key=row["cache_key"],
        recommendations=_json_or_none(row["recommendations"]),
        model_version=row["model_version"],
        created_at=_time(row["created_at"]),
        expires_at=_time(row["expires_at"]),
    )


def _part_taken(person: Person) -> ExperimentRecord:
    return ExperimentRecord(
        experiment_id=person.experiment_id,
        variant=person.variant,
        exposures=person.exposures,
        clicks=person.clicks,
        saves=person.saves,
        hides=person.hides,
        errors=person.errors,
        assigned_at=_time(person.assigned_at),
        seen_at=_time(person.seen_at),
    )


def _last_erased(stored: UserData, waiting: QueuedUserData) -> str | None:
    times = [at for at in (stored.erased_at, waiting.erased_at) if at is not None]
    return iso(max(times)) if times else None


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else iso(seconds)


def _json_or_none(text: str | bytes | None) -> Any:
    """Stored JSON as values; what is no JSON, as another program may have written it, as it stands."""
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"text": str(text)}

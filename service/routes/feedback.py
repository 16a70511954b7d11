"""POST /v1/feedback and /v1/feedback/batch: answered when what they say is durable."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from service.errors import BadRequestError, ForbiddenError, UnavailableError
from service.identity import Credentials, subject_of
from service.live.keeper import Keeper
from service.metrics import Metrics
from service.routes.bodies import read_body
from service.storage.queue import DurableQueue
from service.storage.queue_entries import MAX_KEY_LENGTH, FeedbackEntry, Outcome
from service.wire import FeedbackBatchRequest, FeedbackRequest, decode

_RECORDED = orjson.dumps({"status": "success", "message": "Feedback recorded"})


class FeedbackRoutes:
    """The handlers with what they need. Without a queue, as when the disk fails, feedback is refused, not lost."""

    def __init__(
        self,
        queue: DurableQueue | None,
        keeper: Keeper,
        credentials: Credentials,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._keeper = keeper
        self._credentials = credentials
        self._metrics = metrics
        self._clock = clock

    async def record(self, request: web.Request) -> web.Response:
        """One action."""
        body = decode(FeedbackRequest, await read_body(request))
        entry = self._entry(request, body, _given_key(request), where="")
        await self._store([entry])
        return web.Response(body=_RECORDED, content_type="application/json")

    async def record_batch(self, request: web.Request) -> web.Response:
        """Many actions, all or none."""
        batch = decode(FeedbackBatchRequest, await read_body(request))
        key = _given_key(request)
        entries = [
            self._entry(request, body, key and f"{key}#{place}", where=f"feedback[{place}].")
            for place, body in enumerate(batch.feedback)
        ]
        await self._store(_bound_together(entries) if key else entries)
        answer = {"status": "success", "message": "Feedback recorded", "recorded": len(entries)}
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    async def _store(self, entries: Sequence[FeedbackEntry]) -> None:
        """Make entries durable, then let those that are new count from the next answer on."""
        if self._queue is None:
            raise UnavailableError("Feedback cannot be stored at the moment", retry_after=5)
        outcomes = await self._queue.put(entries)
        for entry, outcome in zip(entries, outcomes, strict=True):
            if outcome is Outcome.NEW:
                self._keeper.acknowledge(entry)
                self._metrics.count_feedback(entry.action)

    def _entry(
        self, request: web.Request, body: FeedbackRequest, key: str | None, where: str
    ) -> FeedbackEntry:
        user_id = self._user_of(request, body, where)
        recommendation_id = body.known_context().recommendation_id
        said = (user_id, body.event_id, body.action, body.context)
        if key is None:
            # What is said along with a retry, such as its time, does not make it another action.
            key, said = _own_key(recommendation_id, *said[:3]), (*said[:3], None)
        return FeedbackEntry(
            key=key,
            request_hash=_hash(said),
            user_id=user_id,
            event_id=body.event_id,
            action=body.action,
            context=None if body.context is None else orjson.dumps(body.context).decode(),
            recommendation_id=recommendation_id,
            recorded_at=self._clock(),
        )

    def _user_of(self, request: web.Request, body: FeedbackRequest, where: str) -> str:
        try:
            user_id = subject_of(request.headers, body.user_id, self._credentials).user_id
        except ForbiddenError as error:
            raise ForbiddenError(f"{where}user_id: {error.detail}") from None
        if user_id is None:
            raise BadRequestError(f"{where}user_id: required, unless a verified token says who it is")
        return user_id


def _given_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    longest = MAX_KEY_LENGTH - len("#499")
    if not (key.isascii() and key.isprintable() and 1 <= len(key) <= longest):
        raise BadRequestError(f"Idempotency-Key: expected 1 to {longest} printable ASCII characters")
    return key


def _own_key(recommendation_id: str | None, *said: str) -> str:
    """Without a key of the caller's: the same person doing the same with the same answer is a retry.

    Outside of any answer there is no telling a retry from a second time, so each request counts.
    """
    if recommendation_id is None:
        return f"single:{secrets.token_hex(16)}"
    return f"shown:{_hash((recommendation_id, *said))}"


def _bound_together(entries: Sequence[FeedbackEntry]) -> list[FeedbackEntry]:
    """Entries of one batch under one key: with any of them changed, or left out, it is another request."""
    whole = [entry.request_hash for entry in entries]
    return [replace(entry, request_hash=_hash((place, *whole))) for place, entry in enumerate(entries)]


def _hash(values: Sequence[Any]) -> str:
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()

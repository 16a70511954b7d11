"""POST /v1/recommendations/batch: the same question for many people, as for a newsletter."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from aiohttp import web

from service.identity import Credentials, require_admin
from service.live.state import LiveState
from service.recommending.asking import Question, answer_question, usual_arrangement, variant_named
from service.recommending.encoding import Encoder
from service.recommending.identifiers import RecommendationIds
from service.routes.bodies import read_body
from service.serving import Serving
from service.settings import Settings
from service.wire import BatchRequest, decode

#: Other requests get their turn after so many seconds of answering.
_TURN = 0.002


class BatchRoutes:
    """The handler with what it needs."""

    def __init__(
        self, serving: Serving, settings: Settings, credentials: Credentials, clock: Callable[[], float]
    ) -> None:
        self._serving = serving
        self._settings = settings
        self._credentials = credentials
        self._clock = clock
        self._usual = usual_arrangement(settings)
        self._encoder = Encoder()
        self._ids = RecommendationIds()

    async def recommend(self, request: web.Request) -> web.Response:
        """Answer for each person as POST /v1/recommendations would; nothing is stored or counted."""
        started = perf_counter()
        require_admin(request.headers, request.remote, self._credentials)
        body = decode(BatchRequest, await read_body(request))
        variant = variant_named(body.variant or self._settings.default_variant)
        limit = min(
            body.limit or self._settings.default_recommendation_count, self._settings.max_recommendation_count
        )
        limits, arrangement = body.limits(), body.arrangement(self._usual)
        questions = [
            Question(user_id, body.city, limit, variant, limits=limits, arrangement=arrangement)
            for user_id in body.user_ids
        ]
        answers = await self._answers(self._serving.state, questions)
        latency_ms = (perf_counter() - started) * 1000.0
        return web.Response(
            body=b'{"results":[%b],"count":%d,"latency_ms":%.3f}'
            % (b",".join(answers), len(answers), latency_ms),
            content_type="application/json",
        )

    async def _answers(self, state: LiveState, questions: list[Question]) -> list[bytes]:
        """One after the other from one model, so that no other request waits for more than one of them."""
        answers: list[bytes] = []
        turn_ends = perf_counter() + _TURN
        for question in questions:
            now, started = self._clock(), perf_counter()
            if started > turn_ends:
                await asyncio.sleep(0)
                started = perf_counter()
                turn_ends = started + _TURN
            reply = answer_question(state, self._encoder, question, self._ids.new(now), now, started)
            answers.append(reply.body)
        return answers

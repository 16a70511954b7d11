"""POST /v1/recommendations."""

from collections.abc import Callable
from time import perf_counter

from aiohttp import web

from service.errors import BadRequestError
from service.identity import Credentials, subject_of
from service.metrics import Metrics
from service.recommending.arms import ARMS
from service.recommending.asking import Question, answer_question
from service.recommending.encoding import Encoder
from service.routes.bodies import read_body
from service.serving import Serving
from service.settings import Settings
from service.wire import RecommendationRequest, decode


class RecommendationRoutes:
    """The handler with what it needs."""

    def __init__(
        self,
        serving: Serving,
        settings: Settings,
        credentials: Credentials,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._serving = serving
        self._settings = settings
        self._credentials = credentials
        self._metrics = metrics
        self._clock = clock
        self._encoder = Encoder()

    async def recommend(self, request: web.Request) -> web.Response:
        """Translate a request into a question and the reply into a response."""
        started = perf_counter()
        body = decode(RecommendationRequest, await read_body(request))
        identity = subject_of(request.headers, body.user_id, self._credentials)
        state = self._serving.state
        question = Question(
            user_id=identity.user_id,
            city=body.city,
            limit=self._limit(body.limit),
            variant=self._variant(body.variant),
            exclude_event_ids=tuple(body.exclude_event_ids),
        )
        reply = answer_question(state, self._encoder, question, self._clock(), started)
        self._serving.count(reply.latency_ms)
        self._metrics.count_answer(state.version, question.variant)
        personal, filled = reply.n_personal, len(reply.events) - reply.n_personal
        if personal:
            self._metrics.count_recommended(
                state.version, question.variant, "collaborative_filtering", personal
            )
        if filled:
            self._metrics.count_recommended(state.version, question.variant, "popularity", filled)
        return web.Response(body=reply.body, content_type="application/json")

    def _limit(self, asked: int | None) -> int:
        if asked is None:
            return self._settings.default_recommendation_count
        return min(asked, self._settings.max_recommendation_count)

    def _variant(self, asked: str | None) -> str:
        if asked is None:
            return self._settings.default_variant
        if asked not in ARMS:
            raise BadRequestError(f"variant: expected one of {', '.join(ARMS)}, got {asked!r}")
        return asked

"""POST /v1/recommendations."""

from collections.abc import Callable
from time import perf_counter

from aiohttp import web

from service.errors import BadRequestError
from service.identity import Credentials, subject_of
from service.live.state import LiveState
from service.metrics import Metrics
from service.recommending.arms import ARMS
from service.recommending.asking import Question, Reply, answer_question
from service.recommending.encoding import Encoder
from service.recommending.identifiers import RecommendationIds
from service.routes.bodies import read_body
from service.serving import Serving
from service.settings import Settings, SettingsError
from service.storage.queue import DurableQueue
from service.storage.queue_entries import ExposureEntry
from service.wire import RecommendationRequest, decode


class RecommendationRoutes:
    """The handler with what it needs. SettingsError when DEFAULT_VARIANT names no arm."""

    def __init__(
        self,
        serving: Serving,
        settings: Settings,
        credentials: Credentials,
        metrics: Metrics,
        queue: DurableQueue | None,
        clock: Callable[[], float],
    ) -> None:
        if settings.default_variant not in ARMS:
            expected = ", ".join(ARMS)
            raise SettingsError(
                f"DEFAULT_VARIANT: expected one of {expected}, got {settings.default_variant!r}"
            )
        self._serving = serving
        self._settings = settings
        self._credentials = credentials
        self._metrics = metrics
        self._queue = queue
        self._clock = clock
        self._encoder = Encoder()
        self._ids = RecommendationIds()

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
        now = self._clock()
        reply = answer_question(state, self._encoder, question, self._ids.new(now), now, started)
        self._expose(state, question, reply, now, is_exposure=body.variant is None)
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

    def _expose(
        self, state: LiveState, question: Question, reply: Reply, now: float, *, is_exposure: bool
    ) -> None:
        """Hand over who was shown what; it is stored in batches, after the answer.

        An answer of a variant that the caller named is a test, not an exposure.
        """
        if self._queue is None:
            return
        exposure = ExposureEntry(
            recommendation_id=reply.recommendation_id,
            user_id=question.user_id,
            model_version=state.version,
            variant=question.variant,
            arm=question.variant,
            city=question.city,
            event_ids=tuple(map(state.event_ids.__getitem__, reply.events)),
            latency_ms=reply.latency_ms,
            experiment_id=None,
            is_exposure=is_exposure,
            created_at=now,
        )
        self._queue.put_exposures([exposure])

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

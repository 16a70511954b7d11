"""POST /v1/recommendations."""

from collections.abc import Callable
from itertools import chain
from time import perf_counter

from aiohttp import web

from service.errors import RequestError
from service.experiments.assignment import NO_CHOICE, Choice
from service.experiments.live import LiveExperiments
from service.identity import Credentials, subject_of
from service.live.state import LiveState
from service.live.statements import Stated, of_signal
from service.metrics import Metrics
from service.recommending.arms import ARMS
from service.recommending.asking import Question, Reply, answer_question, usual_arrangement, variant_named
from service.recommending.encoding import Encoder
from service.recommending.identifiers import RecommendationIds
from service.routes.bodies import read_body
from service.serving import Serving
from service.settings import Settings, SettingsError
from service.storage.queue import DurableQueue
from service.storage.queue_entries import ExposureEntry
from service.wire import RecommendationRequest, TasteSignals, decode


class RecommendationRoutes:
    """The handler with what it needs. SettingsError when DEFAULT_VARIANT names no arm."""

    def __init__(
        self,
        serving: Serving,
        settings: Settings,
        credentials: Credentials,
        metrics: Metrics,
        queue: DurableQueue | None,
        experiments: LiveExperiments,
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
        self._experiments = experiments
        self._clock = clock
        self._usual = usual_arrangement(settings)
        self._encoder = Encoder()
        self._ids = RecommendationIds()

    async def recommend(self, request: web.Request) -> web.Response:
        """Translate a request into a question and the reply into a response."""
        started = perf_counter()
        body = decode(RecommendationRequest, await read_body(request))
        identity = subject_of(request.headers, body.user_id, self._credentials)
        now = self._clock()
        choice = await self._choice(body, identity.user_id, now)
        state = self._serving.state
        variant = self._variant(body.variant)
        arm = choice.arm or variant
        question = Question(
            user_id=identity.user_id,
            city=body.city,
            limit=self._limit(body.limit or choice.limit),
            variant=choice.variant or variant,
            exclude_event_ids=tuple(body.exclude_event_ids),
            arm=arm,
            experiment=choice.told,
            limits=body.limits(),
            offset=body.offset,
            liked_event_ids=tuple(body.liked_event_ids),
            statements=of_context(body.context),
            arrangement=body.arrangement(self._usual),
        )
        counts = body.variant is None and not body.internal
        try:
            reply = answer_question(state, self._encoder, question, self._ids.new(now), now, started)
        except Exception as error:
            if counts and not isinstance(error, RequestError):
                self._count_failure(state, question, choice, now)
            raise
        is_exposure = counts and request.transport is not None and not request.transport.is_closing()
        self._expose(state, question, choice, reply, now, is_exposure)
        self._serving.count(reply.latency_ms)
        self._metrics.count_answer(state.version, question.variant)
        personal, filled = reply.n_personal, len(reply.events) - reply.n_personal
        if personal:
            self._metrics.count_recommended(state.version, question.variant, arm, personal)
        if filled:
            self._metrics.count_recommended(state.version, question.variant, "popularity", filled)
        return web.Response(body=reply.body, content_type="application/json")

    async def _choice(self, body: RecommendationRequest, user_id: str | None, now: float) -> Choice:
        """What experiments say about this answer. It waits only for people whose bucket has moved."""
        if body.variant is not None or user_id is None:
            return NO_CHOICE
        at_once = self._experiments.choose_at_once(user_id, now)
        return at_once if at_once is not None else await self._experiments.choose(user_id, now)

    def _expose(
        self,
        state: LiveState,
        question: Question,
        choice: Choice,
        reply: Reply,
        now: float,
        is_exposure: bool,
    ) -> None:
        """Hand over who was shown what; it is stored in batches, after the answer.

        An answer of a variant that the caller named is a test, not an exposure, and neither is one that is for nobody,
        or whose asker has left before it was ready.
        """
        if self._queue is None:
            return
        exposure = ExposureEntry(
            recommendation_id=reply.recommendation_id,
            user_id=question.user_id,
            model_version=state.version,
            variant=question.variant,
            arm=question.arm or question.variant,
            city=question.city,
            event_ids=tuple(map(state.event_ids.__getitem__, reply.events)),
            latency_ms=reply.latency_ms,
            experiment_id=choice.experiment_id,
            is_exposure=is_exposure,
            created_at=now,
            experiments=choice.counted if is_exposure else (),
            pre_activity=reply.n_liked,
        )
        self._queue.put_exposures([exposure])

    def _count_failure(self, state: LiveState, question: Question, choice: Choice, now: float) -> None:
        """Have experiments count a request that failed: a variant that breaks must not look better for it."""
        if self._queue is None or not choice.counted:
            return
        failure = ExposureEntry(
            recommendation_id=self._ids.new(now),
            user_id=question.user_id,
            model_version=state.version,
            variant=question.variant,
            arm=question.arm or question.variant,
            city=question.city,
            event_ids=(),
            latency_ms=0.0,
            experiment_id=choice.experiment_id,
            is_exposure=True,
            created_at=now,
            experiments=choice.counted,
            has_failed=True,
        )
        self._queue.put_exposures([failure])

    def _limit(self, asked: int | None) -> int:
        if asked is None:
            return self._settings.default_recommendation_count
        return min(asked, self._settings.max_recommendation_count)

    def _variant(self, asked: str | None) -> str:
        return self._settings.default_variant if asked is None else variant_named(asked)


def of_context(context: TasteSignals | None) -> tuple[Stated, ...]:
    """What the caller says of a person's taste."""
    if context is None:
        return ()
    return tuple(chain.from_iterable(of_signal(*signal) for signal in context.by_field()))

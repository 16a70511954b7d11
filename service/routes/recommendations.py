"""POST /v1/recommendations."""

from collections.abc import Callable, Sequence
from itertools import chain
from time import perf_counter
from typing import NamedTuple

from aiohttp import web
from msgspec import Raw

from service.direct import Arrived, Step
from service.errors import RequestError
from service.experiments.assignment import NO_CHOICE, Choice
from service.experiments.live import LiveExperiments
from service.identity import Credentials, subject_of
from service.live.state import LiveState
from service.live.statements import Stated, of_signal
from service.metrics import Metrics
from service.recommending.arms import ARMS
from service.recommending.asking import (
    Found,
    Question,
    Ranked,
    Reply,
    answer_question,
    complete,
    find,
    rank,
    usual_arrangement,
    variant_named,
)
from service.recommending.encoding import Encoder
from service.recommending.identifiers import RecommendationIds
from service.routes.bodies import read_body
from service.serving import Serving
from service.settings import Settings, SettingsError
from service.storage.queue import DurableQueue
from service.storage.queue_entries import ExposureEntry
from service.wire import RecommendationRequest, TasteSignals, decode


class _Asked(NamedTuple):
    """A request that has taken the first step."""

    at: float  #: the perf_counter reading when it arrived
    now: float  #: unix seconds
    state: LiveState
    question: Question
    choice: Choice
    found: Found
    counts: bool  #: whether experiments count the answer


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
        user_id = subject_of(request.headers, body.user_id, self._credentials).user_id
        now = self._clock()
        choice = await self._choice(body, user_id, now)
        state = self._serving.state
        question = self._question(body, user_id, choice)
        try:
            reply = answer_question(state, self._encoder, question, self._ids.new(now), now, started)
        except Exception as error:
            if _counts(body) and not isinstance(error, RequestError):
                self._count_failure(state, question, choice, now)
            raise
        is_heard = request.transport is not None and not request.transport.is_closing()
        self._account(state, question, choice, reply, now, is_exposure=_counts(body) and is_heard)
        return web.Response(body=reply.body, content_type="application/json")

    @property
    def steps(self) -> Sequence[Step]:
        """The short way of a request (`service.direct`) to the pieces of an answer.

        It waits for nothing, and fails where `recommend` does; only the last step leaves a trace.
        """
        return self._understand, self._rank, self._complete

    def _understand(self, request: Arrived) -> "_Asked | None":
        """The request, and what there is for it; None when experiments have to ask their store."""
        body = decode(RecommendationRequest, request.body)
        user_id = subject_of(request.headers, body.user_id, self._credentials).user_id
        now = self._clock()
        choice = self._choice_at_once(body, user_id, now)
        if choice is None:
            return None
        state = self._serving.state
        question = self._question(body, user_id, choice)
        found = find(state, question, now)
        return _Asked(request.at, now, state, question, choice, found, _counts(body))

    def _rank(self, asked: "_Asked") -> "tuple[_Asked, Ranked]":
        return asked, rank(asked.state, self._encoder, asked.question, asked.found, asked.now)

    def _complete(self, both: "tuple[_Asked, Ranked]") -> Sequence[bytes]:
        asked, ranked = both
        state, question, now = asked.state, asked.question, asked.now
        reply = complete(state, question, asked.found, ranked, self._ids.new(now), asked.at)
        self._account(state, question, asked.choice, reply, now, is_exposure=asked.counts)
        return reply.pieces

    def _question(self, body: RecommendationRequest, user_id: str | None, choice: Choice) -> Question:
        variant = self._variant(body.variant)
        return Question(
            user_id=user_id,
            city=body.city,
            limit=self._limit(body.limit or choice.limit),
            variant=choice.variant or variant,
            exclude_event_ids=tuple(body.exclude_event_ids),
            arm=choice.arm or variant,
            experiment=choice.told,
            limits=body.limits(),
            offset=body.offset,
            liked_event_ids=tuple(body.liked_event_ids),
            statements=of_context(body.context),
            arrangement=body.arrangement(self._usual),
        )

    def _account(
        self,
        state: LiveState,
        question: Question,
        choice: Choice,
        reply: Reply,
        now: float,
        *,
        is_exposure: bool,
    ) -> None:
        """Count an answer, and hand over who was shown what."""
        self._expose(state, question, choice, reply, now, is_exposure)
        self._serving.count(reply.latency_ms)
        self._metrics.count_answer(state.version, question.variant)
        personal, filled = reply.n_personal, reply.n - reply.n_personal
        if personal:
            algorithm = question.algorithm
            self._metrics.count_recommended(state.version, question.variant, algorithm, personal)
        if filled:
            self._metrics.count_recommended(state.version, question.variant, "popularity", filled)

    def _choice_at_once(self, body: RecommendationRequest, user_id: str | None, now: float) -> Choice | None:
        """What experiments say about this answer; None when that takes a look at their store."""
        if body.variant is not None or user_id is None:
            return NO_CHOICE
        return self._experiments.choose_at_once(user_id, now)

    async def _choice(self, body: RecommendationRequest, user_id: str | None, now: float) -> Choice:
        """The same; it waits only for people whose bucket has moved."""
        at_once = self._choice_at_once(body, user_id, now)
        if at_once is not None or user_id is None:
            return at_once or NO_CHOICE
        return await self._experiments.choose(user_id, now)

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
            arm=question.algorithm,
            city=question.city,
            event_ids=Raw(reply.event_ids),
            num_recommendations=reply.n,
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
            arm=question.algorithm,
            city=question.city,
            event_ids=Raw(b"[]"),
            num_recommendations=0,
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


def _counts(body: RecommendationRequest) -> bool:
    """Whether experiments count the answer to a request, or its failure."""
    return body.variant is None and not body.internal


def of_context(context: TasteSignals | None) -> tuple[Stated, ...]:
    """What the caller says of a person's taste."""
    if context is None:
        return ()
    return tuple(chain.from_iterable(of_signal(*signal) for signal in context.by_field()))

"""The bodies of answers, as types.

The request's way writes its bytes itself, for speed; these types document it, and its tests decode into them.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class ErrorAnswer(Struct):
    """Every error. ``request_id`` is there when the cause is in the service's own log."""

    detail: str
    request_id: str | None = None


class RankReason(Struct):
    """One bar of the client's chart, of a kind of ``core.reasons.Part`` in lower case.

    The weights of an event's reasons add up to its score.
    """

    type: str
    weight: float


class Because(Struct):
    """A past event of the person's own, with what it added to the score, absolute and as a share of it.

    Only events that speak for the recommendation are named.
    """

    event_id: str
    title: str
    weight: float
    share: float


class BecauseOther(Struct):
    """What the person's events that are not listed in ``because`` added together.

    The weights of both add up to the ``collaborative`` part of the score. This one is below 0 where the events that
    speak against the recommendation outweigh the rest, as some do in matrix factorisation; the listed shares can then
    be above 1.
    """

    events: int
    weight: float
    share: float


class EventMetadata(Struct):
    """The event as the first version of this API described it."""

    event_name: str
    venue: str | None
    date: str
    genre: str | None


class Event(Struct):
    """What every answer says about an event, under all the names that the documentation and the clients use."""

    event_id: str
    id: str
    title: str
    event_name: str
    start_time: str
    date: str
    end_time: str | None
    venue_name: str | None
    city: str | None
    ticket_url: str | None
    images: list[Any]
    genre: str | None
    genres: list[str]
    price: float | None
    metadata: EventMetadata


class Recommendation(Event):
    """One event, with everything that either the documentation or a client of this API names.

    ``score`` and ``rank_score`` are in 0…1. ``algorithm`` is the arm that chose the event, or ``popularity`` where it
    knew no more. ``because`` explains the ``collaborative`` part of the score by the person's past events; ``reason``
    says the greatest part in words. ``neighbours`` counts the people behind the score; it is null
    when there are fewer than three of them, so that nobody can be singled out.
    """

    score: float
    rank_score: float
    confidence: float
    reason: str
    rank_reasons: list[RankReason]
    algorithm: str
    because: list[Because]
    because_other: BecauseOther | None
    neighbours: int | None


class ListedEvent(Event):
    """One event of a list for everybody; ``score`` is in 0…1, or null where the order is one of times."""

    score: float | None


class EventsAnswer(Struct):
    """A page of a list: ``count`` events of ``total``, from ``offset`` on.

    ``notice`` says when the answer is not quite what was asked for, such as events elsewhere.
    """

    events: list[ListedEvent]
    count: int
    total: int
    offset: int
    notice: str | None
    model_version: str
    latency_ms: float


class AnswerExperiment(Struct):
    """The experiment that chose how to answer, the variant it chose, and by which version of its map."""

    experiment_id: str
    variant: str
    map_version: int


class RecommendationAnswer(Struct):
    """The answer to one recommendation request; its id joins later feedback to what was shown.

    ``notice`` says when the answer is not quite what was asked for, such as events elsewhere.
    """

    recommendation_id: str
    user_id: str | None
    recommendations: list[Recommendation]
    model_version: str | None
    variant: str
    ab_experiment: AnswerExperiment | None
    notice: str | None
    latency_ms: float


class BatchAnswer(Struct):
    """The answers for many people, in the order they were named, each once. Their ids are not stored."""

    results: list[RecommendationAnswer]
    count: int
    latency_ms: float


class FeedbackAnswer(Struct):
    """The feedback is durable."""

    status: Literal["success"]
    message: str


class FeedbackBatchAnswer(Struct):
    """All of the feedback is durable."""

    status: Literal["success"]
    message: str
    recorded: int


class ModelInfoAnswer(Struct):
    """The model that serves now, and what this process has served with it."""

    model_version: str
    last_trained: str
    data_cutoff: str | None
    training_samples: int
    validation_metrics: dict[str, float]
    variants: list[str]
    prediction_count: int
    avg_latency_ms: float


class ModelVersionAnswer(Struct):
    """A model on disk; `problem` says why its manifest cannot be trusted, and the rest is not known then.

    `validation` has every arm's measures with their intervals, and those of the model that served when it was trained;
    `gate` says which that was, and what was overruled to publish this one.
    """

    model_version: str
    trained_at: str | None = None
    training_samples: int | None = None
    validation_metrics: dict[str, float] | None = None
    validation: dict[str, Any] | None = None
    gate: dict[str, Any] | None = None
    problem: str | None = None


class RefusedModelAnswer(Struct):
    """A training whose model was not published, and why; `validation` as of a model, if it came to one."""

    model_version: str
    refused_at: str | None
    reasons: list[str]
    training_samples: int
    validation: dict[str, Any] | None = None


class ModelVersionsAnswer(Struct):
    """The models on disk, the newest first: the one that is published, and the one that this process serves with.

    `refused` are the last trainings that published nothing because of what they found.
    """

    published: str | None
    serving: str | None
    versions: list[ModelVersionAnswer]
    refused: list[RefusedModelAnswer]


class ModelRolledBackAnswer(Struct):
    """An earlier model is published again; every process takes it over within seconds."""

    status: Literal["success"]
    model_version: str
    replaced: str | None


class RetrainedMetrics(Struct):
    """What a training saw, how long it took and how good its model is."""

    training_samples: int
    training_duration_seconds: float
    validation_metrics: dict[str, float]


class RetrainedAnswer(Struct):
    """A training is done. `kept` says why none was needed; the model is the one from before then."""

    status: Literal["success"]
    model_version: str
    metrics: RetrainedMetrics | None = None
    kept: str | None = None


class JobAnswer(Struct):
    """A training that was started: `reason` says why it did not succeed, `result` what it led to."""

    job_id: str
    status: Literal["running", "success", "refused", "busy", "failed"]
    reason: str | None = None
    result: RetrainedAnswer | None = None


class HealthAnswer(Struct):
    """The process is alive; this says nothing of whether it should get traffic."""

    status: Literal["healthy"]
    service: Literal["ml-service"]
    model_version: str | None
    model_loaded: bool
    timestamp: str


class ReadyAnswer(Struct):
    """Whether the process should get traffic, and from what it serves: the live data or the last snapshot."""

    status: Literal["ready", "not_ready"]
    model_version: str | None
    database: Literal["connected", "away"]
    serving_from: Literal["database", "snapshot", "nothing"]
    data_age_seconds: float | None
    problems: list[str]


class FeedbackRecord(Struct):
    """One stored action of a person; times are ISO 8601, UTC."""

    event_id: str
    action: str
    context: dict[str, Any] | None
    recommendation_id: str | None
    created_at: str | None


class PredictionRecord(Struct):
    """One stored answer to a person: what was shown, from first to last position, and how it came about."""

    recommendation_id: str | None
    model_version: str | None
    variant: str | None
    arm: str | None
    city: str | None
    event_ids: list[str] | None
    num_recommendations: int
    latency_ms: float | None
    experiment_id: str | None
    is_exposure: bool
    created_at: str | None


class CachedRecord(Struct):
    """One answer that the site's former service kept for a person."""

    cache_key: str
    recommendations: Any
    model_version: str | None
    created_at: str | None
    expires_at: str | None


class ExperimentRecord(Struct):
    """What one person was shown and did in one experiment, counted."""

    experiment_id: str
    variant: str
    exposures: int
    clicks: int
    saves: int
    hides: int
    errors: int
    assigned_at: str | None
    seen_at: str | None


class UserDataAnswer(Struct):
    """All that this service owns about a person; ``erased_at`` is when they were last erased, if ever."""

    user_id: str
    feedback: list[FeedbackRecord]
    predictions: list[PredictionRecord]
    cached: list[CachedRecord]
    experiments: list[ExperimentRecord]
    erased_at: str | None


class UserErasedAnswer(Struct):
    """The person is erased; ``erased_rows`` is how many rows that took, but for those that draining erased first.

    ``pending`` when the database is away: it forgets them as soon as it is back, this service at once.
    """

    status: Literal["success", "pending"]
    user_id: str
    erased_rows: int

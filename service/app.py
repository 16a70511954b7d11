"""The composition root: from settings and collaborators to the application. Nothing else builds anything."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version as distribution_version
from typing import Any

from aiohttp import web

from service.cors import cors_middleware
from service.direct import DIRECT, DirectRoute
from service.docs_page import docs_routes
from service.errors import BadRequestError, ConflictError, NotFoundError, UnavailableError, error_middleware
from service.experiments.admin import ExperimentAdmin
from service.experiments.counted import CountedPeople
from service.experiments.errors import DefinitionError, TransitionError, UnknownExperimentError
from service.experiments.live import LiveExperiments
from service.experiments.results.summary import summarise
from service.experiments.shipping import Shipper
from service.experiments.standing import standing_experiment
from service.experiments.stores import ExperimentStore
from service.experiments.stores.sql import SQLStore
from service.identity import Credentials
from service.jobs import JobFiles
from service.live.keeper import REMOVALS_SECONDS, Keeper
from service.live.retention import Retention
from service.metrics import Metrics, metrics_handler, metrics_middleware
from service.models import ModelRegistry
from service.openapi import ROUTES, build_openapi
from service.openapi_experiments import EXPERIMENT_ROUTES
from service.openapi_lists import LIST_ROUTES
from service.recommending.arms import ARMS
from service.retraining import Retraining
from service.routes.batches import BatchRoutes
from service.routes.experiments import ExperimentRoutes, StoreAwayError
from service.routes.feedback import FeedbackRoutes
from service.routes.lists import ListRoutes
from service.routes.models import ModelRoutes
from service.routes.operation import OperationRoutes
from service.routes.people import PeopleRoutes
from service.routes.recommendations import RecommendationRoutes
from service.serving import Serving
from service.settings import Settings
from service.storage.database import Database
from service.storage.draining import Drainer
from service.storage.errors import StorageUnavailable
from service.storage.queue import DurableQueue
from service.storage.queue_entries import KeyReusedError, QueueFullError, QueueUnavailableError
from service.storage.snapshot import SnapshotFile
from service.tasks import end_tasks
from service.workers import WorkerFigures

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the application works with and does not make itself; a test may pass another of each."""

    database: Database
    registry: ModelRegistry
    queue: DurableQueue | None  #: None when its disk cannot be used: feedback is refused then, nothing else
    snapshot: SnapshotFile | None  #: None where the database is a file of this machine itself
    clock: Callable[[], float]  #: unix seconds
    experiments: ExperimentStore | None = None  #: None where they are kept in `database`


def build_app(
    settings: Settings,
    parts: Collaborators,
    worker: int | None = None,
    removals_seconds: float = REMOVALS_SECONDS,
) -> web.Application:
    """The application of one process. Its lifetimes begin when the runner sets it up.

    `worker` is its number where several share the port, None where it is the only one; `removals_seconds` lie between
    two looks for saves and hides that were taken back.
    """
    credentials = Credentials(settings.jwt_secret, settings.jwt_leeway_seconds, settings.api_key)
    serving, metrics = Serving(), Metrics()
    keeper = Keeper(
        serving,
        parts.registry,
        parts.database,
        parts.queue,
        parts.snapshot,
        metrics,
        settings.poll_seconds,
        parts.clock,
        removals_seconds,
    )
    store = parts.experiments or SQLStore(parts.database, settings.poll_seconds)
    experiments = LiveExperiments(
        store, settings.craic_home / "experiments.json", standing_experiment(settings), ARMS, parts.clock
    )
    recommendations = RecommendationRoutes(
        serving, settings, credentials, metrics, parts.queue, experiments, parts.clock
    )
    batches = BatchRoutes(serving, settings, credentials, parts.clock)
    lists = ListRoutes(serving, settings, parts.clock)
    admin = ExperimentAdmin(store, ARMS, parts.clock)
    counted = CountedPeople(store, parts.queue)
    trials = ExperimentRoutes(counted, admin, experiments, summarise, credentials)
    feedback = FeedbackRoutes(parts.queue, keeper, credentials, metrics, parts.clock)
    people = PeopleRoutes(parts.database, parts.queue, keeper, counted, experiments, credentials, parts.clock)
    operation = OperationRoutes(serving, keeper.readiness, parts.clock)
    retraining = Retraining(JobFiles(settings.craic_home / "jobs"))
    models = ModelRoutes(
        serving, parts.registry, parts.database, keeper, retraining, credentials, parts.clock
    )
    figures = None
    if worker is not None:
        figures = WorkerFigures(settings.craic_home / "metrics", worker, metrics.render)

    app = web.Application(
        middlewares=[
            metrics_middleware(metrics),
            *([cors_middleware(settings.cors_origins)] if settings.cors_origins else []),
            error_middleware(
                {
                    KeyReusedError: ConflictError,
                    QueueFullError: UnavailableError,
                    QueueUnavailableError: UnavailableError,
                    DefinitionError: BadRequestError,
                    UnknownExperimentError: NotFoundError,
                    TransitionError: ConflictError,
                    StorageUnavailable: StoreAwayError,
                }
            ),
        ],
        client_max_size=settings.max_body_bytes,
    )
    path = "/v1/recommendations"
    app[DIRECT] = DirectRoute(
        path, recommendations.steps, metrics, settings.max_body_bytes, settings.cors_origins
    )
    app.add_routes(
        [
            web.post(path, recommendations.recommend),
            web.post("/v1/recommendations/batch", batches.recommend),
            web.get("/v1/events/popular", lists.popular),
            web.get("/v1/events/upcoming", lists.upcoming),
            web.get("/v1/events/latest", lists.latest),
            web.get("/v1/events/{event_id}/similar", lists.similar),
            web.post("/v1/feedback", feedback.record),
            web.post("/v1/feedback/batch", feedback.record_batch),
            web.get("/v1/model/info", operation.model_info),
            web.get("/v1/model/versions", models.versions),
            web.post("/v1/model/rollback", models.roll_back),
            web.post("/v1/model/retrain", models.retrain),
            web.get("/v1/model/jobs/{job_id}", models.job),
            *_experiment_routes(trials),
            web.get("/v1/users/{user_id}/data", people.export),
            web.delete("/v1/users/{user_id}", people.erase),
            web.get("/health", operation.health),
            web.get("/ready", operation.ready),
            web.get("/metrics", metrics_handler(metrics.render if figures is None else figures.render_all)),
            *docs_routes(
                build_openapi(
                    (*ROUTES, *LIST_ROUTES, *EXPERIMENT_ROUTES), distribution_version("whatsthecraic-ml")
                )
            ),
        ]
    )
    app.cleanup_ctx.append(_for_life(keeper.running))
    app.cleanup_ctx.append(_for_life(experiments.running))
    app.cleanup_ctx.append(_for_life(retraining.running))
    if parts.queue is not None:
        _watch(parts.queue, metrics)
        app.cleanup_ctx.append(_in_background(Drainer(parts.queue, parts.database).run))
        app.cleanup_ctx.append(_in_background(Shipper(parts.queue, store).run))
    if figures is not None:
        app.cleanup_ctx.append(_in_background(figures.run))
    retention = Retention(parts.database, settings.prediction_retention_days, parts.clock)
    app.cleanup_ctx.append(_in_background(retention.run))
    return app


def _experiment_routes(routes: ExperimentRoutes) -> list[web.RouteDef]:
    one = "/v1/experiments/{experiment_id}"
    return [
        web.get("/v1/experiments", routes.list_all),
        web.post("/v1/experiments", routes.create),
        web.post("/v1/experiments/plan", routes.plan),
        web.get(one, routes.show),
        web.patch(one, routes.change),
        web.post(f"{one}/start", routes.start),
        web.post(f"{one}/pause", routes.pause),
        web.post(f"{one}/complete", routes.complete),
        web.get(f"{one}/results", routes.results),
        web.get(f"{one}/export", routes.export),
    ]


def _watch(queue: DurableQueue, metrics: Metrics) -> None:
    metrics.watch("exposures_lost", "Exposures that could not be kept", lambda: queue.exposures_lost)


def _for_life(
    running: Callable[[], AbstractAsyncContextManager[None]],
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(app: web.Application) -> AsyncIterator[None]:
        async with running():
            yield

    return context


def _in_background(
    work: Callable[[], Coroutine[Any, Any, None]],
) -> Callable[[web.Application], AsyncIterator[None]]:
    """A task that runs as long as the application does."""

    async def told() -> None:
        try:
            await work()
        except Exception:
            logger.exception("a task in the background ended")

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        task = asyncio.create_task(told())
        try:
            yield
        finally:
            await end_tasks([task])

    return _for_life(running)

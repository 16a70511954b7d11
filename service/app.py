"""The composition root: from settings and collaborators to the application. Nothing else builds anything."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.metadata import version as distribution_version

from aiohttp import web

from service.docs_page import docs_routes
from service.errors import error_middleware
from service.identity import Credentials
from service.live.keeper import Keeper
from service.metrics import Metrics, metrics_handler, metrics_middleware
from service.models import ModelRegistry
from service.openapi import ROUTES, build_openapi
from service.routes.operation import OperationRoutes
from service.routes.recommendations import RecommendationRoutes
from service.serving import Serving
from service.settings import Settings
from service.storage.database import Database

KEEPER = web.AppKey("keeper", Keeper)


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the application works with and does not make itself; a test may pass another of each."""

    database: Database
    registry: ModelRegistry
    clock: Callable[[], float]  #: unix seconds


def build_app(settings: Settings, collaborators: Collaborators) -> web.Application:
    """The application of one process. Its lifetimes begin when the runner sets it up."""
    credentials = Credentials(settings.jwt_secret, settings.jwt_leeway_seconds, settings.api_key)
    serving, metrics = Serving(), Metrics()
    keeper = Keeper(collaborators.database, collaborators.registry, serving, metrics, collaborators.clock)
    recommendations = RecommendationRoutes(serving, settings, credentials, metrics, collaborators.clock)
    operation = OperationRoutes(serving, keeper.readiness, collaborators.clock)

    app = web.Application(
        middlewares=[metrics_middleware(metrics), error_middleware()],
        client_max_size=settings.max_body_bytes,
    )
    app[KEEPER] = keeper
    app.cleanup_ctx.append(_keeping)
    app.add_routes(
        [
            web.post("/v1/recommendations", recommendations.recommend),
            web.get("/v1/model/info", operation.model_info),
            web.get("/health", operation.health),
            web.get("/ready", operation.ready),
            web.get("/metrics", metrics_handler(metrics)),
            *docs_routes(build_openapi(ROUTES, distribution_version("whatsthecraic-ml"))),
        ]
    )
    return app


async def _keeping(app: web.Application) -> AsyncIterator[None]:
    async with app[KEEPER].running():
        yield

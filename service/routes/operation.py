"""GET /health, /ready and /v1/model/info."""

from collections.abc import Callable

from aiohttp import web

from service.answers import HealthAnswer, ModelInfoAnswer, ReadyAnswer
from service.live.event import iso
from service.recommending.arms import ARMS
from service.routes.json import json_answer
from service.serving import Serving


class OperationRoutes:
    """Handlers for those who run the service."""

    def __init__(
        self, serving: Serving, readiness: Callable[[], ReadyAnswer], clock: Callable[[], float]
    ) -> None:
        self._serving = serving
        self._readiness = readiness
        self._clock = clock

    async def health(self, request: web.Request) -> web.Response:
        """Whether the process is alive."""
        state = self._serving.current
        version = state.version if state else None
        return json_answer(
            HealthAnswer("healthy", "ml-service", version, state is not None, iso(self._clock()))
        )

    async def ready(self, request: web.Request) -> web.Response:
        """Whether the process should get traffic: 200, or 503 with what is missing."""
        answer = self._readiness()
        return json_answer(answer, 200 if answer.status == "ready" else 503)

    async def model_info(self, request: web.Request) -> web.Response:
        """The model in use and what this process has answered with it."""
        serving = self._serving
        version, facts = serving.state.version, serving.facts
        return json_answer(
            ModelInfoAnswer(
                model_version=version,
                last_trained=iso(facts["trained_at"]),
                data_cutoff=iso(facts["cutoff"]),
                training_samples=facts["training_samples"],
                validation_metrics=facts["validation_metrics"],
                variants=list(ARMS),
                prediction_count=serving.answers,
                avg_latency_ms=serving.latency_ms / serving.answers if serving.answers else 0.0,
            )
        )

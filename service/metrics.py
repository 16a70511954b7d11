"""What this process counts and measures, in Prometheus's text format."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

M = TypeVar("M", Counter, Histogram)

# Seconds. An answer takes about a millisecond, so the fine steps are below that.
BUCKETS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0)

UNMATCHED = "unmatched"  # a path without a route; its text would let a stranger create endless series


class _Series(dict[tuple[str | int, ...], M]):
    """The series of one metric by the values of their labels, each made when it is first asked for.

    prometheus_client's own ``labels`` takes longer than the counting that follows.
    """

    def __init__(self, metric: M) -> None:
        super().__init__()
        self.metric: M = metric

    def __missing__(self, labels: tuple[str | int, ...]) -> M:
        series: M = self.metric.labels(*labels)
        self[labels] = series
        return series

    def forget(self, is_old: Callable[[tuple[str | int, ...]], bool]) -> None:
        for labels in [labels for labels in self if is_old(labels)]:
            del self[labels]
            self.metric.remove(*labels)


class Metrics:
    """The metrics of one application in a registry of its own, so that two applications never share a figure.

    All methods belong to the event loop's thread.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = self._counter(
            "requests", "Requests answered, whatever the status", "endpoint", "method", "status"
        )
        self._answers = self._counter(
            "recommendation_answers", "Recommendation requests answered", "model_version", "variant"
        )
        self._recommended = self._counter(
            "recommended_events",
            "Events in those answers, by the algorithm that put them there",
            *("model_version", "variant", "algorithm"),
        )
        self._feedback = self._counter("feedback", "Feedback recorded durably", "action")
        self._latency = _Series(
            Histogram(
                "ml_service_latency_seconds",
                "Time from the request's headers to its answer, whatever the status",
                ("endpoint",),
                buckets=BUCKETS,
                registry=self.registry,
            )
        )
        self._model = Gauge(
            "ml_service_model_info", "1 for the model that serves", ("model_version",), registry=self.registry
        )
        self._trained = Gauge(
            "ml_service_model_trained_timestamp_seconds",
            "When the model that serves was trained",
            registry=self.registry,
        )
        self._versions: tuple[str, ...] = ()

    def _counter(self, name: str, description: str, *labels: str) -> _Series[Counter]:
        return _Series(Counter(f"ml_service_{name}", description, labels, registry=self.registry))

    def observe_request(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Count one answer to a request for the route ``endpoint`` (its pattern, not the path)."""
        self._requests[endpoint, method, status].inc()
        self._latency[(endpoint,)].observe(seconds)

    def count_answer(self, model_version: str, variant: str) -> None:
        """Count one answer of recommendations, also an empty one."""
        self._answers[model_version, variant].inc()

    def count_recommended(self, model_version: str, variant: str, algorithm: str, events: int) -> None:
        """Count ``events`` recommended events that ``algorithm`` contributed to an answer of ``variant``."""
        self._recommended[model_version, variant, algorithm].inc(events)

    def count_feedback(self, action: str, times: int = 1) -> None:
        """Count feedback once it is durable."""
        self._feedback[(action,)].inc(times)

    def set_model(self, version: str, trained_at: float) -> None:
        """Say which model serves now; ``trained_at`` in seconds since 1970, UTC.

        Series of models older than the one before it are dropped: a process may live through hundreds.
        """
        self._model.clear()
        self._model.labels(version).set(1)
        self._trained.set(trained_at)
        before = [known for known in self._versions if known != version]
        self._versions = (*before[-1:], version)
        self._answers.forget(lambda labels: labels[0] not in self._versions)
        self._recommended.forget(lambda labels: labels[0] not in self._versions)

    def watch(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Add the gauge ``ml_service_<name>`` whose value is ``read()`` at the time of the scrape.

        For what others own and know: queue depth, age of the catalogue, open events.
        """
        Gauge(f"ml_service_{name}", description, registry=self.registry).set_function(read)

    def render(self) -> bytes:
        """Everything, in Prometheus's text format (UTF-8)."""
        return generate_latest(self.registry)


def metrics_middleware(metrics: Metrics) -> Middleware:
    """Build the middleware that observes every answer; it must be the outermost, to see the final status."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        status = 500
        try:
            response = await handler(request)
            status = response.status
            return response
        except web.HTTPException as error:  # a redirect; errors were answered further inside
            status = error.status
            raise
        finally:
            resource = request.match_info.route.resource
            endpoint, method = UNMATCHED, UNMATCHED
            if resource is not None:
                endpoint, method = resource.canonical, request.method
            metrics.observe_request(endpoint, method, status, time.perf_counter() - started)

    return observe


def metrics_handler(render: Callable[[], bytes]) -> Handler:
    """Build the handler of GET /metrics, which answers with what ``render`` gives."""

    async def get_metrics(request: web.Request) -> web.StreamResponse:
        return web.Response(body=render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return get_metrics

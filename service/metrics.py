"""What this process counts and measures, in Prometheus's text format."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Gauge, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str | int, ...]

# Seconds. An answer takes about a millisecond, so the fine steps are below that.
BUCKETS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0)

UNMATCHED = "unmatched"  # a path without a route; its text would let a stranger create endless series


class _Counts(Collector):
    """A counter by labels. Plain numbers, made into Prometheus's at a scrape.

    prometheus_client's own counter takes a lock and several calls for each increment, which all belong to one thread.
    """

    def __init__(self, name: str, description: str, labels: tuple[str, ...]) -> None:
        self._described = name, description, labels
        self._counts: dict[Labels, int] = {}

    def add(self, labels: Labels, times: int = 1) -> None:
        self._counts[labels] = self._counts.get(labels, 0) + times

    def forget(self, is_old: Callable[[Labels], bool]) -> None:
        self._counts = {labels: count for labels, count in self._counts.items() if not is_old(labels)}

    def collect(self) -> Iterator[Metric]:
        name, description, names = self._described
        family = CounterMetricFamily(name, description, labels=names)
        for labels, count in self._counts.items():
            family.add_metric([*map(str, labels)], count)
        yield family


class _Durations(Collector):
    """A histogram of seconds by labels, kept as `_Counts` are."""

    def __init__(self, name: str, description: str, labels: tuple[str, ...]) -> None:
        self._described = name, description, labels
        self._steps: dict[Labels, list[int]] = {}  #: how many fell between the bucket before and each
        self._sums: dict[Labels, float] = {}

    def observe(self, labels: Labels, seconds: float) -> None:
        steps = self._steps.get(labels)
        if steps is None:
            steps, self._sums[labels] = self._steps.setdefault(labels, [0] * (len(BUCKETS) + 1)), 0.0
        steps[bisect_left(BUCKETS, seconds)] += 1
        self._sums[labels] += seconds

    def collect(self) -> Iterator[Metric]:
        name, description, names = self._described
        family = HistogramMetricFamily(name, description, labels=names)
        bounds = [*map(floatToGoString, BUCKETS), "+Inf"]
        for labels, steps in self._steps.items():
            buckets = list(zip(bounds, map(float, accumulate(steps)), strict=True))
            family.add_metric([*map(str, labels)], buckets, self._sums[labels])
        yield family


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
        self._latency = _Durations(
            "ml_service_latency_seconds",
            "Time from the request's headers to its answer, whatever the status",
            ("endpoint",),
        )
        self.registry.register(self._latency)
        self._model = Gauge(
            "ml_service_model_info", "1 for the model that serves", ("model_version",), registry=self.registry
        )
        self._trained = Gauge(
            "ml_service_model_trained_timestamp_seconds",
            "When the model that serves was trained",
            registry=self.registry,
        )
        self._versions: tuple[str, ...] = ()

    def _counter(self, name: str, description: str, *labels: str) -> _Counts:
        counts = _Counts(f"ml_service_{name}", description, labels)
        self.registry.register(counts)
        return counts

    def observe_request(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Count one answer to a request for the route ``endpoint`` (its pattern, not the path)."""
        self._requests.add((endpoint, method, status))
        self._latency.observe((endpoint,), seconds)

    def count_answer(self, model_version: str, variant: str) -> None:
        """Count one answer of recommendations, also an empty one."""
        self._answers.add((model_version, variant))

    def count_recommended(self, model_version: str, variant: str, algorithm: str, events: int) -> None:
        """Count ``events`` recommended events that ``algorithm`` contributed to an answer of ``variant``."""
        self._recommended.add((model_version, variant, algorithm), events)

    def count_feedback(self, action: str, times: int = 1) -> None:
        """Count feedback once it is durable."""
        self._feedback.add((action,), times)

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

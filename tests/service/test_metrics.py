import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from service.errors import BadRequestError, error_middleware
from service.metrics import Metrics, metrics_handler, metrics_middleware


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((f"ml_service_{name}", frozenset(labels.items())))


def application(metrics: Metrics) -> web.Application:
    async def handle(request: web.Request) -> web.Response:
        match request.match_info.get("what"):
            case "bad":
                raise BadRequestError("no")
            case "broken":
                raise RuntimeError("no")
            case "moved":
                raise web.HTTPFound("/elsewhere")
        return web.Response()

    app = web.Application(middlewares=[metrics_middleware(metrics), error_middleware()])
    app.router.add_get("/metrics", metrics_handler(metrics.render))
    app.router.add_get("/things/{what}", handle)
    return app


@pytest.mark.parametrize(
    ("what", "status"), [("good", "200"), ("bad", "400"), ("broken", "500"), ("moved", "302")]
)
async def test_every_answer_is_counted_and_timed_whatever_its_status(aiohttp_client, what, status):
    metrics = Metrics()
    client = await aiohttp_client(application(metrics))

    await client.get(f"/things/{what}", allow_redirects=False)

    assert value(metrics, "requests_total", endpoint="/things/{what}", method="GET", status=status) == 1
    assert value(metrics, "latency_seconds_count", endpoint="/things/{what}") == 1
    assert value(metrics, "latency_seconds_bucket", endpoint="/things/{what}", le="+Inf") == 1


async def test_paths_without_a_route_share_one_series_so_that_no_one_can_make_endless_ones(aiohttp_client):
    metrics = Metrics()
    client = await aiohttp_client(application(metrics))

    for path in ("/a", "/b", "/c?d=e"):
        await client.get(path)
    await client.delete("/things/good")

    assert value(metrics, "requests_total", endpoint="unmatched", method="unmatched", status="404") == 3
    assert value(metrics, "requests_total", endpoint="unmatched", method="unmatched", status="405") == 1


async def test_an_error_that_nothing_inside_answered_is_counted_as_500(aiohttp_client):
    async def fail(request: web.Request) -> web.Response:
        raise RuntimeError("no")

    metrics = Metrics()
    app = web.Application(middlewares=[metrics_middleware(metrics)])
    app.router.add_get("/fail", fail)
    client = await aiohttp_client(app)

    await client.get("/fail")

    assert value(metrics, "requests_total", endpoint="/fail", method="GET", status="500") == 1


async def test_the_figures_are_served_in_prometheus_text_format(aiohttp_client):
    metrics = Metrics()
    client = await aiohttp_client(application(metrics))

    response = await client.get("/metrics")

    assert response.content_type == "text/plain"
    assert "version=" in response.headers["Content-Type"]
    assert "process_resident_memory_bytes" in await response.text()


def test_latency_falls_into_buckets_that_tell_a_quarter_from_half_a_millisecond():
    metrics = Metrics()
    for seconds in (0.0002, 0.0004, 0.7, 3.0):
        metrics.observe_request("/x", "GET", 200, seconds)

    def at_most(bound: str) -> float | None:
        return value(metrics, "latency_seconds_bucket", endpoint="/x", le=bound)

    assert [at_most(bound) for bound in ("0.00025", "0.0005", "0.5", "1.0", "+Inf")] == [1, 2, 2, 3, 4]
    assert value(metrics, "latency_seconds_sum", endpoint="/x") == pytest.approx(3.7006)


def test_answers_and_events_are_counted_by_model_variant_and_algorithm():
    metrics = Metrics()
    metrics.count_answer("m1", "hybrid")
    metrics.count_answer("m1", "hybrid")
    metrics.count_recommended("m1", "hybrid", "popularity", 3)
    metrics.count_recommended("m1", "hybrid", "collaborative_filtering", 17)
    metrics.count_recommended("m1", "hybrid", "popularity", 2)

    assert value(metrics, "recommendation_answers_total", model_version="m1", variant="hybrid") == 2
    events = {"model_version": "m1", "variant": "hybrid"}
    assert value(metrics, "recommended_events_total", algorithm="popularity", **events) == 5
    assert value(metrics, "recommended_events_total", algorithm="collaborative_filtering", **events) == 17


def test_feedback_is_counted_by_action():
    metrics = Metrics()
    metrics.count_feedback("save")
    metrics.count_feedback("hide", 4)

    assert value(metrics, "feedback_total", action="save") == 1
    assert value(metrics, "feedback_total", action="hide") == 4


def test_only_the_model_that_serves_has_an_info_series():
    metrics = Metrics()
    metrics.set_model("m1", 1000.0)
    metrics.set_model("m2", 2000.0)

    assert value(metrics, "model_info", model_version="m1") is None
    assert value(metrics, "model_info", model_version="m2") == 1
    assert value(metrics, "model_trained_timestamp_seconds") == 2000


def test_series_of_a_model_are_kept_until_two_others_came_after_it():
    metrics = Metrics()

    def counted() -> list[float | None]:
        return [
            value(metrics, "recommendation_answers_total", model_version=version, variant="v")
            for version in ("m1", "m2", "m3")
        ]

    for version in ("m1", "m2"):
        metrics.set_model(version, 0.0)
        metrics.count_answer(version, "v")
        metrics.count_recommended(version, "v", "a", 1)
    metrics.set_model("m2", 0.0)  # the same again, as after a restart of training
    assert counted() == [1, 1, None]

    metrics.set_model("m3", 0.0)
    metrics.count_answer("m3", "v")

    assert counted() == [None, 1, 1]
    gone = {"model_version": "m1", "variant": "v", "algorithm": "a"}
    assert value(metrics, "recommended_events_total", **gone) is None


def test_a_late_answer_of_a_dropped_model_is_counted_anew():
    metrics = Metrics()
    for version in ("m1", "m2", "m3"):
        metrics.set_model(version, 0.0)
    metrics.count_answer("m1", "v")

    assert value(metrics, "recommendation_answers_total", model_version="m1", variant="v") == 1


def test_a_watched_figure_is_read_at_every_scrape():
    metrics = Metrics()
    depth = [3]
    metrics.watch("queue_records", "Records that wait to be written", lambda: depth[0])

    assert value(metrics, "queue_records") == 3
    depth[0] = 8
    assert value(metrics, "queue_records") == 8


def test_two_applications_share_no_figures():
    first, second = Metrics(), Metrics()
    first.count_feedback("save")

    assert value(second, "feedback_total", action="save") is None

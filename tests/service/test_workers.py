"""Figures of several workers in one scrape."""

import os
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from service.workers import STALE_SECONDS, WorkerFigures, merge


def requests_by_worker(text: bytes) -> dict[str, float]:
    return {
        sample.labels["worker"]: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == "ml_service_requests_total"
    }


def answered(times: int) -> Metrics:
    metrics = Metrics()
    for _ in range(times):
        metrics.observe_request("/health", "GET", 200, 0.001)
    return metrics


def test_each_workers_figures_keep_their_own_label_and_every_family_is_described_once() -> None:
    merged = merge({"0": answered(3).render().decode(), "1": answered(5).render().decode()})
    assert requests_by_worker(merged) == {"0": 3.0, "1": 5.0}
    assert merged.count(b"# TYPE ml_service_requests_total counter") == 1


def test_a_scrape_of_one_worker_shows_what_the_other_left(tmp_path: Path) -> None:
    first = WorkerFigures(tmp_path, 0, answered(1).render)
    second = WorkerFigures(tmp_path, 1, answered(2).render)
    second._write(answered(2).render())
    assert requests_by_worker(first.render_all()) == {"0": 1.0, "1": 2.0}
    assert requests_by_worker(second.render_all()) == {"1": 2.0}


def test_what_a_worker_left_that_is_gone_is_not_shown(tmp_path: Path) -> None:
    gone = WorkerFigures(tmp_path, 1, answered(2).render)
    gone._write(answered(2).render())
    before = (tmp_path / "1.prom").stat().st_mtime - 2 * STALE_SECONDS
    os.utime(tmp_path / "1.prom", (before, before))
    assert requests_by_worker(WorkerFigures(tmp_path, 0, answered(1).render).render_all()) == {"0": 1.0}

"""What the bench asks of the service, and how it reckons with rounds."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import pytest

from bench.answers import LIMIT
from bench.histograms import distribution, histogram_of, percentiles
from bench.load import Load
from bench.requests import FEEDBACK, FEEDBACK_SHARE, RECOMMENDATION, as_a_site_does, recommendations
from bench.service import Rounds, Turn, bare_of


class FakeCrowd(NamedTuple):
    first_id: int = 1
    n_users: int = 50
    n_events: int = 20


def bodies(requests: Iterator, count: int) -> list[dict]:
    return [json.loads(request.content.partition(b"\r\n\r\n")[2]) for request in islice(requests, count)]


def test_everybody_is_asked_for_in_an_order_that_the_seed_decides() -> None:
    asked = bodies(recommendations(FakeCrowd(), 1, "control"), 1_000)
    assert {int(body["user_id"]) for body in asked} == set(range(1, 51))
    assert {(body["limit"], body["variant"]) for body in asked} == {(LIMIT, "control")}
    assert asked == bodies(recommendations(FakeCrowd(), 1, "control"), 1_000)
    assert asked != bodies(recommendations(FakeCrowd(), 2, "control"), 1_000)


def test_what_names_no_arm_leaves_the_choice_to_the_experiment() -> None:
    assert all("variant" not in body for body in bodies(recommendations(FakeCrowd(), 1), 10))


def test_a_site_sends_feedback_among_its_requests() -> None:
    names = [request.name for request in islice(as_a_site_does(FakeCrowd(), 1), 10_000)]
    assert set(names) == {RECOMMENDATION, FEEDBACK}
    assert names.count(FEEDBACK) / len(names) == pytest.approx(FEEDBACK_SHARE, abs=0.01)


def turn(answers: int, seconds: float, cpu_seconds: float) -> Turn:
    return Turn(Load(seconds, np.zeros(answers), 0, []), cpu_seconds)


def test_a_cost_is_the_ratio_to_the_bare_handler_of_the_same_round() -> None:
    rounds = Rounds()
    for slow in (1.0, 3.0):  # the machine's other work, which falls on both
        rounds.add_start(["hybrid", bare_of("hybrid")])
        rounds.turns["hybrid"][-1].append(turn(100, 1.0 * slow, 0.8 * slow))
        rounds.turns[bare_of("hybrid")][-1].append(turn(400, 1.0 * slow, 0.8 * slow))
    assert rounds.blocks("hybrid", "cpu_ms", bare_of("hybrid")) == [[4.0], [4.0]]
    assert rounds.blocks("hybrid", "per_second", bare_of("hybrid")) == [[0.25], [0.25]]
    assert rounds.blocks("hybrid", "cpu_ms") == [[8.0], [pytest.approx(24.0)]]


def test_percentiles_are_those_of_the_recorded_values_to_three_digits() -> None:
    latencies = np.arange(1, 1_001) / 10.0  # 0.1 ms to 100 ms
    found = percentiles(histogram_of(latencies))
    assert found["p50_ms"] == pytest.approx(50.0, rel=2e-3)
    assert found["p99_ms"] == pytest.approx(99.0, rel=2e-3)
    assert found["p999_ms"] == pytest.approx(99.9, rel=2e-3)
    assert found["max_ms"] == pytest.approx(100.0, rel=2e-3)


def test_a_distribution_rises_to_the_slowest_answer() -> None:
    curve = distribution("hybrid", histogram_of(np.array([1.0, 2.0, 3.0])))
    assert list(curve.x) == sorted(curve.x)
    assert curve.x[-1] == pytest.approx(3.0, rel=2e-3)
    assert curve.y[-1] > 99.9

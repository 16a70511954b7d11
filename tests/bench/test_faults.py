"""What counts as a promise kept."""

from dataclasses import replace

import pytest

from bench.faults import Kills, StoppedDatabase, _out_of_order
from bench.feedback import FeedbackFigures
from bench.paced import Answered
from bench.reading import Reading
from bench.reload import Reloads
from bench.training import Cost

STOPPED = StoppedDatabase(60.0, 12_000, 0, 2.0, 2.4, 6_000, 0, 0, 0, 1.5)
KILLS = Kills(3, 100, 50, 4, 0, 0, 0, 0, [1.0, 3.0])
FEEDBACK = FeedbackFigures(20_000, 1_000.0, 990.0, 200.0, 2.0, 50.0, 0, 1.0, 10.0, 0, 0.5)
RELOADS = Reloads(50, 10_000, 0, 1.0, 1.2, 2.0, 3.0, 9.0, 0.5, 0.2, 1.0, 200.0, 210.0)
TRAINING = Cost("alone", 60.0, 400.0, 400.0)
READING = Reading("SQLite", 1_000_000, 15.0, 150.0, 50.0)


@pytest.mark.parametrize("found", [STOPPED, KILLS, FEEDBACK, READING, RELOADS, TRAINING])
def test_figures_right_at_their_bounds_keep_every_promise(found) -> None:
    assert found.broken() == []


@pytest.mark.parametrize(
    ("found", "changes"),
    [
        (STOPPED, {"failed_recommendations": 1}),
        (STOPPED, {"failed_feedback": 1}),
        (STOPPED, {"p99_meanwhile_ms": 2.41}),
        (STOPPED, {"lost": 1}),
        (STOPPED, {"out_of_order": 1}),
        (KILLS, {"lost": 1}),
        (KILLS, {"counted_twice": 1}),
        (KILLS, {"never_sent": 1}),
        (KILLS, {"failed_before_a_kill": 1}),
        (KILLS, {"ready_seconds": [1.0, 3.01, 1.0]}),
        (FEEDBACK, {"acknowledged_per_second": 999.0}),
        (FEEDBACK, {"steady_p99_ms": 50.1}),
        (FEEDBACK, {"steady_failed": 1}),
        (FEEDBACK, {"lost": 1}),
        (READING, {"seconds": 15.1}),
        (READING, {"peak_mb": 150.1}),
        (RELOADS, {"failed": 1}),
        (RELOADS, {"p99_meanwhile_ms": 3.01}),
        (RELOADS, {"after_mb": 210.1}),
        (RELOADS, {"rolled_back_seconds": 1.01}),
        (TRAINING, {"seconds": 60.1}),
        (TRAINING, {"peak_mb": 400.1}),
    ],
)
def test_each_figure_beyond_its_bound_breaks_one_promise(found, changes: dict) -> None:
    assert len(replace(found, **changes).broken()) == 1


def answered(name: str, sent: float, done: float) -> Answered:
    return Answered(name, sent, sent, done)


def test_feedback_that_was_acknowledged_before_the_next_was_sent_stands_before_it() -> None:
    given = [answered("a", 1, 2), answered("b", 3, 4), answered("c", 5, 6)]
    assert _out_of_order(given, ["a", "b", "c"]) == 0
    assert _out_of_order(given, ["b", "a", "c"]) == 1
    assert _out_of_order(given, ["c", "a", "b"]) == 2


def test_feedback_that_was_under_way_at_the_same_time_may_stand_either_way() -> None:
    given = [answered("a", 1, 4), answered("b", 2, 3)]
    assert _out_of_order(given, ["a", "b"]) == _out_of_order(given, ["b", "a"]) == 0


def test_rows_that_others_wrote_are_in_nobody_s_way() -> None:
    assert _out_of_order([answered("a", 1, 2)], ["x", "a", "y"]) == 0

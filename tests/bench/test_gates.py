"""The gates of `tox -e bench`."""

from dataclasses import fields
from pathlib import Path

import pytest

from bench.gates import BudgetError, Gate, judge, read_budget
from bench.service import Measurement

LINES = [{"arm": "control", "ready_seconds": 2.0, "ratio_to_bare": 0.5}]


def test_the_budget_has_the_gates_of_the_service() -> None:
    bounds = {gate.figure: gate.at_most or gate.at_least for gate in read_budget()}
    assert bounds == {"loaded_p95_ms": 200, "ratio_to_bare": 0.3, "resident_mb": 220, "ready_seconds": 3}


def test_every_gate_of_the_budget_is_on_a_figure_that_is_measured_and_says_what_it_guards() -> None:
    measured = {field.name for field in fields(Measurement)}
    for gate in read_budget():
        assert gate.figure in measured
        assert gate.guards


@pytest.mark.parametrize(
    ("gate", "kept"),
    [
        (Gate("ready_seconds", "a start", at_most=2.0), True),
        (Gate("ready_seconds", "a start", at_most=1.99), False),
        (Gate("ratio_to_bare", "the cost", at_least=0.5), True),
        (Gate("ratio_to_bare", "the cost", at_least=0.51), False),
    ],
)
def test_a_bound_is_kept_up_to_and_with_its_value(gate: Gate, kept: bool) -> None:
    (verdict,) = judge([gate], LINES)
    assert verdict.kept is kept
    assert str(verdict).startswith("kept" if kept else "MISSED")
    assert gate.guards in str(verdict)


def test_a_figure_that_is_no_number_keeps_no_gate() -> None:
    assert not Gate("ready_seconds", "a start", at_most=3.0).holds(float("nan"))
    assert not Gate("ratio_to_bare", "the cost", at_least=0.3).holds(float("nan"))


def test_a_gate_is_judged_on_every_arm() -> None:
    lines = [
        {"arm": "control", "ready_seconds": 1.0},
        {"arm": "collaborative_filtering", "ready_seconds": 9.0},
    ]
    verdicts = judge([Gate("ready_seconds", "a start", at_most=3.0)], lines)
    assert [(verdict.arm, verdict.kept) for verdict in verdicts] == [
        ("control", True),
        ("collaborative_filtering", False),
    ]


def test_a_gate_on_a_figure_that_was_not_measured_does_not_pass() -> None:
    with pytest.raises(BudgetError, match="p95: no such figure; there are arm, ready_seconds"):
        judge([Gate("p95", "the promise", at_most=200.0)], LINES)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[p95_ms]\nguards = 'x'", "p95_ms: expected either at_most or at_least"),
        ("[p95_ms]\nguards = 'x'\nat_most = 1\nat_least = 1", "p95_ms: expected either at_most or at_least"),
        ("[p95_ms]\nat_most = 1", "p95_ms: .*guards"),
        ("[p95_ms]\nguards = 'x'\nmost = 1", "p95_ms: .*most"),
    ],
)
def test_a_gate_that_is_not_whole_is_named(tmp_path: Path, text: str, told: str) -> None:
    budget = tmp_path / "budget.toml"
    budget.write_text(text)
    with pytest.raises(BudgetError, match=told):
        read_budget(budget)

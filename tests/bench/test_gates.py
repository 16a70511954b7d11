"""The gates of `tox -e bench`."""

from pathlib import Path

import pytest

from bench.figures import Figure
from bench.gates import BudgetError, Gate, judge, read_budget
from bench.parts import PARTS
from bench.report import passed

FIGURES = [
    Figure("process", "service", "ready_seconds", 2.0),
    Figure("service", "control", "ratio_to_bare", 0.5),
    Figure("service", "hybrid", "ratio_to_bare", 0.4),
]
PROMISE_MS = 200.0


def test_the_budget_holds_the_promise_of_the_site_and_says_what_each_gate_guards() -> None:
    gates = read_budget()
    assert any(gate.figure == "rates.p95_ms" and gate.at_most == PROMISE_MS for gate in gates)
    assert all(gate.guards for gate in gates)


def test_a_fifth_more_than_expected_is_beyond_every_gate_on_a_cost() -> None:
    assert all(gate.within < 0.2 for gate in read_budget() if gate.expected is not None)


def test_every_gate_is_on_a_part_that_is_measured() -> None:
    known = {name for part in PARTS.values() for name in part.yields}
    assert {gate.figure.partition(".")[0] for gate in read_budget()} <= known


@pytest.mark.parametrize(
    ("gate", "kept"),
    [
        (Gate("service.ratio_to_bare", "the cost", at_least=0.5, of=("control",)), True),
        (Gate("service.ratio_to_bare", "the cost", at_least=0.51, of=("control",)), False),
        (Gate("service.ratio_to_bare", "the cost", expected=0.4, within=0.25, of=("control",)), True),
        (Gate("service.ratio_to_bare", "the cost", expected=0.4, within=0.24, of=("control",)), False),
        (Gate("process.ready_seconds", "a start", at_most=2.0), True),
        (Gate("process.ready_seconds", "a start", at_most=1.99), False),
    ],
)
def test_a_bound_is_kept_up_to_and_with_its_value(gate: Gate, kept: bool) -> None:
    (verdict,) = judge([gate], FIGURES, ["process", "service"], full=False)
    assert verdict.kept is kept
    assert str(verdict).startswith("kept" if kept else "MISSED")
    assert gate.guards in str(verdict)


def test_an_aim_that_is_not_reached_is_told_and_fails_nothing() -> None:
    aims = [Gate("process.ready_seconds", "a start", at_most=most, aim=True) for most in (1.0, 2.0)]
    short, reached = judge(aims, FIGURES, ["process"], full=False)
    assert (short.kept, reached.kept) == (False, True)
    assert str(short).startswith("short of aim")
    assert passed([short, reached])
    (missed,) = judge(
        [Gate("process.ready_seconds", "a start", at_most=1.0)], FIGURES, ["process"], full=False
    )
    assert not passed([reached, missed])


def test_an_aim_may_be_at_what_this_machine_is_too_slow_to_measure_but_not_misspelt() -> None:
    out_of_reach = Gate("service.ratio_to_bare", "the cost", at_least=0.5, of=("2000/s",), aim=True)
    assert judge([out_of_reach], FIGURES, ["service"], full=False) == []
    misspelt = Gate("service.ratio_to_bear", "the cost", at_least=0.5, aim=True)
    with pytest.raises(BudgetError, match="ratio_to_bear"):
        judge([misspelt], FIGURES, ["service"], full=False)


def test_a_figure_that_is_no_number_keeps_no_gate() -> None:
    assert not Gate("a.b", "a start", at_most=3.0).holds(float("nan"))
    assert not Gate("a.b", "the cost", at_least=0.3).holds(float("nan"))


def test_a_gate_is_judged_on_every_subject_that_it_names() -> None:
    gate = Gate("service.ratio_to_bare", "the cost", at_least=0.45)
    verdicts = judge([gate], FIGURES, ["service"], full=False)
    assert [(verdict.figure.subject, verdict.kept) for verdict in verdicts] == [
        ("control", True),
        ("hybrid", False),
    ]


def test_a_gate_that_has_become_blunt_says_so() -> None:
    gate = Gate("service.ratio_to_bare", "the cost", expected=0.5, within=0.1, of=("hybrid",))
    (verdict,) = judge([gate], FIGURES, ["service"], full=False)
    assert verdict.kept
    assert str(verdict).endswith("sharpen the gate: expected = 0.4")


def test_gates_of_parts_that_were_left_out_are_not_judged() -> None:
    gates = [Gate("peers.x", "y", at_most=1.0), Gate("service.slow", "y", at_most=1.0, full=True)]
    assert judge(gates, FIGURES, ["service"], full=False) == []


def test_a_gate_on_a_figure_that_was_not_measured_does_not_pass() -> None:
    with pytest.raises(
        BudgetError, match=r"service\.p95 of \*: not measured; there are process\.ready_seconds"
    ):
        judge([Gate("service.p95", "the promise", at_most=200.0)], FIGURES, ["service"], full=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("guards = 'x'", "a.b: expected one of at_most, at_least and expected"),
        ("guards = 'x'\nat_most = 1\nat_least = 1", "a.b: expected one of at_most, at_least and expected"),
        ("at_most = 1", "a.b: .*guards"),
        ("guards = 'x'\nmost = 1", "a.b: .*most"),
    ],
)
def test_a_gate_that_is_not_whole_is_named(tmp_path: Path, text: str, told: str) -> None:
    budget = tmp_path / "budget.toml"
    budget.write_text(f"[[gate]]\nfigure = 'a.b'\n{text}")
    with pytest.raises(BudgetError, match=told):
        read_budget(budget)

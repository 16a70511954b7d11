"""The gates of `tox -e bench`: bounds on measured figures, each with what it guards."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUDGET = Path(__file__).with_name("budget.toml")


class BudgetError(ValueError):
    """The budget cannot be judged by; the message names the gate and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One bound on one figure, from above or from below, kept when it is met exactly."""

    figure: str
    guards: str
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise BudgetError(f"{self.figure}: expected either at_most or at_least")

    @property
    def bound(self) -> str:
        """The bound in words."""
        return f"at least {self.at_least:g}" if self.at_most is None else f"at most {self.at_most:g}"

    def holds(self, value: float) -> bool:
        """Whether a value keeps the bound; one that is no number does not."""
        return (self.at_most is None or value <= self.at_most) and (
            self.at_least is None or value >= self.at_least
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate judged on one arm's figures."""

    gate: Gate
    arm: str
    value: float

    @property
    def kept(self) -> bool:
        """Whether the gate holds."""
        return self.gate.holds(self.value)

    def __str__(self) -> str:
        return (
            f"{'kept  ' if self.kept else 'MISSED'}  {self.gate.figure} {self.value:g} ({self.gate.bound}), "
            f"{self.arm}: {self.gate.guards}"
        )


def read_budget(path: Path = BUDGET) -> list[Gate]:
    """The gates of a budget file: a table for each, with `guards` and either `at_most` or `at_least`.

    Raises BudgetError naming the gate that is not so.
    """
    return [_gate(figure, values) for figure, values in tomllib.loads(path.read_text("utf-8")).items()]


def _gate(figure: str, values: Any) -> Gate:
    try:
        return Gate(figure, **values)
    except TypeError as error:
        raise BudgetError(f"{figure}: {error}") from error


def judge(gates: Iterable[Gate], lines: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """Every gate on every arm's figures.

    Raises BudgetError for a gate on a figure that was not measured: a misspelt one must not pass.
    """
    verdicts = []
    for gate in gates:
        for line in lines:
            if gate.figure not in line:
                raise BudgetError(f"{gate.figure}: no such figure; there are {', '.join(line)}")
            verdicts.append(Verdict(gate, line["arm"], line[gate.figure]))
    return verdicts

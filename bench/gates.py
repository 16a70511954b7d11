"""The gates of `tox -e bench`: bounds on measured figures, each with what it guards.

What is aimed at and not reached yet is a bound as well, told like the others, but missing it fails nothing: a run that
always fails guards nothing.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bench.figures import Figure

BUDGET = Path(__file__).with_name("budget.toml")


class BudgetError(ValueError):
    """The budget cannot be judged by; the message names the gate and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One bound on one figure ("service.p95_ms"), kept when it is met exactly.

    `expected` with `within` is a bound from above that was measured: at most expected · (1 + within). `of` are the
    subjects that it holds for, as patterns of the shell; `full` says that only a full run measures it, `aim` that it is
    an aim, which a run may miss.
    """

    figure: str
    guards: str
    at_most: float | None = None
    at_least: float | None = None
    expected: float | None = None
    within: float = 0.0
    of: tuple[str, ...] = ("*",)
    full: bool = False
    aim: bool = False

    def __post_init__(self) -> None:
        if sum(bound is not None for bound in (self.at_most, self.at_least, self.expected)) != 1:
            raise BudgetError(f"{self.figure}: expected one of at_most, at_least and expected")

    @property
    def most(self) -> float | None:
        """The bound from above, if it is one."""
        return self.at_most if self.expected is None else self.expected * (1.0 + self.within)

    @property
    def bound(self) -> str:
        """The bound in words."""
        return f"at least {self.at_least:.4g}" if self.most is None else f"at most {self.most:.4g}"

    def holds(self, value: float) -> bool:
        """Whether a value keeps the bound; one that is no number does not."""
        return (self.most is None or value <= self.most) and (self.at_least is None or value >= self.at_least)

    def is_blunt_at(self, value: float) -> bool:
        """Whether a figure has become so much better than expected that the gate would let a regression pass."""
        return self.expected is not None and value < self.expected * (1.0 - self.within)

    def judges(self, figure: Figure) -> bool:
        """Whether it is about this figure."""
        return figure.key == self.figure and any(fnmatchcase(figure.subject, one) for one in self.of)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate judged on one figure."""

    gate: Gate
    figure: Figure

    @property
    def kept(self) -> bool:
        """Whether the figure keeps the bound."""
        return self.gate.holds(self.figure.value)

    @property
    def passes(self) -> bool:
        """Whether the run may pass: the bound is kept, or is only aimed at."""
        return self.kept or self.gate.aim

    def __str__(self) -> str:
        word = "kept" if self.kept else "short of aim" if self.gate.aim else "MISSED"
        told = (
            f"{word:12}  {self.gate.figure} {self.figure.rounded:g} "
            f"({self.gate.bound}), {self.figure.subject}: {self.gate.guards}"
        )
        if self.gate.is_blunt_at(self.figure.value):
            told += f"; better than expected, so sharpen the gate: expected = {self.figure.value:.3g}"
        return told


def read_budget(path: Path = BUDGET) -> list[Gate]:
    """The gates of a budget file: an array of tables `gate`, with the fields of `Gate`.

    Raises BudgetError naming the gate that is not so.
    """
    return [_gate(values) for values in tomllib.loads(path.read_text("utf-8"))["gate"]]


def _gate(values: dict[str, Any]) -> Gate:
    try:
        return Gate(**{**values, "of": tuple(values.get("of", ("*",)))})
    except TypeError as error:
        raise BudgetError(f"{values.get('figure')}: {error}") from error


def judge(
    gates: Iterable[Gate], figures: Sequence[Figure], parts: Sequence[str], *, full: bool
) -> list[Verdict]:
    """Every gate on the measured parts, on every figure that it is about.

    Raises BudgetError for a gate on a figure that was not measured: a misspelt one must not pass. An aim may be at a
    subject that this machine is too slow to measure, such as a rate of arrival.
    """
    verdicts = []
    for gate in gates:
        if gate.figure.partition(".")[0] not in parts or (gate.full and not full):
            continue
        found = [Verdict(gate, figure) for figure in figures if gate.judges(figure)]
        is_out_of_reach = gate.aim and any(figure.key == gate.figure for figure in figures)
        if not found and not is_out_of_reach:
            there = ", ".join(dict.fromkeys(figure.key for figure in figures))
            raise BudgetError(f"{gate.figure} of {', '.join(gate.of)}: not measured; there are {there}")
        verdicts += found
    return verdicts

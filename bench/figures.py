"""What a part of the bench hands to the report: figures, for tables and gates, and curves, for plots."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number of one subject: an arm, a peer, a size of site.

    `blocks` has what single rounds gave, by start of the program under measurement: rounds of one start differ by what
    else the machine does, starts by where things came to lie in memory. Only what has blocks can be compared between
    runs (`bench.comparing`).
    """

    part: str
    subject: str
    name: str
    value: float
    blocks: tuple[tuple[float, ...], ...] = ()

    @property
    def key(self) -> str:
        """What gates call it: "service.p95_ms"."""
        return f"{self.part}.{self.name}"

    @property
    def rounded(self) -> float:
        """The value to what it is worth."""
        return float(f"{self.value:.4g}")


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Some curves over the same axes."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    is_logarithmic: bool = False  #: the x axis


@dataclass(slots=True)
class Findings:
    """All that was found."""

    figures: list[Figure] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    notes: list[str] = field(
        default_factory=list
    )  #: what a reader has to know: a busy machine, a part left out
    left_out: list[str] = field(default_factory=list)  #: the parts that could not be measured here

    def add(self, part: str, subject: str, values: Mapping[str, float]) -> None:
        """Add plain numbers of one subject."""
        self.figures += [Figure(part, subject, name, float(value)) for name, value in values.items()]

    def add_rounds(self, part: str, subject: str, name: str, blocks: Sequence[Sequence[float]]) -> None:
        """Add a number that is the median of rounds."""
        kept = tuple(tuple(block) for block in blocks)
        value = median(value for block in kept for value in block)
        self.figures.append(Figure(part, subject, name, float(value), kept))

    def leave_out(self, part: str, why: str) -> None:
        """Say that a part cannot be measured on this machine; no gate is then judged on it."""
        self.left_out.append(part)
        self.notes.append(f"{part} was left out: {why}")

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


def findings_from(said: Mapping[str, Any]) -> Findings:
    """The inverse of `Findings.as_json`. Raises KeyError or TypeError for anything else."""
    figures = [
        Figure(**{**one, "blocks": tuple(tuple(block) for block in one["blocks"])}) for one in said["figures"]
    ]
    plots = [
        Plot(**{**one, "curves": tuple(_curve(curve) for curve in one["curves"])}) for one in said["plots"]
    ]
    return Findings(figures, plots, list(said["notes"]))


def _curve(said: Mapping[str, Any]) -> Curve:
    return Curve(said["label"], tuple(said["x"]), tuple(said["y"]))


def grid(figures: Iterable[Figure], part: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The table of a part: the subjects, and for each name of a figure its values, "" where there is none."""
    mine = [figure for figure in figures if figure.part == part]
    subjects = list(dict.fromkeys(figure.subject for figure in mine))
    values = {(figure.name, figure.subject): f"{figure.rounded:g}" for figure in mine}
    names = dict.fromkeys(figure.name for figure in mine)
    return subjects, [(name, [values.get((name, subject), "") for subject in subjects]) for name in names]


def text_table(figures: Sequence[Figure]) -> str:
    """Every part's table, names of figures down, subjects across."""
    return "\n\n".join(_text_grid(figures, part) for part in dict.fromkeys(figure.part for figure in figures))


def _text_grid(figures: Iterable[Figure], part: str) -> str:
    subjects, rows = grid(figures, part)
    width = max(len(name) for name, _ in rows) + 2
    columns = [max(12, len(subject) + 2) for subject in subjects]
    lines = [(part, subjects), *rows]
    return "\n".join(
        name.ljust(width) + "".join(cell.rjust(room) for cell, room in zip(cells, columns, strict=True))
        for name, cells in lines
    )

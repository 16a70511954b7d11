"""Telling a regression from noise: `python -m bench compare A.json B.json`, and what a gate may expect.

A guarded figure is a ratio to calibration work of the same round, so that whatever slows the machine down slows both
sides. Its rounds are resampled with replacement, first the starts of the program, then the rounds of each start (a
bootstrap in two stages; Davison and Hinkley 1997, §3.8), in both runs; the interval is of the ratio of the medians.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, stdev

import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, Findings

RESAMPLES = 4_000
CONFIDENCE = 0.99
#: Less than this is nobody's business, however sure.
LEAST_CHANGE = 0.03
#: A gate stands so many standard deviations of runs above what is expected, and at least so far.
DEVIATIONS, LEAST_WITHIN = 4.0, 0.06


@dataclass(frozen=True, slots=True)
class Change:
    """How one figure differs between two runs: B's median over A's, with an interval of 99 %."""

    figure: Figure  #: of run A
    ratio: float
    low: float
    high: float

    @property
    def is_regression(self) -> bool:
        """Whether the cost has grown, beyond noise and beyond what nobody minds."""
        return self.low > 1.0 and self.ratio > 1.0 + LEAST_CHANGE

    @property
    def is_improvement(self) -> bool:
        """Whether it has fallen."""
        return self.high < 1.0 and self.ratio < 1.0 - LEAST_CHANGE

    def __str__(self) -> str:
        verdict = "SLOWER" if self.is_regression else "faster" if self.is_improvement else "same"
        return (
            f"{verdict:<7} {self.figure.key}, {self.figure.subject}: {self.ratio - 1.0:+.1%} "
            f"({self.low - 1.0:+.1%} to {self.high - 1.0:+.1%})"
        )


def compare(a: Findings, b: Findings, seed: int = 0) -> list[Change]:
    """Every cost that both runs have rounds of. Costs only: names that begin with "cost"."""
    rng = np.random.default_rng(seed)
    later = {(figure.key, figure.subject): figure for figure in b.figures if is_cost(figure)}
    pairs = [(one, later.get((one.key, one.subject))) for one in a.figures if is_cost(one)]
    return [_change(one, other, rng) for one, other in pairs if other is not None]


def is_cost(figure: Figure) -> bool:
    """Whether a figure is a ratio to calibration work, with rounds, of which less is better."""
    return figure.name.startswith("cost") and len(figure.blocks) > 0


def _change(a: Figure, b: Figure, rng: np.random.Generator) -> Change:
    ratios = _medians(b.blocks, rng) / _medians(a.blocks, rng)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(ratios, [tail, 1.0 - tail])
    return Change(a, b.value / a.value, float(low), float(high))


def _medians(blocks: Sequence[Sequence[float]], rng: np.random.Generator) -> NDArray[np.float64]:
    """float64[RESAMPLES]: medians of resampled starts with resampled rounds."""
    arrays = [np.asarray(block) for block in blocks]
    medians = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = [arrays[block] for block in rng.integers(len(arrays), size=len(arrays))]
        medians[number] = np.median(np.concatenate([rng.choice(block, block.size) for block in drawn]))
    return medians


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a gate on a cost may expect, from several runs of the same code."""

    figure: Figure
    expected: float
    within: float

    def __str__(self) -> str:
        return f"{self.figure.key}, {self.figure.subject}: expected = {self.expected:.3g}, within = {self.within:.2f}"


def expectations(runs: Sequence[Findings]) -> list[Expectation]:
    """The median over some runs of each cost, and how far from it a run may be: four standard deviations.

    Raises ValueError for fewer than two runs: one says nothing about noise.
    """
    if len(runs) < 2:
        raise ValueError("expected at least two runs")
    return [
        _expectation(figure, [one.value for run in runs for one in run.figures if _same(one, figure)])
        for figure in runs[0].figures
        if is_cost(figure)
    ]


def _same(a: Figure, b: Figure) -> bool:
    return (a.key, a.subject) == (b.key, b.subject)


def _expectation(figure: Figure, values: list[float]) -> Expectation:
    expected = median(values)
    spread = stdev(values) / expected if len(values) > 1 else 0.0
    return Expectation(figure, expected, max(LEAST_WITHIN, DEVIATIONS * spread))

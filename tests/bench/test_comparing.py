"""A regression of a tenth is told from noise, and noise is not taken for one."""

import numpy as np
import pytest

from bench.comparing import LEAST_WITHIN, compare, expectations
from bench.figures import Findings


def run_of(cost: float, noise: float, seed: int, starts: int = 3, rounds: int = 15) -> Findings:
    """A run with noise of its own in each round, and half as much in each start."""
    rng = np.random.default_rng(seed)
    found = Findings()
    blocks = [
        cost * (1.0 + noise / 2.0 * rng.normal()) * (1.0 + noise * rng.normal(size=rounds))
        for _ in range(starts)
    ]
    found.add_rounds("kernels", "hybrid", "cost_of_answer", [block.tolist() for block in blocks])
    found.add("kernels", "hybrid", {"answer_p50_ms": 0.1})
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_slowdown_of_a_fifth_is_a_regression_whatever_the_seed(seed: int) -> None:
    (change,) = compare(run_of(1.5, 0.04, seed), run_of(1.8, 0.04, 100 + seed))
    assert change.is_regression
    assert str(change).startswith("SLOWER  kernels.cost_of_answer, hybrid: +")
    (back,) = compare(run_of(1.8, 0.04, 100 + seed), run_of(1.5, 0.04, seed))
    assert back.is_improvement and not back.is_regression


def test_runs_of_the_same_code_are_hardly_ever_taken_for_a_regression() -> None:
    told = [compare(run_of(1.5, 0.04, seed), run_of(1.5, 0.04, 1_000 + seed))[0] for seed in range(40)]
    assert sum(change.is_regression for change in told) <= 2


def test_a_certain_change_that_nobody_would_mind_is_none() -> None:
    (change,) = compare(run_of(1.0, 0.0001, 0), run_of(1.01, 0.0001, 1))
    assert change.low > 1.0
    assert str(change).startswith("same")


def test_only_costs_that_both_runs_have_are_compared() -> None:
    other = Findings()
    other.add_rounds("kernels", "control", "cost_of_answer", [[1.0]])
    assert compare(run_of(1.0, 0.01, 0), other) == []


def test_a_gate_may_expect_the_median_and_four_deviations_of_the_runs() -> None:
    runs = [run_of(cost, 0.0, 0) for cost in (1.0, 1.1, 0.9)]
    (told,) = expectations(runs)
    assert told.expected == 1.0
    assert told.within == pytest.approx(0.4)
    (steady,) = expectations(runs[:1] * 2)
    assert steady.within == LEAST_WITHIN
    with pytest.raises(ValueError, match="two runs"):
        expectations(runs[:1])

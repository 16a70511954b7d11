import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.heap import index_of, sort_keys
from core.kernels.jit import kernel
from core.kernels.votes import find_best
from core.kernels.workspace import Workspace, workspace
from tests import oracles

HALF = np.float32(0.5)


@kernel
def best_of(scale, event_scales, open_events, space, capacity):  # type: ignore[no-untyped-def]
    size = find_best(scale, event_scales, open_events, space, capacity)
    sort_keys(space.keys, size)
    return size


def found(
    space: Workspace, sums: np.ndarray, scales: np.ndarray, open_events: np.ndarray, n: int
) -> list[int]:
    space.event_sums[: sums.size] = sums
    size = best_of(HALF, scales, open_events, space, n)
    return [int(index_of(key)) for key in space.keys[:size]]


@given(st.integers(0, 700), st.integers(1, 40), st.floats(0, 1), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_the_best_of_many_blocks_are_those_of_the_slow_twin_with_ties_to_the_lower_index(
    n_events: int, n: int, density: float, levels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sums = (rng.integers(1, levels + 1, n_events) * (rng.random(n_events) < density)).astype(np.float32)
    scales = rng.choice(np.array([0.5, 1.0], np.float32), n_events)
    open_events = (rng.random(n_events) < 0.7).astype(np.uint8)
    space = workspace(0, n_events)
    scores = {e: sums[e] * scales[e] * HALF for e in range(n_events) if open_events[e]}
    assert found(space, sums, scales, open_events, n) == oracles.top_k(scores, n)


@pytest.mark.parametrize("n_events", [31, 32, 33, 129])
def test_an_equal_score_in_a_later_block_does_not_replace_a_lower_event_nor_the_tail_get_lost(
    n_events: int,
) -> None:
    everywhere = np.ones(n_events, np.float32)
    space = workspace(0, n_events)
    ranked = found(space, everywhere, everywhere, np.ones(n_events, np.uint8), n_events - 1)
    assert ranked == list(range(n_events - 1))
    everywhere[-1] = 2.0
    assert found(space, everywhere, np.ones_like(everywhere), np.ones(n_events, np.uint8), 1) == [
        n_events - 1
    ]

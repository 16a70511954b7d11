import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.als import Factors, check_sketch, quantise_factors
from core.kernels.als import keep_best_by_vector, score_by_vector
from core.kernels.dot import LANES
from core.kernels.heap import index_of
from core.kernels.jit import kernel
from core.kernels.sketch import (
    LAYERS,
    LEFT_OUT,
    Sketch,
    list_best,
    list_possible,
    sketch_of,
    vector_in_bytes,
    width_of,
    write_rough,
)
from core.kernels.workspace import workspace
from tests.live import is_at_rest

NO_EVENTS = np.empty(0, np.int32)
#: Above the bits of any score.
ANY = np.int32(0x7FFFFFFF)


@kernel
def possible_events(open_events, sketch, vector, least):
    """The events that are not ruled out by a score of `least` in units of the vector."""
    few, worth, of_margin = vector_in_bytes(vector, width_of(sketch))
    bits, marks = np.empty(open_events.size + LANES, np.int32), np.zeros(open_events.size, np.uint8)
    events = np.empty(open_events.size + 1, np.uint64)
    known = write_rough(open_events, NO_EVENTS, sketch, few, bits)
    size = list_possible(sketch, few, of_margin, np.float32(least / worth), ANY, bits, known, marks, events)
    return events[:size]


@kernel
def best_blocks(bits, capacity):
    events, block_bits = np.empty(bits.size + 1, np.uint64), np.empty(bits.size // 64 + 1, np.int32)
    size, least = list_best(bits, np.uint64(bits.size), block_bits, capacity, events)
    return events[:size], least


@kernel
def exact_scores(factors, vector, step):
    scores = np.empty(factors.steps.size, np.float32)
    for event in range(scores.size):
        scores[event] = score_by_vector(factors, event, vector, step)
    return scores


@kernel
def best(open_events, factors, sketch, vector, step, excluded, space, capacity):
    return keep_best_by_vector(open_events, factors, sketch, vector, step, excluded, space, capacity)


def factors_of(whitened: np.ndarray) -> Factors:
    return Factors(*quantise_factors(whitened), np.ones(len(whitened), np.float32))


def sketched(factors: Factors) -> Sketch:
    return Sketch(*sketch_of(factors.values, factors.steps))


def in_words(vector: np.ndarray) -> tuple[np.ndarray, float]:
    """A vector in 16 bits, and the worth of one."""
    greatest = float(np.abs(vector).max(initial=0.0)) or 1.0
    return np.rint(vector / greatest * 32767.0).astype(np.int16), greatest / 32767.0


@st.composite
def requests(draw: st.DrawFn) -> tuple[Factors, np.ndarray]:
    """Factors and a vector: like it or not, few-valued, with one great component, with equal and empty rows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_events, n_factors = (
        draw(st.integers(1, 60)),
        draw(st.sampled_from([1, 5, 63, 64, 65, 200, 256, 257, 512])),
    )
    rows = rng.normal(size=(n_events, n_factors)) * rng.uniform(0.01, 1.0, (n_events, 1))
    if draw(st.booleans()):
        rows = np.sign(rows) * 0.1
    rows[rng.random(n_events) < 0.1] = 0.0
    rows[rng.random(n_events) < 0.2] = rows[0]
    vector = rng.normal(size=n_factors) + draw(st.sampled_from([0.0, 3.0])) * rows[-1]
    vector[0] *= draw(st.sampled_from([1.0, 100.0]))
    return factors_of(rows), vector


def of_lanes(sketch: Sketch) -> np.ndarray:
    """The codes [events, components] of the first layer."""
    packed = sketch.lanes.reshape(len(sketch.lanes), -1, LANES, 4).swapaxes(1, 2)
    packed = packed.reshape(-1, 4 * sketch.lanes.shape[1])[: sketch.halves.shape[1]]
    return np.concatenate([packed >> 2 * part & 3 for part in range(4)], axis=1)


def of_rows(sketch: Sketch) -> np.ndarray:
    """The codes [events, components] of the second layer."""
    packed = sketch.rows.reshape(len(sketch.rows), -1, 1, 64)
    codes = np.concatenate([packed >> 2 * part & 3 for part in range(4)], axis=2)
    return codes.reshape(len(sketch.rows), -1)


@given(requests())
def test_a_sketch_has_the_shape_that_is_expected_of_it(request_):
    factors, _ = request_
    check_sketch(sketched(factors), factors)


@settings(max_examples=30)
@given(requests())
def test_a_row_is_no_further_from_its_sketch_than_its_margin(request_):
    factors, _ = request_
    values, sketch = factors.values.astype(float) * factors.steps[:, np.newaxis], sketched(factors)
    rest, n_factors = values, factors.values.shape[1]

    for layer in range(LAYERS):
        levels = 2.0 * (of_lanes(sketch) if layer == 0 else of_rows(sketch))[:, :n_factors] - 3.0
        rest = rest - levels * sketch.halves[layer][:, np.newaxis]
        needed = np.linalg.norm(rest, axis=1) + LEFT_OUT * np.linalg.norm(values, axis=1)
        assert (needed <= sketch.margins[layer]).all()


@settings(max_examples=30)
@given(requests(), st.floats(0.0, 1.0))
def test_no_event_is_ruled_out_that_reaches_a_score(request_, quantile):
    factors, vector = request_
    words, step = in_words(vector)
    scores = exact_scores(factors, words, step)
    least = max(float(np.quantile(scores, quantile)), 0.0)

    possible = possible_events(np.ones(len(scores), np.uint8), sketched(factors), words, least / step)

    assert set(np.flatnonzero((scores >= least) & (scores > 0.0)).tolist()) <= set(possible.tolist())


@given(st.lists(st.floats(-1.0, 1.0, width=32), min_size=1, max_size=300), st.integers(1, 8))
def test_the_first_look_is_at_all_that_score_as_the_best_of_some_blocks_do(scores, capacity):
    rough = np.array(scores, np.float32)
    bests = [max(scores[start : start + 64]) for start in range(0, len(scores), 64)]
    above = sorted((one for one in bests if one > 0.0), reverse=True)

    events, least = best_blocks(rough.view(np.int32), capacity)

    assert events.tolist() == np.flatnonzero(rough.view(np.int32) >= least).tolist()
    assert set(np.flatnonzero(rough >= above[capacity - 1]) if len(above) >= capacity else ()) <= set(
        events.tolist()
    )
    assert len(events) >= min(capacity, len(above))


@settings(max_examples=30)
@given(requests(), st.data())
def test_the_best_are_those_of_a_look_at_all(request_, data):
    factors, vector = request_
    words, step = in_words(vector)
    scores = exact_scores(factors, words, step)
    some = st.lists(st.integers(0, len(scores) + 2), unique=True)
    events = np.array(sorted(data.draw(some)), np.int32)
    excluded = np.array(data.draw(some), np.int32)
    allowed = set(events[events < len(scores)].tolist()) - set(excluded.tolist())
    n, space = data.draw(st.integers(1, 20)), workspace(1, len(scores) + 3)
    is_open = np.zeros(len(scores) + 3, np.uint8)
    is_open[events] = 1

    size = best(is_open, factors, sketched(factors), words, step, excluded, space, n)
    found = [int(index_of(key)) for key in space.keys[:size]]

    expected = sorted((event for event in allowed if scores[event] > 0), key=lambda e: (-scores[e], e))[:n]
    assert found == expected
    assert is_at_rest(space)


@pytest.mark.parametrize("n", [1, 20])
def test_of_many_events_the_best_are_found_with_a_look_at_few(n):
    rng = np.random.default_rng(n)
    rows, vector = rng.normal(size=(500, 256)), rng.normal(size=256)
    rows[:60] += vector  # as far above the others as what somebody likes is
    factors = factors_of(rows)
    words, step = in_words(vector)
    scores, sketch = exact_scores(factors, words, step), sketched(factors)
    is_open, space = np.ones(500, np.uint8), workspace(1, 500)

    size = best(is_open, factors, sketch, words, step, NO_EVENTS, space, n)
    found = [int(index_of(key)) for key in space.keys[:size]]
    looked_at = possible_events(is_open, sketch, words, float(scores[found[-1]]) / step)

    assert found == np.argsort(-scores, kind="stable")[:n].tolist()
    assert set(found) <= set(looked_at.tolist()) and looked_at.size < 100

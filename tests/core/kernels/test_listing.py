import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.held import Held
from core.kernels.listing import first_open
from core.kernels.workspace import answer, workspace
from core.reasons import Part
from tests import oracles
from tests.live import is_at_rest

N_EVENTS = 12
POPULARITY = np.linspace(1.0, 0.0, N_EVENTS, dtype=np.float32)[np.random.default_rng(0).permutation(N_EVENTS)]

EVENTS = st.integers(0, N_EVENTS - 1)
ORDERS = st.permutations(range(N_EVENTS)).map(lambda order: np.array(order, np.int32))
MARKS = st.lists(st.integers(0, 1), min_size=N_EVENTS, max_size=N_EVENTS).map(
    lambda marks: np.array(marks, np.uint8)
)
EXCLUDED = st.lists(EVENTS, max_size=N_EVENTS).map(lambda events: np.array(events, np.int32))


@given(ORDERS, MARKS, EXCLUDED, st.integers(1, N_EVENTS + 3), st.data())
def test_the_first_open_events_that_are_not_excluded_fill_the_answer_from_its_start(
    order: np.ndarray, open_events: np.ndarray, excluded: np.ndarray, n: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, n))
    space, out = workspace(0, N_EVENTS), answer(n)
    out.events[:] = -7
    out.scores[:], out.parts[:], out.subjects[:] = -7.0, -7.0, -7
    size = first_open(order, POPULARITY, open_events, excluded, Held(space), Held(out), start)
    expected = oracles.first_open(order.tolist(), open_events, excluded.tolist(), n - start)
    assert size == start + len(expected)
    assert out.events[start:size].tolist() == expected
    most = np.float32(-7.0 if start else 1.0)
    np.testing.assert_array_equal(out.scores[start:size], POPULARITY[expected] * most)
    np.testing.assert_array_equal(out.parts[start:size, Part.POPULARITY], out.scores[start:size])
    assert (np.delete(out.parts[start:size], Part.POPULARITY, axis=1) == 0).all()
    assert (out.subjects[start:size] == -1).all()
    assert (out.events[:start] == -7).all()
    assert (out.events[size:] == -7).all()
    assert is_at_rest(space)


def test_an_event_excluded_twice_is_excluded() -> None:
    space, out = workspace(0, 2), answer(2)
    order, open_events, excluded = (
        np.array([0, 1], np.int32),
        np.ones(2, np.uint8),
        np.array([0, 0], np.int32),
    )
    assert first_open(order, POPULARITY, open_events, excluded, Held(space), Held(out), 0) == 1
    assert out.events[0] == 1
    assert is_at_rest(space)


def test_a_site_without_events_has_an_empty_list() -> None:
    nothing = np.empty(0, np.int32)
    assert (
        first_open(
            nothing,
            np.empty(0, np.float32),
            np.empty(0, np.uint8),
            nothing,
            Held(workspace(0, 0)),
            Held(answer(3)),
            0,
        )
        == 0
    )

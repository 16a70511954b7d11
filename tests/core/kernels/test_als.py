import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.als import Factors, no_factors, quantise_factors
from core.kernels.als import MOST_FOLDED, recommend_by_factors
from core.kernels.held import Held
from core.kernels.live import Profile
from core.kernels.sketch import Sketch, sketch_of
from core.kernels.workspace import REASONS, Answer, answer, workspace
from core.reasons import Part
from tests import oracles
from tests.live import is_at_rest

ACTIVITY = 0.3
NO_EVENTS = np.empty(0, np.int32)


def some_factors(seed: int, n_events: int, n_factors: int) -> Factors:
    rng = np.random.default_rng(seed)
    whitened = rng.normal(size=(n_events, n_factors)) * rng.uniform(0.05, 0.5, size=(n_events, 1))
    whitened[rng.random(n_events) < 0.1] = 0.0
    return Factors(*quantise_factors(whitened), rng.uniform(0.5, 60.0, n_events).astype(np.float32))


def profile_of(events: list[int], excluded: list[int], weights: list[float] | None = None) -> Profile:
    preferences = np.ones(len(events)) if weights is None else np.array(weights)
    return Profile(
        np.array(events, np.int32), preferences.astype(np.float32), np.array(excluded, np.int32), -1
    )


def recommended(profile: Profile, factors: Factors, n: int, events: np.ndarray | None = None) -> Answer:
    """The filled part of an answer."""
    room = max([0, factors.steps.size, *(profile.events + 1), *(profile.excluded + 1)]) + 3
    space, out = workspace(3, room), answer(n)
    is_open = np.zeros(room, np.uint8)
    is_open[slice(None) if events is None else events] = 1
    sketch = Held(Sketch(*sketch_of(factors.values, factors.steps)))
    size = recommend_by_factors(profile, is_open, Held(factors), sketch, ACTIVITY, Held(space), Held(out))
    assert is_at_rest(space)
    return Answer(*(array[:size] for array in out))


@st.composite
def requests(draw: st.DrawFn) -> tuple[Profile, Factors, np.ndarray]:
    """A profile, factors, and which events are open; some events are newer than the factors."""
    n_events = draw(st.integers(1, 30))
    factors = some_factors(draw(st.integers(0, 5)), n_events, draw(st.integers(1, 20)))
    some_events = st.lists(st.integers(0, n_events + 2), unique=True)
    liked = draw(some_events)
    weights = draw(st.lists(st.integers(1, 255), min_size=len(liked), max_size=len(liked)))
    profile = profile_of(liked, draw(some_events), [weight / 255 for weight in weights])
    return profile, factors, np.array(sorted(draw(some_events)), np.int32)


@given(requests(), st.integers(1, 12))
def test_a_ranking_by_factors_is_that_of_the_textbook_formula(request_, n):
    profile, factors, events = request_
    out = recommended(profile, factors, n, events)
    _, scores = oracles.fold_in(profile, factors, ACTIVITY, MOST_FOLDED)
    allowed = [
        event for event in set(events.tolist()) - set(profile.excluded.tolist()) if event < scores.size
    ]
    scale = max([1.0, *scores[out.events]])
    near = 1e-4 * max([1.0, *np.abs(scores)])

    assert len(set(out.events.tolist())) == out.events.size
    assert set(out.events.tolist()) <= set(allowed)
    np.testing.assert_allclose(out.scores, scores[out.events] / scale, rtol=1e-4, atol=1e-6)
    assert out.scores.tolist() == sorted(out.scores.tolist(), reverse=True)
    left_out = [scores[event] for event in allowed if event not in out.events]
    least = scores[out.events[-1]] if out.events.size == n else 0.0
    assert all(score <= least + near for score in left_out)


@given(requests())
def test_the_shares_of_the_events_of_a_profile_add_up_to_the_score(request_):
    profile, factors, events = request_
    out = recommended(profile, factors, 5, events)
    weights, scores = oracles.fold_in(profile, factors, ACTIVITY, MOST_FOLDED)
    vectors = factors.values.astype(np.float64) * factors.steps[:, np.newaxis]
    scale = max([1.0, *scores[out.events]])

    for rank, event in enumerate(out.events):
        shares = {
            position: weight * float(vectors[event] @ vectors[profile.events[position]]) / scale
            for position, weight in weights.items()
        }
        assert sum(shares.values()) == pytest.approx(out.scores[rank], rel=1e-4, abs=1e-6)
        greatest = sorted((share for share in shares.values() if share > 0), reverse=True)[:REASONS]
        named = out.contributions[rank][out.reasons[rank] >= 0].tolist()
        assert named == pytest.approx(greatest, rel=1e-3, abs=1e-6)
        for position, contribution in zip(out.reasons[rank], out.contributions[rank], strict=True):
            if position >= 0:
                assert contribution == pytest.approx(shares[position], rel=1e-3, abs=1e-6)
        assert out.contributors[rank] == len(shares) or any(abs(share) < 1e-9 for share in shares.values())
        assert out.parts[rank].sum() == out.parts[rank, Part.COLLABORATIVE] == out.scores[rank]


def test_a_profile_without_anything_the_factors_know_gets_nothing():
    factors = some_factors(1, 10, 4)

    assert recommended(profile_of([], []), factors, 5).events.size == 0
    assert recommended(profile_of([11, 12], []), factors, 5).events.size == 0
    assert recommended(profile_of([1, 2], []), no_factors(), 5).events.size == 0


def test_of_a_long_profile_the_events_of_greatest_confidence_count():
    factors = some_factors(2, 3 * MOST_FOLDED, 8)
    profile = profile_of(list(range(2 * MOST_FOLDED)), [])
    known = [e for e in range(2 * MOST_FOLDED) if factors.steps[e] > 0]
    kept = sorted(sorted(known, key=lambda e: (-factors.confidences[e], e))[:MOST_FOLDED])
    # What does not count still shows how much the person does in all.
    alike = factors._replace(
        confidences=factors.confidences * np.float32((len(kept) / (2 * MOST_FOLDED)) ** ACTIVITY)
    )

    np.testing.assert_allclose(
        recommended(profile, factors, 20).scores,
        recommended(profile_of(kept, []), alike, 20).scores,
        rtol=1e-4,
    )


def test_a_stronger_preference_adds_more():
    values = np.array([[127, 0], [0, 127], [90, 90]], np.int8)
    factors = Factors(values, np.full(3, 0.3 / 127, np.float32), np.full(3, 10.0, np.float32))

    out = recommended(profile_of([0, 1], [0, 1], [1.0, 0.25]), factors, 1)

    assert out.reasons[0].tolist() == [0, 1, -1]
    assert out.contributions[0, 0] > 2 * out.contributions[0, 1] > 0.0


@pytest.mark.parametrize("n_factors", [1, 7, 64])
def test_vectors_come_back_from_bytes_within_half_a_step(n_factors):
    whitened = np.random.default_rng(n_factors).normal(size=(20, n_factors)).astype(np.float32)
    whitened[3] = 0.0

    values, steps = quantise_factors(whitened)

    assert np.abs(values).max() == 127 and steps[3] == 0.0
    assert (np.abs(values * steps[:, np.newaxis] - whitened) <= 0.5001 * steps[:, np.newaxis]).all()

import numpy as np
import pytest

from core.als import AlsSettings
from core.collaborative import CollaborativeSettings
from core.hybrid import BANDS, COMPONENTS, Component, check_blend, default_blend
from tests.strategies import rows_from_dense
from training import blending
from training.blending import Pools, learn_blend, qualities, scaled

N_EVENTS = 60


def tastes(seed: int = 0) -> np.ndarray:
    """uint8[160, 60]: people of four kinds, who like some of their kind's events: many of them, or a few."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((160, N_EVENTS), np.uint8)
    for user in range(160):
        own = user % 4 + 4 * rng.permutation(N_EVENTS // 4)[: 9 if user % 2 else 5]
        dense[user, own] = 255
    return dense


def learned(dense: np.ndarray, seed: int = 0):
    return learn_blend(
        rows_from_dense(dense), N_EVENTS, CollaborativeSettings(), AlsSettings(factors=8), seed
    )


def test_a_learned_blend_is_a_blend_the_same_for_the_same_likes_and_keeps_the_share_of_content():
    first, second = learned(tastes()), learned(tastes())

    check_blend(first)
    assert first.weights.tobytes() == second.weights.tobytes()
    np.testing.assert_allclose(
        first.weights[:, Component.CONTENT], default_blend().weights[:, Component.CONTENT], rtol=1e-6
    )
    assert first.weights[BANDS.index(5)].tolist() != default_blend().weights[BANDS.index(5)].tolist()


def test_bands_that_nobody_could_be_of_keep_their_weights():
    dense = tastes()
    few = dense.copy()
    few[30:] = 0

    assert learned(few).weights.tolist() == default_blend().weights.tolist()
    assert learned(dense).weights[3].tolist() == default_blend().weights[3].tolist()


def two_events(first: dict[Component, float], second: dict[Component, float]) -> Pools:
    """One person, who likes the second of two events."""
    scores = np.zeros((1, COMPONENTS, 2), np.float32)
    for place, of_event in enumerate((first, second)):
        for component, score in of_event.items():
            scores[0, component, place] = score
    return Pools(scores, np.array([[100.0, 1.0]], np.float32), np.array([[0.0, 1.0]], np.float32), np.ones(1))


def test_quality_is_the_ndcg_of_the_weighted_sum():
    pools = two_events({Component.NEIGHBOURS: 3.0}, {Component.NEIGHBOURS: 1.5, Component.FACTORS: 0.1})
    scores = scaled(pools, 0.0)

    assert qualities(scores, pools, np.array([1.0, 0.0, 0.0, 0.0])).tolist() == [1 / np.log2(3)]
    assert qualities(scores, pools, np.array([0.5, 0.5, 0.0, 0.0])).tolist() == [1.0]


def test_a_discount_lets_the_rarer_event_go_first():
    pools = two_events({Component.NEIGHBOURS: 3.0}, {Component.NEIGHBOURS: 2.0})
    weights = np.array([1.0, 0.0, 0.0, 0.0])

    assert qualities(scaled(pools, 0.0), pools, weights) < 1.0
    assert qualities(scaled(pools, 0.5), pools, weights) == 1.0


def people(n_helped: int, n_harmed: int) -> Pools:
    """100 people and two events. A discount of 0.1 brings the second first, right for so many and wrong for so many."""
    scores, gains = np.zeros((100, COMPONENTS, 2), np.float32), np.zeros((100, 2), np.float32)
    scores[:, Component.NEIGHBOURS] = 3.0, 1.0
    scores[: n_helped + n_harmed, Component.NEIGHBOURS, 1] = 2.0
    gains[:, 1] = 1.0
    gains[n_helped : n_helped + n_harmed] = 1.0, 0.0
    masses = np.tile(np.array([100.0, 1.0], np.float32), (100, 1))
    return Pools(scores, masses, gains, np.ones(100))


@pytest.mark.parametrize(
    ("n_helped", "n_harmed", "discount"), [(50, 0, 0.1), (40, 20, 0.1), (30, 28, 0.0), (3, 2, 0.0)]
)
def test_a_discount_is_the_least_that_people_cannot_tell_from_the_best(n_helped, n_harmed, discount):
    blend = default_blend()

    blending._learn_band(people(n_helped, n_harmed), blend, 3)

    assert blend.discounts[3] == np.float32(discount)

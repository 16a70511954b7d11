import numpy as np
import pytest

from core.als import AlsSettings
from core.collaborative import CollaborativeSettings
from core.hybrid import BANDS, COMPONENTS, Component, check_blend, default_blend
from tests.strategies import rows_from_dense
from training import blending
from training.blending import LEANINGS, Pools, learn_blend, quality, scaled

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


def pools_of(scores: np.ndarray, likes: np.ndarray, masses: tuple[float, float]) -> Pools:
    """People and two events of these masses, of which each of them likes one."""
    gains = likes[:, np.newaxis, :] * np.array(masses) ** np.array(LEANINGS)[:, np.newaxis]
    everyone = np.tile(np.array(masses, np.float32), (len(scores), 1))
    return Pools(scores.astype(np.float32), everyone, gains.astype(np.float32), gains.sum(axis=2))


def two_events(first: dict[Component, float], second: dict[Component, float]) -> Pools:
    """One person, who likes the second of two events, which is the rarer one."""
    scores = np.zeros((1, COMPONENTS, 2))
    for place, of_event in enumerate((first, second)):
        for component, score in of_event.items():
            scores[0, component, place] = score
    return pools_of(scores, np.array([[0.0, 1.0]]), (100.0, 1.0))


def test_quality_is_the_ndcg_of_the_weighted_sum():
    pools = two_events({Component.NEIGHBOURS: 3.0}, {Component.NEIGHBOURS: 1.5, Component.FACTORS: 0.1})
    scores = scaled(pools, 0.0)

    assert quality(scores, pools, np.array([1.0, 0.0, 0.0, 0.0])) == pytest.approx(1 / np.log2(3))
    assert quality(scores, pools, np.array([0.5, 0.5, 0.0, 0.0])) == 1.0


def test_a_discount_lets_the_rarer_event_go_first():
    pools = two_events({Component.NEIGHBOURS: 3.0}, {Component.NEIGHBOURS: 2.0})
    weights = np.array([1.0, 0.0, 0.0, 0.0])

    assert quality(scaled(pools, 0.0), pools, weights) < 1.0
    assert quality(scaled(pools, 0.5), pools, weights) == 1.0


def test_the_likes_of_popular_events_count_alike_and_once_more_by_the_root_of_their_popularity():
    both = Pools(
        np.array([[[2.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]], np.float32),
        np.array([[1.0, 100.0]], np.float32),
        np.array([[[1.0, 1.0], [1.0, 10.0]]], np.float32),
        np.array([[1.0 + 1 / np.log2(3), 10.0 + 1 / np.log2(3)]]),
    )

    found = quality(scaled(both, 0.0), both, np.array([1.0, 0.0, 0.0, 0.0]))

    assert found == pytest.approx((1.0 + (1.0 + 10.0 / np.log2(3)) / (10.0 + 1 / np.log2(3))) / 2)


def people(n_popular: int, n_rare: int) -> Pools:
    """So many people like a popular and a rare event. Neighbours name the former first, unless it is discounted."""
    scores = np.zeros((n_popular + n_rare, COMPONENTS, 2))
    scores[:, Component.NEIGHBOURS] = 3.0, 2.5
    likes = np.zeros((n_popular + n_rare, 2))
    likes[:n_popular, 0], likes[n_popular:, 1] = 1.0, 1.0
    return pools_of(scores, likes, (100.0, 1.0))


@pytest.mark.parametrize(("n_popular", "n_rare", "discount"), [(40, 60, 0.05), (60, 40, 0.0), (100, 0, 0.0)])
def test_the_discount_is_the_least_of_those_that_rank_best(n_popular, n_rare, discount):
    blend = default_blend()

    blending._learn_band(people(n_popular, n_rare), blend, 3)

    assert blend.discounts[3] == np.float32(discount)


def test_a_pool_holds_what_each_hit_gains_and_what_a_perfect_ranking_would():
    masses = np.array([9.0, 4.0, 0.5, 16.0], np.float32)
    scores = np.ones((COMPONENTS, 3), np.float32)

    pools = blending._padded([(np.array([0, 1, 2], np.int32), scores, np.array([0, 2, 3], np.int32))], masses)

    assert pools.gains.tolist() == [[[1.0, 0.0, 1.0], [3.0, 0.0, 1.0]]]
    assert pools.masses.tolist() == [[9.0, 4.0, 1.0]]
    worths = 1 / np.log2([2, 3, 4])
    np.testing.assert_allclose(pools.ideals, [[worths.sum(), [4.0, 3.0, 1.0] @ worths]])

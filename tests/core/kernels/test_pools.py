import numpy as np
import pytest

from core.kernels.pools import gains_reached
from tests import oracles

WORTHS = 1.0 / np.log2(np.arange(2, 7))


@pytest.mark.parametrize("size", [1, 4, 5, 40])
def test_what_is_reached_is_that_of_the_readable_twin_with_ties_and_fewer_events_than_ranks(size):
    rng = np.random.default_rng(size)
    scores = rng.integers(0, 4, (30, 3, size)).astype(np.float32)
    gains = np.zeros((30, 2, size), np.float32)
    gains[:, 0] = rng.random((30, size)) < 0.3
    gains[:, 1] = gains[:, 0] * rng.integers(1, 9, (30, size))
    weights = np.array([1.0, 0.0, 0.5], np.float32)

    reached = gains_reached(scores, weights, gains, WORTHS)

    expected = [
        oracles.gain_reached(*person, WORTHS)
        for person in zip(scores, [weights] * len(scores), gains, strict=True)
    ]
    np.testing.assert_allclose(reached, expected, rtol=1e-12)
    assert reached.any()


def test_nobody_reaches_nothing():
    none = np.zeros((0, 3, 5), np.float32)

    assert gains_reached(none, np.ones(3, np.float32), np.zeros((0, 2, 5), np.float32), WORTHS).shape == (
        0,
        2,
    )

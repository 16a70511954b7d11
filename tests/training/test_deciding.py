import numpy as np
import pytest

from training.deciding import first_as_good


def people(share: float) -> np.ndarray:
    """float64[400]: 1 for the first `share` of them, else 0."""
    return (np.arange(400) < 400 * share).astype(np.float64)


def test_the_first_that_cannot_be_told_from_the_best_is_chosen():
    best = people(0.5)
    best[190:200], best[200:211] = 0.0, 1.0  # worse for 10, better for 11

    assert first_as_good([people(0.3), people(0.5), best, people(0.4)]) == 1


def test_the_best_is_chosen_where_all_before_are_worse_beyond_the_interval():
    assert first_as_good([people(0.3), people(0.4), people(0.5)]) == 2


def test_of_equals_the_first_is_chosen():
    assert first_as_good([people(0.5), people(0.5)]) == 0


def test_the_same_people_are_compared_so_that_a_small_gain_of_many_counts():
    spread = np.random.default_rng(0).random(400)

    assert first_as_good([spread, spread + 0.001]) == 1
    assert first_as_good([spread, np.random.default_rng(1).permutation(spread) + 0.001]) == 0


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        first_as_good([])

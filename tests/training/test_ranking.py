import numpy as np
import pytest

from tests.sites import a_model
from training.ranking import ARMS

MODEL = a_model(
    {"ann": ["rock", "trad"], "bob": ["trad", "jazz"], "cat": ["trad", "jazz", "folk"], "dan": ["solo"]},
    events=["rock", "trad", "jazz", "folk", "solo", "new"],
)
EVERYTHING = np.ones(len(MODEL.events), np.uint8)
EVERYONE = np.arange(len(MODEL.users), dtype=np.int32)


def names(ranked: np.ndarray) -> list[list[str]]:
    return [[MODEL.events.id_at(event) for event in row if event >= 0] for row in ranked.tolist()]


def test_control_ranks_what_a_person_does_not_like_yet_by_popularity():
    ranked = ARMS["control"](MODEL, EVERYONE, EVERYTHING, 6)

    first, *middle, last = names(ranked)[0]
    assert (first, sorted(middle), last) == ("jazz", ["folk", "solo"], "new")
    assert ranked[0].tolist()[4:] == [-1, -1]


def test_collaborative_filtering_ranks_what_the_neighbourhood_likes_and_nothing_else():
    ranked = ARMS["collaborative_filtering"](MODEL, EVERYONE, EVERYTHING, 3)

    assert names(ranked) == [["jazz", "folk"], ["folk", "rock"], ["rock"], []]


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_ranks_the_people_asked_for_in_their_order_among_the_open_events(arm):
    only_two = np.array([1, 0, 1, 0, 0, 0], np.uint8)

    ranked = ARMS[arm](MODEL, np.array([1, 0], np.int32), only_two, 2)

    assert ranked.dtype == np.int32
    assert names(ranked) == [["rock"], ["jazz"]]


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_takes_no_people_at_all(arm):
    assert ARMS[arm](MODEL, np.empty(0, np.int32), EVERYTHING, 5).shape == (0, 5)


@pytest.mark.parametrize("arm", ARMS)
def test_measuring_leaves_the_model_as_it_was(arm):
    before = {name: array.tobytes() for name, array in MODEL.arrays().items()}

    ARMS[arm](MODEL, EVERYONE, EVERYTHING, 5)

    assert {name: array.tobytes() for name, array in MODEL.arrays().items()} == before

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sparse import row_columns
from tests.sites import a_model
from tests.strategies import matrices, sets_of
from training.ranking import ARMS, rows_of

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


@given(matrices(), st.data())
def test_rows_of_are_the_rows_asked_for(matrix, data):
    rows, _ = matrix
    users = data.draw(st.lists(st.integers(0, rows.n_rows - 1), max_size=6)) if rows.n_rows else []

    found = rows_of(rows, np.array(users, np.int32))

    assert sets_of(found) == [set(row_columns(rows, user).tolist()) for user in users]
    assert found.indptr.dtype == np.int64
    assert found.indices.dtype == np.int32

import numpy as np
import pytest

from core.tastes import ContentSettings, Taste
from service.live.content import ContentIndex
from service.live.description import describe
from service.live.statements import as_taste, of_signal
from tests.sites import a_model, an_event
from training.ranking import ARMS, BY_LIKES, NOTHING_KNOWN, Known

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


def described(genres: dict[str, str]) -> ContentIndex:
    """The events of the model as far as their genres are known."""
    index = ContentIndex(ContentSettings())
    events = [an_event(name, title="?", genres=(genre,)) for name, genre in genres.items()]
    index.put([MODEL.events.index_of(event.event_id) for event in events], describe(events))
    index.build(np.ones(len(MODEL.events), np.bool_))
    return index


GENRES = {"rock": "loud", "new": "loud", "trad": "quiet", "jazz": "quiet", "folk": "odd", "solo": "odd"}


def test_content_ranks_what_is_like_what_a_person_likes_or_states():
    index = described(GENRES)
    statements = tuple(of_signal("top_genres", ["odd"]))

    def stated(user_id: str) -> Taste:
        return as_taste(statements if user_id == "bob" else (), index.number_of, 3.0)

    ranked = ARMS["content_based"](MODEL, EVERYONE, EVERYTHING, 6, Known(index.content, stated))

    ann, bob, _, dan = (set(row) for row in names(ranked))
    assert {"new", "jazz"} <= ann
    assert {"folk", "solo"} <= bob
    assert "folk" in dan
    first = names(ranked)
    assert first[0][0] in ("new", "jazz")
    assert first[1][0] in ("folk", "solo")  # stated more than liked


def test_hybrid_knows_what_events_are_like():
    known = Known(described(GENRES).content, NOTHING_KNOWN.stated)

    ranked = ARMS["hybrid"](MODEL, EVERYONE, EVERYTHING, 6, known)

    assert "new" in names(ranked)[0]  # which nobody has ever liked
    assert "new" not in names(ARMS["hybrid"](MODEL, EVERYONE, EVERYTHING, 6))[0]


def test_content_ranks_nothing_where_nothing_is_known():
    assert names(ARMS["content_based"](MODEL, EVERYONE, EVERYTHING, 6)) == [[], [], [], []]


@pytest.mark.parametrize("arm", BY_LIKES)
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

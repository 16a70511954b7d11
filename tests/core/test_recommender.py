import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.live import Profile
from core.kernels.workspace import MOST_ANSWERS
from core.live_site import LiveSite
from core.recommender import Ranking, Recommender
from tests.live import all_open, live_site, profile_of
from tests.strategies import dense_matrices

NOTHING = np.empty(0, np.int32)
STRANGER = Profile(NOTHING, np.empty(0, np.float32), NOTHING, -1)

# Three people like 0 and 1; the first of them also 2, the second 2 and 3. Nobody likes 4, 5 and 6.
LIKES = np.array(
    [[255, 255, 255, 0, 0, 0, 0], [255, 255, 255, 255, 0, 0, 0], [255, 255, 0, 0, 0, 0, 0]], np.uint8
)
POPULARITY = np.array([0.5, 0.1, 0.5, 1.0, 0.0, 0.25, 0.5], np.float32)


def a_recommender(dense: np.ndarray = LIKES, popularity: np.ndarray = POPULARITY) -> Recommender:
    return Recommender(live_site(dense, neighbours=5), popularity)


def scores_of(ranking: Ranking) -> list[float]:
    return ranking.answer.scores[: ranking.n].tolist()


def excluding(*events: int) -> np.ndarray:
    return np.array(events, np.int32)


def test_control_names_the_most_popular_first_and_of_equal_ones_the_lower_index():
    arm = a_recommender()

    ranking = arm.popular(all_open(arm.live), NOTHING, 10)

    assert ranking.events == [3, 0, 2, 6, 5, 1, 4]
    assert scores_of(ranking) == sorted(POPULARITY.tolist(), reverse=True)
    assert ranking.n_personal == 0


def test_control_leaves_out_what_is_excluded_or_not_open():
    arm = a_recommender()
    open_events = all_open(arm.live)
    open_events[[0, 5]] = 0

    ranking = arm.popular(open_events, excluding(3, 3, 1), 10)

    assert ranking.events == [2, 6, 4]


def test_no_more_than_n_events_are_named():
    arm = a_recommender()

    assert arm.popular(all_open(arm.live), NOTHING, 2).events == [3, 0]
    assert len(arm.collaborative(profile_of(arm.live, 2), all_open(arm.live), 2).events) == 2


def test_what_is_popular_follows_where_the_neighbourhood_ends():
    arm = a_recommender()

    ranking = arm.collaborative(profile_of(arm.live, 2), all_open(arm.live), 10)

    assert ranking.n_personal == 2
    assert ranking.events == [2, 3, 6, 5, 4]


def test_scores_descend_where_the_popular_events_begin():
    arm = a_recommender()

    scores = scores_of(arm.collaborative(profile_of(arm.live, 2), all_open(arm.live), 10))

    assert scores == sorted(scores, reverse=True)
    least = np.float32(scores[1])
    assert scores[2:] == [float(least * np.float32(popularity)) for popularity in (0.5, 0.25, 0.0)]


def test_a_stranger_gets_what_is_popular_with_its_own_scores():
    arm = a_recommender()

    ranking = arm.collaborative(STRANGER, all_open(arm.live), 3)

    assert (ranking.n_personal, ranking.events, scores_of(ranking)) == (0, [3, 0, 2], [1.0, 0.5, 0.5])


def test_one_ranking_does_not_show_through_the_next():
    arm = a_recommender()
    profile, everything = profile_of(arm.live, 2), all_open(arm.live)
    first = arm.collaborative(profile, everything, 5)
    before = (first.events, scores_of(first), first.answer.supporters[:2].tolist())

    arm.popular(everything, excluding(2), 5)
    arm.collaborative(profile_of(arm.live, 0), everything, 5)
    again = arm.collaborative(profile, everything, 5)

    assert (again.events, scores_of(again), again.answer.supporters[:2].tolist()) == before


@pytest.mark.parametrize("n", [0, -1, MOST_ANSWERS + 1])
def test_a_length_that_no_answer_can_have_is_refused(n):
    arm = a_recommender()

    with pytest.raises(ValueError, match=f"n: expected 1 to {MOST_ANSWERS}, got {n}"):
        arm.popular(all_open(arm.live), NOTHING, n)


def test_the_longest_answer_can_be_given():
    wide = np.full((2, 300), 255, np.uint8)
    wide[0, 1:] = 0
    arm = a_recommender(wide, np.linspace(1, 0, 300, dtype=np.float32))

    ranking = arm.collaborative(profile_of(arm.live, 0), all_open(arm.live), MOST_ANSWERS)

    assert ranking.n == ranking.n_personal == len(set(ranking.events)) == MOST_ANSWERS


def test_people_and_events_beyond_the_room_of_the_model_are_ranked_as_well():
    arm = a_recommender()
    live = arm.live
    room = (live.user_room, live.event_room)
    while (live.n_users, live.n_events) <= room:
        live.add_user()
        live.add_event()
    newcomer, new_event = live.n_users - 1, live.n_events - 1
    for event in (0, 1, new_event):
        live.set_preference(newcomer, event, 255)
    arm.set_popularity(np.array([new_event], np.int32), np.array([0.9], np.float32))

    assert new_event in arm.collaborative(profile_of(live, 2), all_open(live), 3).events
    assert arm.collaborative(profile_of(live, newcomer), all_open(live), 2).events == [2, 3]
    assert arm.popular(all_open(live), NOTHING, 2).events == [3, new_event]


def test_an_event_without_popularity_comes_after_all_that_have_some():
    arm = a_recommender()
    new_event = arm.live.add_event()

    assert arm.popular(all_open(arm.live), NOTHING, 10).events[-2:] == [4, new_event]

    arm.set_popularity(np.array([new_event], np.int32), np.array([0.3], np.float32))

    assert arm.popular(all_open(arm.live), NOTHING, 10).events == [3, 0, 2, 6, new_event, 5, 1, 4]


@st.composite
def requests(draw: st.DrawFn) -> tuple[LiveSite, np.ndarray, np.ndarray]:
    """A site, popularities, and which events are open."""
    live = live_site(draw(dense_matrices()), neighbours=draw(st.integers(1, 4)), popularity_discount=0.0)
    size = {"min_size": live.n_events, "max_size": live.n_events}
    popularity = np.array(draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), **size)), np.float32)
    open_events = np.zeros(live.event_room, np.uint8)
    open_events[: live.n_events] = draw(st.lists(st.integers(0, 1), **size))
    return live, popularity, open_events


@given(requests(), st.integers(1, 10))
def test_any_ranking_is_open_unseen_without_repeats_descending_and_as_long_as_can_be(request_, n):
    live, popularity, open_events = request_
    arm = Recommender(live, popularity)
    candidates = set(np.flatnonzero(open_events).tolist())

    for profile in (STRANGER, *(profile_of(live, user) for user in range(live.n_users))):
        ranking = arm.collaborative(profile, open_events, n)
        allowed = candidates - set(profile.excluded.tolist())

        assert len(ranking.events) == len(set(ranking.events)) == ranking.n == min(n, len(allowed))
        assert set(ranking.events) <= allowed
        scores = scores_of(ranking)
        assert scores == sorted(scores, reverse=True)
        assert all(0.0 <= score <= 1.0 for score in scores)


@given(requests(), st.integers(1, 6))
def test_many_rankings_at_once_are_those_of_one_person_at_a_time(request_, n):
    live, popularity, open_events = request_
    arm = Recommender(live, popularity)

    ranked = arm.collaborative_many(np.arange(live.n_users, dtype=np.int32), open_events, n)

    assert ranked.shape == (live.n_users, n)
    for user in range(live.n_users):
        ranking = arm.collaborative(profile_of(live, user), open_events, n)
        personal = ranking.events[: ranking.n_personal]
        assert ranked[user].tolist() == personal + [-1] * (n - len(personal))

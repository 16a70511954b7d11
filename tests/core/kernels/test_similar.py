import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.live_site import LiveSite
from core.reasons import Part
from core.recommender import Ranking, Recommender
from tests import oracles
from tests.live import all_open, changed_sites, live_site

# 0 and 1 have the same two savers; 2 shares one of them; 3 and 4 have a saver of their own.
LIKES = np.array([[255, 255, 255, 0, 0], [255, 255, 0, 0, 0], [0, 0, 0, 255, 255]], np.uint8)


def similar(live: LiveSite, event: int, n: int = 5) -> Ranking:
    arm = Recommender(live, np.zeros(live.n_events, np.float32))
    return arm.similar(event, all_open(live), n)


def cosines(ranking: Ranking) -> dict[int, float]:
    return dict(zip(ranking.events, ranking.answer.scores[: ranking.n].tolist(), strict=True))


def test_events_with_the_same_savers_have_a_cosine_of_one_and_those_that_share_none_are_left_out():
    assert cosines(similar(live_site(LIKES), 0)) == {1: 1.0, 2: pytest.approx(np.sqrt(0.5))}
    assert cosines(similar(live_site(LIKES), 3)) == {4: 1.0}


def test_how_much_the_savers_like_an_event_counts():
    faint = np.array([[255, 51, 0], [255, 0, 51]], np.uint8)

    live = live_site(faint)
    live.set_preference(0, 2, 204)

    expected = {2: (0.8 + 0.2) / np.sqrt(2 * (0.8**2 + 0.2**2)), 1: 0.2 / np.sqrt(2 * 0.2**2)}
    assert cosines(similar(live, 0)) == pytest.approx(expected)


def test_an_event_that_nobody_likes_resembles_none():
    live = live_site(LIKES)

    assert similar(live, live.add_event()).n == 0


def test_an_event_that_is_not_of_the_site_is_refused():
    live = live_site(LIKES)

    with pytest.raises(IndexError, match="event 5 is not of this site"):
        similar(live, 5)


@st.composite
def questions(draw: st.DrawFn) -> tuple[LiveSite, int, np.ndarray, np.ndarray]:
    """A site that has changed since its model, one of its events, which are open, and which not to be shown."""
    live = draw(
        changed_sites(posting_cap=draw(st.sampled_from([None, 2]))).filter(lambda live: live.n_events)
    )
    some_events = st.lists(st.integers(0, live.n_events - 1), max_size=3)
    open_events = all_open(live)
    open_events[draw(some_events)] = 0
    excluded = np.array(draw(some_events), np.int32)
    return live, draw(st.integers(0, live.n_events - 1)), open_events, excluded


@given(questions(), st.integers(1, 10))
def test_similar_events_are_those_of_the_slow_twin_to_the_last_bit(question, n):
    live, event, open_events, excluded = question
    arm = Recommender(live, np.zeros(live.n_events, np.float32))
    expected = oracles.similar(event, live.site, open_events, excluded.tolist(), n)

    for _ in range(2):  # the second finds the scratch space as the first did
        ranking = arm.similar(event, open_events, n, excluded)

        assert ranking.n == ranking.n_personal == len(expected)
        assert list(zip(ranking.events, ranking.answer.scores[: ranking.n], strict=True)) == expected
        assert ranking.answer.parts[: ranking.n].sum(axis=1).tolist() == [score for _, score in expected]
        assert ranking.answer.parts[: ranking.n, Part.COLLABORATIVE].tolist() == [
            score for _, score in expected
        ]
        assert (ranking.answer.reasons[: ranking.n] == -1).all()

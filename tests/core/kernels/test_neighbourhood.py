from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.held import Held
from core.kernels.live import Profile, Site
from core.kernels.neighbourhood import recommend_many
from core.kernels.workspace import MOST_ANSWERS, REASONS
from core.live_site import LiveSite
from core.reasons import Part
from core.sparse import Rows
from tests import oracles
from tests.live import Desk, all_open, changed_sites, is_at_rest, live_site, profile_of, site_of
from tests.strategies import rows_from_dense

NOBODY = -1
HALF_POWERS = st.sampled_from([2, 3, 4])
NO_EVENTS = np.empty(0, np.int32)


@dataclass(frozen=True)
class Request:
    """One request to a site, and how many neighbours and answers it may have."""

    live: LiveSite
    site: Site
    profile: Profile
    half_powers: int
    open_events: np.ndarray
    k: int
    n: int

    def desk(self) -> Desk:
        return Desk.for_site(self.live, self.k, self.n)

    def ask(self, desk: Desk) -> tuple[int, int]:
        return desk.recommend(self.profile, Held(self.site), self.half_powers, self.open_events)

    def expected(self) -> tuple[list[oracles.Recommendation], list[oracles.Neighbour]]:
        return oracles.recommend(self.profile, self.site, self.half_powers, self.open_events, self.k, self.n)


@st.composite
def profiles(draw: st.DrawFn, live: LiveSite) -> Profile:
    """Somebody of the site as they are, or anybody with any taste, whom some events must not be shown to."""
    some_events = st.lists(st.integers(0, live.n_events - 1), unique=True) if live.n_events else st.just([])
    excluded = np.array(draw(some_events), np.int32)
    user = draw(st.integers(NOBODY, live.n_users - 1))
    if user != NOBODY and draw(st.booleans()):
        return profile_of(live, user, excluded)
    events = np.array(draw(some_events), np.int32)
    bytes_ = draw(st.lists(st.integers(1, 255), min_size=events.size, max_size=events.size))
    return Profile(events, np.array(bytes_, np.float32) / np.float32(255), excluded, user)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A request to a site that has changed since its model and leaves some people out of all neighbourhoods."""
    live = draw(changed_sites())
    open_events = all_open(live)
    user_scales = live.site.user_scales.copy()
    if live.n_events:
        open_events[draw(st.lists(st.integers(0, live.n_events - 1), max_size=3))] = 0
    if live.n_users:
        user_scales[draw(st.lists(st.integers(0, live.n_users - 1), max_size=2))] = 0.0
    return Request(
        live=live,
        site=live.site._replace(user_scales=user_scales),
        profile=draw(profiles(live)),
        half_powers=draw(HALF_POWERS),
        open_events=open_events,
        k=draw(st.integers(1, 12)),
        n=draw(st.integers(1, 12)),
    )


def assert_as_expected(desk: Desk, counts: tuple[int, int], request: Request) -> None:
    """The answer, its reasons and the neighbourhood are those of the slow twin, to the last bit."""
    n_answers, n_neighbours = counts
    ranking, neighbours = request.expected()
    out, found = desk.answer, desk.neighbours
    assert out.events[:n_answers].tolist() == [one.event for one in ranking]
    assert out.scores[:n_answers].tolist() == [one.score for one in ranking]
    assert out.parts[:n_answers, Part.COLLABORATIVE].tolist() == [one.score for one in ranking]
    assert (out.parts[:n_answers, 1:] == 0).all()
    assert (out.subjects[:n_answers] == -1).all()
    assert out.supporters[:n_answers].tolist() == [one.supporters for one in ranking]
    assert out.contributors[:n_answers].tolist() == [one.contributors for one in ranking]
    assert out.reasons[:n_answers].tolist() == [one.reasons for one in ranking]
    assert out.contributions[:n_answers].tolist() == [one.contributions for one in ranking]
    assert found.users[:n_neighbours].tolist() == [one.user for one in neighbours]
    assert found.sums[:n_neighbours].tolist() == [one.shared for one in neighbours]
    assert found.votes[:n_neighbours].tolist() == [one.vote for one in neighbours]


@given(requests())
def test_ranking_reasons_and_neighbourhood_are_those_of_the_slow_twin(request: Request) -> None:
    desk = request.desk()
    assert_as_expected(desk, request.ask(desk), request)


@given(requests())
def test_scratch_space_is_at_rest_after_a_request_and_the_next_one_starts_afresh(request: Request) -> None:
    desk = request.desk()
    request.ask(desk)
    assert is_at_rest(desk.space)
    assert_as_expected(desk, request.ask(desk), request)
    assert is_at_rest(desk.space)


@given(requests())
def test_an_answer_descends_and_equal_scores_ascend_by_event(request: Request) -> None:
    desk = request.desk()
    n_answers, _ = request.ask(desk)
    ranked = list(zip(-desk.answer.scores[:n_answers], desk.answer.events[:n_answers], strict=True))
    assert ranked == sorted(set(ranked))
    assert all(score < 0 for score, _ in ranked)


@given(requests(), st.integers(1, 12))
def test_nothing_better_is_left_out_of_a_shorter_answer(request: Request, shorter: int) -> None:
    desk, short = request.desk(), Desk.for_site(request.live, request.k, shorter)
    n_answers, _ = request.ask(desk)
    n_short, _ = request.ask(short)
    n_both = min(n_answers, n_short)
    assert n_both == n_short or n_both == request.n
    np.testing.assert_array_equal(short.answer.events[:n_both], desk.answer.events[:n_both])


@given(requests())
def test_closed_and_excluded_events_are_never_recommended(request: Request) -> None:
    desk = request.desk()
    n_answers, _ = request.ask(desk)
    recommended = desk.answer.events[:n_answers]
    assert request.open_events[recommended].all()
    assert not np.intersect1d(recommended, request.profile.excluded).size


@given(requests())
def test_neighbours_are_different_people_with_a_similarity_and_never_the_person_themselves(
    request: Request,
) -> None:
    desk = request.desk()
    _, n_neighbours = request.ask(desk)
    users = desk.neighbours.users[:n_neighbours]
    assert np.unique(users).size == n_neighbours <= request.k
    assert request.profile.own_row not in users
    assert (request.site.user_scales[users] > 0).all()
    assert (desk.neighbours.votes[:n_neighbours] > 0).all()


@given(requests())
def test_the_parts_of_all_events_of_a_profile_add_up_to_the_score(request: Request) -> None:
    desk = request.desk()
    n_answers, _ = request.ask(desk)
    ranking, _ = request.expected()
    for rank in range(n_answers):
        score, named = desk.answer.scores[rank], desk.answer.contributions[rank]
        assert np.sum(ranking[rank].shares, dtype=np.float64) == pytest.approx(score, rel=1e-5)
        if desk.answer.contributors[rank] <= REASONS:
            assert named.sum(dtype=np.float64) == pytest.approx(score, rel=1e-5)
        else:
            assert 0 < named.sum(dtype=np.float64) < score * (1 + 1e-5)
            assert (named > 0).all()


def formula(request: Request, dense: np.ndarray) -> np.ndarray:
    """float64[events]: the scores of the module's formula over dense matrices, all neighbours and no cap."""
    settings, profile = request.live.settings, request.profile
    preferences = dense / 255.0
    user_masses = np.maximum(preferences.sum(axis=1), 1.0)
    event_masses = np.maximum(preferences.sum(axis=0), 1.0)
    taste = np.zeros(dense.shape[1])
    taste[profile.events] = profile.weights
    similarities = (preferences * event_masses**-settings.rarity) @ taste * user_masses**-settings.activity
    similarities[request.site.user_scales[: dense.shape[0]] == 0] = 0.0
    if profile.own_row != NOBODY:
        similarities[profile.own_row] = 0.0
    votes = similarities ** (request.half_powers / 2)
    scores = votes @ preferences / max(votes.sum(), 1e-300)
    return scores * event_masses**-settings.popularity_discount


@given(requests())
def test_scores_are_those_of_the_published_formula(request: Request) -> None:
    live = request.live
    dense = np.array([[live.preference(u, e) for e in range(live.n_events)] for u in range(live.n_users)])
    expected = formula(request, dense.reshape(live.n_users, live.n_events))
    expected[request.open_events[: live.n_events] == 0] = 0.0
    expected[request.profile.excluded] = 0.0
    desk = Desk.for_site(live, max(1, live.n_users), max(1, live.n_events))
    n_answers, _ = request.ask(desk)
    scores = np.zeros(live.n_events)
    scores[desk.answer.events[:n_answers]] = desk.answer.scores[:n_answers]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def ask(live: LiveSite, profile: Profile, k: int = 10, n: int = 10) -> tuple[list[int], list[int], Desk]:
    """(events, neighbours) for a profile when every event is open."""
    desk = Desk.for_site(live, k, n)
    n_answers, n_neighbours = desk.recommend(profile, live.held, live.settings.half_powers, all_open(live))
    return desk.answer.events[:n_answers].tolist(), desk.neighbours.users[:n_neighbours].tolist(), desk


def test_of_equally_similar_people_the_lower_rows_are_neighbours() -> None:
    live = live_site(np.array([[255, 0, 0], [255, 255, 0], [255, 0, 255], [255, 255, 0]], np.uint8))
    _, neighbours, _ = ask(live, profile_of(live, 0), k=2)
    assert neighbours == [1, 2]
    live = live_site(np.full((4, 1), 255, np.uint8))
    assert [ask(live, profile_of(live, user), k=2)[1] for user in (0, 3)] == [[1, 2], [0, 1]]


def test_of_equal_scores_the_lower_event_is_recommended() -> None:
    live = live_site(np.array([[255, 0, 0, 0], [255, 255, 255, 255]], np.uint8))
    assert ask(live, profile_of(live, 0), n=2)[0] == [1, 2]


def test_of_events_that_contribute_equally_the_earlier_of_the_profile_is_named_first() -> None:
    likes = np.zeros((2, 6), np.uint8)
    likes[0, :5] = likes[1] = 255
    live = live_site(likes)
    events, weights = live.liked(0)
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0]):
        _, _, desk = ask(live, Profile(events[order], weights[order], events, 0))
        assert desk.answer.reasons[0].tolist() == [0, 1, 2]
        assert desk.answer.contributors[0] == 5


def test_a_profile_without_events_has_no_neighbours_and_no_recommendations() -> None:
    live = live_site(np.full((3, 3), 255, np.uint8))
    assert ask(live, Profile(NO_EVENTS, np.empty(0, np.float32), NO_EVENTS, NOBODY))[:2] == ([], [])


def test_a_site_without_anybody_recommends_nothing() -> None:
    live = live_site(np.empty((0, 0), np.uint8))
    assert ask(live, Profile(NO_EVENTS, np.empty(0, np.float32), NO_EVENTS, NOBODY))[:2] == ([], [])


def test_somebody_who_likes_what_nobody_else_likes_has_no_neighbours() -> None:
    live = live_site(np.array([[255, 0], [0, 255]], np.uint8))
    assert ask(live, profile_of(live, 0))[:2] == ([], [])


def test_people_and_events_that_the_model_never_saw_take_part_at_once() -> None:
    live = live_site(np.array([[255, 0], [255, 255]], np.uint8))
    stranger, new_event = live.add_user(), live.add_event()
    live.set_preference(stranger, 0, 255)
    assert ask(live, profile_of(live, stranger))[:2] == ([1], [0, 1])
    live.set_preference(1, new_event, 255)
    assert ask(live, profile_of(live, stranger))[0] == [1, new_event]
    live.set_preference(stranger, new_event, 255)
    assert ask(live, profile_of(live, 0))[:2] == ([new_event, 1], [1, stranger])


def test_a_like_that_was_taken_back_supports_and_explains_nothing() -> None:
    live = live_site(np.array([[255, 0, 0], [255, 255, 0], [255, 255, 0]], np.uint8))
    new_event = live.add_event()
    for user, event in ((1, 1), (2, new_event), (2, new_event - 1)):
        live.set_preference(user, event, 255)
        live.set_preference(user, event, 0)
    events, neighbours, desk = ask(live, profile_of(live, 0))
    assert (events, neighbours) == ([1], [1, 2])
    assert desk.answer.supporters[0] == 1
    live.set_preference(1, new_event, 255)
    events, _, desk = ask(live, profile_of(live, 0))
    assert events == [1, new_event]
    assert desk.answer.supporters[:2].tolist() == [1, 1]


def test_the_longest_answer_is_ranked_and_explained() -> None:
    likes = np.zeros((2, MOST_ANSWERS + 20), np.uint8)
    likes[1] = 255
    likes[0, -1] = 255
    live = live_site(likes)
    events, _, desk = ask(live, profile_of(live, 0), n=MOST_ANSWERS)
    assert events == list(range(MOST_ANSWERS))
    assert (desk.answer.reasons == [0, -1, -1]).all()
    assert (desk.answer.contributions[:, 0] == desk.answer.scores).all()
    assert is_at_rest(desk.space)


def crowded() -> tuple[Rows, int]:
    """More entries than 16 bits count; the last person likes twelve events only."""
    rng = np.random.default_rng(0)
    dense = rng.integers(1, 256, (360, 240)).astype(np.uint8)
    dense[rng.random(dense.shape) < 0.2] = 0
    dense[-1, 12:] = 0
    return rows_from_dense(dense), dense.shape[1]


def test_more_entries_than_16_bits_count() -> None:
    liked, n_events = crowded()
    assert liked.indices.size > 65_536
    live = site_of(liked, n_events, live_site(np.empty((0, 0), np.uint8)).settings)
    request = Request(live, live.site, profile_of(live, live.n_users - 1), 3, all_open(live), k=40, n=20)
    desk = request.desk()
    counts = request.ask(desk)
    assert counts == (20, 40)
    assert_as_expected(desk, counts, request)


@given(changed_sites(max_size=0), HALF_POWERS, st.integers(1, 12), st.integers(1, 12), st.data())
def test_ranking_many_people_gives_each_the_ranking_of_their_own_request(
    live: LiveSite, half_powers: int, k: int, n: int, data: st.DataObject
) -> None:
    users = np.array(
        data.draw(st.lists(st.integers(0, live.n_users - 1), max_size=5)) if live.n_users else [], np.int32
    )
    desk, open_events = Desk.for_site(live, k, n), all_open(live)
    ranked = np.full((users.size, n), -7, np.int32)
    recommend_many(
        *(users, live.held, half_powers, open_events),
        *(Held(desk.space), Held(desk.neighbours), Held(desk.answer), ranked),
    )
    assert is_at_rest(desk.space)
    for user, line in zip(users, ranked, strict=True):
        n_answers, _ = desk.recommend(profile_of(live, int(user)), live.held, half_powers, open_events)
        assert line.tolist() == desk.answer.events[:n_answers].tolist() + [-1] * (n - n_answers)

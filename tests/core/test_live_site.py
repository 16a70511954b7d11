from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.collaborative import CollaborativeSettings, fit_neighbourhood
from core.kernels.live import LiveRows
from core.live_site import LiveSite
from core.sparse import Rows
from tests import oracles
from tests.live import Desk, all_open, changed_sites, changes, dense_of, live_site, make, profile_of, site_of
from tests.strategies import dense_matrices, rows_from_dense

#: No scales and no powers: for a taste of whole numbers sums are whole too, and below 2²⁴ float32 adds them exactly in
#: whatever order.
WHOLE_NUMBERS = {"rarity": 0.0, "activity": 0.0, "popularity_discount": 0.0, "amplification": 1.0}


def rebuilt(live: LiveSite) -> LiveSite:
    """A site whose model holds everyone's preferences as `live` has them now."""
    return live_site(
        dense_of(live),
        rarity=live.settings.rarity,
        activity=live.settings.activity,
        popularity_discount=live.settings.popularity_discount,
        amplification=live.settings.amplification,
    )


def ranking(
    live: LiveSite, user: int, k: int, n: int, in_full: bool = False
) -> dict[int, tuple[float, int, int, dict[int, float]]]:
    """Of each recommended event, best first: score, supporters, contributors, contribution of each reason's event.

    `in_full` counts what the person likes, however faintly, as 1.
    """
    desk, profile = Desk.for_site(live, k, n), profile_of(live, user)
    if in_full:
        profile = profile._replace(weights=np.ones(profile.events.size, np.float32))
    n_answers, _ = desk.recommend(profile, live.held, live.settings.half_powers, all_open(live))
    out = desk.answer
    return {
        int(out.events[rank]): (
            float(out.scores[rank]),
            int(out.supporters[rank]),
            int(out.contributors[rank]),
            {
                int(profile.events[reason]): float(part)
                for reason, part in zip(out.reasons[rank], out.contributions[rank], strict=True)
                if reason >= 0
            },
        )
        for rank in range(n_answers)
    }


def as_preference(weight: int) -> float:
    """A weight in 1/255 as it is handed out."""
    return float(np.float32(weight) * np.float32(1 / 255))


def entries(rows: LiveRows, n_rows: int) -> list[dict[int, float]]:
    return [dict(oracles.entries(rows, row)) for row in range(n_rows)]


@given(changed_sites(**WHOLE_NUMBERS), st.integers(1, 10), st.integers(1, 10))
def test_after_any_changes_people_get_exactly_the_ranking_of_a_site_built_anew(
    live: LiveSite, k: int, n: int
) -> None:
    anew = rebuilt(live)
    for user in range(live.n_users):
        now, then = ranking(live, user, k, n, in_full=True), ranking(anew, user, k, n, in_full=True)
        assert list(now) == list(then)
        assert [one[:3] for one in now.values()] == [one[:3] for one in then.values()]


@given(changed_sites())
def test_after_any_changes_scores_and_reasons_are_those_of_a_site_built_anew(live: LiveSite) -> None:
    anew = rebuilt(live)
    k, n = max(1, live.n_users), max(1, live.n_events)
    for user in range(live.n_users):
        now, then = ranking(live, user, k, n), ranking(anew, user, k, n)
        assert now.keys() == then.keys()
        for event, (score, supporters, contributors, parts) in now.items():
            assert score == pytest.approx(then[event][0], rel=1e-5)
            assert (supporters, contributors) == then[event][1:3]
            greatest, others = sorted(parts.values()), sorted(then[event][3].values())
            assert greatest == pytest.approx(others, rel=1e-4)


@given(changed_sites(max_size=40))
def test_scales_are_those_of_a_site_built_anew_however_often_preferences_changed(live: LiveSite) -> None:
    anew = rebuilt(live)
    users, events = live.n_users, live.n_events
    np.testing.assert_array_equal(live.event_masses[:events], anew.event_masses[:events])
    np.testing.assert_allclose(live.site.user_scales[:users], anew.site.user_scales[:users], rtol=1e-6)
    np.testing.assert_allclose(live.site.event_weights[:events], anew.site.event_weights[:events], rtol=1e-6)
    np.testing.assert_allclose(live.site.event_scales[:events], anew.site.event_scales[:events], rtol=1e-6)


@given(st.data())
def test_many_preferences_at_once_are_set_as_one_after_the_other(data: st.DataObject) -> None:
    dense = data.draw(dense_matrices().filter(np.size))
    one_by_one, at_once = live_site(dense), live_site(dense)
    pairs = st.tuples(
        st.integers(0, dense.shape[0] - 1), st.integers(0, dense.shape[1] - 1), st.integers(0, 255)
    )
    calls = data.draw(st.lists(pairs, max_size=30))
    for call in calls:
        one_by_one.set_preference(*call)

    at_once.set_preferences(*(list(values) for values in zip(*calls, strict=True)) if calls else ((),) * 3)

    np.testing.assert_array_equal(dense_of(at_once), dense_of(one_by_one))
    np.testing.assert_array_equal(at_once.event_masses, one_by_one.event_masses)
    np.testing.assert_array_equal(at_once.event_squares, one_by_one.event_squares)
    for ours, theirs in zip(at_once.site[2:], one_by_one.site[2:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(dense_matrices().filter(np.size), st.integers(1, 5))
def test_squares_are_those_of_all_preferences_however_many_are_added_up_at_once(
    dense: np.ndarray, at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.live_site._AT_ONCE", at_once)
        squares = live_site(dense).event_squares[: dense.shape[1]]

    np.testing.assert_array_equal(squares, (dense.astype(np.int64) ** 2).sum(axis=0))


@pytest.mark.parametrize("wrong", [([0, 9], [0, 0], [1, 1]), ([0], [-1], [1]), ([0, 0], [0, 0], [1, 256])])
def test_of_many_preferences_none_is_set_when_one_is_out_of_range(wrong: Any) -> None:
    live = live_site(np.zeros((2, 2), np.uint8))
    with pytest.raises((IndexError, ValueError)):
        live.set_preferences(*wrong)
    assert not dense_of(live).any()


def test_many_faint_preferences_add_up_to_a_whole_one() -> None:
    live = live_site(np.zeros((255, 1), np.uint8))
    for user in range(255):
        live.set_preference(user, 0, 1)
    assert live.event_masses[0] == 1.0


@given(st.data())
def test_both_sides_hold_what_was_set_last(data: st.DataObject) -> None:
    dense = data.draw(dense_matrices())
    live = live_site(dense)
    calls = data.draw(changes(live, max_size=20))
    expected = {(u, e): int(w) for (u, e), w in np.ndenumerate(dense) if w}
    make(live, calls)
    for name, *arguments in calls:
        if name == "set_preference":
            user, event, weight = arguments
            expected[user, event] = weight
        elif name == "forget_user":
            expected = {pair: weight for pair, weight in expected.items() if pair[0] != arguments[0]}
    expected = {pair: weight for pair, weight in expected.items() if weight}
    liked, savers = entries(live.site.liked, live.n_users), entries(live.site.savers, live.n_events)
    assert {(u, e): w for u, row in enumerate(liked) for e, w in row.items()} == expected
    assert {(u, e): w for e, row in enumerate(savers) for u, w in row.items()} == expected
    for (user, event), weight in expected.items():
        assert live.preference(user, event) == weight
        events, weights = live.liked(user)
        assert dict(zip(events.tolist(), weights.tolist(), strict=True))[event] == as_preference(weight)


@given(changed_sites(), st.data())
def test_somebody_forgotten_is_nobodys_neighbour_and_likes_nothing(
    live: LiveSite, data: st.DataObject
) -> None:
    if not live.n_users:
        live.add_user()
    forgotten = data.draw(st.integers(0, live.n_users - 1))
    live.forget_user(forgotten)
    assert live.liked(forgotten)[0].size == 0
    assert not any(forgotten in savers for savers in entries(live.site.savers, live.n_events))
    for user in range(live.n_users):
        desk = Desk.for_site(live, 10, 10)
        _, n_neighbours = desk.recommend(profile_of(live, user), live.held, 3, all_open(live))
        assert forgotten not in desk.neighbours.users[:n_neighbours]


def test_a_preference_taken_back_and_set_again_is_held_once() -> None:
    live = live_site(np.zeros((1, 1), np.uint8))
    for weight in (255, 0, 0, 7):
        live.set_preference(0, 0, weight)
    assert oracles.entries(live.site.liked, 0) == [(0, 7)]
    assert [part.tolist() for part in live.liked(0)] == [[0], [as_preference(7)]]


def test_a_saver_whom_the_cap_left_out_joins_the_postings_with_their_next_change() -> None:
    live = live_site(np.full((30, 1), 255, np.uint8), posting_cap=10)
    sampled = dict(oracles.entries(live.site.savers, 0))
    assert len(sampled) == 10
    left_out = min(set(range(30)) - sampled.keys())
    live.set_preference(left_out, 0, 254)
    assert dict(oracles.entries(live.site.savers, 0)) == sampled | {left_out: 254}


def test_the_arrays_of_a_preference_change_in_place_and_those_of_the_structure_never() -> None:
    liked = rows_from_dense(np.array([[255, 0], [9, 255]], np.uint8))
    settings = CollaborativeSettings(posting_cap=None)
    neighbourhood = fit_neighbourhood(liked, 2, settings)
    for fixed in (liked.indptr, liked.indices, neighbourhood.savers.indptr, neighbourhood.savers.indices):
        fixed.flags.writeable = False
    live = LiveSite(liked, neighbourhood, 2, settings)
    live.set_preference(1, 0, 8)
    live.set_preference(0, 1, 4)
    assert liked.weights.tolist() == [255, 8, 255]
    assert neighbourhood.savers.weights.tolist() == [255, 8, 255]


def test_what_somebody_likes_is_handed_out_as_a_copy_of_one_kind() -> None:
    """A kernel is compiled anew for arrays that are read-only: in the middle of a request."""
    liked = rows_from_dense(np.array([[255, 3]], np.uint8))
    liked.indices.flags.writeable = False
    live = site_of(liked, 2, CollaborativeSettings())
    events, weights = live.liked(0)
    assert events.flags.writeable
    live.set_preference(0, 0, 1)
    assert weights.tolist() == [1.0, as_preference(3)]


def test_every_array_grows_as_people_events_and_preferences_come() -> None:
    live = live_site(np.array([[255, 0], [255, 255]], np.uint8))
    first_rooms = live.user_room, live.event_room
    users = [live.add_user() for _ in range(first_rooms[0])]
    events = [live.add_event() for _ in range(first_rooms[1])]
    assert users == list(range(2, first_rooms[0] + 2))
    assert live.user_room > first_rooms[0]
    assert live.event_room > first_rooms[1]
    for user, event in zip(users, events, strict=True):
        live.set_preference(user, event, 255)
        live.set_preference(user, 0, 128)
        live.set_preference(user, 1, 1)
    assert len(oracles.entries(live.site.savers, 0)) == len(users) + 2
    for user, event in zip(users, events, strict=True):
        assert oracles.entries(live.site.liked, user) == [(1, 1), (0, 128), (event, 255)]
        assert oracles.entries(live.site.savers, event) == [(user, 255)]
    assert live.event_masses[0] == np.float32((2 * 255 + len(users) * 128) / 255)


def test_somebody_beyond_the_first_room_is_served_and_supports_others() -> None:
    live = live_site(np.array([[255, 255, 0], [255, 0, 0]], np.uint8), **WHOLE_NUMBERS)
    while live.n_users < live.user_room or live.n_events < live.event_room:
        live.add_user()
        live.add_event()
    user, event = live.add_user(), live.add_event()
    assert live.site.user_scales[user] == 1.0
    assert live.site.event_weights[event] == live.site.event_scales[event] == 1.0
    for liked in (0, event):
        live.set_preference(user, liked, 255)
    assert list(ranking(live, user, 10, 10)) == [1]
    assert list(ranking(live, 1, 10, 10)) == [1, event]


@pytest.mark.parametrize(
    ("call", "error", "complaint"),
    [
        (("set_preference", 2, 0, 1), IndexError, "user 2"),
        (("set_preference", -1, 0, 1), IndexError, "user -1"),
        (("set_preference", 0, 3, 1), IndexError, "event 3"),
        (("set_preference", 0, -1, 1), IndexError, "event -1"),
        (("set_preference", 0, 0, 256), ValueError, "weight: expected 0 to 255, got 256"),
        (("set_preference", 0, 0, -1), ValueError, "weight: expected 0 to 255, got -1"),
        (("preference", 2, 0), IndexError, "user 2"),
        (("preference", 0, 3), IndexError, "event 3"),
        (("liked", -1), IndexError, "user -1"),
        (("liked", 2), IndexError, "user 2"),
        (("forget_user", -1), IndexError, "user -1"),
        (("forget_user", 2), IndexError, "user 2"),
    ],
)
def test_who_is_not_of_the_site_is_refused_and_nothing_changes(
    call: tuple[Any, ...], error: type[Exception], complaint: str
) -> None:
    dense = np.array([[255, 0, 9], [0, 128, 1]], np.uint8)
    live = live_site(dense)
    with pytest.raises(error, match=complaint):
        make(live, [call])
    np.testing.assert_array_equal(dense_of(live), dense)


def test_setting_what_is_already_so_adds_nothing() -> None:
    live = live_site(np.array([[255, 0]], np.uint8))
    site = live.site
    live.set_preference(0, 0, 255)
    live.set_preference(0, 1, 0)
    assert live.site is site
    assert oracles.entries(live.site.liked, 0) == [(0, 255)]


def test_a_site_can_begin_without_a_model() -> None:
    nothing = Rows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8))
    live = site_of(nothing, 0, CollaborativeSettings())
    people, event, other = [live.add_user(), live.add_user()], live.add_event(), live.add_event()
    for user in people:
        live.set_preference(user, event, 255)
    live.set_preference(people[1], other, 255)
    assert list(ranking(live, people[0], 5, 5)) == [other]

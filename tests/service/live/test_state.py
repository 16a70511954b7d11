from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.actions import Action, ActionWeights
from core.collaborative import CollaborativeSettings
from core.interactions import PreferenceSettings
from core.model import Model, ModelSettings
from service.live.filters import NO_LIMITS, Limits, Near
from service.live.history import Deed
from service.live.state import STRANGER, LiveState
from service.live.statements import of_signal
from service.recommending.arms import ARMS
from service.recommending.asking import Question, answer_question
from service.recommending.encoding import Encoder
from service.storage.queries.events import EventRow
from service.storage.queries.people import Listening
from tests.service.recommending.twin import UNLISTED
from tests.sites import DAY, HOUR, NOW, Act, a_model, an_event, live_state, model_of

LIKES = {"ann": ["rock", "trad"], "bob": ["trad", "jazz"], "cat": ["jazz"]}
EVENTS = [an_event(event_id, city="Cork") for event_id in ("rock", "trad", "jazz")]


@pytest.fixture
def state() -> LiveState:
    return live_state(a_model(LIKES, hides={"cat": ["rock"]}), EVENTS)


def liked_by(state: LiveState, user_id: str) -> dict[str, int]:
    """What a person likes, in 1/255."""
    profile = state.profile(user_id)
    weights = np.rint(profile.weights * 255).astype(int).tolist()
    return {state.event_ids[event]: weight for event, weight in zip(profile.events, weights, strict=True)}


def excluded_for(state: LiveState, user_id: str | None, *also: str) -> set[str]:
    return {state.event_ids[event] for event in state.profile(user_id, also).excluded}


def recommended_to(state: LiveState, user_id: str, n: int = 10) -> list[str]:
    """What the neighbourhood likes, best first."""
    candidates = state.catalogue.candidates(None, NOW)
    ranking = state.recommender.collaborative(state.profile(user_id), candidates.mask, n)
    return [state.event_ids[event] for event in ranking.events[: ranking.n_personal]]


def popular(state: LiveState, city: str | None = None) -> list[str]:
    mask = state.catalogue.candidates(city, NOW).mask
    events = state.recommender.popular(mask, STRANGER.excluded, 20).events
    return [state.event_ids[event] for event in events]


def test_a_known_person_has_the_profile_of_the_model(state):
    assert liked_by(state, "ann") == {"rock": 255, "trad": 255}
    assert excluded_for(state, "ann") == {"rock", "trad"}
    assert state.profile("ann").own_row == state.user_row("ann") == 0


def test_what_someone_dismissed_is_excluded_but_says_nothing_of_their_taste(state):
    assert liked_by(state, "cat") == {"jazz": 255}
    assert excluded_for(state, "cat") == {"jazz", "rock"}


@pytest.mark.parametrize("user_id", [None, "nobody", "\ud800"])
def test_a_guest_and_a_stranger_have_an_empty_profile(state, user_id):
    profile = state.profile(user_id)

    assert (profile.events.size, profile.excluded.size, profile.own_row) == (0, 0, -1)
    assert profile.weights.dtype == np.float32


def test_events_to_exclude_that_nobody_has_heard_of_are_left_aside(state):
    assert excluded_for(state, None, "rock", "never heard of") == {"rock"}
    assert excluded_for(state, "ann", "jazz", "never heard of") == {"rock", "trad", "jazz"}


def test_a_save_counts_in_the_very_next_profile(state):
    state.apply("ann", "jazz", Action.SAVE)

    assert liked_by(state, "ann") == {"rock": 255, "trad": 255, "jazz": 255}
    assert excluded_for(state, "ann") == {"rock", "trad", "jazz"}


@pytest.mark.parametrize("action", [Action.HIDE, Action.THUMBS_DOWN])
def test_a_dismissal_counts_in_the_very_next_profile(state, action):
    state.apply("ann", "rock", action)
    state.apply("ann", "jazz", action)

    assert liked_by(state, "ann") == {"trad": 255}
    assert excluded_for(state, "ann") == {"rock", "trad", "jazz"}


def test_a_save_taken_back_is_as_if_it_had_never_been(state):
    state.apply("ann", "rock", Action.UNSAVE)

    assert liked_by(state, "ann") == {"trad": 255}
    assert excluded_for(state, "ann") == {"trad"}


def test_a_hide_taken_back_is_as_if_it_had_never_been(state):
    state.apply("cat", "rock", Action.UNHIDE)

    assert excluded_for(state, "cat") == {"jazz"}


def test_clicks_add_up_and_skips_take_away(state):
    for _ in range(2):
        state.apply("ann", "jazz", Action.CLICK)
    assert liked_by(state, "ann")["jazz"] == round(0.6 * 255)

    state.apply("ann", "jazz", Action.SKIP)
    assert liked_by(state, "ann")["jazz"] == round(0.5 * 255)


def test_what_one_person_saves_is_recommended_to_those_like_them_at_once(state):
    state.put_events([an_event("folk")])
    state.settle_events()
    assert "folk" not in recommended_to(state, "ann")

    state.apply("bob", "folk", Action.SAVE)

    assert "folk" in recommended_to(state, "ann")


def test_people_and_events_the_model_never_saw_take_part_at_once(state):
    state.put_events([an_event("folk"), an_event("punk")])
    state.settle_events()
    for user_id in ("dan", "eve"):
        state.apply(user_id, "folk", Action.SAVE)
    state.apply("eve", "punk", Action.SAVE)
    state.apply("eve", "rock", Action.SAVE)

    assert liked_by(state, "dan") == {"folk": 255}
    assert set(recommended_to(state, "dan")) == {"punk", "rock"}
    assert "punk" in recommended_to(state, "ann")
    assert state.user_row("dan") == len(LIKES)


def test_an_event_first_heard_of_through_an_action_can_be_named_as_a_reason(state):
    state.apply("dan", "flash mob", Action.SAVE)

    index, cards = state.event_index("flash mob"), state.catalogue.cards
    texts = [
        cards.blob[cards.bounds[index, part] : cards.bounds[index, part + 1]].tobytes() for part in (0, 1)
    ]
    assert texts == [b"flash mob", UNLISTED.encode()]


def test_an_event_first_heard_of_through_an_action_is_recommended_once_it_is_listed(state):
    state.apply("bob", "flash mob", Action.SAVE)
    state.settle_events()
    assert "flash mob" not in recommended_to(state, "ann") + popular(state)

    state.put_events([an_event("flash mob", city="Cork")])
    state.settle_events()

    assert "flash mob" in recommended_to(state, "ann")
    assert "flash mob" in popular(state)


def test_an_event_that_the_model_saw_but_the_site_no_longer_lists_is_never_recommended():
    state = live_state(a_model(LIKES), [event for event in EVENTS if event.event_id != "trad"])

    assert "trad" not in popular(state)
    assert "trad" not in recommended_to(state, "cat")


def test_a_new_event_starts_at_the_mean_popularity_of_its_city():
    likes = {f"user{n}": ["busy", "quiet"][: 1 + (n < 2)] for n in range(10)}
    listed = [an_event("busy", city="Cork"), an_event("quiet", city="Sligo"), an_event("lost", city=None)]
    state = live_state(a_model(likes, events=["busy", "quiet", "lost"]), listed)

    state.put_events(
        [an_event("in cork", city="CORK"), an_event("in sligo", city="Sligo"), an_event("new", city="Derry")]
    )
    state.settle_events()

    assert popular(state) == ["busy", "in cork", "new", "quiet", "in sligo", "lost"]


def test_an_event_listed_after_it_was_acted_on_is_rated_by_its_city_as_well():
    likes = {f"user{n}": ["busy", "quiet"][: 1 + n % 2] for n in range(10)}
    state = live_state(a_model(likes), [an_event("busy", city="Cork"), an_event("quiet", city="Sligo")])
    state.apply("user0", "new", Action.CLICK)
    state.settle_events()

    state.put_events([an_event("new", city="Cork")])
    state.settle_events()

    assert popular(state) == ["busy", "new", "quiet"]


def test_the_same_event_twice_in_one_batch_counts_as_it_came_last(state):
    state.put_events([an_event("folk", city="Cork"), an_event("folk", city="Sligo")])
    state.settle_events()

    assert "folk" not in popular(state, "Cork")
    assert popular(state, "Sligo") == ["folk"]


def test_deleted_events_leave_all_answers_and_unknown_ones_do_not_matter(state):
    state.close_events(["trad", "never heard of"])

    assert "trad" not in popular(state)
    assert "trad" not in recommended_to(state, "cat")
    assert liked_by(state, "ann") == {"rock": 255, "trad": 255}


def test_events_of_the_table_are_those_that_came_and_did_not_go():
    state = live_state(a_model(LIKES), [*EVENTS, an_event("blues")])
    state.apply("ann", "heard of", Action.CLICK)
    state.close_events(["trad", "never listed"])

    assert state.listed_event_ids() == {"rock", "jazz", "blues"}

    state.put_events([an_event("trad"), an_event("late")])
    assert state.listed_event_ids() == {"rock", "jazz", "blues", "trad", "late"}


def test_a_forgotten_person_has_no_profile_and_may_be_shown_everything(state):
    state.apply("cat", "trad", Action.HIDE)
    state.apply("cat", "new", Action.SAVE)

    state.forget_user("cat")

    assert liked_by(state, "cat") == {}
    assert excluded_for(state, "cat") == set()


def test_a_forgotten_person_is_in_nobody_s_neighbourhood(state):
    assert recommended_to(state, "cat") == ["trad"]

    state.forget_user("bob")

    assert recommended_to(state, "cat") == []
    assert recommended_to(state, "ann") == []


def test_a_forgotten_person_weighs_on_no_event(state):
    state.forget_user("bob")

    masses = {event_id: float(state.live.event_masses[n]) for n, event_id in enumerate(state.event_ids)}
    assert masses == {"rock": 1.0, "trad": 1.0, "jazz": 1.0}


def test_a_forgotten_person_starts_anew(state):
    state.apply("dan", "rock", Action.SAVE)
    for user_id in ("ann", "dan"):
        state.forget_user(user_id)
        state.apply(user_id, "jazz", Action.CLICK)

        assert liked_by(state, user_id) == {"jazz": 76}
        assert excluded_for(state, user_id) == {"jazz"}


def test_forgetting_a_stranger_changes_nothing(state):
    state.forget_user("nobody")

    assert state.user_row("nobody") == -1


def test_a_model_without_people_and_events_serves_what_comes():
    state = live_state(a_model({}), [])
    assert popular(state) == []

    state.put_events([an_event("first", city="Cork"), an_event("second", start_time=NOW - DAY)])
    state.settle_events()
    state.apply("ann", "first", Action.SAVE)

    assert popular(state) == ["first"]
    assert liked_by(state, "ann") == {"first": 255}


def test_more_people_and_events_than_there_was_room_for_take_part(state):
    state.put_events([an_event(f"new{n}") for n in range(1_100)])
    state.settle_events()
    for n in range(1_100):
        state.apply(f"person{n}", f"new{n}", Action.SAVE)
        state.apply(f"person{n}", "rock", Action.SAVE)

    assert len(set(popular(state))) == 20
    assert set(recommended_to(state, "person1099", 3)) < {f"new{n}" for n in range(1_099)} | {"trad"}
    assert liked_by(state, "person1099") == {"new1099": 255, "rock": 255}


#: Weights with which no sequence of a few actions comes to exactly zero, where one rounding would decide.
FOLDING = ModelSettings(
    preferences=PreferenceSettings(ActionWeights(click=0.6, skip=-0.25), half_life_days=None),
    collaborative=CollaborativeSettings(posting_cap=None),
)


def acts(*actions: Action) -> st.SearchStrategy[list[Act]]:
    users, events = st.sampled_from(["ann", "bob"]), st.sampled_from(["rock", "trad", "jazz"])
    return st.lists(st.tuples(users, events, st.sampled_from(actions)), max_size=8)


# A bundle does not keep how an event was dismissed, and a skip alone counts as a hide until the next training.
@given(acts(*set(Action) - {Action.SKIP}), acts(*Action))
def test_actions_applied_one_by_one_agree_with_a_training_on_all_of_them(before, since):
    assume(before or since)
    live = LiveState(model_of(before, settings=FOLDING))
    for user_id, event_id, action in since:
        live.apply(user_id, event_id, action)
    trained = LiveState(model_of([*before, *since], settings=FOLDING))

    for user_id in ("ann", "bob"):
        found, expected = liked_by(live, user_id), liked_by(trained, user_id)
        assert found.keys() == expected.keys()
        assert all(abs(found[event] - expected[event]) <= 1 for event in expected)  # a model holds 1/255
        assert excluded_for(live, user_id) == excluded_for(trained, user_id)


def test_people_are_those_of_whom_something_is_known():
    state = live_state(a_model({"ann": ["rock"], "bob": ["trad"]}), [])
    state.apply("cat", "rock", Action.CLICK)
    state.apply("dan", "rock", Action.CLICK)
    assert state.people() == ["ann", "bob", "cat", "dan"]

    for user_id in ("ann", "bob", "dan"):
        state.forget_user(user_id)
    state.apply("bob", "rock", Action.SAVE)

    assert state.people() == ["bob", "cat"]


#: Every column of the catalogue differs between them.
LISTED = [
    an_event(
        name,
        title=f"{name} night: The {name.title()}s",
        city=("Cork", "Galway", None)[number % 3],
        start_time=NOW + (number + 1) * HOUR,
        venue_name=("Whelan's", "The Crane Bar")[number % 2],
        genres=(("trad", "Folk"), ("techno",), ())[number % 3],
        tags=("sit down",) if number % 2 else (),
        price_min=(None, 0.0, 12.5)[number % 3],
        latitude=53.0 + number / 10,
        longitude=-6.0 - number / 10,
        created_at=NOW - number * DAY,
    )
    for number, name in enumerate(["rock", "trad", "jazz", "folk", "punk", "soul", "blues"])
]
ASKED = [
    NO_LIMITS,
    Limits(genres=("FOLK",)),
    Limits(price_max=10.0),
    Limits(near=Near(53.3, -6.3, 20.0)),
    Limits(date_to=float(NOW + 4 * HOUR)),
]


def answers_of(state: LiveState) -> dict[tuple[str, str, int], Any]:
    """What people and a stranger get from every arm, by arm, city and limits."""
    encoder, found = Encoder(), {}
    for arm in ARMS:
        for user_id in ("ann", "bob", "cat", None):
            for city in ("Cork", "Galway", None):
                for number, limits in enumerate(ASKED):
                    question = Question(
                        user_id,
                        city,
                        20,
                        arm,
                        limits=limits,
                        statements=tuple(of_signal("top_genres", ["trad"])),
                    )
                    body = answer_question(state, encoder, question, "id", float(NOW), 0.0).body
                    answer = orjson.loads(body)
                    del answer["latency_ms"], answer["model_version"]
                    found[arm, f"{user_id} {city}", number] = answer
    return found


def taken_over(model: Model, before: LiveState, late: Sequence[EventRow] = ()) -> LiveState:
    """A model with the events of another state, to which some come at the worst moment."""
    state = LiveState(model)
    numbers = state.numbers_of_events(before)
    before.put_events(list(late))
    state.take_over_events(before, numbers)
    state.stated.take_over(before.stated)
    state.settle_events()
    state.build_content()
    return state


NEXT = "20270116T080000Z"
MODELS = {
    "the same model": a_model(LIKES, version=NEXT),
    "events numbered otherwise": a_model(LIKES, events=["blues", "gone", "jazz"], version=NEXT),
    "fewer events": a_model({"ann": ["trad"], "bob": ["jazz", "trad"]}, version=NEXT),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("n_late", [0, 2])
def test_a_state_that_took_over_events_answers_as_one_that_read_them(model, n_late):
    listed = LISTED[: len(LISTED) - n_late]
    before = live_state(a_model(LIKES, events=["soul", "gone"]), listed)

    state = taken_over(model, before, LISTED[len(listed) :])

    assert answers_of(state) == answers_of(live_state(model, LISTED))
    assert state.listed_event_ids() == {event.event_id for event in LISTED}
    newest_first = state.catalogue.latest_first().tolist()
    assert [state.event_ids[event] for event in newest_first if state.catalogue.is_listed[event]] == [
        event.event_id for event in LISTED
    ]


def test_events_that_change_after_they_were_taken_over_change_in_one_state_only():
    before = live_state(a_model(LIKES), LISTED)
    as_it_was = answers_of(before)
    state = taken_over(MODELS["events numbered otherwise"], before)
    changed = [
        an_event("jazz", title="Another", genres=("noise",), city="Galway"),
        an_event("new", city="Cork"),
    ]

    fresh = live_state(MODELS["events numbered otherwise"], LISTED)
    for one in (state, fresh):
        one.put_events(changed)
        one.close_events(["punk"])
        one.settle_events()
        one.build_content()

    assert answers_of(state) == answers_of(fresh)
    assert answers_of(before) == as_it_was


def test_events_that_change_in_the_state_before_stay_as_they_were_taken_over():
    before = live_state(a_model(LIKES), LISTED)
    state = taken_over(MODELS["the same model"], before)
    as_it_was = answers_of(state)

    before.put_events([an_event("jazz", title="Another"), an_event("new", title="x" * 100_000)])
    before.settle_events()
    before.build_content()

    assert answers_of(state) == as_it_was


def test_what_people_state_is_taken_over_and_forgotten_in_one_state_only():
    before = live_state(a_model(LIKES), LISTED)
    before.stated.listen(Listening("ann", ("Lankum",), ("folk",), NOW))
    state = taken_over(MODELS["the same model"], before)

    before.stated.forget("ann", NOW)

    assert state.stated.of("ann")
    assert not before.stated.of("ann")


def test_whatever_changes_what_is_taken_over_of_events_is_noticed(state):
    seen = {state.event_changes}
    for change in (
        lambda: state.put_events([an_event("rock", city="Galway")]),
        lambda: state.close_events(["rock"]),
        lambda: state.apply("ann", "never heard of", Action.SAVE),
    ):
        change()
        assert state.event_changes not in seen
        seen.add(state.event_changes)


_DONE = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cat", "dan", "eve"]),
        st.sampled_from(["rock", "trad", "jazz", "flash mob"]),
        st.builds(Deed, st.integers(NOW, NOW + 5).map(float), st.sampled_from(Action)),
    ),
    max_size=20,
)


@given(_DONE, _DONE)
def test_many_actions_at_once_count_as_one_after_the_other(before: list[Any], done: list[Any]):
    one_by_one, at_once = (live_state(a_model(LIKES, hides={"cat": ["rock"]}), EVENTS) for _ in range(2))
    for state in (one_by_one, at_once):
        for user_id, event_id, deed in before:
            state.apply(user_id, event_id, deed.action, deed.at)
        state.forget_user("bob", NOW + 2)

    news = [one_by_one.apply(user_id, event_id, deed.action, deed.at) for user_id, event_id, deed in done]

    assert at_once.apply_all(done) == news
    for user_id in ("ann", "bob", "cat", "dan", "eve"):
        assert liked_by(at_once, user_id) == liked_by(one_by_one, user_id)
        assert excluded_for(at_once, user_id) == excluded_for(one_by_one, user_id)
        assert recommended_to(at_once, user_id) == recommended_to(one_by_one, user_id)
    assert list(at_once.event_ids) == list(one_by_one.event_ids)
    assert at_once.people() == one_by_one.people()

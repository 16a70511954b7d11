"""What every arm owes, whatever it goes by. A new arm inherits these tests by being listed in ARMS."""

from collections.abc import Iterable

import numpy as np
import pytest

from core.actions import Action
from core.kernels.workspace import MOST_ANSWERS
from service.live.state import LiveState
from service.recommending.arms import ARMS, asker_for
from tests.sites import NOW, a_model, an_event, live_state

KINDS, PEOPLE, EVENTS = 3, 45, 60
#: Those that go by what a person likes; `control` does not.
PERSONAL = [arm for arm in ARMS if arm != "control"]


def event_of(kind: int, number: int) -> str:
    return f"event{kind + KINDS * number}"


def likes_of(person: int) -> list[str]:
    """Six events of the person's kind, others for each."""
    kind = person % KINDS
    return [event_of(kind, (person // KINDS + 3 * step) % (EVENTS // KINDS)) for step in range(6)]


@pytest.fixture
def state() -> LiveState:
    """A site of three kinds of people, who like one kind of events each; one event is in Cork, the others are not."""
    model = a_model(
        {f"person{n}": likes_of(n) for n in range(PEOPLE)}, events=[f"event{n}" for n in range(EVENTS)]
    )
    kinds = ("techno", "trad", "jazz")
    events = [
        an_event(
            f"event{n}",
            city="Cork" if n == 7 else "Dublin",
            genres=(kinds[n % KINDS],),
            venue_name=f"Venue {n % KINDS}",
        )
        for n in range(EVENTS)
    ]
    return live_state(model, events)


def ask(
    state: LiveState,
    arm: str,
    user: str | None,
    n: int = 10,
    without: Iterable[str] = (),
    city: str | None = None,
) -> list[tuple[int, float, list[float], bool]]:
    """Of each recommendation: event, score, parts, and whether it is personal."""
    asker = asker_for(state, arm, user, state.profile(user, without), ())
    ranking = ARMS[arm](state, asker, state.catalogue.candidates(city, NOW), n)
    out = ranking.answer
    assert 0 <= ranking.n_personal <= ranking.n <= n
    return [
        (int(out.events[rank]), float(out.scores[rank]), out.parts[rank].tolist(), rank < ranking.n_personal)
        for rank in range(ranking.n)
    ]


def events_of(answer: list[tuple[int, float, list[float], bool]]) -> list[int]:
    return [event for event, *_ in answer]


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("user", ["person0", "person1", "stranger", None])
def test_an_answer_is_as_long_as_asked_without_repeats_or_what_the_person_knows_and_descends(
    state, arm, user
):
    answer = ask(state, arm, user)

    events, scores = events_of(answer), [score for _, score, *_ in answer]
    assert len(events) == len(set(events)) == 10
    assert not set(events) & set(state.profile(user).excluded.tolist())
    assert all(0 <= event < EVENTS for event in events)
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("user", ["person0", None])
def test_the_parts_of_a_score_add_up_to_it(state, arm, user):
    for _, score, parts, _ in ask(state, arm, user, 20):
        assert sum(parts) == pytest.approx(score, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("arm", ARMS)
def test_only_open_events_are_named_and_none_that_the_request_leaves_out(state, arm):
    assert events_of(ask(state, arm, "person0", city="Cork")) == [7]
    assert ask(state, arm, "person0", without=["event7"], city="Cork") == []


@pytest.mark.parametrize("arm", ARMS)
def test_the_same_request_gets_the_same_answer_whoever_asks_in_between(state, arm):
    before = ask(state, arm, "person0", 20)

    for other in ARMS:
        ask(state, other, "person1", MOST_ANSWERS)

    assert ask(state, arm, "person0", 20) == before


@pytest.mark.parametrize("arm", PERSONAL)
def test_a_person_is_shown_what_their_kind_likes(state, arm):
    answer = ask(state, arm, "person0", 5)

    assert all(personal for *_, personal in answer)
    assert {event % KINDS for event in events_of(answer)} == {0}


@pytest.mark.parametrize("arm", PERSONAL)
def test_the_first_clicks_of_a_stranger_count_in_the_very_next_answer(state, arm):
    nothing_known = ask(state, arm, "stranger", 5)
    assert not any(personal for *_, personal in nothing_known)

    for number in range(2):
        state.apply("stranger", event_of(2, number), Action.CLICK)
    answer = ask(state, arm, "stranger", 5)

    assert all(personal for *_, personal in answer)
    assert {event % KINDS for event in events_of(answer)} == {2}


@pytest.mark.parametrize("arm", ARMS)
def test_what_is_hidden_or_saved_is_not_shown_again(state, arm):
    first, second, *_ = events_of(ask(state, arm, "person0"))

    state.apply("person0", state.event_ids[first], Action.HIDE)
    state.apply("person0", state.event_ids[second], Action.SAVE)

    assert not {first, second} & set(events_of(ask(state, arm, "person0", EVENTS)))


@pytest.mark.parametrize("arm", ARMS)
def test_people_and_events_that_the_model_never_saw_take_part(state, arm):
    state.put_events([an_event("brand new", city="Cork", genres=("techno",))])
    state.settle_events()
    state.apply("newcomer", "brand new", Action.SAVE)

    assert state.event_index("brand new") in events_of(ask(state, arm, "person0", city="Cork"))
    assert len(ask(state, arm, "newcomer")) == 10


@pytest.mark.parametrize("arm", PERSONAL)
def test_the_reasons_of_a_personal_score_come_from_the_profile_and_stay_within_the_collaborative_part(
    state, arm
):
    profile = state.profile("person0")
    asker = asker_for(state, arm, "person0", profile, ())
    ranking = ARMS[arm](state, asker, state.catalogue.candidates(None, NOW), 10)
    out = ranking.answer

    for rank in range(ranking.n_personal):
        named = out.reasons[rank][out.reasons[rank] >= 0]
        assert len(set(named.tolist())) == named.size
        assert all(position < profile.events.size for position in named)
        contributions = out.contributions[rank][: named.size]
        assert contributions.tolist() == sorted(contributions.tolist(), reverse=True)
        if out.contributors[rank] == named.size > 0:
            assert contributions.sum() == pytest.approx(float(out.parts[rank, 0]), rel=1e-4)
    assert np.isfinite(out.scores[: ranking.n]).all()

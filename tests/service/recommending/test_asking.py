from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actions import Action
from core.arranging import Arrangement
from service.live.filters import Limits
from service.live.state import LiveState
from service.recommending.arms import ARMS
from service.recommending.asking import Question, Reply, answer_question
from service.recommending.encoding import Encoder
from tests.sites import DAY, HOUR, NOW, a_model, an_event, live_state

PEOPLE = [f"person{n}" for n in range(6)]
#: Everyone likes their own and the next three of these, round in a ring.
RING = [f"gig{n}" for n in range(6)]
LIKES = {user: [RING[(n + step) % 6] for step in range(4)] for n, user in enumerate(PEOPLE)}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


def a_state(events: Mapping[str, Mapping[str, Any]] | None = None) -> LiveState:
    """The ring's site in Cork, some of its events otherwise, and more events."""
    values: dict[str, dict[str, Any]] = {event_id: {"city": "Cork"} for event_id in RING}
    for event_id, changes in (events or {}).items():
        values[event_id] = {**values.get(event_id, {}), **changes}
    return live_state(a_model(LIKES), [an_event(event_id, **of) for event_id, of in values.items()])


def ask(state: LiveState, encoder: Encoder, now: float = NOW, **question: Any) -> Reply:
    values = {"user_id": None, "city": None, "limit": 20, "variant": "collaborative_filtering", **question}
    return answer_question(state, encoder, Question(**values), "0198c5e2a7f1", now, 0.0)


def answered(state: LiveState, encoder: Encoder, now: float = NOW, **question: Any) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(ask(state, encoder, now, **question).body)
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["event_id"] for item in answer["recommendations"]]


def test_a_known_person_gets_what_their_neighbourhood_likes_with_reasons(encoder):
    answer = answered(a_state(), encoder, user_id="person0")

    assert answer["user_id"] == "person0"
    assert set(ids(answer)) == {"gig4", "gig5"}
    for item in answer["recommendations"]:
        assert item["algorithm"] == "collaborative_filtering"
        assert {cause["event_id"] for cause in item["because"]} <= set(LIKES["person0"])
        assert item["neighbours"] == 4
        assert item["reason"].startswith("4 people with your taste like this")


def test_a_stranger_and_a_guest_get_what_is_popular(encoder):
    state = a_state({"new": {"city": "Cork"}})

    stranger, guest = answered(state, encoder, user_id="who?"), answered(state, encoder)

    assert (stranger["user_id"], guest["user_id"]) == ("who?", None)
    assert ids(stranger) == ids(guest)
    assert set(ids(guest)) == {*RING, "new"}
    assert {item["algorithm"] for item in guest["recommendations"]} == {"popularity"}


def test_control_knows_what_a_person_has_seen_and_nothing_of_their_taste(encoder):
    answer = answered(a_state(), encoder, user_id="person0", variant="control")

    assert answer["variant"] == "control"
    assert set(ids(answer)) == {"gig4", "gig5"}
    assert {item["algorithm"] for item in answer["recommendations"]} == {"popularity"}


def test_popular_events_fill_up_where_the_neighbourhood_ends_with_lower_scores(encoder):
    state = a_state({"new": {"city": "Cork"}, "other": {"city": "Cork"}})

    items = answered(state, encoder, user_id="person0")["recommendations"]

    assert [item["algorithm"] for item in items] == ["collaborative_filtering"] * 2 + ["popularity"] * 2
    scores = [item["score"] for item in items]
    assert scores == sorted(scores, reverse=True)
    assert items[0]["rank_score"] == 1.0


def test_what_is_told_of_an_answer_is_what_was_answered(encoder):
    state = a_state({"new": {"city": "Cork"}})

    reply = ask(state, encoder, user_id="person0", variant="collaborative_filtering")

    answer = orjson.loads(reply.body)
    assert orjson.loads(reply.event_ids) == ids(answer)
    assert (reply.recommendation_id, reply.n_personal) == (answer["recommendation_id"], 2)
    assert answer["latency_ms"] == round(reply.latency_ms, 3)
    assert answer["model_version"] == state.version


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_no_more_than_the_limit_are_answered(encoder, limit):
    assert len(ids(answered(a_state(), encoder, limit=limit))) == min(limit, len(RING))


@pytest.mark.parametrize("city", ["Dún Laoghaire", "DUN LAOGHAIRE", "dun-laoghaire"])
def test_only_events_of_the_city_are_answered_however_it_is_spelt(encoder, city):
    state = a_state({"gig4": {"city": "Dún Laoghaire"}, "new": {"city": "dun laoghaire"}})

    answer = answered(state, encoder, user_id="person0", city=city)

    assert (ids(answer), answer["notice"]) == (["gig4", "new"], None)
    assert answer["recommendations"][1]["reason"] == f"Newly listed in {city}"


@pytest.mark.parametrize("city", ["Atlantis", "Sligo"])
def test_a_city_where_nothing_is_on_gets_events_elsewhere_and_is_told_so(encoder, city):
    state = a_state({"over": {"city": "Sligo", "start_time": NOW - HOUR}})

    answer = answered(state, encoder, city=city)

    assert set(ids(answer)) == set(RING)
    assert answer["notice"] == f"Nothing is listed in {city}; these are events elsewhere."
    assert all("right now" in item["reason"] for item in answer["recommendations"])


@pytest.mark.parametrize("city", [None, "Cork", "Atlantis"])
def test_where_nothing_at_all_is_on_the_answer_is_empty_and_says_so(encoder, city):
    answer = answered(a_state(), encoder, now=NOW + 2 * DAY, user_id="person0", city=city)

    assert (ids(answer), answer["notice"]) == ([], "No events are listed.")


def test_an_event_is_answered_until_the_very_second_it_starts(encoder):
    state = a_state({"gig4": {"start_time": NOW + 60}})

    assert "gig4" in ids(answered(state, encoder, now=NOW + 59.999, user_id="person0"))
    assert "gig4" not in ids(answered(state, encoder, now=NOW + 60.0, user_id="person0"))
    assert "gig4" not in ids(answered(state, encoder, now=NOW + 60.0, variant="control"))


def test_excluded_events_are_left_out_and_unknown_ones_do_not_matter(encoder):
    answer = answered(a_state(), encoder, user_id="person0", exclude_event_ids=("gig4", "no such gig"))

    assert ids(answer) == ["gig5"]


def test_a_save_counts_in_the_very_next_answer(encoder):
    state = a_state()
    before = answered(state, encoder, user_id="newcomer")
    assert {item["algorithm"] for item in before["recommendations"]} == {"popularity"}

    state.apply("newcomer", "gig0", Action.SAVE)

    items = answered(state, encoder, user_id="newcomer")["recommendations"]
    assert "gig0" not in [item["event_id"] for item in items]
    assert items[0]["algorithm"] == "collaborative_filtering"
    assert [cause["event_id"] for cause in items[0]["because"]] == ["gig0"]
    assert items[0]["because"][0]["share"] == 1.0


@pytest.mark.parametrize("action", [Action.HIDE, Action.THUMBS_DOWN, Action.SKIP])
def test_a_dismissed_event_is_gone_from_the_very_next_answer(encoder, action):
    state = a_state()

    state.apply("person0", "gig4", action)

    for variant in ARMS:
        assert ids(answered(state, encoder, user_id="person0", variant=variant)) == ["gig5"]


def test_a_person_who_is_forgotten_gets_a_stranger_s_answer(encoder):
    state = a_state()

    state.forget_user("person0")

    items = answered(state, encoder, user_id="person0")["recommendations"]
    assert {item["algorithm"] for item in items} == {"popularity"}
    assert {item["event_id"] for item in items} == set(RING)


#: How an event may stand, and what makes it so.
OPEN = {"city": "Cork"}
CLOSED: list[Mapping[str, Any]] = [
    {"start_time": NOW},
    {"start_time": NOW - DAY, "end_time": NOW - HOUR},
    {"start_time": NOW - HOUR, "end_time": NOW + HOUR},
    {"title": "CANCELLED: a gig"},
    {"tags": ("cancelled",)},
]


@given(
    closed=st.dictionaries(st.sampled_from(RING), st.sampled_from(CLOSED)),
    deleted=st.sets(st.sampled_from(RING)),
    acts=st.lists(
        st.tuples(st.sampled_from([*PEOPLE, "newcomer"]), st.sampled_from(RING), st.sampled_from(Action)),
        max_size=12,
    ),
    excluded=st.sets(st.sampled_from(RING)),
    user_id=st.sampled_from([*PEOPLE, "newcomer", None]),
    variant=st.sampled_from(list(ARMS)),
)
def test_no_answer_ever_has_an_event_that_is_over_off_gone_seen_dismissed_or_excluded(
    encoder, closed, deleted, acts, excluded, user_id, variant
):
    state = a_state({**closed, "spare": OPEN})
    state.close_events(deleted)
    seen = set(LIKES.get(user_id, ()))
    for who, event_id, action in acts:
        state.apply(who, event_id, action)
        if who == user_id:
            seen -= {event_id} if action in (Action.UNSAVE, Action.UNHIDE) else set()
            seen |= {event_id} if action not in (Action.UNSAVE, Action.UNHIDE) else set()

    answer = answered(state, encoder, user_id=user_id, exclude_event_ids=tuple(excluded), variant=variant)

    found = ids(answer)
    assert set(found) <= {*RING, "spare"} - closed.keys() - deleted - seen - excluded
    assert len(found) == len(set(found))
    assert "spare" in found


# --- limits, pages and guests ---


def test_limits_leave_out_what_breaks_them_whatever_the_arm(encoder):
    state = a_state({"gig4": {"genres": ("Trad",)}, "new": {"genres": ("trad",), "price_min": 30.0}})

    for variant in ARMS:
        answer = answered(state, encoder, variant=variant, limits=Limits(genres=("TRAD",), price_max=20.0))
        assert (ids(answer), answer["notice"]) == ([], "No event fits that.")
        answer = answered(state, encoder, variant=variant, user_id="person0", limits=Limits(genres=("TRAD",)))
        assert (set(ids(answer)), answer["notice"]) == ({"gig4", "new"}, None)


def test_a_city_where_nothing_fits_gets_what_fits_elsewhere(encoder):
    state = a_state({"new": {"genres": ("trad",), "city": "Sligo"}})

    answer = answered(state, encoder, city="Cork", limits=Limits(genres=("trad",)))

    assert (ids(answer), answer["notice"]) == (
        ["new"],
        "Nothing is listed in Cork; these are events elsewhere.",
    )


@pytest.mark.parametrize("variant", ARMS)
@pytest.mark.parametrize("user_id", ["person0", None])
def test_pages_are_pieces_of_the_one_list(encoder, variant, user_id):
    state = a_state({f"new{n}": {"city": "Cork"} for n in range(5)})
    whole = answered(state, encoder, user_id=user_id, variant=variant)["recommendations"]

    pages = []
    for offset in range(0, len(whole) + 3, 3):
        reply = ask(state, encoder, user_id=user_id, variant=variant, limit=3, offset=offset)
        page = orjson.loads(reply.body)["recommendations"]
        assert orjson.loads(reply.event_ids) == [item["event_id"] for item in page]
        assert reply.n_personal == sum(item["algorithm"] != "popularity" for item in page)
        pages += page

    assert pages == whole
    assert ask(state, encoder, limit=100, offset=254, variant=variant).event_ids == b"[]"


@pytest.mark.parametrize("variant", [arm for arm in ARMS if arm != "control"])
def test_a_guest_is_answered_from_what_they_liked_in_this_session(encoder, variant):
    state = a_state()
    for event_id in LIKES["person0"]:
        state.apply("somebody", event_id, Action.SAVE)

    guest = answered(state, encoder, variant=variant, liked_event_ids=(*LIKES["person0"], "never heard of"))
    person = answered(state, encoder, variant=variant, user_id="somebody")

    assert set(ids(guest)) == set(ids(person)) == {"gig4", "gig5"}
    assert guest["user_id"] is None
    for item in guest["recommendations"]:
        assert item["algorithm"] == variant
        assert {cause["event_id"] for cause in item["because"]} <= set(LIKES["person0"])


def test_likes_of_a_session_count_once_beside_those_that_are_known(encoder):
    state = a_state()
    state.apply("newcomer", "gig0", Action.CLICK)

    profile = state.profile("newcomer", (), ("gig0", "gig1", "gig0"))

    assert sorted(profile.events.tolist()) == sorted(state.event_index(event) for event in ("gig0", "gig1"))
    assert profile.weights.tolist() == [1.0, 1.0]
    assert state.profile("newcomer").weights.tolist() != [1.0]


@pytest.mark.parametrize("arm", ARMS)
def test_around_every_arm_a_venue_is_named_so_often_and_what_is_soon_comes_first_with_parts_that_add_up(
    encoder, arm
):
    venues = {event_id: {"venue_name": f"Venue {n % 2}"} for n, event_id in enumerate(RING)}
    state = a_state(
        {**venues, "tonight": {"city": "Cork", "start_time": NOW + HOUR, "venue_name": "Venue 2"}}
    )

    answer = answered(
        state, encoder, user_id=None, variant=arm, arrangement=Arrangement(soon=0.5, most_per_venue=2)
    )

    assert len(ids(answer)) == 5
    assert ids(answer)[0] == "tonight"
    for item in answer["recommendations"]:
        assert sum(round(part["weight"] * 10**8) for part in item["rank_reasons"]) == round(
            item["score"] * 10**8
        )
    assert "recency" in {part["type"] for part in answer["recommendations"][0]["rank_reasons"]}

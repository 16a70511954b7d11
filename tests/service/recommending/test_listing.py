"""Lists around one event, on a live state without a server."""

import pytest

from core.actions import Action
from service.live.state import LiveState
from service.recommending.listing import Page, similar
from tests.sites import DAY, NOW, a_model, an_event, live_state

LIKES = {"ann": ["rock", "punk"], "bob": ["rock", "punk"]}
EVENTS = [
    an_event("rock", genres=("rock",), venue_name="Whelan's"),
    an_event("punk", genres=("rock", "punk"), venue_name="The Grand Social"),
    an_event("new", genres=("rock",), venue_name="Whelan's", title="Nobody has saved this"),
    an_event("trad", genres=("trad",), venue_name="The Cobblestone", start_time=NOW + 3 * DAY),
    an_event("over", genres=("rock",), venue_name="Whelan's", start_time=NOW - DAY),
]


@pytest.fixture
def state() -> LiveState:
    return live_state(a_model(LIKES), EVENTS)


def similar_to(state: LiveState, event_id: str, offset: int = 0, limit: int = 10) -> Page:
    candidates = state.catalogue.candidates(None, NOW)
    return similar(state, state.event_index(event_id), candidates, offset, limit)


def names(state: LiveState, page: Page) -> list[str]:
    return [state.event_ids[event] for event in page.events]


def test_an_event_that_people_saved_is_like_what_else_they_saved(state):
    assert names(state, similar_to(state, "rock")) == ["punk"]


def test_an_event_that_nobody_saved_is_like_those_of_its_kind(state):
    page = similar_to(state, "new")

    assert names(state, page)[:2] == ["rock", "punk"]
    assert not {"new", "over"} & set(names(state, page))
    assert page.total == len(names(state, page))
    assert page.scores is not None
    assert all(0.0 < score <= 1.0 for score in page.scores)
    assert sorted(page.scores, reverse=True) == page.scores.tolist()
    assert names(state, similar_to(state, "new", offset=1, limit=1)) == ["punk"]


def test_as_soon_as_somebody_saves_it_their_other_saves_count(state):
    state.apply("ann", "new", Action.SAVE)

    assert set(names(state, similar_to(state, "new"))) == {"rock", "punk"}


def test_an_event_of_which_only_saves_are_known_is_like_nothing(state):
    state.apply("cat", "unlisted", Action.SAVE)

    assert names(state, similar_to(state, "unlisted")) == []

from service.live.intake import Intake
from tests.sites import NOW, a_model, an_event, live_state

LIKES = {"ann": ["rock", "trad"], "bob": ["trad"]}
TOLD = [
    ("ann", "jazz", "save", NOW + 1.5),
    ("bob", "rock", "no such action", NOW + 2.0),
    ("bob", "rock", "click", NOW - 5.0),
    ("bob", "rock", "click", NOW + 3.0),
    ("ann", "jazz", "save", NOW + 1),
]


def test_of_many_actions_each_counts_that_is_known_not_erased_and_news():
    state = live_state(a_model(LIKES), [an_event(event_id) for event_id in ("rock", "trad", "jazz")])
    intake = Intake(state)
    intake.forget("bob", NOW)

    assert intake.apply_all(TOLD) == [True, False, False, True, False]

    assert state.event_index("jazz") in state.profile("ann").events
    assert state.profile("bob").events.tolist() == [state.event_index("rock")]
    assert intake.last_acted_at("bob", "rock") == NOW + 3.0


def test_many_actions_count_as_each_of_them_does():
    one_by_one, at_once = (live_state(a_model(LIKES), [an_event("rock")]) for _ in range(2))
    alone = [Intake(one_by_one).apply(*told) for told in TOLD]

    assert Intake(at_once).apply_all(TOLD) == alone
    assert at_once.profile("ann").events.tolist() == one_by_one.profile("ann").events.tolist()

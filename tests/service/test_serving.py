import pytest

from service.errors import UnavailableError
from service.serving import Serving
from tests.sites import a_model, live_state


def test_without_a_model_the_caller_is_asked_to_come_back():
    with pytest.raises(UnavailableError, match="/ready says why") as raised:
        _ = Serving().state

    assert raised.value.headers() == {"Retry-After": "30"}


def test_the_state_in_use_is_the_one_that_was_put():
    state = live_state(a_model({"ann": ["rock"]}), [])

    assert Serving(state).state is state


def test_answers_and_their_time_are_added_up():
    serving = Serving()

    for latency in (0.5, 1.5):
        serving.count(latency)

    assert (serving.answers, serving.latency_ms) == (2, 2.0)

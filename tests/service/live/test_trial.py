from dataclasses import replace

import numpy as np
import pytest

from service.live.trial import TrialFailedError, try_out
from tests.sites import DAY, NOW, a_model, an_event, live_state

MODEL = a_model({"ann": ["rock", "trad"], "bob": ["trad", "jazz"]})
EVENTS = [an_event(event_id) for event_id in ("rock", "trad", "jazz")]


def test_a_good_model_passes():
    try_out(live_state(MODEL, EVENTS), NOW)


def test_a_good_model_passes_when_nothing_is_on():
    try_out(live_state(MODEL, EVENTS), NOW + 2 * DAY)
    try_out(live_state(MODEL, []), NOW)


def test_a_model_of_nobody_passes():
    try_out(live_state(a_model({}, events=["rock", "trad"]), EVENTS), NOW)


def test_a_model_whose_scores_leave_their_range_does_not_pass():
    wrong = replace(MODEL, popularity=np.array([0.5, -1.0, 0.2], np.float32))

    with pytest.raises(TrialFailedError, match=r"^control answers with scores \["):
        try_out(live_state(wrong, EVENTS), NOW)


def test_trying_out_leaves_no_trace():
    state = live_state(MODEL, EVENTS)
    before = (state.live.n_users, state.live.n_events, state.profile("ann").events.tolist())

    try_out(state, NOW)

    assert (state.live.n_users, state.live.n_events, state.profile("ann").events.tolist()) == before

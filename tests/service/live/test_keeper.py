import weakref
from types import SimpleNamespace

import pytest

from service.live.keeper import LONGEST_PERIODS, LOOKS_SHARE, _let_go
from service.pacing import pause_after
from tests.sites import a_model, an_event, live_state


@pytest.mark.parametrize("seconds", [0.2, 30.0])
def test_however_long_a_look_takes_the_next_one_comes_in_time_for_what_is_promised(seconds: float) -> None:
    """Changes are right within 5 s, at the default of 2 s."""
    assert pause_after(seconds, LOOKS_SHARE, 1.0, LONGEST_PERIODS * 2.0) == LONGEST_PERIODS * 2.0 == 3.0


def test_what_does_not_serve_any_more_is_gone_in_pieces() -> None:
    follower = SimpleNamespace(state=live_state(a_model({"ann": ["rock"]}), [an_event("rock")]))
    gone, last, rests = weakref.ref(follower.state.live), [follower], []
    del follower

    _let_go(last, lambda: rests.append(gone() is None))  # type: ignore[arg-type]

    assert last == []
    assert len(rests) > 10
    assert all(rests)

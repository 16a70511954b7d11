import weakref
from types import SimpleNamespace

from service.live.keeper import _let_go
from tests.sites import a_model, an_event, live_state


def test_what_does_not_serve_any_more_is_gone_in_pieces() -> None:
    follower = SimpleNamespace(state=live_state(a_model({"ann": ["rock"]}), [an_event("rock")]))
    gone, last, rests = weakref.ref(follower.state.live), [follower], []
    del follower

    _let_go(last, lambda: rests.append(gone() is None))  # type: ignore[arg-type]

    assert last == []
    assert len(rests) > 10
    assert all(rests)

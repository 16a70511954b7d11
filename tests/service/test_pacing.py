from collections.abc import Callable

import pytest

from service import pacing
from service.pacing import LEAST_SECONDS, MOST_SECONDS, Pace, in_one_go, in_pieces, pause_after


class Time:
    """Passes only when told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_work_takes_its_share_of_the_time() -> None:
    time = Time()
    pace = Pace(0.25, lambda: time.now, time.sleep)
    for seconds in (0.001, 0.004):
        time.now += seconds
        pace.rest()
    assert time.slept == [0.003, 0.012]


def test_what_takes_little_is_one_piece_with_what_comes_next() -> None:
    time = Time()
    pace = Pace(0.25, lambda: time.now, time.sleep)
    for share in (0.5, 0.25, 1.0):
        time.now += share * LEAST_SECONDS
        pace.rest()
    assert time.slept == [pytest.approx(3.0 * 1.75 * LEAST_SECONDS)]


def test_no_piece_is_followed_by_a_long_rest() -> None:
    time = Time()
    pace = Pace(0.25, lambda: time.now, time.sleep)
    time.now += 3.0
    pace.rest()
    assert time.slept == [MOST_SECONDS]


def added_up(one: int, other: int, rest: Callable[[], None]) -> int:
    rest()
    return one + other


def test_a_call_in_pieces_rests_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[Pace] = []
    monkeypatch.setattr(pacing.Pace, "rest", lambda pace: rests.append(pace))

    assert in_pieces(added_up, 1, 2) == 3
    assert len(rests) == 1
    assert in_one_go(added_up, 1, 2) == 3
    assert len(rests) == 1


@pytest.mark.parametrize("seconds", [0.0, 0.04, 0.05])
def test_after_something_short_the_next_time_comes_soon(seconds: float) -> None:
    assert pause_after(seconds, share=0.05, least=1.0, most=3.0) == 1.0


def test_what_takes_long_takes_no_more_than_its_share_of_the_time() -> None:
    assert pause_after(0.1, share=0.05, least=1.0, most=3.0) == pytest.approx(1.9)


@pytest.mark.parametrize("seconds", [0.2, 30.0])
def test_however_long_something_takes_the_pause_has_an_end(seconds: float) -> None:
    assert pause_after(seconds, share=0.05, least=1.0, most=3.0) == 3.0

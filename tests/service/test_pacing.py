from service.pacing import MOST_SECONDS, Pace


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
    for seconds in (0.001, 0.004, 0.0):
        time.now += seconds
        pace.rest()
    assert time.slept == [0.003, 0.012, 0.0]


def test_no_piece_is_followed_by_a_long_rest() -> None:
    time = Time()
    pace = Pace(0.25, lambda: time.now, time.sleep)
    time.now += 3.0
    pace.rest()
    assert time.slept == [MOST_SECONDS]

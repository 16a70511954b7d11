import os
import time
from types import SimpleNamespace

import pytest

from bench.memory_curves import MemoryWatch
from bench.reload import trend


def test_a_line_goes_through_values_that_lie_on_one() -> None:
    assert trend([200.0, 201.0, 202.0, 203.0]) == (200.0, 203.0)


def test_a_single_value_that_leaps_moves_the_line_little() -> None:
    first, last = trend([200.0, 200.0, 300.0, 200.0, 200.0, 200.0, 200.0])
    assert (first, last) == (200.0, 200.0)


def test_a_single_value_is_no_trend() -> None:
    assert trend([200.0]) == (200.0, 200.0)


def test_the_least_memory_of_a_time_is_no_more_than_the_most_and_is_of_that_time_only() -> None:
    server = SimpleNamespace(process=SimpleNamespace(pid=os.getpid()))
    with MemoryWatch(server) as watch:  # type: ignore[arg-type]
        start = time.perf_counter()
        time.sleep(0.35)
        stop = time.perf_counter()

    assert 0.0 < watch.least_mb(start, stop) <= watch.peak_mb
    with pytest.raises(ValueError, match="nobody looked"):
        watch.least_mb(stop + 10.0, stop + 20.0)

from contextlib import contextmanager

import numpy as np
import pytest

from bench import small
from bench.cgroups import NoGroupsError
from bench.figures import Findings
from bench.histograms import histogram_of
from bench.rates import AtRate
from bench.servers import Cores
from bench.sites import Site
from core.sparse import Rows, no_pairs

NOBODY = Site(0, Rows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8)), no_pairs(0))


def at(rate: float, milliseconds: float, failed: int = 0) -> AtRate:
    """A rate at which every answer took so long."""
    histogram = histogram_of(np.full(100, milliseconds))
    return AtRate(rate, histogram, histogram, 0.1, failed)


def test_a_machine_without_control_groups_leaves_the_part_out_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def none(*_: object):
        raise NoGroupsError("none are mounted")
        yield

    monkeypatch.setattr(small, "limited_group", none)
    findings = Findings()

    small.measure_small(NOBODY, Cores(None, None), findings, small.FULL)

    assert (findings.figures, findings.left_out) == ([], ["small"])
    assert findings.notes == ["small was left out: none are mounted"]


def test_the_greatest_rate_is_below_the_first_that_is_slow_or_fails() -> None:
    assert small._greatest([at(100, 5), at(250, 199), at(500, 201), at(600, 5)]) == 250
    assert small._greatest([at(100, 5), at(250, 5, failed=1), at(500, 5)]) == 100
    assert small._greatest([at(100, 300)]) == 0

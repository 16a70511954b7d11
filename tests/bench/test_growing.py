import numpy as np
import pytest

from bench import growing
from bench.figures import Findings
from bench.growth import Plan, Size, _add_largest
from bench.sites import synthetic_site
from core.model import ModelSettings
from core.sparse import Pairs


def test_chosen_rows_come_in_the_order_asked_for() -> None:
    pairs = Pairs(np.array([0, 2, 2, 3], np.int64), np.array([4, 7, 1], np.int32))

    chosen = growing._rows_of(pairs, np.array([2, 1, 0]))

    assert (chosen.indptr.tolist(), chosen.indices.tolist()) == ([0, 1, 1, 3], [1, 4, 7])


def test_a_model_made_directly_is_capped_as_a_training_caps_it() -> None:
    cap = ModelSettings().collaborative.posting_cap

    model = growing.model_of(synthetic_site(2_000, 40, 6_000, seed=0), 40)

    lengths = np.diff(model.neighbourhood.savers.indptr)
    assert lengths.max() == cap
    assert model.neighbourhood.event_masses.max() > cap
    assert model.factors.values.shape == (40, ModelSettings().als.factors)


def test_nothing_is_lost_to_a_cap_that_no_event_reaches() -> None:
    lost = growing.recall_lost(60, 80, 450, people=40)

    assert lost["recall_lost"] == lost["recall_lost_low"] == lost["recall_lost_high"] == 0.0
    assert lost["recall_at_20"] == lost["uncapped_recall_at_20"] > 0.0


def test_a_cap_that_most_events_reach_changes_recall() -> None:
    lost = growing.recall_lost(1_000, 40, 4_000, people=1_000)

    assert lost["recall_lost"] != 0.0
    assert lost["recall_lost_low"] < lost["recall_lost"] < lost["recall_lost_high"]


def test_the_largest_site_is_where_straight_lines_reach_the_room_there_is() -> None:
    findings = Findings()
    sizes = (Size(10, 0), Size(10, 1_000_000))
    for size, resident in zip(sizes, (100.0, 110.0), strict=True):
        findings.add("growth", str(size), {"resident_mb": resident})

    _add_largest(findings, Plan(sizes, sizes, 0, 0), [200.0, 290.0])

    found = {figure.name: figure.value for figure in findings.figures}
    assert found["largest_served"] == pytest.approx((1_073.7 - 250.0 - 100.0) * 100_000)
    assert found["largest_trained_beside"] == pytest.approx((1_073.7 - 250.0 - 300.0) * 10_000)

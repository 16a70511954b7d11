"""Results of invented experiments whose truth is known."""

import csv
import io
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest

from service.experiments.people import VariantPeople
from service.experiments.results import strata
from service.experiments.results.answers import ComparisonAnswer, ResultsAnswer
from service.experiments.results.rows import results_csv
from service.experiments.results.strata import strata_of
from service.experiments.results.summary import summarise
from service.experiments.statistics.metrics import COLUMNS, METRICS
from tests.service.experiments.results.invented import history_of, joined, people_of

EQUAL = {"control": 1.0, "als": 1.0}


def results(als: VariantPeople, control: VariantPeople | None = None, **values: Any) -> ResultsAnswer:
    """Of an experiment of two variants, where control's people are as many unless they are given."""
    control = people_of("control", len(als)) if control is None else control
    return summarise(history_of(EQUAL, **values), {"control": control, "als": als})


def compared(found: ResultsAnswer, metric: str = "click_through_rate", place: int = 1) -> ComparisonAnswer:
    [one] = [one for one in found.variants[place].comparisons if one.metric == metric]
    return one


def test_a_true_effect_is_called_and_told_with_its_interval():
    found = results(people_of("als", 6_000, lift=0.15))
    assert (found.verdict, found.winner) == ("als wins", "als")
    assert found.explanation[0].startswith("als is better than control in click_through_rate by +1")
    one = compared(found)
    assert one.cuped is not None and one.cuped.relative is not None
    assert one.cuped.relative.sequential_low < 0.15 < one.cuped.relative.sequential_high
    assert one.cuped.relative.low < 0.15 < one.cuped.relative.high
    assert one.cuped.variance_reduction > 0.05
    [vs_control] = [one.statistical_significance for one in found.variants if one.statistical_significance]
    assert vs_control.vs_control.is_significant and found.variants[1].p_value is not None


def test_identical_variants_are_not_called_however_often_one_looks():
    for seed in range(30):
        als, control = people_of("als", 3_000, seed=seed), people_of("control", 3_000, seed=seed)
        found = results(als, control)
        assert (found.verdict, found.winner) == ("not enough data yet", None)
        assert found.explanation[0] == "6,000 people have taken part."
        assert "would be found by now" in found.explanation[-1]


def test_when_the_planned_people_have_come_or_it_is_over_no_difference_is_an_answer():
    als = people_of("als", 3_000)
    assert results(als, planned_people=6_001).verdict == "not enough data yet"
    assert results(als, planned_people=6_000).verdict == "no difference found"
    assert results(als, status="completed").verdict == "no difference found"


def test_a_worse_variant_leaves_control_the_winner():
    found = results(people_of("als", 6_000, lift=-0.3))
    assert (found.verdict, found.winner) == ("control wins", "control")
    assert compared(found).is_worse


def test_fewer_hides_are_better():
    control, als = people_of("control", 5_000), people_of("als", 5_000)
    fewer = people_of("als", 5_000, hides=np.zeros(5_000, int))
    for people, verdict in ((fewer, "als wins"), (als, "not enough data yet")):
        goals = {"primary_metric": "hide_rate", "goal_metrics": ("hide_rate",), "guardrails": ()}
        assert results(people, control, **goals).verdict == verdict


@pytest.mark.parametrize(
    ("harm", "metric"),
    [
        ({"latency_ms": np.full(6_000, 40.0)}, "latency_ms"),
        ({"errors": 1}, "error_rate"),
        ({"hides": 1}, "hide_rate"),
    ],
)
def test_a_winner_that_breaks_a_guardrail_is_to_be_looked_at_first(harm: dict[str, Any], metric: str):
    found = results(people_of("als", 6_000, lift=0.3, **harm))
    assert (found.verdict, found.winner) == ("check the guardrails of als first", None)
    assert f"worse in {metric}." in found.explanation[0]
    assert compared(found, metric).role == "guardrail"


def test_people_who_are_not_spread_by_the_weights_come_before_every_other_figure():
    found = results(people_of("als", 25_728, lift=0.5), people_of("control", 24_272))
    assert found.verdict == "check the assignment first"
    assert found.winner is None and found.sample_ratio.is_mismatch
    assert found.sample_ratio.expected == {"control": 25_000.0, "als": 25_000.0}


def test_people_in_several_variants_come_first_as_well():
    found = results(people_of("als", 1_000, lift=0.5, is_crossed=1))
    assert found.people_in_several_variants == 1_000
    assert found.verdict == "check the assignment first"
    assert "1,000 of 2,000 people were shown several variants" in found.explanation[0]


def test_nobody_and_few_people_are_not_enough_and_every_figure_that_is_missing_says_why():
    for n in (0, 1, 30):
        found = results(people_of("als", n, lift=5.0))
        assert found.verdict == "not enough data yet"
        for one in found.variants[1].comparisons:
            assert (one.absolute is None) <= (one.note is not None)
        assert b"NaN" not in orjson.dumps(msgspec.to_builtins(found))


def test_holm_corrects_over_variants_and_goals():
    weights = {"control": 1.0, "als": 1.0, "hybrid": 1.0}
    people = {name: people_of(name, 4_000, lift=0.2 * (name == "als")) for name in weights}
    found = summarise(history_of(weights), people)
    assert (found.comparisons, found.verdict) == (4, "als wins")
    goals = [one for place in (1, 2) for one in found.variants[place].comparisons if one.corrected_p_value]
    assert [one.metric for one in goals] == ["click_through_rate", "save_rate"] * 2
    first = compared(found)
    assert first.cuped is not None and first.corrected_sequential_p_value == pytest.approx(
        4.0 * first.cuped.absolute.sequential_p_value
    )
    assert compared(found, place=2).corrected_sequential_p_value == 1.0


def test_after_a_change_of_weights_each_version_is_compared_with_itself():
    """Nobody reacts to the variant. In version 2, when nearly everyone gets it, everyone clicks more."""
    history = history_of({"control": 9.0, "als": 1.0}, {"control": 1.0, "als": 9.0})
    people = {
        name: joined(
            people_of(name, first, lift=0.0), people_of(name, second, lift=1.0, map_version=2, seed=1)
        )
        for name, first, second in (("control", 4_500, 500), ("als", 500, 4_500))
    }
    found = summarise(history, people)
    rates = [one.metrics["click_through_rate"] for one in found.variants]
    assert rates[1] > 1.5 * rates[0], "which is what adding everyone up would make of it"
    assert found.verdict == "not enough data yet"
    one = compared(found)
    assert one.relative is not None and abs(one.relative.estimate) < 0.1
    assert not found.sample_ratio.is_mismatch
    assert found.sample_ratio.expected == pytest.approx({"control": 5_000.0, "als": 5_000.0})
    assert [(part.map_version, part.participants) for part in found.by_map_version] == [
        (1, 5_000),
        (2, 5_000),
    ]
    assert [part.variants[1].share for part in found.by_map_version] == [0.1, 0.9]
    assert all(abs(part.variants[1].lift.estimate) < 0.2 for part in found.by_map_version)


def test_a_variant_that_came_later_is_compared_with_those_who_came_with_it():
    history = history_of(EQUAL, {"control": 1.0, "als": 1.0, "hybrid": 2.0})
    late = {"map_version": 2}
    people = {
        "control": joined(people_of("control", 3_000), people_of("control", 1_000, lift=0.5, **late)),
        "als": joined(people_of("als", 3_000), people_of("als", 1_000, lift=0.5, **late)),
        "hybrid": people_of("hybrid", 2_000, lift=0.5, **late),
    }
    found = summarise(history, people)
    assert (compared(found, place=1).people, compared(found, place=2).people) == (8_000, 3_000)
    assert found.verdict == "not enough data yet"


def test_a_variant_without_weight_and_people_is_not_compared():
    people = {name: people_of(name, 500 * (name != "als")) for name in ("control", "als", "hybrid")}
    found = summarise(history_of({"control": 1.0, "als": 0.0, "hybrid": 1.0}), people)
    assert found.comparisons == 2 and not found.variants[1].comparisons
    assert found.sample_ratio.p_value == pytest.approx(1.0)


def test_counts_and_means_are_those_of_the_people():
    als = people_of("als", 700)
    found = results(als).variants[1]
    assert (found.participants, found.user_count) == (700, 700)
    for name in ("exposures", "clicks", "saves", "hides", "errors"):
        assert getattr(found, name) == getattr(als, name).sum()
    assert found.metrics.keys() == METRICS.keys()
    assert found.metrics["saves_per_person"] == pytest.approx(als.saves.mean())
    assert found.metrics["latency_ms"] == pytest.approx(als.latency_ms.sum() / als.exposures.sum())
    assert found.metrics["error_rate"] == pytest.approx(als.errors.sum() / (als.errors + als.exposures).sum())
    assert found.conversion_rate == pytest.approx(((als.clicks + als.saves) > 0).mean())


def test_what_an_experiment_can_show_shrinks_with_its_people_as_the_root():
    small, large = (compared(results(people_of("als", n), planned_people=2 * n)) for n in (2_000, 8_000))
    assert small.power is not None and large.power is not None
    assert small.power.smallest_lift == pytest.approx(2.0 * large.power.smallest_lift, rel=0.15)
    powers = list(large.power.power_of_lift.values())
    assert powers == sorted(powers) and powers[-1] > 0.99


def test_people_are_added_up_in_parts_that_make_no_difference(monkeypatch: pytest.MonkeyPatch):
    people = joined(people_of("als", 500), people_of("als", 300, map_version=2))
    whole = strata_of(people)
    monkeypatch.setattr(strata, "_CHUNK", 7)
    parts = strata_of(people)
    assert list(parts) == list(whole) == [1, 2]
    for version, moments in whole.items():
        assert parts[version].n == moments.n
        np.testing.assert_allclose(parts[version].comoments, moments.comoments, rtol=1e-9, atol=1e-6)
        assert len(moments.means) == len(COLUMNS)


def test_the_table_for_other_programs_has_a_row_for_each_variant_and_metric():
    found = results(people_of("als", 1_000, lift=0.3))
    rows = list(csv.DictReader(io.StringIO(results_csv(found))))
    assert [row["metric"] for row in rows] == [*METRICS, *METRICS]
    by_key = {(row["variant_id"], row["metric"]): row for row in rows}
    one, row = compared(found), by_key["als", "click_through_rate"]
    assert one.absolute is not None and one.cuped is not None
    assert float(row["absolute_sequential_low"]) == one.absolute.sequential_low
    assert float(row["cuped_absolute_p_value"]) == one.cuped.absolute.p_value
    assert (row["role"], row["verdict"]) == ("primary", found.verdict)
    assert by_key["control", "click_through_rate"]["absolute_estimate"] == ""

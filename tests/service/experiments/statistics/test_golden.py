"""Every figure as an independent engine has it; see make_golden.py."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.experiments.statistics.effects import difference, lift
from service.experiments.statistics.estimates import adjusted, plain, theta_of
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.mismatch import Spread, mismatch_p_value
from tests.service.experiments.statistics.populations import moments_from_sums

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
BEFORE = 2


def metric(kind: str) -> Metric:
    shape: Any = kind.removeprefix("cuped_")
    return Metric("y", shape, 0, 1 if shape == "ratio" else None, more_is_better=True)


@pytest.mark.parametrize(
    "case",
    GOLDEN["effects"],
    ids=lambda case: f"{case['kind']}-{case['control']['n']}-{case['variant']['n']}",
)
def test_effects_are_those_of_an_independent_engine(case: dict[str, Any]):
    measured = metric(case["kind"])
    people = [moments_from_sums(**case[name]) for name in ("control", "variant")]
    if case["kind"].startswith("cuped_"):
        theta = theta_of(measured, BEFORE, [(people[0], people[1])])
        sides = [adjusted(measured, one, theta, BEFORE) for one in people]
    else:
        sides = [plain(measured, one) for one in people]
    for name, effect_of in (("absolute", difference), ("relative", lift)):
        found = effect_of(*sides, case["alpha"], case["tuning_people"])._asdict()
        expected = case["expected"][name]
        assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-6, rel=1e-6)


@pytest.mark.parametrize("case", GOLDEN["mismatches"], ids=lambda case: str(case["observed"]))
def test_mismatches_are_those_of_scipy(case: dict[str, Any]):
    names = "abc"[: len(case["observed"])]
    spread = Spread(
        dict(zip(names, case["observed"], strict=True)), dict(zip(names, case["weights"], strict=True))
    )
    assert mismatch_p_value([spread]) == pytest.approx(case["p_value"], abs=1e-9, rel=1e-6)


def test_the_table_has_every_kind_of_metric_and_enough_of_each():
    kinds = [case["kind"] for case in GOLDEN["effects"]]
    assert {kinds.count(kind) for kind in kinds} == {5}
    assert set(kinds) == {"proportion", "mean", "ratio", "cuped_mean", "cuped_ratio"}

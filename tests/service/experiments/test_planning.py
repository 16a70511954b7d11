import numpy as np
import pytest

from service.experiments.definition import Experiment, Variant
from service.experiments.errors import DefinitionError
from service.experiments.people import VariantPeople
from service.experiments.planning import PlanRequest, planned, rate_per_answer
from service.experiments.statistics.power import Baseline, plan

EXPERIMENT = Experiment(
    experiment_id="exp",
    name="",
    variants=(Variant("b", 1.0, "als"), Variant("control", 2.0, "control"), Variant("off", 0.0, "als")),
)


def people(exposures: np.ndarray, clicks: np.ndarray) -> VariantPeople:
    known = {name: np.zeros(exposures.size, np.int64) for name in VariantPeople.__dataclass_fields__}
    return VariantPeople(**{**known, "variant": "control", "exposures": exposures, "clicks": clicks})  # type: ignore[arg-type]


def test_an_experiment_gives_weights_comparisons_and_what_its_control_has_shown():
    rng = np.random.default_rng(1)
    exposures = rng.integers(1, 10, 500)
    clicks = rng.binomial(exposures, 0.2)
    found = planned(PlanRequest(effect=0.1), EXPERIMENT, people(exposures, clicks))
    baseline = rate_per_answer(clicks, exposures)
    # One variant that people get beside control, two goal metrics; control's weight comes first.
    expected = plan(baseline, 0.1, (2.0, 1.0, 0.0), comparisons=2)
    assert (found.people, tuple(found.per_variant), found.comparisons) == (
        expected.people,
        expected.per_variant,
        2,
    )
    assert found.baseline == pytest.approx(clicks.sum() / exposures.sum())


def test_the_deviation_of_a_rate_per_answer_is_that_of_its_sampling():
    rng = np.random.default_rng(2)
    n, rounds = 400, 2_000
    exposures = rng.integers(1, 20, (rounds, n))
    clicks = rng.binomial(exposures, rng.beta(2.0, 8.0, (rounds, n)))
    rates = clicks.sum(axis=1) / exposures.sum(axis=1)
    predicted = np.mean(
        [rate_per_answer(c, e).standard_deviation for c, e in zip(clicks, exposures, strict=True)]
    )
    assert predicted / np.sqrt(n) == pytest.approx(rates.std(), rel=0.05)


def test_what_is_asked_goes_before_what_the_experiment_says():
    found = planned(
        PlanRequest(effect=0.2, baseline=0.3, standard_deviation=0.5, weights=[1.0, 1.0], comparisons=5),
        EXPERIMENT,
        None,
    )
    assert found.people == plan(Baseline(0.3, 0.5), 0.2, comparisons=5).people


def test_a_control_that_has_shown_nothing_gives_no_baseline():
    nobody = people(np.zeros(0, np.int64), np.zeros(0, np.int64))
    with pytest.raises(DefinitionError, match="has not shown it yet"):
        planned(PlanRequest(effect=0.1), EXPERIMENT, nobody)


@pytest.mark.parametrize("effect", [1e-200, 1e-12])
@pytest.mark.parametrize("people_a_day", [None, 1e-300])
def test_a_change_that_no_site_could_ever_see_is_refused(effect, people_a_day):
    asked = PlanRequest(effect=effect, baseline=0.1, people_a_day=people_a_day)

    with pytest.raises(DefinitionError, match="effect: so small a change"):
        planned(asked, None, None)

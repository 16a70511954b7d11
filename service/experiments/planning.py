"""How many people an experiment needs, asked over HTTP or from a shell; the formulas are `statistics.power`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from service.experiments.admin import ExperimentAdmin
from service.experiments.definition import MOST_VARIANTS, Experiment, Metric, Name
from service.experiments.errors import DefinitionError
from service.experiments.people import VariantPeople, gather_people
from service.experiments.statistics import power
from service.experiments.stores import PeopleReader

#: The count that each metric is about.
_COUNTS: Mapping[Metric, str] = {"click_through_rate": "clicks", "save_rate": "saves", "hide_rate": "hides"}

#: More people, or days, than any plan can mean.
_MOST = 10**12
_NEVER = "effect: so small a change would take more people, or days, than there are"

Weight = Annotated[float, Meta(ge=0.0, le=1e6)]
Share = Annotated[float, Meta(gt=0.0, lt=1.0)]


class PlanRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """How small a change must be found, and of what.

    ``effect`` is relative: 0.1 finds a tenth more or less. ``baseline`` is the metric without it for one person and
    ``standard_deviation`` that of people's own figures; without the latter it is the share of people who do a thing at
    all. Without a ``baseline`` both come from what the control of ``experiment_id`` has shown so far, whose weights and
    number of comparisons hold as well. ``weights`` are control's first.
    """

    effect: Annotated[float, Meta(ge=-0.99, le=100.0)]
    experiment_id: Name | None = None
    baseline: Annotated[float, Meta(gt=0.0, le=1e6)] | None = None
    standard_deviation: Annotated[float, Meta(gt=0.0, le=1e6)] | None = None
    weights: Annotated[list[Weight], Meta(min_length=2, max_length=MOST_VARIANTS)] | None = None
    comparisons: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    alpha: Share = power.ALPHA
    power: Share = power.POWER
    people_a_day: Annotated[float, Meta(gt=0.0)] | None = None


class PlanAnswer(Struct):
    """How many people take part, over all variants and in each: ``people`` for looks at any time, ``people_one_look``
    for a single one at the end; ``days`` where it is known how many come in a day. ``difference`` is the absolute
    change that is found with probability ``power``."""

    people: int
    people_one_look: int
    per_variant: list[int]
    days: int | None
    baseline: float
    standard_deviation: float
    effect: float
    difference: float
    comparisons: int
    alpha: float
    power: float


async def plan_for(asked: PlanRequest, reader: PeopleReader, admin: ExperimentAdmin) -> PlanAnswer:
    """The plan that is asked for. Raises DefinitionError, UnknownExperimentError and StorageError."""
    experiment = None
    if asked.experiment_id is not None:
        experiment = (await admin.get(asked.experiment_id)).experiment
    people = None
    if experiment is not None and asked.baseline is None:
        everyone = await gather_people(reader, experiment.experiment_id, experiment.variant_ids)
        people = everyone[experiment.control]
    return planned(asked, experiment, people)


def planned(asked: PlanRequest, experiment: Experiment | None, control: VariantPeople | None) -> PlanAnswer:
    """The plan, from what is asked and, where that leaves something open, an experiment and its control's people."""
    weights, comparisons = _design(asked, experiment)
    try:
        baseline = _baseline(asked, experiment, control)
        found = power.plan(
            baseline, asked.effect, weights, comparisons, asked.alpha, asked.power, asked.people_a_day
        )
    except ValueError as error:
        raise DefinitionError(str(error)) from None
    except OverflowError:
        raise DefinitionError(_NEVER) from None
    if max(found.people, found.days or 0) > _MOST:
        raise DefinitionError(_NEVER)
    return PlanAnswer(
        people=found.people,
        people_one_look=found.people_one_look,
        per_variant=list(found.per_variant),
        days=found.days,
        baseline=baseline.mean,
        standard_deviation=baseline.standard_deviation,
        effect=found.effect,
        difference=found.difference,
        comparisons=found.comparisons,
        alpha=found.alpha,
        power=found.power,
    )


def _design(asked: PlanRequest, experiment: Experiment | None) -> tuple[Sequence[float], int]:
    """Weights, control's first, and the number of comparisons that the correction is for."""
    weights: Sequence[float] = asked.weights or (1.0, 1.0)
    metrics = 1
    if experiment is not None:
        metrics = len(experiment.goal_metrics)
        if asked.weights is None:
            weights = _control_first(experiment)
    compared = sum(weight > 0.0 for weight in weights[1:])
    return weights, asked.comparisons or max(1, compared * metrics)


def _control_first(experiment: Experiment) -> list[float]:
    ordered = sorted(experiment.variants, key=lambda variant: variant.variant_id != experiment.control)
    return [variant.weight for variant in ordered]


def _baseline(
    asked: PlanRequest, experiment: Experiment | None, control: VariantPeople | None
) -> power.Baseline:
    if asked.baseline is not None:
        if asked.standard_deviation is None:
            return power.Baseline.proportion(asked.baseline)
        return power.Baseline(asked.baseline, asked.standard_deviation)
    if experiment is None or control is None:
        raise ValueError("baseline: needed, unless experiment_id names an experiment that has shown it")
    counts = getattr(control, _COUNTS[experiment.primary_metric])
    if len(control) < 2 or not counts.any():
        raise ValueError("baseline: needed, because the control of this experiment has not shown it yet")
    return rate_per_answer(counts, control.exposures)


def rate_per_answer(counts: NDArray[np.int64], exposures: NDArray[np.int64]) -> power.Baseline:
    """The rate Σ counts / Σ exposures of n people, arrays int64[n], and its standard deviation for one person.

    That is of the linearised values (counts - rate · exposures) / mean exposures, the delta method for a ratio
    (Deng, Knoblich, Lu: "Applying the Delta Method in Metric Analytics", 2018, https://arxiv.org/abs/1803.06336).
    """
    rate = float(counts.sum() / exposures.sum())
    linearised = (counts - rate * exposures) / exposures.mean()
    return power.Baseline(rate, float(linearised.std(ddof=1)))

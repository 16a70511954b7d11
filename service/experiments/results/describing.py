"""Figures as the answer has them."""

from collections.abc import Mapping

from service.experiments.results.answers import (
    ComparisonAnswer,
    CupedAnswer,
    EffectAnswer,
    PowerAnswer,
    VersionResult,
    VersionVariant,
)
from service.experiments.results.comparing import Comparison, Cuped, compare
from service.experiments.results.strata import Strata, together
from service.experiments.statistics import power, sequential
from service.experiments.statistics.effects import Effect
from service.experiments.statistics.errors import NotComputableError
from service.experiments.statistics.estimates import value_of
from service.experiments.statistics.metrics import METRICS, Metric
from service.experiments.statistics.moments import Moments

#: The relative changes of which it is told how surely they would be found.
_LIFTS = (0.05, 0.1, 0.2)


def metrics_of(people: Moments) -> dict[str, float | None]:
    """Every metric of some people, None where there is nothing to divide by."""
    return {name: _value(metric, people) for name, metric in METRICS.items()}


def _value(metric: Metric, people: Moments) -> float | None:
    try:
        return value_of(metric, people)
    except NotComputableError:
        return None


def described_comparison(found: Comparison, role: str, comparisons: int) -> ComparisonAnswer:
    """One comparison, of so many to correct for, before anything is decided."""
    return ComparisonAnswer(
        metric=found.metric.name,
        role=role,
        control=found.control,
        value=found.variant,
        people=found.people,
        absolute=EffectAnswer.of(found.absolute),
        relative=_optional(found.relative),
        cuped=None if found.cuped is None else _cuped(found.absolute, found.cuped),
        power=_power(found, comparisons),
        note=None if found.relative is not None else "control's is 0, so there is no relative change",
    )


def _optional(effect: Effect | None) -> EffectAnswer | None:
    return None if effect is None else EffectAnswer.of(effect)


def _cuped(before: Effect, after: Cuped) -> CupedAnswer:
    kept = (after.absolute.standard_error / before.standard_error) ** 2
    return CupedAnswer(
        EffectAnswer.of(after.absolute), _optional(after.relative), after.theta, variance_reduction=1.0 - kept
    )


def _power(found: Comparison, comparisons: int) -> PowerAnswer:
    error, base = found.best.standard_error, abs(found.control)
    # Holm's first step, the worst case; Bonferroni's level.
    alpha = power.ALPHA / comparisons
    critical = sequential.half_width(1.0, found.people, alpha, found.tuning_people)
    smallest = power.smallest_difference(error, critical)
    return PowerAnswer(
        smallest_difference=smallest,
        smallest_lift=smallest / base if base else None,
        power_of_lift={f"{lift:g}": power.power_of(lift * base, error, critical) for lift in _LIFTS},
    )


def version_result(
    version: int, strata: Mapping[str, Strata], shares: Mapping[str, float], control: str, primary: Metric
) -> VersionResult:
    """The people of one version of the map, whose moments `strata` has by variant."""
    people = {variant: together(one) for variant, one in strata.items()}
    return VersionResult(
        map_version=version,
        participants=sum(one.n for one in people.values()),
        variants=[
            VersionVariant(
                variant_id=variant,
                participants=one.n,
                share=shares.get(variant, 0.0),
                metrics=metrics_of(one),
                lift=None if variant == control else _lift(primary, strata, control, variant),
            )
            for variant, one in people.items()
        ],
    )


def _lift(primary: Metric, strata: Mapping[str, Strata], control: str, variant: str) -> EffectAnswer | None:
    try:
        found = compare(primary, strata.get(control, {}), strata[variant], sequential.TUNING_PEOPLE)
    except NotComputableError:
        return None
    return _optional(found.best_relative)

"""Everything that came of an experiment. Pure, and heavy for many people: for a thread, not for the event loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.experiments.definition import Experiment
from service.experiments.people import VariantPeople
from service.experiments.results.answers import (
    AgainstControl,
    ComparisonAnswer,
    ResultsAnswer,
    Significance,
    VariantResult,
    VersionResult,
)
from service.experiments.results.comparing import Comparison, compare
from service.experiments.results.describing import described_comparison, metrics_of, version_result
from service.experiments.results.judging import LEAST_PEOPLE, Progress, judge, standing_of
from service.experiments.results.sample_ratio import Shares, sample_ratio, shares_of
from service.experiments.results.strata import Strata, strata_of, together
from service.experiments.revisions import Revision
from service.experiments.statistics.errors import NotComputableError
from service.experiments.statistics.holm import holm
from service.experiments.statistics.metrics import METRICS
from service.experiments.statistics.power import ALPHA
from service.experiments.statistics.sequential import TUNING_PEOPLE
from service.live.event import iso

#: Of a variant and a metric: how it compares, or why it does not.
Key = tuple[str, str]
Compared = Mapping[Key, Comparison | NotComputableError]


@dataclass(frozen=True)
class Corrected:
    """The p values of goals after Holm's correction, for one look and for every look, and over how many."""

    one_look: Mapping[Key, float]
    always: Mapping[Key, float]
    comparisons: int


def summarise(history: Sequence[Revision], people: Mapping[str, VariantPeople]) -> ResultsAnswer:
    """The results from all versions of an experiment, the first one first, and its people by variant."""
    experiment, shares = history[-1].experiment, shares_of(history)
    strata = {variant: strata_of(one) for variant, one in people.items()}
    compared = _compared(experiment, strata)
    corrected = _corrected(experiment, compared)
    variants = [
        _variant(experiment, place, strata, people, compared, corrected)
        for place in range(len(experiment.variants))
    ]
    spread = sample_ratio(shares, people)
    total = sum(len(one) for one in people.values())
    crossed = sum(int(one.is_crossed.sum()) for one in people.values())
    progress = Progress(total, experiment.planned_people, crossed, experiment.status == "completed")
    rivals = [variants[place] for place in _rivals(experiment, strata)]
    standings = [standing for one in rivals if (standing := standing_of(one)) is not None]
    verdict = judge(experiment.control, standings, spread, progress)
    return ResultsAnswer(
        experiment_id=experiment.experiment_id,
        status=experiment.status,
        start_date=None if experiment.starts_at is None else iso(experiment.starts_at),
        participants=total,
        total_users=total,
        people_in_several_variants=crossed,
        planned_people=experiment.planned_people,
        verdict=verdict.words,
        explanation=verdict.reasons,
        winner=verdict.winner,
        control=experiment.control,
        primary_metric=experiment.primary_metric,
        confidence_level=1.0 - ALPHA,
        comparisons=corrected.comparisons,
        sample_ratio=spread,
        variants=variants,
        by_map_version=_by_version(experiment, shares, strata),
    )


def _rivals(experiment: Experiment, strata: Mapping[str, Strata]) -> list[int]:
    """The places of the variants that are compared with control: they have people, or are to have some."""
    return [
        place
        for place, variant in enumerate(experiment.variants)
        if variant.variant_id != experiment.control and (variant.weight > 0.0 or strata[variant.variant_id])
    ]


def _compared(experiment: Experiment, strata: Mapping[str, Strata]) -> Compared:
    found: dict[Key, Comparison | NotComputableError] = {}
    for place in _rivals(experiment, strata):
        variant, tuning = experiment.variants[place].variant_id, _tuning(experiment, place)
        for name, metric in METRICS.items():
            try:
                found[variant, name] = compare(metric, strata[experiment.control], strata[variant], tuning)
            except NotComputableError as error:
                found[variant, name] = error
    return found


def _tuning(experiment: Experiment, place: int) -> float:
    """For how many people in control and a variant together the sequential intervals are to be narrowest."""
    pair = experiment.weights[experiment.variant_ids.index(experiment.control)] + experiment.weights[place]
    share = pair / sum(experiment.weights)
    if experiment.planned_people is None or not share > 0.0:
        return TUNING_PEOPLE
    return experiment.planned_people * share


def _corrected(experiment: Experiment, compared: Compared) -> Corrected:
    goals = {key: one for key, one in compared.items() if key[1] in experiment.goal_metrics}
    known = {key: one.best for key, one in goals.items() if isinstance(one, Comparison)}
    count = max(1, len(goals))
    return Corrected(
        one_look=holm({key: effect.p_value for key, effect in known.items()}, count),
        always=holm({key: effect.sequential_p_value for key, effect in known.items()}, count),
        comparisons=count,
    )


def _variant(
    experiment: Experiment,
    place: int,
    strata: Mapping[str, Strata],
    people: Mapping[str, VariantPeople],
    compared: Compared,
    corrected: Corrected,
) -> VariantResult:
    variant = experiment.variants[place]
    name, one = variant.name or variant.variant_id, people[variant.variant_id]
    metrics = metrics_of(together(strata[variant.variant_id]))
    comparisons = [
        _comparison(experiment, key, found, corrected)
        for key, found in compared.items()
        if key[0] == variant.variant_id
    ]
    significance = _significance(experiment, comparisons)
    return VariantResult(
        variant_id=variant.variant_id,
        variant_name=name,
        name=name,
        participants=len(one),
        user_count=len(one),
        exposures=int(one.exposures.sum()),
        clicks=int(one.clicks.sum()),
        saves=int(one.saves.sum()),
        hides=int(one.hides.sum()),
        errors=int(one.errors.sum()),
        conversions=int((one.clicks + one.saves > 0).sum()),
        conversion_rate=metrics["conversion_rate"],
        p_value=None if significance is None else significance.vs_control.p_value,
        metrics=metrics,
        statistical_significance=significance,
        comparisons=comparisons,
    )


def _comparison(
    experiment: Experiment, key: Key, found: Comparison | NotComputableError, corrected: Corrected
) -> ComparisonAnswer:
    role = _role(experiment, key[1])
    if isinstance(found, NotComputableError):
        return ComparisonAnswer(key[1], role, note=str(found))
    # What holds for one look may not hold for the next: only the p of every look decides. A guardrail stands by
    # itself, since a harm that is overlooked is dearer than one that is looked into for nothing.
    p = corrected.always.get(key, found.best.sequential_p_value)
    is_sure = p < ALPHA and found.fewest >= LEAST_PEOPLE
    comparisons = corrected.comparisons if key in corrected.always else 1
    answer = described_comparison(found, role, comparisons)
    answer.corrected_p_value = corrected.one_look.get(key)
    answer.corrected_sequential_p_value = corrected.always.get(key)
    answer.is_better = is_sure and found.is_improvement
    answer.is_worse = is_sure and not found.is_improvement
    return answer


def _role(experiment: Experiment, metric: str) -> str:
    """Errors guard every experiment."""
    if metric == experiment.primary_metric:
        return "primary"
    if metric in experiment.goal_metrics:
        return "goal"
    return "guardrail" if metric in (*experiment.guardrails, "error_rate") else "other"


def _significance(experiment: Experiment, comparisons: Sequence[ComparisonAnswer]) -> Significance | None:
    for one in comparisons:
        if one.metric == experiment.primary_metric:
            p = one.corrected_sequential_p_value
            return Significance(AgainstControl(p, one.is_better or one.is_worse, 1.0 - ALPHA))
    return None


def _by_version(experiment: Experiment, shares: Shares, strata: Mapping[str, Strata]) -> list[VersionResult]:
    """Nothing where there is but one version."""
    versions = sorted({version for one in strata.values() for version in one})
    if len(versions) < 2:
        return []
    return [
        version_result(
            version,
            {variant: {version: one[version]} for variant, one in strata.items() if version in one},
            shares.get(version, {}),
            experiment.control,
            METRICS[experiment.primary_metric],
        )
        for version in versions
    ]

"""The body of GET /v1/experiments/{id}/results."""

from __future__ import annotations

from msgspec import Struct

from service.experiments.definition import Status
from service.experiments.statistics.effects import Effect


class EffectAnswer(Struct):
    """How much a variant differs from control. ``low`` to ``high`` is the 95 % interval for one look at a time fixed
    before, with its ``p_value``; ``sequential_…`` are those that hold however often one looks."""

    estimate: float
    standard_error: float
    low: float
    high: float
    p_value: float
    sequential_low: float
    sequential_high: float
    sequential_p_value: float

    @classmethod
    def of(cls, effect: Effect) -> EffectAnswer:
        return cls(*effect)


class CupedAnswer(Struct):
    """The same after CUPED took away what people did before; ``variance_reduction`` is the share of it that went."""

    absolute: EffectAnswer
    relative: EffectAnswer | None
    theta: float
    variance_reduction: float


class PowerAnswer(Struct):
    """What the people so far can show, looked at as often as one likes and after the correction.

    ``smallest_lift`` is the relative change found with probability 0.8, ``power_of_lift`` with what probability
    others are.
    """

    smallest_difference: float
    smallest_lift: float | None
    power_of_lift: dict[str, float]


class ComparisonAnswer(Struct):
    """One variant against control in one metric.

    ``role`` is primary, goal, guardrail or other. ``corrected_…`` are after Holm's correction over variants × goal
    metrics, of the effect after CUPED where there is one; only goals have them. ``is_better`` and ``is_worse`` say
    what holds at every look. Where there is no figure, ``note`` says why.
    """

    metric: str
    role: str
    control: float | None = None
    value: float | None = None
    people: int = 0
    absolute: EffectAnswer | None = None
    relative: EffectAnswer | None = None
    cuped: CupedAnswer | None = None
    corrected_p_value: float | None = None
    corrected_sequential_p_value: float | None = None
    is_better: bool = False
    is_worse: bool = False
    power: PowerAnswer | None = None
    note: str | None = None


class AgainstControl(Struct):
    """Whether the primary metric differs: the p that holds at every look, corrected for all comparisons."""

    p_value: float | None
    is_significant: bool
    confidence_level: float


class Significance(Struct):
    """Of one variant."""

    vs_control: AgainstControl


class VariantResult(Struct):
    """One variant: its counts, its rates, and for each metric how it compares with control (control has none).

    ``conversions`` are people who clicked or saved. ``p_value`` is that of ``statistical_significance``.
    """

    variant_id: str
    variant_name: str
    name: str
    participants: int
    user_count: int
    exposures: int
    clicks: int
    saves: int
    hides: int
    errors: int
    conversions: int
    conversion_rate: float | None
    p_value: float | None
    metrics: dict[str, float | None]
    statistical_significance: Significance | None
    comparisons: list[ComparisonAnswer]


class SampleRatioAnswer(Struct):
    """Whether people are spread over the variants as the weights say, by each version of the map.

    ``is_mismatch`` is the alarm, at p < 0.001. ``unexpected`` counts people in variants without weight, which take no
    part in the test.
    """

    p_value: float | None
    is_mismatch: bool
    observed: dict[str, int]
    expected: dict[str, float]
    unexpected: int
    note: str | None


class VersionVariant(Struct):
    """One variant among the people of one version of the map; ``lift`` is of the primary metric, over control's."""

    variant_id: str
    participants: int
    share: float
    metrics: dict[str, float | None]
    lift: EffectAnswer | None


class VersionResult(Struct):
    """The people whom one version of the map assigned."""

    map_version: int
    participants: int
    variants: list[VersionVariant]


class ResultsAnswer(Struct):
    """What came of an experiment.

    ``verdict`` is in plain words, ``explanation`` why; ``winner`` is the variant to keep once that is decided.
    ``by_map_version`` is empty unless weights have changed while people took part.
    """

    experiment_id: str
    status: Status
    start_date: str | None
    participants: int
    total_users: int
    people_in_several_variants: int
    planned_people: int | None
    verdict: str
    explanation: list[str]
    winner: str | None
    control: str
    primary_metric: str
    confidence_level: float
    comparisons: int
    sample_ratio: SampleRatioAnswer
    variants: list[VariantResult]
    by_map_version: list[VersionResult]

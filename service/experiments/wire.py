"""The bodies of requests and answers about experiments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from service.experiments.definition import (
    MOST_VARIANTS,
    Experiment,
    Guardrail,
    Metric,
    Name,
    Share,
    Status,
    Text,
    Variant,
)
from service.experiments.revisions import Revision
from service.live.event import iso

Time = Annotated[datetime, Meta(tz=True)]
Variants = Annotated[tuple[Variant, ...], Meta(min_length=2, max_length=MOST_VARIANTS)]
People = Annotated[int, Meta(ge=1)]


class ExperimentRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """A new experiment, as a draft. Times are ISO 8601 with a zone; see the answer for what each field is."""

    experiment_id: Name
    name: Text
    variants: Variants
    description: Text = ""
    control: Name = "control"
    seed: Annotated[str, Meta(max_length=100)] = ""
    layer: Annotated[str, Meta(max_length=50)] = ""
    layer_from: Share = 0.0
    layer_to: Share = 1.0
    starts_at: Time | None = None
    ends_at: Time | None = None
    primary_metric: Metric = "click_through_rate"
    goal_metrics: tuple[Metric, ...] = ("click_through_rate", "save_rate")
    guardrails: tuple[Guardrail, ...] = ("hide_rate", "latency_ms")
    planned_people: People | None = None

    def experiment(self) -> Experiment:
        """The definition that is asked for."""
        return Experiment(**_fields(self))


class ExperimentChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be different; what is not named stays. Once people take part less may change than in a draft."""

    name: Text | UnsetType = UNSET
    variants: Variants | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    control: Name | UnsetType = UNSET
    seed: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    layer: Annotated[str, Meta(max_length=50)] | UnsetType = UNSET
    layer_from: Share | UnsetType = UNSET
    layer_to: Share | UnsetType = UNSET
    starts_at: Time | UnsetType | None = UNSET
    ends_at: Time | UnsetType | None = UNSET
    primary_metric: Metric | UnsetType = UNSET
    goal_metrics: tuple[Metric, ...] | UnsetType = UNSET
    guardrails: tuple[Guardrail, ...] | UnsetType = UNSET
    planned_people: People | UnsetType | None = UNSET

    def applied_to(self, experiment: Experiment) -> Experiment:
        """The definition with these changes."""
        return msgspec.structs.replace(experiment, **_fields(self))


def _fields(asked: Struct) -> dict[str, Any]:
    """What was given, times in seconds since 1970."""
    given = {name: getattr(asked, name) for name in asked.__struct_fields__}
    return {
        name: value.timestamp() if isinstance(value, datetime) else value
        for name, value in given.items()
        if value is not UNSET
    }


class VariantAnswer(Struct):
    """One variant; ``traffic_percentage`` is its part of the people now, ``weight`` the same as a fraction."""

    variant_id: str
    name: str
    arm: str | None
    settings: dict[str, Any]
    weight: float
    traffic_percentage: float


class ExperimentAnswer(Struct):
    """One experiment as it is now; ``version`` counts its changes, ``map_version`` those of who gets what."""

    experiment_id: str
    id: str
    name: str
    description: str
    status: Status
    variants: list[VariantAnswer]
    created_at: str
    metrics_tracked: list[str]
    control: str
    seed: str
    layer: str
    layer_from: float
    layer_to: float
    starts_at: str | None
    ends_at: str | None
    primary_metric: str
    guardrails: list[str]
    planned_people: int | None
    version: int
    map_version: int
    changed_at: str
    effective_at: str


class ExperimentsAnswer(Struct):
    """All experiments, the oldest first."""

    experiments: list[ExperimentAnswer]
    count: int


class ChangeAnswer(Struct):
    """One change of an experiment."""

    version: int
    changed_at: str
    effective_at: str
    what: str
    status: Status
    weights: dict[str, float]


class ExperimentDetailAnswer(ExperimentAnswer):
    """One experiment with all its changes, the first one first."""

    changes: list[ChangeAnswer]


def described(revision: Revision) -> ExperimentAnswer:
    """A revision as the API shows it."""
    return ExperimentAnswer(**_described(revision))


def described_in_detail(history: Sequence[Revision]) -> ExperimentDetailAnswer:
    """The latest of some revisions, and all of them as changes."""
    return ExperimentDetailAnswer(**_described(history[-1]), changes=[_change(one) for one in history])


def _described(revision: Revision) -> dict[str, Any]:
    experiment = revision.experiment
    same = ("experiment_id", "name", "description", "status", "control", "primary_metric", "planned_people")
    return {
        **{name: getattr(experiment, name) for name in (*same, "layer_from", "layer_to")},
        "id": experiment.experiment_id,
        "variants": [_variant(variant, sum(experiment.weights)) for variant in experiment.variants],
        "created_at": iso(revision.created_at),
        "metrics_tracked": list(experiment.goal_metrics),
        "seed": experiment.hash_seed,
        "layer": experiment.layer_name,
        "starts_at": None if experiment.starts_at is None else iso(experiment.starts_at),
        "ends_at": None if experiment.ends_at is None else iso(experiment.ends_at),
        "guardrails": list(experiment.guardrails),
        "version": revision.version,
        "map_version": revision.map_version,
        "changed_at": iso(revision.changed_at),
        "effective_at": iso(revision.effective_at),
    }


def _variant(variant: Variant, total: float) -> VariantAnswer:
    share = variant.weight / total
    settings = {} if variant.settings.limit is None else {"limit": variant.settings.limit}
    name = variant.name or variant.variant_id
    return VariantAnswer(variant.variant_id, name, variant.arm, settings, share, round(100.0 * share, 4))


def _change(revision: Revision) -> ChangeAnswer:
    experiment = revision.experiment
    return ChangeAnswer(
        version=revision.version,
        changed_at=iso(revision.changed_at),
        effective_at=iso(revision.effective_at),
        what=revision.what,
        status=experiment.status,
        weights=dict(zip(experiment.variant_ids, experiment.weights, strict=True)),
    )

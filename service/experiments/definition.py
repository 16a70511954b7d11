"""What an experiment is: frozen values, checked as a whole, each problem named by its field.

A definition is never edited: a change makes another one, which `service.experiments.revisions` keeps under the next
version.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from service.experiments.errors import DefinitionError

Status = Literal["draft", "running", "paused", "completed"]
#: What an experiment can be about: counts of a person's actions for each answer that they were shown.
Metric = Literal["click_through_rate", "save_rate", "hide_rate"]
#: What must not become worse meanwhile.
Guardrail = Literal["hide_rate", "latency_ms"]

MOST_VARIANTS = 20

Name = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[A-Za-z0-9_.-]+$")]
Text = Annotated[str, Meta(max_length=1_000)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class VariantSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a variant changes beside the arm: it stands for what a request leaves unsaid."""

    limit: Annotated[int, Meta(ge=1, le=100)] | None = None


class Variant(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to answer. `weight` is its part of the people relative to the other variants' weights.

    Without an `arm` the answer is made by whichever arm would have made it otherwise.
    """

    variant_id: Name
    weight: Annotated[float, Meta(ge=0.0, le=1e6)]
    arm: Name | None = None
    name: Text = ""
    settings: VariantSettings = VariantSettings()


class Experiment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One experiment. Times are seconds since 1970, UTC; `ends_at` is the first instant without it.

    Experiments of one `layer` exclude one another: each takes the people whose place in the layer, a number in
    [0, 1) by the hash of their id with the layer's name, is from `layer_from` up to `layer_to`. Those of different
    layers do not: their hashes are independent. An empty `layer` is one of the experiment's own; an empty `seed` is
    the experiment's id. `planned_people` is how many people are to take part over all variants.
    """

    experiment_id: Name
    name: Text
    variants: Annotated[tuple[Variant, ...], Meta(min_length=2, max_length=MOST_VARIANTS)]
    description: Text = ""
    status: Status = "draft"
    control: Name = "control"
    seed: Annotated[str, Meta(max_length=100)] = ""
    layer: Annotated[str, Meta(max_length=50)] = ""
    layer_from: Share = 0.0
    layer_to: Share = 1.0
    starts_at: float | None = None
    ends_at: float | None = None
    primary_metric: Metric = "click_through_rate"
    goal_metrics: tuple[Metric, ...] = ("click_through_rate", "save_rate")
    guardrails: tuple[Guardrail, ...] = ("hide_rate", "latency_ms")
    planned_people: Annotated[int, Meta(ge=1)] | None = None

    @property
    def hash_seed(self) -> str:
        return self.seed or self.experiment_id

    @property
    def layer_name(self) -> str:
        return self.layer or self.experiment_id

    @property
    def weights(self) -> tuple[float, ...]:
        return tuple([variant.weight for variant in self.variants])

    @property
    def variant_ids(self) -> tuple[str, ...]:
        return tuple([variant.variant_id for variant in self.variants])

    @property
    def varies(self) -> frozenset[str]:
        """What of an answer its variants differ in: the arm, the limit."""
        arm = {"arm"} if any(variant.arm for variant in self.variants) else set()
        limit = {"limit"} if any(variant.settings.limit for variant in self.variants) else set()
        return frozenset(arm | limit)


def check(experiment: Experiment, arms: Collection[str]) -> None:
    """Raise DefinitionError, naming the field, unless the definition can be run; `arms` are those that exist."""
    _check_variants(experiment.variants, arms)
    ids = experiment.variant_ids
    if experiment.control not in ids:
        raise DefinitionError(f"control: expected one of {', '.join(ids)}, got {experiment.control!r}")
    if not experiment.layer_from < experiment.layer_to:
        raise DefinitionError("layer_to: expected more than layer_from")
    starts, ends = experiment.starts_at, experiment.ends_at
    if starts is not None and ends is not None and ends <= starts:
        raise DefinitionError("ends_at: expected a time after starts_at")
    if experiment.primary_metric not in experiment.goal_metrics:
        raise DefinitionError("primary_metric: expected one of goal_metrics")


def _check_variants(variants: Sequence[Variant], arms: Collection[str]) -> None:
    seen: set[str] = set()
    for place, variant in enumerate(variants):
        where = f"variants[{place}]"
        if variant.variant_id in seen:
            raise DefinitionError(f"{where}.variant_id: {variant.variant_id!r} is there twice")
        seen.add(variant.variant_id)
        if variant.arm is not None and variant.arm not in arms:
            raise DefinitionError(f"{where}.arm: expected one of {', '.join(arms)}, got {variant.arm!r}")
    if not sum(variant.weight for variant in variants) > 0.0:
        raise DefinitionError("variants: expected at least one weight above 0")
    # People for whom only some variants change a thing could not be compared when another experiment changes it too.
    for what, given in (
        ("arm", [variant.arm is not None for variant in variants]),
        ("settings.limit", [variant.settings.limit is not None for variant in variants]),
    ):
        if any(given) and not all(given):
            raise DefinitionError(f"variants: expected {what} in all of them or in none")


#: The arms of the site's standing experiment, and what they are called there.
ARMS_OF_CONTRACT: Mapping[str, str] = {
    "control": "Popularity",
    "collaborative_filtering": "People with the same taste",
    "content_based": "Genres and artists",
    "hybrid": "All of them, blended",
}


def default_experiment(experiment_id: str, control: str, status: Status = "draft") -> Experiment:
    """The site's standing experiment, in equal parts; `control` is the name of the variant that is popularity."""
    ids = {arm: control if arm == "control" else arm for arm in ARMS_OF_CONTRACT}
    return Experiment(
        experiment_id=experiment_id,
        name="Recommendation Algorithm Test",
        description="Which way to recommend leads to more clicks and saves",
        variants=tuple([Variant(ids[arm], 0.25, arm, name) for arm, name in ARMS_OF_CONTRACT.items()]),
        control=control,
        status=status,
    )

"""Every change of an experiment is kept, with its time and version; the latest in force is what holds.

The buckets are stored with the definition, for they depend on all weights before.
"""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from service.experiments.buckets import BucketMap, Runs
from service.experiments.definition import Experiment, Status, check
from service.experiments.errors import DefinitionError, TransitionError

#: From which states an experiment may go into which.
_MAY_BECOME: dict[str, tuple[Status, ...]] = {
    "draft": ("running", "completed"),
    "running": ("paused", "completed"),
    "paused": ("running", "completed"),
    "completed": (),
}
#: What may change once people take part: anything else would make two experiments of one.
_CHANGEABLE = frozenset(
    {"name", "description", "variants", "ends_at", "planned_people", "guardrails", "goal_metrics"}
)


class Revision(Struct, frozen=True):
    """One version of an experiment. Times are seconds since 1970; the experiment was made at `created_at`.

    `map_version` counts the maps of buckets, whose owners are `runs` (`service.experiments.buckets`).
    """

    version: int
    created_at: float
    changed_at: float
    effective_at: float
    what: str
    experiment: Experiment
    map_version: int
    runs: Runs

    @property
    def experiment_id(self) -> str:
        return self.experiment.experiment_id

    @property
    def buckets(self) -> BucketMap:
        return BucketMap.from_runs(self.map_version, self.runs)


_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(Revision)


def encode_revision(revision: Revision) -> str:
    """As JSON text."""
    return _ENCODER.encode(revision).decode()


def decode_revision(text: str) -> Revision:
    """The inverse; msgspec.ValidationError for a text of another release."""
    return _DECODER.decode(text)


def created(experiment: Experiment, arms: Collection[str], now: float) -> Revision:
    """The first revision. Raises DefinitionError."""
    if experiment.status not in ("draft", "running"):
        raise DefinitionError("status: expected draft or running for a new experiment")
    check(experiment, arms)
    buckets = BucketMap.first(experiment.weights)
    return Revision(1, now, now, now, "created", experiment, buckets.version, buckets.runs())


def moved_to(before: Revision, status: Status, arms: Collection[str], now: float) -> Revision:
    """The revision in another status. Raises TransitionError, and DefinitionError for arms that are gone."""
    old = before.experiment
    if status not in _MAY_BECOME[old.status]:
        raise TransitionError(f"{old.experiment_id} is {old.status} and cannot become {status}")
    changes: dict[str, Any] = {"status": status}
    if status == "running" and old.starts_at is None:
        changes["starts_at"] = now
    if status == "completed":
        changes["ends_at"] = now if old.ends_at is None else min(now, old.ends_at)
    experiment = msgspec.structs.replace(old, **changes)
    if status == "running":
        check(experiment, arms)
    # A map that is not in force yet stays so; to stop is at once.
    effective_at = max(now, before.effective_at) if status == "running" else now
    return msgspec.structs.replace(
        before,
        version=before.version + 1,
        changed_at=now,
        effective_at=effective_at,
        what=status,
        experiment=experiment,
    )


def changed(
    before: Revision, experiment: Experiment, arms: Collection[str], now: float, delay: float
) -> Revision:
    """The revision with another definition of the same status.

    Where people take part a new map is in force only `delay` seconds later, when every process knows it: otherwise
    two processes could give one person two variants. Raises DefinitionError and TransitionError.
    """
    check(experiment, arms)
    old = before.experiment
    if old.status == "completed":
        raise TransitionError(f"{old.experiment_id} is completed and cannot be changed")
    is_draft = old.status == "draft"
    if not is_draft:
        _check_change(old, experiment)
    reweighted = experiment.weights != old.weights
    buckets, effective_at = before.buckets, now
    if is_draft:
        buckets = BucketMap.first(experiment.weights)
    elif reweighted:
        buckets, effective_at = buckets.rebalanced(experiment.weights), now + delay
    what = "weights changed" if reweighted else "changed"
    version = before.version + 1
    # Never before the change that it is built upon.
    effective_at = max(effective_at, before.effective_at)
    made = before.created_at
    return Revision(version, made, now, effective_at, what, experiment, buckets.version, buckets.runs())


def _check_change(old: Experiment, new: Experiment) -> None:
    for field in old.__struct_fields__:
        if field not in _CHANGEABLE and getattr(old, field) != getattr(new, field):
            raise DefinitionError(f"{field}: cannot be changed once people take part")
    kept = [msgspec.structs.replace(variant, weight=0.0) for variant in new.variants[: len(old.variants)]]
    if kept != [msgspec.structs.replace(variant, weight=0.0) for variant in old.variants]:
        raise DefinitionError(
            "variants: once people take part, variants can be added at the end and weights changed (0 ends one)"
        )


def check_layer(experiment: Experiment, others: Iterable[Experiment]) -> None:
    """Raise TransitionError when a running experiment of the same layer takes some of the same people."""
    for other in others:
        if (
            other.experiment_id != experiment.experiment_id
            and other.status in ("running", "paused")
            and other.layer_name == experiment.layer_name
            and other.layer_from < experiment.layer_to
            and experiment.layer_from < other.layer_to
        ):
            raise TransitionError(
                f"{other.experiment_id} has {other.layer_from:g} to {other.layer_to:g}"
                f" of the layer {experiment.layer_name!r}"
            )


def in_force(revisions: Iterable[Revision], now: float) -> dict[str, Revision]:
    """Of each experiment the latest revision that is in force at `now`, in the order in which they were created."""
    found: dict[str, Revision] = {}
    for revision in sorted(revisions, key=lambda one: one.version):
        if revision.effective_at <= now or revision.version == 1:
            found[revision.experiment_id] = revision
    return found


def latest(revisions: Iterable[Revision]) -> dict[str, Revision]:
    """Of each experiment the latest revision, in force or not yet."""
    return in_force(revisions, float("inf"))

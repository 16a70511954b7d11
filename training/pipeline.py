"""A training from end to end: snapshot, fit, validate, gate, bundle, pointer. A failure leaves the old model."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from core.als import sketch_factors
from core.bundle import BundleError, write_bundle
from core.interactions import BuildReport
from core.model import Model, ModelSettings
from service.memory import give_memory_back
from service.model_record import record_model
from service.models import ModelRegistry, NoModelError
from service.refusals import Refusal, note_refusal
from service.storage.database import Database
from service.storage.errors import StorageError
from training.fitting import fit_model
from training.gate import objections, unusable
from training.snapshot import Snapshot, take_snapshot
from training.validation import Validation, validate

#: The arm whose measures stand for the model where the API has room for one.
HEADLINE_ARM = "collaborative_filtering"
#: Models kept on disk, the new one included, so that there is one to go back to.
KEPT_MODELS = 5

logger = logging.getLogger(__name__)


class TrainingRefusedError(Exception):
    """The data is not enough for a model, or the model not good enough to publish; the message says why."""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did."""

    version: str
    training_samples: int
    training_duration_seconds: float
    rows: BuildReport
    validation: Validation | None
    headline: str = HEADLINE_ARM
    overruled: tuple[str, ...] = ()  #: what the gate had against the model, which was published all the same

    @property
    def validation_metrics(self) -> dict[str, float]:
        """The headline arm's measures by the names of the API."""
        return {} if self.validation is None else self.validation.arms[self.headline].as_dict()


async def train(
    database: Database,
    registry: ModelRegistry,
    settings: ModelSettings,
    now: datetime,
    min_samples: int,
    seed: int = 0,
    keep_models: int = KEPT_MODELS,
    progress: Callable[[str], None] = lambda _: None,
    *,
    headline: str = HEADLINE_ARM,
    force: bool = False,
    chosen_on: Mapping[str, Any] | None = None,
) -> TrainingReport:
    """Train on everything up to `now` and publish the model; of the older ones keep the last `keep_models`.

    `chosen_on` says how the settings were chosen, for the manifest. `force` publishes whatever the gate
    (`training.gate`) has against a usable model. Raises TrainingRefusedError, noted beside the models, for what the
    gate refuses and for fewer than `min_samples` usable interactions; StorageUnavailable when the database is away,
    OSError when the disk fails; nothing is published then.
    """
    started = perf_counter()
    registry.clean()
    progress("reading interactions")
    snapshot = await take_snapshot(database, int(now.timestamp()))
    version = registry.new_version(now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"))
    progress(f"fitting {len(snapshot.log):,} interactions")
    model, rows = _fit(version, snapshot, settings)
    if rows.kept < min_samples:
        reason = f"{rows.kept} usable interactions, and MIN_TRAINING_SAMPLES asks for {min_samples}"
        raise _refusal(registry, model, snapshot, rows, None, [reason])
    if reasons := unusable(model):
        raise _refusal(registry, model, snapshot, rows, None, reasons)
    progress("validating")
    live, live_facts = _live_model(registry)
    validation = validate(snapshot, settings, seed, live=None if live is None else live.settings)
    against = objections(model, live, validation, headline, live_facts.get("validation"))
    if against and not force:
        raise _refusal(registry, model, snapshot, rows, validation, against)
    seconds = perf_counter() - started
    report = TrainingReport(version, rows.kept, seconds, rows, validation, headline, tuple(against))
    progress(f"publishing {version}")
    facts = _facts(model, snapshot, report, live, force=force)
    facts |= {"seed": seed, "settings_chosen_on": chosen_on}
    write_bundle(registry.path(version), replace(model, sketch=sketch_factors(model.factors)).arrays(), facts)
    registry.publish(version)
    registry.prune(keep_models)
    await _record(database, registry, version, int(snapshot.cutoff))
    return report


def _fit(version: str, snapshot: Snapshot, settings: ModelSettings) -> tuple[Model, BuildReport]:
    give_memory_back()
    model, rows = fit_model(
        version,
        snapshot.users,
        snapshot.events,
        snapshot.log,
        snapshot.event_city,
        snapshot.event_created,
        settings,
        snapshot.cutoff,
    )
    return replace(model, saved=snapshot.saved, hidden=snapshot.hidden), rows


def _live_model(registry: ModelRegistry) -> tuple[Model | None, Mapping[str, Any]]:
    """The model that serves and the facts of its manifest, if it can be compared with.

    One that cannot be read must not keep a good one away.
    """
    try:
        return registry.load()
    except NoModelError:
        return None, {}
    except BundleError as error:
        logger.warning("the published model cannot be compared with: %s", error)
        return None, {}


def _refusal(
    registry: ModelRegistry,
    model: Model,
    snapshot: Snapshot,
    rows: BuildReport,
    validation: Validation | None,
    reasons: list[str],
) -> TrainingRefusedError:
    """The error to raise; the refusal is noted for those who ask the service."""
    facts = None if validation is None else validation_facts(validation)
    refusal = Refusal(model.version, snapshot.cutoff, reasons, rows.kept, model.settings.as_dict(), facts)
    note_refusal(registry.directory, refusal)
    return TrainingRefusedError("; ".join(reasons))


async def _record(database: Database, registry: ModelRegistry, version: str, at: int) -> None:
    """Put the model on record in the site's table, for those who look there: what serves is the pointer on disk."""
    try:
        await record_model(database, registry, version, at)
    except StorageError as error:
        logger.warning("%s serves, but model_versions does not say so: %s", version, error)


def _facts(
    model: Model, snapshot: Snapshot, report: TrainingReport, live: Model | None, *, force: bool
) -> dict[str, Any]:
    validation = report.validation
    return {
        "version": model.version,
        "trained_at": snapshot.cutoff,
        "cutoff": snapshot.cutoff,
        "last_feedback_id": snapshot.last_feedback_id,
        "fingerprints": snapshot.fingerprints,
        "settings": model.settings.as_dict(),
        "counts": {"users": len(model.users), "events": len(model.events), **asdict(report.rows)},
        "training_samples": report.training_samples,
        "training_duration_seconds": round(report.training_duration_seconds, 3),
        "headline": report.headline,
        "validation_metrics": report.validation_metrics,
        "validation": None if validation is None else validation_facts(validation),
        "gate": {
            "compared_with": None if live is None else live.version,
            "forced": force,
            "overruled": list(report.overruled),
        },
    }


def validation_facts(validation: Validation) -> dict[str, Any]:
    """A validation as a manifest keeps it."""
    live = validation.live
    return {
        "method": validation.method,
        "cutoff": validation.cutoff,
        "people": validation.people,
        "arms": {name: metrics.as_dict() for name, metrics in validation.arms.items()},
        "intervals": _plain(validation.intervals),
        "live": None
        if live is None
        else {
            "same_settings": live.same_settings,
            "arms": {name: metrics.as_dict() for name, metrics in live.arms.items()},
            "intervals": _plain(live.intervals),
            "ndcg_differences": {
                name: {"mean": mean, "low": low, "high": high}
                for name, (mean, (low, high)) in live.differences.items()
            },
        },
    }


def _plain(intervals: Mapping[str, Mapping[str, tuple[float, float]]]) -> dict[str, dict[str, list[float]]]:
    return {name: {measure: [*bounds] for measure, bounds in of.items()} for name, of in intervals.items()}


def utc_now() -> datetime:
    """The present, with its zone."""
    return datetime.now(UTC)

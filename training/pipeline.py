"""A training from end to end: snapshot, fit, validate, bundle, pointer. A failure anywhere leaves the old model."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from core.bundle import write_bundle
from core.interactions import BuildReport
from core.model import Model, ModelSettings
from service.models import ModelRegistry
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.queries.models import ModelVersion, activate_model, insert_model
from training.fitting import fit_model
from training.snapshot import Snapshot, take_snapshot
from training.validation import Validation, validate

#: The arm whose measures stand for the model where the API has room for one.
HEADLINE_ARM = "collaborative_filtering"


#: What model_versions calls a model: it holds all arms.
MODEL_TYPE = "all arms"
#: Models kept on disk, the new one included, so that there is one to go back to.
KEPT_MODELS = 5

logger = logging.getLogger(__name__)


class TrainingRefusedError(Exception):
    """The data is not enough for a model; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did."""

    version: str
    training_samples: int
    training_duration_seconds: float
    rows: BuildReport
    validation: Validation | None

    @property
    def validation_metrics(self) -> dict[str, float]:
        """The headline arm's measures by the names of the API."""
        return {} if self.validation is None else self.validation.arms[HEADLINE_ARM].as_dict()


async def train(
    database: Database,
    registry: ModelRegistry,
    settings: ModelSettings,
    now: datetime,
    min_samples: int,
    seed: int = 0,
    keep_models: int = KEPT_MODELS,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainingReport:
    """Train on everything up to `now` and publish the model; of the older ones keep the last `keep_models`.

    Raises TrainingRefusedError for fewer than `min_samples` usable interactions, StorageUnavailable when the
    database is away, OSError when the disk fails; nothing is published then.
    """
    started = perf_counter()
    progress("reading interactions")
    snapshot = await take_snapshot(database, int(now.timestamp()))
    version = registry.new_version(now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"))
    progress(f"fitting {len(snapshot.log):,} interactions")
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
    if rows.kept < min_samples:
        raise TrainingRefusedError(
            f"{rows.kept} usable interactions, and MIN_TRAINING_SAMPLES asks for {min_samples}"
        )
    progress("validating")
    validation = validate(snapshot, settings, seed)
    report = TrainingReport(version, rows.kept, perf_counter() - started, rows, validation)
    progress(f"publishing {version}")
    model = replace(model, saved=snapshot.saved, hidden=snapshot.hidden)
    write_bundle(registry.path(version), model.arrays(), _facts(model, snapshot, report))
    registry.publish(version)
    registry.prune(keep_models)
    await _record(database, report, int(snapshot.cutoff))
    return report


async def _record(database: Database, report: TrainingReport, trained_at: int) -> None:
    """Put the model on record in the site's table, for those who look there: what serves is the pointer on disk."""
    measures = report.validation_metrics
    row = ModelVersion(report.version, MODEL_TYPE, report.training_samples, measures, trained_at)
    try:
        await insert_model(database, row)
        await activate_model(database, report.version, trained_at)
    except StorageError as error:
        logger.warning("%s serves, but model_versions does not say so: %s", report.version, error)


def _facts(model: Model, snapshot: Snapshot, report: TrainingReport) -> dict[str, Any]:
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
        "validation_metrics": report.validation_metrics,
        "validation": None
        if validation is None
        else {
            "method": validation.method,
            "cutoff": validation.cutoff,
            "arms": {name: metrics.as_dict() for name, metrics in validation.arms.items()},
        },
    }


def utc_now() -> datetime:
    """The present, with its zone."""
    return datetime.now(UTC)

"""A training from end to end: snapshot, fit, validate, bundle, pointer. A failure anywhere leaves the old model."""

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
from training.fitting import fit_model
from training.snapshot import Snapshot, take_snapshot
from training.validation import Validation, validate

#: The arm whose measures stand for the model where the API has room for one.
HEADLINE_ARM = "collaborative_filtering"


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
    progress: Callable[[str], None] = lambda _: None,
) -> TrainingReport:
    """Train on everything up to `now` and publish the model.

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
    return report


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

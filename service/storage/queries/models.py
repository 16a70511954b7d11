"""The record of trained models, and what they answered."""

from dataclasses import dataclass
from typing import Any

import orjson

from service.storage.database import Database, Row, Session
from service.storage.dialect import Statement
from service.storage.times import to_text

INSERT_MODEL = Statement(
    "INSERT INTO model_versions (version, model_type, training_samples, validation_metrics, trained_at)"
    " VALUES (?, ?, ?, ?, ?) {skip_known:version}"
)
COUNT_MODEL = Statement("SELECT COUNT(*) FROM model_versions WHERE version = ?")
ACTIVATE_MODEL = Statement("UPDATE model_versions SET is_active = 1, deployed_at = ? WHERE version = ?")
DEACTIVATE_OTHERS = Statement("UPDATE model_versions SET is_active = 0 WHERE is_active = 1 AND version <> ?")
LIST_MODELS = Statement(
    "SELECT version, model_type, training_samples, validation_metrics, COALESCE({epoch:trained_at}, 0),"
    " {epoch:deployed_at}, is_active FROM model_versions ORDER BY id DESC LIMIT ?"
)
PREDICTION_TOTALS = Statement(
    "SELECT COUNT(*), AVG(latency_ms) FROM model_predictions WHERE model_version = ?"
)


@dataclass(frozen=True)
class ModelVersion:
    """One trained model. Times in seconds since 1970; `deployed_at` is None until it first served."""

    version: str
    model_type: str
    training_samples: int
    validation_metrics: dict[str, Any]
    trained_at: int
    deployed_at: int | None = None
    is_active: bool = False


@dataclass(frozen=True)
class PredictionTotals:
    """How many answers of a model are on record, and their mean latency in ms (None without any)."""

    count: int
    mean_latency_ms: float | None


class UnknownModelError(LookupError):
    """No such version is on record."""


async def insert_model(session: Session, model: ModelVersion) -> bool:
    """Put a trained model on record, inactive; False when its version is there, which stays as it is."""
    metrics = orjson.dumps(model.validation_metrics).decode()
    values = (model.version, model.model_type, model.training_samples, metrics, to_text(model.trained_at))
    return await session.execute(INSERT_MODEL, values) > 0


async def activate_model(db: Database, version: str, at: int) -> None:
    """Make `version` the one active model, serving since `at` (seconds since 1970).

    UnknownModelError when it is not on record.
    """
    async with db.transaction() as session:
        [(known,)] = await session.fetch(COUNT_MODEL, (version,))
        if not known:
            raise UnknownModelError(f"model version {version!r} is not on record")
        await session.execute(DEACTIVATE_OTHERS, (version,))
        await session.execute(ACTIVATE_MODEL, (to_text(at), version))


async def list_models(session: Session, limit: int = 50) -> list[ModelVersion]:
    """The models on record, the last one first."""
    return [_model(row) for row in await session.fetch(LIST_MODELS, (limit,))]


async def prediction_totals(session: Session, version: str) -> PredictionTotals:
    """What is on record of the answers that `version` gave. A scan: not for every request."""
    [(count, mean)] = await session.fetch(PREDICTION_TOTALS, (version,))
    return PredictionTotals(count, None if mean is None else float(mean))


def _model(row: Row) -> ModelVersion:
    version, model_type, samples, metrics, trained_at, deployed_at, is_active = row
    decoded = orjson.loads(metrics) if metrics else {}
    return ModelVersion(version, model_type, samples, decoded, trained_at, deployed_at, bool(is_active))

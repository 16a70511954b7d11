"""The record of models in the site's table: it follows what is on disk, which decides."""

import asyncio
from contextlib import suppress

from core.bundle import BundleError
from service.models import ModelRegistry
from service.storage.database import Database
from service.storage.queries.models import ModelVersion, activate_model, insert_model

#: What model_versions calls a model: it holds all arms.
MODEL_TYPE = "all arms"


async def record_model(database: Database, registry: ModelRegistry, version: str, at: int) -> None:
    """Say that `version` serves since `at` (seconds since 1970), and put on record whatever else is on disk.

    That may be a model whose training was killed between publishing and recording it. Raises StorageError when the
    database is away, UnknownModelError when `version` is neither on disk in order nor on record.
    """
    for known in await asyncio.to_thread(_on_disk, registry):
        await insert_model(database, known)
    await activate_model(database, version, at)


def _on_disk(registry: ModelRegistry) -> list[ModelVersion]:
    """What there is to put on record; not what is damaged, which cannot serve either."""
    models = []
    for version in registry.versions():
        with suppress(BundleError):
            facts = registry.facts(version)
            samples, metrics = facts["training_samples"], facts["validation_metrics"]
            models.append(ModelVersion(version, MODEL_TYPE, samples, metrics, int(facts["trained_at"])))
    return models

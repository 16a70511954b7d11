"""The record of models in the site's table: it follows what is on disk, which decides."""

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
    for known in registry.versions():
        try:
            facts = registry.facts(known)
        except BundleError:
            continue  # damaged, so it cannot serve either
        row = ModelVersion(
            known,
            MODEL_TYPE,
            facts["training_samples"],
            facts["validation_metrics"],
            int(facts["trained_at"]),
        )
        await insert_model(database, row)
    await activate_model(database, version, at)

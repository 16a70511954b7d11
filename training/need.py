"""Whether a training would learn anything: what came since the published model, and how old that is."""

from datetime import datetime

from core.bundle import BundleError
from core.model import ModelSettings
from service.models import ModelRegistry
from service.storage.database import Database
from service.storage.queries.changes import count_feedback_after, pair_fingerprints
from service.storage.queries.pair_tables import HIDDEN, SAVED

_SECONDS_A_DAY = 86_400


async def why_not_needed(
    database: Database,
    registry: ModelRegistry,
    settings: ModelSettings,
    now: datetime,
    least_new: int,
    threshold_days: float,
) -> str | None:
    """Why no training is needed at `now`, None when one is.

    One is needed when there is no good model, when other settings were chosen since, when it is `threshold_days` old,
    or when `least_new` interactions have come since. Raises StorageError when the database cannot tell.
    """
    current = registry.current()
    if current is None:
        return None
    try:
        facts = registry.facts(current)
    except BundleError:
        return None
    if facts["settings"] != settings.as_dict():
        return None
    days = (now.timestamp() - facts["cutoff"]) / _SECONDS_A_DAY
    new = await count_feedback_after(database, int(facts["last_feedback_id"]))
    for table in (SAVED, HIDDEN):
        known = facts["fingerprints"].get(table.name, {})
        counts = await pair_fingerprints(database, table)
        new += sum(max(0, one.count - known.get(str(bucket), (0,))[0]) for bucket, one in counts.items())
    if days >= threshold_days or new >= least_new:
        return None
    return (
        f"model {current} is {days:.1f} days old and {new} interactions have come since; a training is due after"
        f" {threshold_days:g} days (RETRAIN_THRESHOLD_DAYS) or {least_new} interactions (RETRAIN_MIN_INTERACTIONS)"
    )

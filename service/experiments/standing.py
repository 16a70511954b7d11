"""The site's standing experiment is there even if nobody has made it."""

from collections.abc import Sequence

from service.experiments.definition import ARMS_OF_CONTRACT, Experiment, default_experiment
from service.experiments.revisions import Revision, created
from service.experiments.stores import ExperimentStore
from service.settings import Settings


def standing_experiment(settings: Settings) -> Experiment:
    """The experiment that there is when nobody has made one."""
    return default_experiment(
        settings.default_experiment_id, settings.control_variant, settings.default_experiment_status
    )


async def make_standing_experiment(
    store: ExperimentStore, default: Experiment, now: float
) -> Sequence[Revision]:
    """Make `default` unless there is one of its name; all versions of all experiments. Raises StorageError."""
    revisions = await store.revisions()
    if any(one.experiment_id == default.experiment_id for one in revisions):
        return revisions
    await store.add_revision(created(default, ARMS_OF_CONTRACT, now))
    return await store.revisions()

"""Changing experiments: for the admin routes and the command line alike.

Every change is a new version in the store. Of two changes made at the same moment one is refused, so that none is
lost unseen.
"""

from collections.abc import Callable, Collection, Mapping

import msgspec

from service.experiments.definition import MOST_VARIANTS, Experiment, Status, Variant
from service.experiments.errors import (
    ChangedMeanwhileError,
    DefinitionError,
    TransitionError,
    UnknownExperimentError,
)
from service.experiments.revisions import Revision, changed, check_layer, created, latest, moved_to
from service.experiments.stores import ExperimentStore

#: So many looks after a change of weights every process knows it, one more for clocks that differ.
_LOOKS = 2.0
_CLOCKS_SECONDS = 1.0


class ExperimentAdmin:
    """Raises StorageError, and the errors of `service.experiments.errors`."""

    def __init__(self, store: ExperimentStore, arms: Collection[str], clock: Callable[[], float]) -> None:
        self._store = store
        self._arms = arms
        self._clock = clock

    async def all(self) -> list[Revision]:
        """The latest version of every experiment, the oldest experiment first."""
        found = latest(await self._store.revisions()).values()
        return sorted(found, key=lambda one: (one.created_at, one.experiment_id))

    async def get(self, experiment_id: str) -> Revision:
        """The latest version of one."""
        return (await self.history(experiment_id))[-1]

    async def history(self, experiment_id: str) -> list[Revision]:
        """All versions of one, the first one first."""
        found = [one for one in await self._store.revisions() if one.experiment_id == experiment_id]
        if not found:
            raise UnknownExperimentError(experiment_id)
        return sorted(found, key=lambda one: one.version)

    async def create(self, experiment: Experiment) -> Revision:
        """A new experiment."""
        revision = created(experiment, self._arms, self._clock())
        if any(one.experiment_id == experiment.experiment_id for one in await self._store.revisions()):
            raise TransitionError(f"There is an experiment {experiment.experiment_id!r} already")
        return await self._keep(revision)

    async def change(self, experiment_id: str, change: Callable[[Experiment], Experiment]) -> Revision:
        """Another definition, made from the one that holds now."""
        before = await self.get(experiment_id)
        delay = _LOOKS * self._store.poll_seconds + _CLOCKS_SECONDS
        after = change(before.experiment)
        return await self._keep(changed(before, after, self._arms, self._clock(), delay))

    async def set_weights(self, experiment_id: str, weights: Mapping[str, float]) -> Revision:
        """Other weights for the variants named; those of the others stay."""

        def reweighted(experiment: Experiment) -> Experiment:
            for variant_id in weights:
                if variant_id not in experiment.variant_ids:
                    raise DefinitionError(
                        f"weights: expected one of {', '.join(experiment.variant_ids)}, got {variant_id!r}"
                    )
            variants = [_weighted(variant, weights) for variant in experiment.variants]
            return msgspec.structs.replace(experiment, variants=tuple(variants))

        return await self.change(experiment_id, reweighted)

    async def add_variant(self, experiment_id: str, variant: Variant) -> Revision:
        """One variant more, behind the others."""

        def longer(experiment: Experiment) -> Experiment:
            variants = (*experiment.variants, variant)
            if len(variants) > MOST_VARIANTS:
                raise DefinitionError(f"variants: expected at most {MOST_VARIANTS}")
            return msgspec.structs.replace(experiment, variants=variants)

        return await self.change(experiment_id, longer)

    async def move_to(self, experiment_id: str, status: Status) -> Revision:
        """Start (running), pause or complete."""
        before = await self.get(experiment_id)
        return await self._keep(moved_to(before, status, self._arms, self._clock()))

    async def _keep(self, revision: Revision) -> Revision:
        if revision.experiment.status == "running":
            check_layer(revision.experiment, [one.experiment for one in await self.all()])
        if not await self._store.add_revision(revision):
            raise ChangedMeanwhileError(revision.experiment_id)
        return revision


def _weighted(variant: Variant, weights: Mapping[str, float]) -> Variant:
    return msgspec.structs.replace(variant, weight=weights.get(variant.variant_id, variant.weight))

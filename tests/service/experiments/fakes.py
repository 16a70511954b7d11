"""Stores that tests can have fail, and what they hold."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from service.experiments.increments import Increment, summed
from service.experiments.revisions import Revision
from service.experiments.stores import Person
from service.storage.errors import StorageUnavailable


class FakeStore:
    """Holds everything in memory; `is_away` has every call fail, `hangs` has it never return."""

    poll_seconds = 0.02
    ship_seconds = 0.02
    hold_seconds = 0.0

    def __init__(self) -> None:
        self.kept: list[Revision] = []
        self.held: dict[tuple[str, str], str] = {}
        self.added: dict[tuple[str, int], Sequence[Increment]] = {}
        self.forgotten: list[str] = []
        self.calls = 0
        self.is_away = False
        self.hangs = False

    async def prepare(self) -> None:
        await self._answer()

    async def revisions(self) -> list[Revision]:
        await self._answer()
        return list(self.kept)

    async def add_revision(self, revision: Revision) -> bool:
        await self._answer()
        if any(
            (one.experiment_id, one.version) == (revision.experiment_id, revision.version)
            for one in self.kept
        ):
            return False
        self.kept.append(revision)
        return True

    async def claim(
        self, experiment_id: str, user_id: str, variant: str, map_version: int, now: float
    ) -> str:
        await self._answer()
        return self.held.setdefault((experiment_id, user_id), variant)

    async def add(self, source: str, number: int, increments: Sequence[Increment]) -> None:
        await self._answer()
        self.added.setdefault((source, number), increments)

    async def forget(self, user_id: str) -> int:
        await self._answer()
        self.forgotten.append(user_id)
        return 0

    async def of_person(self, user_id: str) -> list[Person]:
        await self._answer()
        return [one for one in self._people() if one.user_id == user_id]

    async def people(self, experiment_id: str) -> AsyncIterator[list[Person]]:
        await self._answer()
        yield [one for one in self._people() if one.experiment_id == experiment_id]

    async def close(self) -> None:
        """Nothing to give back."""

    def _people(self) -> list[Person]:
        """Those of what was added."""
        shipments: dict[tuple[str, str], dict[str, int]] = {}
        for (source, number), increments in self.added.items():
            for one in increments:
                shipments.setdefault((one.experiment_id, one.user_id), {})[source] = number
        return [
            Person(
                experiment_id=one.experiment_id,
                user_id=one.user_id,
                variant=one.variant,
                map_version=one.map_version,
                exposures=one.exposures,
                other_exposures=one.exposures - one.shown.get(one.variant, 0),
                clicks=one.clicks,
                saves=one.saves,
                hides=one.hides,
                pre_activity=one.pre_activity,
                latency_ms=one.latency_ms,
                assigned_at=int(one.first_at),
                seen_at=int(one.last_at),
                shipments=shipments[one.experiment_id, one.user_id],
            )
            for one in summed(increment for increments in self.added.values() for increment in increments)
        ]

    async def _answer(self) -> None:
        self.calls += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            raise StorageUnavailable("the store is away")

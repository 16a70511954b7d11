"""Experiments in this service's own database, SQLite or MySQL; its migrations make the tables."""

from collections.abc import AsyncIterator, Sequence

from service.experiments.increments import Increment
from service.experiments.revisions import Revision
from service.experiments.stores import Person
from service.storage.database import Database
from service.storage.queries import experiments as queries


class SQLStore:
    """`ExperimentStore` over a database that somebody else opens and closes."""

    def __init__(self, database: Database, poll_seconds: float, ship_seconds: float = 2.0) -> None:
        self._database = database
        self._poll_seconds = poll_seconds
        self._ship_seconds = ship_seconds

    @property
    def poll_seconds(self) -> float:
        return self._poll_seconds

    @property
    def ship_seconds(self) -> float:
        return self._ship_seconds

    @property
    def hold_seconds(self) -> float:
        return 0.0

    async def prepare(self) -> None:
        """Nothing: migrations make the tables."""

    async def revisions(self) -> list[Revision]:
        return await queries.read_revisions(self._database)

    async def add_revision(self, revision: Revision) -> bool:
        return await queries.add_revision(self._database, revision)

    async def claim(
        self, experiment_id: str, user_id: str, variant: str, map_version: int, now: float
    ) -> str:
        return await queries.claim(self._database, experiment_id, user_id, variant, map_version, now)

    async def add(self, source: str, number: int, increments: Sequence[Increment]) -> None:
        await queries.add_shipment(self._database, source, number, increments)

    async def forget(self, user_id: str) -> int:
        return await queries.forget(self._database, user_id)

    async def of_person(self, user_id: str) -> list[Person]:
        return await queries.of_person(self._database, user_id)

    def people(self, experiment_id: str) -> AsyncIterator[list[Person]]:
        return queries.read_people(self._database, experiment_id)

    async def close(self) -> None:
        """Nothing: the database outlives the store."""

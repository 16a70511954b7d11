"""Where experiments are kept: one interface, in DynamoDB or in this service's own database.

Every method raises StorageUnavailable when the store cannot be reached or does not answer in time, and StatementError
when it refuses what it was asked; see `service.storage.errors`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.experiments.increments import Increment
from service.experiments.revisions import Revision


@dataclass(frozen=True, slots=True)
class Person:
    """What one person was shown and did in one experiment.

    `variant` is the first that they were assigned, by version `map_version` of the map; `other_exposures` of the
    `exposures` showed another one. `pre_activity` is how many events they had liked before; `latency_ms` is the sum;
    `errors` are requests that failed. Times in whole seconds since 1970. `shipments` are the last that were added of
    each source, where the store knows that of a person.
    """

    experiment_id: str
    user_id: str
    variant: str
    map_version: int
    exposures: int
    other_exposures: int
    clicks: int
    saves: int
    hides: int
    pre_activity: int
    latency_ms: float
    assigned_at: int | None
    seen_at: int | None
    errors: int = 0
    shipments: Mapping[str, int] = field(default_factory=dict, compare=False)


class PeopleReader(Protocol):
    """What is computed of an experiment needs no more of a store than this."""

    def people(self, experiment_id: str) -> AsyncIterator[list[Person]]:
        """Everyone in an experiment, page by page."""
        ...

    async def of_person(self, user_id: str) -> list[Person]:
        """Everything about a person."""
        ...


class ExperimentStore(PeopleReader, Protocol):
    """The interface. Instances belong to one event loop."""

    @property
    def poll_seconds(self) -> float:
        """How often to look whether somebody has changed an experiment."""
        ...

    @property
    def ship_seconds(self) -> float:
        """How often to send counts."""
        ...

    @property
    def hold_seconds(self) -> float:
        """For how long to gather counts of somebody whom the store knows already; where not 0, `Person.shipments` is
        known."""
        ...

    async def prepare(self) -> None:
        """Make what is missing of tables and indexes, and return when they can be used."""
        ...

    async def revisions(self) -> list[Revision]:
        """Every version of every experiment."""
        ...

    async def add_revision(self, revision: Revision) -> bool:
        """Keep a version; False when somebody else has taken its number."""
        ...

    async def claim(
        self, experiment_id: str, user_id: str, variant: str, map_version: int, now: float
    ) -> str:
        """Assign a person unless somebody else has; returns the variant that holds, the first one's."""
        ...

    async def add(self, source: str, number: int, increments: Sequence[Increment]) -> None:
        """Add a shipment, once in effect: one with the same source and number as before changes nothing.

        Of one source numbers grow, and the next is sent only when this one has been added.
        """
        ...

    async def forget(self, user_id: str) -> int:
        """Delete everything about a person; returns in how many experiments they were."""
        ...

    async def of_person(self, user_id: str) -> list[Person]:
        """Everything about a person."""
        ...

    def people(self, experiment_id: str) -> AsyncIterator[list[Person]]:
        """Everyone in an experiment, page by page. What was added in the last moments may be missing."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...

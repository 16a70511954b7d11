"""People with everything that was counted of them: what the store has, and what waits for it in this machine's queue.

A store that is only sent counts once in a while (`ExperimentStore.hold_seconds`) would show results that are as old.
What waits on other machines is not seen until they have sent it.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from service.experiments.increments import Increment
from service.experiments.stores import ExperimentStore, Person
from service.storage.queue import DurableQueue
from service.storage.queue_counts import WaitingCounts


class CountedPeople:
    """`PeopleReader` over a store and a queue. Raises StorageError and QueueUnavailableError."""

    def __init__(self, store: ExperimentStore, queue: DurableQueue | None) -> None:
        self._store = store
        self._queue = queue if store.hold_seconds > 0 else None

    async def people(self, experiment_id: str) -> AsyncIterator[list[Person]]:
        """Everyone in an experiment, page by page."""
        # What waits is read first: a shipment that arrives in between is then known by its number.
        waiting = None if self._queue is None else await self._queue.waiting_counts(experiment_id)
        seen: set[str] = set()
        async for page in self._store.people(experiment_id):
            if waiting is None:
                yield page
                continue
            seen.update(
                [person.user_id for person in page if (experiment_id, person.user_id) in waiting.increments]
            )
            yield [_complete(person, waiting) for person in page]
        if waiting is not None:
            yield [_new(*key, waiting) for key in waiting.increments if key[1] not in seen]

    async def of_person(self, user_id: str) -> list[Person]:
        """Everything about a person."""
        waiting = None if self._queue is None else await self._queue.waiting_counts_of(user_id)
        stored = await self._store.of_person(user_id)
        if waiting is None:
            return stored
        known = {person.experiment_id for person in stored}
        fresh = [_new(*key, waiting) for key in waiting.increments if key[0] not in known]
        return [*(_complete(person, waiting) for person in stored), *fresh]


def _complete(person: Person, waiting: WaitingCounts) -> Person:
    key = person.experiment_id, person.user_id
    if key not in waiting.increments:
        return person
    return _plus(person, waiting.missing(key, person.shipments.get(waiting.source, 0)))


def _new(experiment_id: str, user_id: str, waiting: WaitingCounts) -> Person:
    """Somebody whom the store does not have."""
    first, *later = waiting.missing((experiment_id, user_id), 0)
    nothing = Person(
        experiment_id=experiment_id,
        user_id=user_id,
        variant=first.variant,
        map_version=first.map_version,
        exposures=0,
        other_exposures=0,
        clicks=0,
        saves=0,
        hides=0,
        pre_activity=0,
        latency_ms=0.0,
        assigned_at=int(first.first_at),
        seen_at=None,
    )
    return _plus(nothing, [first, *later])


def _plus(person: Person, increments: Iterable[Increment]) -> Person:
    """As the store will have it."""
    for one in increments:
        # Only an answer knows what was liked before it, and the first one holds.
        knows_before = person.exposures == 0 and one.shown
        person = replace(
            person,
            exposures=person.exposures + one.exposures,
            other_exposures=person.other_exposures + one.exposures - one.shown.get(person.variant, 0),
            clicks=person.clicks + one.clicks,
            saves=person.saves + one.saves,
            hides=person.hides + one.hides,
            errors=person.errors + one.errors,
            latency_ms=person.latency_ms + one.latency_ms,
            pre_activity=one.pre_activity if knows_before else person.pre_activity,
            seen_at=max(int(one.last_at), person.seen_at or 0),
        )
    return person

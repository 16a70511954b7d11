"""Experiments in DynamoDB.

`whatsthecraic-experiments` holds every version under `<experiment>@<version>`, written once, and under the
experiment's own id a copy of the latest for those who look there. `whatsthecraic-ab-assignments` holds one item for
each person and experiment. Its index has keys alone, so that it is written once for a person and not with every count.

Each update of an item is a single call, and carries the number of its shipment: an item that has seen that number of
that source refuses it. So a shipment that is sent again, as a whole or in part, counts once, without transactions.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from service.experiments.increments import Increment
from service.experiments.revisions import Revision, decode_revision, encode_revision
from service.experiments.stores import Person
from service.experiments.stores.dynamodb_client import (
    CONCURRENT_CALLS,
    ConditionFailedError,
    DynamoDBClient,
    DynamoDBSettings,
    Item,
    open_client,
)
from service.experiments.stores.dynamodb_items import adding, claiming, number, person_of
from service.experiments.stores.dynamodb_tables import INDEX, prepare_tables
from service.tasks import end_tasks

_DAY = 86_400
#: Items of one BatchGetItem, and how many of those are under way at once while everyone is read. Decoding them takes
#: time of the event loop, for which recommendations wait.
_KEYS, _READS = 25, 2


async def open_dynamodb(
    settings: DynamoDBSettings, on_call: Callable[[str], None] = lambda operation: None
) -> "DynamoDBStore":
    """A store with its client; nothing is contacted yet. `on_call` gets the name of each operation."""
    return DynamoDBStore(settings, await open_client(settings, on_call))


class DynamoDBStore:
    """`ExperimentStore` over DynamoDB; made by `open_dynamodb`."""

    def __init__(self, settings: DynamoDBSettings, client: DynamoDBClient) -> None:
        self._settings = settings
        self._client = client

    @property
    def poll_seconds(self) -> float:
        return self._settings.poll_seconds

    @property
    def ship_seconds(self) -> float:
        return self._settings.ship_seconds

    @property
    def hold_seconds(self) -> float:
        return self._settings.hold_seconds

    async def prepare(self) -> None:
        await prepare_tables(self._client, self._settings)

    async def revisions(self) -> list[Revision]:
        query = {"TableName": self._settings.experiments_table, "ConsistentRead": True}
        items = [item async for page in self._client.pages("scan", query) for item in page]
        return [decode_revision(item["revision"]["S"]) for item in items if "@" in item["experiment_id"]["S"]]

    async def add_revision(self, revision: Revision) -> bool:
        """The numbered item is the record; the copy that follows lags if this process dies in between."""
        text = encode_revision(revision)
        key = {"experiment_id": {"S": f"{revision.experiment_id}@{revision.version:06}"}}
        if not await self._put({**key, "revision": {"S": text}}, "attribute_not_exists(experiment_id)"):
            table = self._settings.experiments_table
            held = await self._client.call(
                "get_item", {"TableName": table, "Key": key, "ConsistentRead": True}
            )
            return bool(
                held["Item"]["revision"]["S"] == text
            )  # written by an earlier attempt of this very call
        latest = {
            "experiment_id": {"S": revision.experiment_id},
            "version": number(revision.version),
            "status": {"S": revision.experiment.status},
            "revision": {"S": text},
        }
        values = {":version": number(revision.version)}
        await self._put(latest, "attribute_not_exists(version) OR version < :version", values)
        return True

    async def claim(
        self, experiment_id: str, user_id: str, variant: str, map_version: int, now: float
    ) -> str:
        update = claiming(variant, map_version, int(now), self._expires(now))
        held = await self._client.call("update_item", {**self._at(experiment_id, user_id), **update})
        return str(held["Attributes"]["variant"]["S"])

    async def add(self, source: str, number: int, increments: Sequence[Increment]) -> None:
        waiting = iter(increments)

        async def send() -> None:
            for one in waiting:
                await self._add_one(source, number, one)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(CONCURRENT_CALLS, len(increments))):
                    group.create_task(send())
        except ExceptionGroup as failures:  # the rest was cancelled; all of it is sent again
            raise failures.exceptions[0] from None

    async def forget(self, user_id: str) -> int:
        people = await self.of_person(user_id)
        for person in people:
            await self._client.call("delete_item", self._at(person.experiment_id, user_id))
        return len(people)

    async def of_person(self, user_id: str) -> list[Person]:
        query = {
            "TableName": self._settings.assignments_table,
            "KeyConditionExpression": "user_id = :user",
            "ExpressionAttributeValues": {":user": {"S": user_id}},
            "ConsistentRead": True,
        }
        return [person_of(item) async for page in self._client.pages("query", query) for item in page]

    async def people(self, experiment_id: str) -> AsyncIterator[list[Person]]:
        query = {
            "TableName": self._settings.assignments_table,
            "IndexName": INDEX,
            "KeyConditionExpression": "experiment_id = :experiment",
            "ExpressionAttributeValues": {":experiment": {"S": experiment_id}},
            "ProjectionExpression": "user_id, experiment_id",
            "Limit": _READS * _KEYS,
        }
        async for keys in self._client.pages("query", query):
            parts = [keys[start : start + _KEYS] for start in range(0, len(keys), _KEYS)]
            reading = [asyncio.create_task(self._items(part)) for part in parts]
            try:
                for items in reading:
                    yield [person_of(item) for item in await items if "variant" in item]
            finally:
                await end_tasks(reading)

    async def close(self) -> None:
        await self._client.close()

    async def _items(self, keys: Sequence[Item]) -> list[Item]:
        """The items of at most `_KEYS` keys in one order. Those deleted meanwhile are left out."""
        found: list[Item] = []
        asked = {self._settings.assignments_table: {"Keys": list(keys)}}
        while asked:
            answer = await self._client.call("batch_get_item", {"RequestItems": asked})
            found += answer["Responses"].get(self._settings.assignments_table, ())
            asked = answer.get("UnprocessedKeys", {})
        return sorted(found, key=lambda item: str(item["user_id"]["S"]))

    async def _add_one(self, source: str, shipment: int, one: Increment) -> None:
        update = adding(one, source, shipment, self._expires(one.last_at))
        try:
            await self._client.call("update_item", {**self._at(one.experiment_id, one.user_id), **update})
        except ConditionFailedError:
            return  # an earlier attempt came through

    async def _put(self, item: Item, condition: str, values: Item | None = None) -> bool:
        """Write an item if the condition holds; whether it did."""
        put: dict[str, Any] = {"TableName": self._settings.experiments_table, "Item": item}
        put["ConditionExpression"] = condition
        if values:
            put["ExpressionAttributeValues"] = values
        try:
            await self._client.call("put_item", put)
        except ConditionFailedError:
            return False
        return True

    def _at(self, experiment_id: str, user_id: str) -> Item:
        key = {"user_id": {"S": user_id}, "experiment_id": {"S": experiment_id}}
        return {"TableName": self._settings.assignments_table, "Key": key}

    def _expires(self, now: float) -> int:
        return int(now) + self._settings.keep_days * _DAY

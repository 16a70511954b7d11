"""DynamoDB's tables as the site's contract has them, and the index that results need; made where they are missing."""

import asyncio
import logging
from typing import Any

from service.experiments.stores.dynamodb_client import (
    DynamoDBClient,
    DynamoDBSettings,
    InUseError,
    NoTableError,
)
from service.storage.errors import StatementError, StorageUnavailable

logger = logging.getLogger(__name__)

INDEX = "experiment-index"
_ACTIVE_SECONDS = 60.0
_LOOK_SECONDS = 0.2

_ATTRIBUTES = [
    {"AttributeName": "user_id", "AttributeType": "S"},
    {"AttributeName": "experiment_id", "AttributeType": "S"},
]
_INDEX_DEFINITION = {
    "IndexName": INDEX,
    "KeySchema": [
        {"AttributeName": "experiment_id", "KeyType": "HASH"},
        {"AttributeName": "user_id", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


async def prepare_tables(client: DynamoDBClient, settings: DynamoDBSettings) -> None:
    """Create what is missing, return when it can be used, and have people's items expire."""
    experiments = {
        "TableName": settings.experiments_table,
        "AttributeDefinitions": _ATTRIBUTES[1:],
        "KeySchema": [{"AttributeName": "experiment_id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    assignments = {
        "TableName": settings.assignments_table,
        "AttributeDefinitions": _ATTRIBUTES,
        "KeySchema": [
            {"AttributeName": "user_id", "KeyType": "HASH"},
            {"AttributeName": "experiment_id", "KeyType": "RANGE"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [_INDEX_DEFINITION],
    }
    for table in (experiments, assignments):
        await _create_if_missing(client, table)
    await _add_index_if_missing(client, settings.assignments_table)
    await _expire(client, settings.assignments_table)


async def _create_if_missing(client: DynamoDBClient, table: dict[str, Any]) -> None:
    try:
        await _describe(client, table["TableName"])
    except NoTableError:
        try:
            await client.call("create_table", table)
        except InUseError:
            logger.info("another process is making the table %s", table["TableName"])
    await _wait_until_active(client, table["TableName"])


async def _add_index_if_missing(client: DynamoDBClient, name: str) -> None:
    """The tables that the service before this one left have no index."""
    indexes = (await _describe(client, name)).get("GlobalSecondaryIndexes", ())
    if any(index["IndexName"] == INDEX for index in indexes):
        return
    change = {
        "TableName": name,
        "AttributeDefinitions": _ATTRIBUTES,
        "GlobalSecondaryIndexUpdates": [{"Create": _INDEX_DEFINITION}],
    }
    try:
        await client.call("update_table", change)
    except InUseError:
        logger.info("another process is adding the index of %s", name)
    await _wait_until_active(client, name)


async def _wait_until_active(client: DynamoDBClient, name: str) -> None:
    try:
        async with asyncio.timeout(_ACTIVE_SECONDS):
            while not _is_active(await _describe(client, name)):  # noqa: ASYNC110 - AWS tells no other way
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise StorageUnavailable(f"DynamoDB: {name} is not active after {_ACTIVE_SECONDS:g} s") from None


def _is_active(table: dict[str, Any]) -> bool:
    states = [index["IndexStatus"] for index in table.get("GlobalSecondaryIndexes", ())]
    return all(state == "ACTIVE" for state in [table["TableStatus"], *states])


async def _describe(client: DynamoDBClient, name: str) -> dict[str, Any]:
    described = await client.call("describe_table", {"TableName": name})
    table: dict[str, Any] = described["Table"]
    return table


async def _expire(client: DynamoDBClient, name: str) -> None:
    """Without it, as where the account may not change it, items stay for ever; nothing else depends on it."""
    try:
        described = await client.call("describe_time_to_live", {"TableName": name})
        if described["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED":
            expiry = {"Enabled": True, "AttributeName": "expires_at"}
            await client.call("update_time_to_live", {"TableName": name, "TimeToLiveSpecification": expiry})
    except StatementError as error:
        logger.warning("people's items in %s will not expire: %s", name, error)

"""Calls of DynamoDB with this service's timeouts and errors.

Imports aiobotocore, and so is itself imported only where AWS is configured.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from service.storage.errors import StatementError, StorageError, StorageUnavailable

#: Calls under way at once while a shipment is sent.
CONCURRENT_CALLS = 8

#: What says that the call itself is wrong; everything else may work later.
_REFUSED = frozenset(
    {"ValidationException", "SerializationException", "UnknownOperationException", "AccessDeniedException"}
)

Item = dict[str, Any]


class ConditionFailedError(StorageError):
    """The condition of a write does not hold; nothing was written."""


class NoTableError(StorageUnavailable):
    """There is no table of that name, or not yet: making one takes AWS some seconds."""


class InUseError(StorageUnavailable):
    """The table exists, or is being changed."""


_ERRORS: dict[str, type[StorageError]] = {
    "ConditionalCheckFailedException": ConditionFailedError,
    "ResourceNotFoundException": NoTableError,
    "ResourceInUseException": InUseError,
    **dict.fromkeys(_REFUSED, StatementError),
}


@dataclass(frozen=True)
class DynamoDBSettings:
    """Where the tables are. `endpoint` is None for AWS itself; timeouts are in seconds.

    An item is deleted by DynamoDB `keep_days` after its person was last seen. Counts of somebody whom the tables know
    are gathered for `hold_seconds`, which is what writes cost.
    """

    region: str
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    experiments_table: str = "whatsthecraic-experiments"
    assignments_table: str = "whatsthecraic-ab-assignments"
    keep_days: int = 400
    connect_timeout: float = 0.3
    read_timeout: float = 0.5
    poll_seconds: float = 30.0
    ship_seconds: float = 30.0
    hold_seconds: float = 86_400.0


class DynamoDBClient:
    """The one client of a process, made by `open_client`. `on_call` gets the name of each operation, to be counted."""

    def __init__(self, client: Any, stack: AsyncExitStack, on_call: Callable[[str], None]) -> None:
        self._client = client
        self._stack = stack
        self._on_call = on_call

    async def call(self, operation: str, arguments: Item) -> Item:
        """One operation by its Python name. Raises StorageUnavailable, StatementError or an error of this module."""
        self._on_call(operation)
        with _translated(operation):
            answer: Item = await getattr(self._client, operation)(**arguments)
            return answer

    async def pages(self, operation: str, query: Item) -> AsyncIterator[list[Item]]:
        """The items of a scan or query, page by page."""
        start: Item = {}
        while True:
            page = await self.call(operation, {**query, **start})
            yield page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def close(self) -> None:
        await self._stack.aclose()


async def open_client(settings: DynamoDBSettings, on_call: Callable[[str], None]) -> DynamoDBClient:
    """Make the client, which takes about 100 ms of the event loop; nothing is contacted yet."""
    config = AioConfig(
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=CONCURRENT_CALLS + 2,
    )
    async with AsyncExitStack() as stack:
        making = get_session().create_client(
            "dynamodb",
            region_name=settings.region,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            endpoint_url=settings.endpoint,
            config=config,
        )
        client = await stack.enter_async_context(making)
        return DynamoDBClient(client, stack.pop_all(), on_call)


@contextmanager
def _translated(operation: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        kind = _ERRORS.get(error.response["Error"]["Code"], StorageUnavailable)
        raise kind(f"DynamoDB, {operation}: {error}") from error
    except (BotoCoreError, OSError, TimeoutError) as error:
        raise StorageUnavailable(f"DynamoDB, {operation}: {error}") from error

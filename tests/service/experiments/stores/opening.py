"""Opening a store from words, so that a process of its own can do it too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

import msgspec

from service.experiments.stores import ExperimentStore
from service.experiments.stores.dynamodb import open_dynamodb
from service.experiments.stores.dynamodb_client import DynamoDBSettings
from service.experiments.stores.sql import SQLStore
from service.storage.database import DatabaseSettings
from service.storage.migrate import migrate
from service.storage.opening import open_database


@dataclass(frozen=True)
class Place:
    """A DynamoDB endpoint with a prefix of its own for tables, a file, or a database of a server."""

    endpoint: str | None = None
    prefix: str = ""
    path: str | None = None
    host: str | None = None
    port: int = 0
    user: str = ""
    password: str = ""
    name: str = ""

    @classmethod
    def in_dynamodb(cls, endpoint: str) -> Self:
        return cls(endpoint=endpoint, prefix=uuid4().hex)

    @classmethod
    def in_sql(cls, settings: DatabaseSettings) -> Self:
        if settings.path is not None:
            return cls(path=str(settings.path))
        found = settings.host, settings.port, settings.user, settings.password, settings.name
        return cls(**dict(zip(("host", "port", "user", "password", "name"), found, strict=True)))

    @classmethod
    def from_text(cls, text: str) -> Self:
        return msgspec.json.decode(text, type=cls)

    @property
    def text(self) -> str:
        return msgspec.json.encode(self).decode()

    @property
    def dynamodb(self) -> DynamoDBSettings:
        return DynamoDBSettings(
            region="eu-west-1",
            access_key_id="a",
            secret_access_key="b",
            endpoint=self.endpoint,
            experiments_table=f"{self.prefix}-experiments",
            assignments_table=f"{self.prefix}-assignments",
            # A server that does one thing at a time keeps the others waiting, which is not what is tested.
            connect_timeout=5.0,
            read_timeout=20.0,
        )

    @property
    def database(self) -> DatabaseSettings:
        if self.path is not None:
            return DatabaseSettings(path=Path(self.path))
        known = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        return DatabaseSettings(name=self.name, **known)


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[ExperimentStore]:
    """The store of a place, prepared."""
    if place.endpoint is not None:
        dynamodb = await open_dynamodb(place.dynamodb)
        try:
            await dynamodb.prepare()
            yield dynamodb
        finally:
            await dynamodb.close()
        return
    database = await open_database(place.database)
    try:
        await migrate(database)
        yield SQLStore(database, poll_seconds=2.0)
    finally:
        await database.close()

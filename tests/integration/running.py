"""The real application over a real database, and a small site for it to serve."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from core.collaborative import CollaborativeSettings
from core.model import ModelSettings
from service.app import Collaborators, build_app
from service.models import ModelRegistry
from service.settings import Settings
from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from service.storage.opening import open_database
from service.storage.queue import DurableQueue, QueueSettings, open_queue
from service.storage.snapshot import SnapshotFile
from tests.site import Site
from training.pipeline import train

POLL_SECONDS = 0.1
WITHIN_SECONDS = 20.0
AN_HOUR_AGO = -3_600

#: Who had saved what when the model was trained. People 1 to 3 like the same, and so do 4 to 6.
SAVED = {1: (1, 2), 2: (1, 2, 3), 3: (1, 2, 3, 4), 4: (6, 7), 5: (6, 7, 8), 6: (6, 7, 8, 9)}
HIDDEN = {5: (1,)}
EVENTS = range(1, 13)

_IN_CITY = Statement("UPDATE events SET city = IF(id <= 5, 'Dublin', 'Cork')")


@dataclass(frozen=True)
class Service:
    """One process's application, as a client sees it, with what it works with."""

    client: TestClient[Any, Any]
    queue: DurableQueue | None
    database: Database

    async def recommend(self, user_id: object = None, **asked: Any) -> list[str]:
        """The ids of the events that a person gets, best first."""
        answer = await self.answer(user_id, **asked)
        return [item["event_id"] for item in answer["recommendations"]]

    async def answer(self, user_id: object = None, **asked: Any) -> Any:
        """The whole answer."""
        body = {"user_id": user_id, "limit": 20, "variant": "collaborative_filtering", **asked}
        said = {name: value for name, value in body.items() if value is not None}
        response = await self.client.post("/v1/recommendations", json=said)
        assert response.status == 200, await response.text()
        return await response.json()

    async def give(self, user_id: object, event_id: object, action: str, **more: Any) -> None:
        """Give feedback that must be acknowledged; `more` is context."""
        response = await self.post_feedback(user_id, event_id, action, more or None)
        assert response.status == 200, await response.text()

    async def post_feedback(
        self,
        user_id: object,
        event_id: object,
        action: str = "save",
        context: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> ClientResponse:
        """Give feedback, whatever comes of it."""
        body = {"user_id": user_id, "event_id": event_id, "action": action, "context": context}
        headers = {"Idempotency-Key": key} if key else {}
        return await self.client.post("/v1/feedback", json=body, headers=headers)

    async def readiness(self) -> tuple[int, Any]:
        """Status and body of GET /ready."""
        response = await self.client.get("/ready")
        return response.status, await response.json()


@asynccontextmanager
async def running(
    home: Path,
    database: DatabaseSettings,
    queue_bytes: int = 2**26,
    has_queue: bool = True,
    **settings: Any,
) -> AsyncIterator[Service]:
    """The application on a home directory and a database, as the server runs it, until the end of the block."""
    known = Settings(
        craic_home=home, db_host=database.host, db_user=database.user, poll_seconds=POLL_SECONDS, **settings
    )
    opened = await open_database(database)
    queue = await open_queue(QueueSettings(home, max_bytes=queue_bytes)) if has_queue else None
    parts = Collaborators(
        opened, ModelRegistry(known.models_directory), queue, SnapshotFile(home / "snapshot.db"), time.time
    )
    server = TestServer(build_app(known, parts, removals_seconds=POLL_SECONDS))
    try:
        async with TestClient(server) as client:
            yield Service(client, queue, opened)
    finally:
        if queue is not None:
            await queue.close()
        await opened.close()


def impatient(database: DatabaseSettings) -> DatabaseSettings:
    """The same database with short timeouts, for tests in which it does not answer."""
    return replace(database, connect_timeout=0.3, acquire_timeout=0.5, read_timeout=0.5, write_timeout=0.5)


async def fill(site: Site, database: Database) -> None:
    """The people, events, saves and hides of the small site, an hour old."""
    await site.add_users(*SAVED, 7, 8)
    await site.add_events(*EVENTS)
    await database.execute(_IN_CITY)
    before = now() + AN_HOUR_AGO
    for user_id, event_ids in SAVED.items():
        for event_id in event_ids:
            await site.save(user_id, event_id, before)
    for user_id, event_ids in HIDDEN.items():
        for event_id in event_ids:
            await site.hide(user_id, event_id, before)


async def publish(home: Path, database: Database) -> str:
    """Train on the database as it is and publish; the version. Nothing is sampled away."""
    settings = ModelSettings(collaborative=CollaborativeSettings(posting_cap=None))
    registry = ModelRegistry(home / "models")
    report = await train(database, registry, settings, datetime.now(UTC), min_samples=1)
    return report.version


def now() -> int:
    """The present in whole seconds since 1970."""
    return int(time.time())


async def next_second() -> None:
    """Return when the present second is over."""
    present = now()
    await eventually(lambda: now() > present)


async def eventually(condition: Callable[[], Awaitable[Any] | Any], within: float = WITHIN_SECONDS) -> Any:
    """Return what `condition()` gives once that is true; fail when it is not in time."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"{inspect.getsource(condition).strip()} not within {within:g} s"
        await asyncio.sleep(0.02)

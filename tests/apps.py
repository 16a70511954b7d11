"""The application as tests talk to it: a small trained site on disk, and a client of a running application."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient

from core.model import ModelSettings
from service.app import Collaborators, build_app
from service.database import open_configured_database
from service.experiments.stores import ExperimentStore
from service.importing.events import import_events
from service.importing.interactions import import_interactions
from service.models import ModelRegistry
from service.settings import Settings
from service.storage.queue import QueueSettings, open_queue
from tests.sites import DAY, HOUR, NOW, write_csv
from training.pipeline import train

Client = TestClient[web.Request, web.Application]
ClientMaker = Callable[[web.Application], Awaitable[Client]]

RING = [f"gig{n}" for n in range(12)]
#: Events that everyone with an even number saved. Only the first three of them are still to come at NOW.
SPECIAL: dict[str, dict[str, Any]] = {
    "seaside": {"city": "Dún Laoghaire"},
    "nowhere": {"city": ""},
    "starting": {"start_time": NOW + 60},
    "started": {"start_time": NOW - HOUR, "end_time": NOW + HOUR},
    "ended": {"start_time": NOW - DAY, "end_time": NOW - HOUR},
    "tagged off": {"tags": "cancelled"},
    "titled off": {"title": "Gig (cancelled)"},
}
OPEN_AT_NOW = {*RING, "seaside", "nowhere", "starting"}


@dataclass
class Clock:
    """The time of a test, unix seconds."""

    now: float = float(NOW)

    def __call__(self) -> float:
        return self.now


def make_home(home: Path) -> Path:
    """A site in the embedded database and its published model, as of NOW.

    person0 to person29 each save five gigs in a row of the ring; person1 has hidden gig8.
    """
    home.mkdir(parents=True)
    asyncio.run(_fill(settings_of(home), home))
    asyncio.run(retrain(home))
    return home


def copy_home(home: Path, to: Path) -> Path:
    """A site of one's own to change."""
    return Path(shutil.copytree(home, to))


def settings_of(home: Path, **values: str) -> Settings:
    """Settings as from the environment; looks at the database come quickly."""
    return Settings.from_environment({"CRAIC_HOME": str(home), "POLL_SECONDS": "0.05", **values})


@asynccontextmanager
async def an_application(
    settings: Settings, clock: Clock, experiments: ExperimentStore | None = None
) -> AsyncIterator[web.Application]:
    """The application with a real database, registry and queue, its experiments there or in another store."""
    database = await open_configured_database(settings)
    queue = await open_queue(QueueSettings(settings.craic_home), clock)
    registry = ModelRegistry(settings.models_directory)
    try:
        yield build_app(settings, Collaborators(database, registry, queue, None, clock, experiments))
    finally:
        await queue.close()
        await database.close()


async def retrain(home: Path) -> str:
    """Train on all that the site's database holds at NOW and publish the model; its version."""
    settings = settings_of(home)
    database = await open_configured_database(settings)
    try:
        registry = ModelRegistry(settings.models_directory)
        at = datetime.fromtimestamp(NOW, UTC)
        return (await train(database, registry, ModelSettings(), at, min_samples=1)).version
    finally:
        await database.close()


async def _fill(settings: Settings, folder: Path) -> None:
    events = {**{event_id: {} for event_id in RING}, **SPECIAL}
    columns = ("event_id", "title", "city", "start_time", "end_time", "tags")
    usual = {"city": "Cork", "start_time": NOW + DAY, "end_time": "", "tags": ""}
    rows = [{"event_id": id_, "title": f"The {id_}", **usual, **values} for id_, values in events.items()]
    database = await open_configured_database(settings)
    try:
        await import_events(
            database,
            write_csv(folder / "events.csv", columns, [[row[column] for column in columns] for row in rows]),
        )
        await import_interactions(
            database,
            write_csv(folder / "acts.csv", ("user_id", "event_id", "action", "created_at"), _acts()),
        )
    finally:
        await database.close()


def _acts() -> list[tuple[str, str, str, int]]:
    saves = [(who, RING[(who + step) % len(RING)]) for who in range(30) for step in range(5)]
    saves += [(who, event_id) for who in range(0, 30, 2) for event_id in SPECIAL]
    acts = [*((who, event_id, "save") for who, event_id in saves), (1, "gig8", "hide")]
    return [(f"person{who}", event_id, act, NOW - HOUR * n) for n, (who, event_id, act) in enumerate(acts, 1)]

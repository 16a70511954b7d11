"""A database with the planted site."""

from collections.abc import AsyncIterator

import pytest

from service.storage.database import Database, DatabaseSettings
from service.storage.migrate import migrate
from service.storage.opening import open_database
from service.storage.queries.recording import insert_feedback
from tests.training.planted import planted_feedback


@pytest.fixture
async def database(file_settings: DatabaseSettings) -> AsyncIterator[Database]:
    """The planted site's interactions."""
    database = await open_database(file_settings)
    await migrate(database)
    await insert_feedback(database, planted_feedback())
    yield database
    await database.close()

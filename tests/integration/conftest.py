"""A site on a real MariaDB, its other services, and a model trained on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.storage.database import Database, DatabaseSettings
from service.storage.opening import open_database
from tests.conftest import empty_database
from tests.integration.running import fill, publish
from tests.servers import MariaDBServer
from tests.site import Site


@pytest.fixture
def site_db(mistreated_settings: DatabaseSettings, mistreated_server: MariaDBServer) -> DatabaseSettings:
    """The site's database, migrated and empty, on a server that may be stopped."""
    empty_database(mistreated_server, mistreated_settings.name)
    return mistreated_settings


@pytest.fixture
async def others(site_db: DatabaseSettings) -> AsyncIterator[Database]:
    """A connection of the site's other services."""
    database = await open_database(site_db)
    yield database
    await database.close()


@pytest.fixture
async def site(others: Database) -> Site:
    """What the site's other services do; people and events are there, see `running.SAVED`."""
    site = Site(others)
    await fill(site, others)
    return site


@pytest.fixture
async def home(tmp_path: Path, site: Site, others: Database) -> Path:
    """A CRAIC_HOME with a model trained on the site as it is."""
    await publish(tmp_path, others)
    return tmp_path

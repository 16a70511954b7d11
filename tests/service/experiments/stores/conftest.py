"""Every store behind one fixture: DynamoDB by two independent servers, and SQL by two engines."""

from collections.abc import AsyncIterator

import pytest

from service.experiments.stores import ExperimentStore
from service.storage.database import DatabaseSettings
from tests.service.experiments.stores.opening import Place, opened


@pytest.fixture(params=["moto", "dynalite", "sqlite", "mariadb"])
def place(request: pytest.FixtureRequest) -> Place:
    """Where each store keeps its things, empty."""
    if request.param in ("moto", "dynalite"):
        return Place.in_dynamodb(request.getfixturevalue(f"{request.param}_url"))
    settings: DatabaseSettings
    if request.param == "sqlite":
        settings = request.getfixturevalue("file_settings")
    else:
        settings = request.getfixturevalue("site_settings")
    return Place.in_sql(settings)


@pytest.fixture
async def store(place: Place) -> AsyncIterator[ExperimentStore]:
    """Each store in turn, prepared and empty."""
    async with opened(place) as store:
        yield store

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from core.bundle import MANIFEST
from service.database import open_configured_database
from service.models import ModelRegistry
from service.storage.queries.models import list_models
from tests.apps import Client, Clock, an_application, copy_home, make_home, retrain, settings_of

WITHIN_SECONDS = 20.0


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A site with two models, of which the second serves."""
    home = make_home(tmp_path_factory.mktemp("site") / "home")
    asyncio.run(retrain(home))
    return home


@pytest.fixture
def home(trained, tmp_path) -> Path:
    return copy_home(trained, tmp_path / "home")


@pytest.fixture
def registry(home) -> ModelRegistry:
    return ModelRegistry(settings_of(home).models_directory)


@pytest.fixture
async def client(aiohttp_client, home) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(an_application(settings_of(home), Clock()))
        running: Client = await aiohttp_client(app)
        stack.push_async_callback(running.close)
        yield running


async def served_by(client: Client, version: str) -> None:
    """Wait until the model serves."""
    async with asyncio.timeout(WITHIN_SECONDS):
        while (await (await client.get("/health")).json())["model_version"] != version:  # noqa: ASYNC110 - over HTTP there is nothing to wait for
            await asyncio.sleep(0.01)


async def on_record(home: Path) -> dict[str, bool]:
    """The versions in the site's table, and whether they are active."""
    database = await open_configured_database(settings_of(home))
    try:
        return {model.version: model.is_active for model in await list_models(database)}
    finally:
        await database.close()


async def test_every_model_on_disk_is_listed_the_newest_first(client, registry):
    old, new = registry.versions()

    answer: dict[str, Any] = await (await client.get("/v1/model/versions")).json()

    assert (answer["published"], answer["serving"]) == (new, new)
    assert [one["model_version"] for one in answer["versions"]] == [new, old]
    assert all(one["training_samples"] > 0 and one["problem"] is None for one in answer["versions"])


async def test_a_model_whose_manifest_is_damaged_is_listed_with_what_is_wrong(client, registry):
    old, _ = registry.versions()
    (registry.path(old) / MANIFEST).write_text("nonsense")

    answer = await (await client.get("/v1/model/versions")).json()

    assert old in answer["versions"][1]["problem"]


async def test_a_training_puts_its_model_on_record_as_the_active_one(home, registry):
    old, new = registry.versions()

    assert await on_record(home) == {old: False, new: True}


async def test_after_going_back_the_model_before_serves_and_is_on_record(client, home, registry):
    old, new = registry.versions()

    answer = await client.post("/v1/model/rollback")

    assert (answer.status, await answer.json()) == (
        200,
        {"status": "success", "model_version": old, "replaced": new},
    )
    await served_by(client, old)
    assert await on_record(home) == {old: True, new: False}
    nothing_before = await client.post("/v1/model/rollback")
    assert nothing_before.status == 404

    await client.post("/v1/model/rollback", json={"model_version": new})
    await served_by(client, new)


async def test_a_model_that_cannot_be_trusted_is_not_gone_back_to(client, registry):
    old, new = registry.versions()
    (registry.path(old) / "popularity.npy").write_bytes(b"")

    answer = await client.post("/v1/model/rollback", json={"model_version": old})

    assert answer.status == 409
    assert "popularity" in (await answer.json())["detail"]
    assert registry.current() == new


@pytest.mark.parametrize(
    ("body", "status"),
    [({"model_version": "../../etc"}, 404), ({"model_version": 7}, 400), ({"version": "x"}, 400)],
)
async def test_what_names_no_model_is_refused(client, body, status):
    assert (await client.post("/v1/model/rollback", json=body)).status == status


async def test_only_an_admin_may_go_back(client, registry):
    answer = await client.post("/v1/model/rollback", headers={"X-Forwarded-For": "192.0.2.7"})

    assert answer.status == 403
    assert registry.current() == registry.versions()[-1]

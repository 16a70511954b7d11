import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from core.bundle import MANIFEST
from service.database import open_configured_database
from service.models import ModelRegistry
from service.storage.queries.models import list_models
from service.training_turn import training_turn
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


@pytest.fixture
async def other_worker(aiohttp_client, home) -> AsyncIterator[Client]:
    """Another process that shares the port, as far as it shares nothing but files."""
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


@pytest.fixture
def trains_here(monkeypatch, home) -> None:
    """Trainings are processes of their own: they take their settings from the environment."""
    monkeypatch.setenv("CRAIC_HOME", str(home))
    monkeypatch.setenv("MIN_TRAINING_SAMPLES", "1")
    with closing(sqlite3.connect(settings_of(home).sqlite_file)) as database, database:
        for table, column in (("user_saved_events", "saved_at"), ("ml_feedback", "created_at")):
            # Their clock is the machine's, which may not be as late as that of the tests.
            database.execute(f"UPDATE {table} SET {column} = datetime({column}, '-10 years')")  # noqa: S608


@pytest.mark.usefixtures("trains_here")
async def test_a_training_on_request_answers_when_its_model_is_published(client, registry):
    answer = await client.post("/v1/model/retrain", json={"force": True})

    report = await answer.json()
    assert (answer.status, report["status"]) == (200, "success")
    assert report["model_version"] == registry.current()
    assert report["metrics"]["training_samples"] > 0
    assert report["metrics"]["training_duration_seconds"] > 0
    await served_by(client, report["model_version"])


@pytest.mark.usefixtures("trains_here")
async def test_without_anything_new_the_model_is_kept_and_the_reason_told(client, registry, monkeypatch):
    monkeypatch.setenv("RETRAIN_THRESHOLD_DAYS", "36500")

    answer = await client.post("/v1/model/retrain")

    told = await answer.json()
    assert (answer.status, told["model_version"], told["metrics"]) == (200, registry.current(), None)
    assert "0 interactions have come since" in told["kept"]
    assert len(registry.versions()) == 2


@pytest.mark.usefixtures("trains_here")
async def test_a_training_in_the_background_is_a_job_and_a_second_one_is_refused(
    client, other_worker, registry
):
    started = await client.post(
        "/v1/model/retrain", json={"force": True}, headers={"Prefer": "respond-async"}
    )
    job = await started.json()
    second = await client.post("/v1/model/retrain")

    assert (started.status, job["status"]) == (202, "running")
    assert (second.status, job["job_id"] in (await second.json())["detail"]) == (409, True)
    async with asyncio.timeout(WITHIN_SECONDS * 3):
        while job["status"] == "running":
            await asyncio.sleep(0.05)
            of_other = await (await other_worker.get(started.headers["Location"])).json()
            job = await (await client.get(started.headers["Location"])).json()
            assert of_other["status"] in ("running", job["status"])
    async with asyncio.timeout(WITHIN_SECONDS):
        while of_other["status"] == "running":
            await asyncio.sleep(0.01)
            of_other = await (await other_worker.get(started.headers["Location"])).json()
    assert of_other == job
    assert (job["status"], job["reason"]) == ("success", None)
    assert job["result"]["model_version"] == registry.current()


@pytest.mark.usefixtures("trains_here")
@pytest.mark.parametrize("headers", [{}, {"Prefer": "respond-async"}])
async def test_a_training_that_cron_has_under_way_is_named(client, registry, headers):
    with training_turn(registry.directory):
        answer = await client.post("/v1/model/retrain", json={"force": True}, headers=headers)

    assert (answer.status, "Location" in answer.headers) == (409, False)
    assert f"Another training is under way, process {os.getpid()}" in (await answer.json())["detail"]


@pytest.mark.usefixtures("trains_here")
async def test_a_training_with_too_little_data_is_refused_with_the_reason(client, monkeypatch):
    monkeypatch.setenv("MIN_TRAINING_SAMPLES", "1000000")

    answer = await client.post("/v1/model/retrain", json={"force": True})

    assert answer.status == 409
    assert "MIN_TRAINING_SAMPLES asks for 1000000" in (await answer.json())["detail"]


@pytest.mark.usefixtures("trains_here")
async def test_a_training_that_fails_says_why(client, monkeypatch):
    monkeypatch.setenv("MIN_TRAINING_SAMPLES", "none")

    answer = await client.post("/v1/model/retrain", json={"force": True})

    assert answer.status == 503
    assert "MIN_TRAINING_SAMPLES" in (await answer.json())["detail"]


async def test_a_job_nobody_started_is_not_there(client):
    assert (await client.get("/v1/model/jobs/elsewhere")).status == 404


@pytest.mark.usefixtures("trains_here")
async def test_a_rule_of_eventbridge_asks_as_cron_does(client, registry, monkeypatch):
    monkeypatch.setenv("RETRAIN_THRESHOLD_DAYS", "36500")
    event = {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-11-25T02:00:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:events:eu-west-1:123456789012:rule/retrain"],
        "detail": {},
    }

    answer = await client.post("/v1/model/retrain", json=event)
    wrong = await client.post("/v1/model/retrain", json={**event, "detail": {"force": "yes"}})

    assert (answer.status, (await answer.json())["model_version"]) == (200, registry.current())
    assert (wrong.status, "force" in (await wrong.json())["detail"]) == (400, True)

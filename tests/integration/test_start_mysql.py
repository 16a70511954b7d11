"""Starting, going on and taking over a model, with the database there, away, hanging or back again."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from service.models import ModelRegistry
from service.storage.database import Database, DatabaseSettings
from tests.integration.running import eventually, impatient, now, publish, running
from tests.servers import MariaDBServer, free_port
from tests.site import Site


@pytest.fixture
def away(site_db: DatabaseSettings) -> DatabaseSettings:
    """Where nothing listens."""
    return replace(site_db, port=free_port())


async def test_with_the_database_it_is_ready_and_says_so(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db) as service:
        status, said = await service.readiness()
        assert (status, said["status"]) == (200, "ready")

        async def is_current() -> bool:
            # On a busy machine the database may answer later than a start waits for it.
            _, said = await service.readiness()
            return (said["database"], said["serving_from"], said["problems"]) == ("connected", "database", [])

        await eventually(is_current)


async def test_without_the_database_it_starts_from_the_snapshot_and_says_so(
    home: Path, site_db: DatabaseSettings, away: DatabaseSettings, site: Site
):
    async with running(home, site_db) as service:
        await site.save(4, 12, now())
        await eventually(lambda: _lacks(service.recommend(4), "12"))
        await service.give(4, "11", "hide")
        await site.change_event(8, title="Changed since the training")
        await eventually(lambda: _titled(service, 4, "Changed since the training"))

    async with running(home, away) as service:
        status, said = await service.readiness()
        assert (status, said["status"], said["database"], said["serving_from"]) == (
            200,
            "ready",
            "away",
            "snapshot",
        )
        assert any(str(away.port) in problem for problem in said["problems"])
        found = await service.recommend(4)
        assert found[:2] == ["8", "9"]
        assert not {"11", "12"} & set(found)
        assert await _titled(service, 4, "Changed since the training")
        await service.give(4, "9", "hide")
        assert "9" not in await service.recommend(4)


async def test_a_save_that_only_a_scan_finds_is_in_the_snapshot_too(
    home: Path, site_db: DatabaseSettings, away: DatabaseSettings, site: Site
):
    async with running(home, site_db) as service:
        await eventually(lambda: _serves_from(service, "database"))
        await site.save(4, 12, now() - 3_600)  # long before where new rows are looked for
        await eventually(lambda: _lacks(service.recommend(4), "12"))

    async with running(home, away) as service:
        assert "12" not in await service.recommend(4)


async def test_it_starts_from_the_snapshot_while_the_database_hangs_and_recovers_without_a_restart(
    home: Path, site_db: DatabaseSettings, mistreated_server: MariaDBServer, site: Site
):
    async with running(home, site_db) as service:
        assert await service.recommend(1)
    await site.delete_event(3)
    mistreated_server.pause()
    try:
        async with running(home, impatient(site_db)) as service:
            status, said = await service.readiness()
            assert (status, said["serving_from"]) == (200, "snapshot")
            assert (await service.recommend(1))[0] == "3"  # what the snapshot knows
            await service.give(1, "4", "hide")
            mistreated_server.resume()
            await eventually(lambda: _lacks(service.recommend(1), "3"))
            await eventually(lambda: _serves_from(service, "database"))
            assert (await service.readiness())[1]["problems"] == []
            assert "4" not in await service.recommend(1)
    finally:
        mistreated_server.resume()


async def test_with_neither_snapshot_nor_database_it_waits_for_one_and_says_so(
    home: Path, site_db: DatabaseSettings, mistreated_server: MariaDBServer
):
    mistreated_server.pause()
    try:
        async with running(home, impatient(site_db)) as service:
            status, said = await service.readiness()
            assert (status, said["status"], said["serving_from"]) == (503, "not_ready", "nothing")
            assert said["problems"]
            response = await service.client.post("/v1/recommendations", json={"user_id": 1})
            assert (response.status, "Retry-After" in response.headers) == (503, True)
            assert (await service.client.get("/health")).status == 200
            assert (await service.post_feedback(1, 4, "hide")).status == 200  # kept for when there is a model
            mistreated_server.resume()
            await eventually(lambda: _serves_from(service, "database"))
            found = await service.recommend(1)
            assert found[0] == "3"
            assert "4" not in found
    finally:
        mistreated_server.resume()


async def test_without_a_model_it_says_what_to_do_and_takes_the_first_one_over(
    tmp_path: Path, site_db: DatabaseSettings, site: Site, others: Database
):
    async with running(tmp_path, site_db) as service:
        status, said = await service.readiness()
        assert status == 503
        assert any("craic train" in problem for problem in said["problems"])
        version = await publish(tmp_path, others)
        await eventually(lambda: _serves(service, version))
        assert (await service.recommend(1))[0] == "3"


async def test_a_database_that_goes_away_is_named_and_one_that_is_back_takes_the_problem_with_it(
    home: Path, site_db: DatabaseSettings, mistreated_server: MariaDBServer
):
    async with running(home, impatient(site_db)) as service:
        mistreated_server.pause()
        try:
            said = await eventually(lambda: _problems(service))
            assert "no answer within" in said[0]
            assert (await service.recommend(1))[0] == "3"
        finally:
            mistreated_server.resume()
        await eventually(lambda: _no_problems(service))


async def test_a_snapshot_that_is_damaged_is_begun_anew(home: Path, site_db: DatabaseSettings, site: Site):
    (home / "snapshot.db").write_bytes(b"this is no database, and long enough to look at" * 100)
    async with running(home, site_db) as service:
        assert (await service.recommend(1))[0] == "3"
        assert (await service.readiness())[1]["problems"] == []
    async with running(home, replace(site_db, port=free_port())) as service:
        assert (await service.recommend(1))[0] == "3"


async def test_a_snapshot_that_cannot_be_written_is_named_and_nothing_else_suffers(
    home: Path, site_db: DatabaseSettings, site: Site
):
    (home / "snapshot.db").mkdir()
    async with running(home, site_db) as service:
        status, said = await service.readiness()
        assert (status, said["serving_from"]) == (200, "database")
        assert any("snapshot" in problem for problem in said["problems"])
        await site.add_events(20)
        await eventually(lambda: _holds(service.recommend(1), "20"))
        await site.save(4, 12, now())
        await eventually(lambda: _lacks(service.recommend(4), "12"))


async def test_a_reading_of_all_events_that_was_cut_short_is_not_taken_for_all_of_them(
    home: Path, site_db: DatabaseSettings, site: Site
):
    await site.add_events(*range(100, 1_300))
    async with running(home, site_db) as service:
        await eventually(lambda: _serves_from(service, "database"))
    _cut_short(home / "snapshot.db")
    async with running(home, site_db) as service:
        await eventually(lambda: _holds(service.recommend(1), "3"))
        assert (await service.recommend(4))[:2] == ["8", "9"]


async def test_a_model_published_while_serving_is_taken_over_with_everything_since(
    home: Path, site_db: DatabaseSettings, others: Database, site: Site
):
    async with running(home, site_db) as service:
        first = (await service.readiness())[1]["model_version"]
        await site.save(1, 3, now())
        await service.give(4, "8", "hide")
        await eventually(lambda: _lacks(service.recommend(1), "3"))
        second = await publish(home, others)
        assert second != first
        await service.give(5, "9", "hide")
        await eventually(lambda: _serves(service, second))
        assert "3" not in await service.recommend(1)
        assert "8" not in await service.recommend(4)
        assert "9" not in await service.recommend(5)
        info = await (await service.client.get("/v1/model/info")).json()
        assert info["model_version"] == second


async def test_a_damaged_model_is_refused_by_name_and_the_old_one_serves_until_a_good_one_comes(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        good = (await service.readiness())[1]["model_version"]
        damaged = _damage(home, good)
        [problem] = await eventually(lambda: _problems(service))
        assert damaged in problem
        assert "popularity.npy" in problem
        assert await _serves(service, good)
        assert (await service.recommend(1))[0] == "3"

        ModelRegistry(home / "models").publish(good)
        await eventually(lambda: _no_problems(service))
        version = await publish(home, others)
        await eventually(lambda: _serves(service, version))


async def test_a_model_is_taken_over_while_the_database_hangs(
    home: Path, site_db: DatabaseSettings, others: Database, mistreated_server: MariaDBServer
):
    async with running(home, impatient(site_db)) as service:
        version = await publish(home / "elsewhere", others)
        mistreated_server.pause()
        try:
            copytree(home / "elsewhere" / "models" / version, home / "models" / version, dirs_exist_ok=True)
            registry = ModelRegistry(home / "models")
            registry.publish(version)
            await eventually(lambda: _serves(service, version))
            assert (await service.recommend(1))[0] == "3"
        finally:
            mistreated_server.resume()


def _damage(home: Path, version: str) -> str:
    """Publish a copy of a model in which one byte of an array differs; its version."""
    registry = ModelRegistry(home / "models")
    damaged = registry.new_version(version)
    copytree(registry.path(version), registry.path(damaged))
    array = registry.path(damaged) / "popularity.npy"
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    registry.publish(damaged)
    return damaged


def _cut_short(path: Path) -> None:
    """Leave a snapshot as a process leaves it that is killed while it reads all events."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("DELETE FROM fingerprint")
        connection.execute("DELETE FROM events WHERE event_id NOT IN (SELECT event_id FROM events LIMIT 500)")
    connection.close()


async def _holds(answer, event_id: str) -> bool:
    return event_id in await answer


async def _lacks(answer, event_id: str) -> bool:
    return event_id not in await answer


async def _titled(service, user_id: int, title: str) -> bool:
    return (await service.answer(user_id))["recommendations"][0]["title"] == title


async def _serves_from(service, source: str) -> bool:
    return (await service.readiness())[1]["serving_from"] == source


async def _serves(service, version: str) -> bool:
    return (await service.readiness())[1]["model_version"] == version


async def _problems(service) -> list[str]:
    return (await service.readiness())[1]["problems"]


async def _no_problems(service) -> bool:
    return not await _problems(service)

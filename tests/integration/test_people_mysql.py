"""A person's data is exported as a whole, and erased everywhere: tables, queue, memory, snapshot, other workers."""

import sqlite3
from pathlib import Path

import pytest

from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from tests.integration.running import Service, eventually, impatient, next_second, now, running
from tests.servers import MariaDBServer
from tests.site import Site

_WRITE_CACHED = Statement(
    "INSERT INTO recommendation_cache (cache_key, user_id, recommendations) VALUES ('k', '4', '[1, 2]')"
)
_TABLES = ("ml_feedback", "model_predictions", "recommendation_cache")
_ROWS_OF = Statement("SELECT COUNT(*) FROM {table} WHERE user_id = ?")
_ERASED = Statement("SELECT user_id FROM ml_erased_users")


async def rows_of(others: Database, user_id: str) -> list[int]:
    """How many rows a person has in each of this service's tables."""
    return [(await others.fetch(_ROWS_OF.with_names(table=table), (user_id,)))[0][0] for table in _TABLES]


async def act(service: Service, others: Database) -> None:
    """Let person 4 do, get and be stored everything there is."""
    await service.give(4, "8", "save", page="home")
    await service.answer(4, city="Cork")
    await others.execute(_WRITE_CACHED)
    await eventually(lambda: _has(others, "4", [1, 1, 1]))


async def test_an_export_holds_what_the_tables_have_and_what_still_waits(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        await act(service, others)
        shown = await (await service.client.get("/v1/users/4/data")).json()
        assert (shown["user_id"], shown["erased_at"]) == ("4", None)
        [feedback] = shown["feedback"]
        assert (feedback["event_id"], feedback["action"], feedback["context"]) == (
            "8",
            "save",
            {"page": "home"},
        )
        [prediction] = shown["predictions"]
        assert prediction["city"] == "Cork"
        assert len(prediction["event_ids"]) == prediction["num_recommendations"] > 0
        assert [row["recommendations"] for row in shown["cached"]] == [[1, 2]]

        await service.answer(4)  # this one still waits in memory
        shown = await (await service.client.get("/v1/users/4/data")).json()
        assert len(shown["predictions"]) == 2


async def test_erasing_empties_the_tables_and_memory_at_once(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        await act(service, others)
        assert (await service.recommend(5))[0] in ("9", "6")
        response = await service.client.delete("/v1/users/4")
        assert (response.status, (await response.json())["status"]) == (200, "success")
        assert await rows_of(others, "4") == [0, 0, 0]
        assert set(await service.recommend(4)) == {str(event) for event in range(1, 13)}
        assert all(
            item["algorithm"] != "collaborative_filtering"
            for item in (await service.answer(4))["recommendations"]
        )
        shown = await (await service.client.get("/v1/users/4/data")).json()
        assert (shown["feedback"], shown["cached"]) == ([], [])
        assert shown["erased_at"] is not None


async def test_another_worker_a_restart_and_a_replay_forget_as_well(
    home: Path, site_db: DatabaseSettings, others: Database, site: Site
):
    async with running(home, site_db) as first, running(home, site_db) as second:
        await act(first, others)
        await site.save(4, 12, now())  # noted in the snapshot as well
        await eventually(lambda: _lacks(second, "4", "12"))
        await eventually(lambda: _kept_of(home, "4"))
        await first.client.delete("/v1/users/4")
        await eventually(lambda: _gets_everything(second, "4"))
        await eventually(lambda: not _kept_of(home, "4"))

    async with running(home, site_db) as restarted:
        assert await _gets_everything(restarted, "4")
        await restarted.answer(5)
        await eventually(lambda: _has(others, "5", [0, 1, 0]))  # a whole round of draining went by
        feedback, _, cached = await rows_of(others, "4")  # they got an answer after the erasure
        assert (feedback, cached) == (0, 0)
    assert not _kept_of(home, "4")

    (home / "snapshot.db").unlink()
    async with running(home, site_db) as without_snapshot:
        assert await _gets_everything(without_snapshot, "4")


async def test_what_the_site_still_holds_of_an_erased_person_is_not_taken_for_taken_back(
    home: Path, site_db: DatabaseSettings, others: Database, site: Site
):
    async with running(home, site_db) as service:
        await service.client.delete("/v1/users/4")
        await site.unsave(5, 7)  # their bucket is looked through again
        await eventually(lambda: _holds(service, "5", "7"))
        await eventually(lambda: _has(others, "5", [1, 0, 0], at_least=True))
        assert (await rows_of(others, "4"))[0] == 0


async def test_who_comes_back_after_an_erasure_starts_afresh(
    home: Path, site_db: DatabaseSettings, others: Database, site: Site
):
    async with running(home, site_db) as first, running(home, site_db) as second:
        await first.client.delete("/v1/users/4")
        await next_second()
        await first.give(4, "1", "save")
        assert (await first.recommend(4))[0] == "2"  # what those like who saved 1, and none of the past
        await eventually(lambda: _first(second, "4", "2"))
        await site.save(4, 11, now())
        await eventually(lambda: _lacks(second, "4", "11"))
        assert "6" in await second.recommend(4)


async def test_an_erasure_while_the_database_is_away_takes_place_here_at_once_and_there_later(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        await act(service, others)
        for table in _TABLES:
            await others.execute(Statement(f"RENAME TABLE {table} TO {table}_away"))
        try:
            response = await service.client.delete("/v1/users/4")
            assert (response.status, (await response.json())["status"]) == (202, "pending")
            assert await _gets_everything(service, "4")
            assert (await service.client.get("/v1/users/4/data")).status == 503
        finally:
            for table in _TABLES:
                await others.execute(Statement(f"RENAME TABLE {table}_away TO {table}"))
        await eventually(lambda: _has_no_feedback(others, "4"))
        assert await others.fetch(_ERASED) == [("4",)]


async def test_a_database_that_is_away_is_not_described_to_callers(
    home: Path, site_db: DatabaseSettings, mistreated_server: MariaDBServer
):
    async with running(home, impatient(site_db)) as service:
        mistreated_server.pause()
        try:
            response = await service.client.get("/v1/users/4/data")
        finally:
            mistreated_server.resume()
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert await response.json() == {"detail": "The database does not answer at the moment"}


@pytest.mark.parametrize("user_id", ["x" * 256, "a%0Ab"])
async def test_an_id_that_can_be_nobody_s_is_refused(home: Path, site_db: DatabaseSettings, user_id: str):
    async with running(home, site_db) as service:
        response = await service.client.get(f"/v1/users/{user_id}/data")
        assert response.status == 400
        assert "user_id" in (await response.json())["detail"]


async def _has(others: Database, user_id: str, expected: list[int], at_least: bool = False) -> bool:
    found = await rows_of(others, user_id)
    return found >= expected if at_least else found == expected


async def _has_no_feedback(others: Database, user_id: str) -> bool:
    return (await rows_of(others, user_id))[0] == 0


async def _holds(service: Service, user_id: str, event_id: str) -> bool:
    return event_id in await service.recommend(user_id)


async def _lacks(service: Service, user_id: str, event_id: str) -> bool:
    return not await _holds(service, user_id, event_id)


async def _first(service: Service, user_id: str, event_id: str) -> bool:
    return (await service.recommend(user_id))[0] == event_id


async def _gets_everything(service: Service, user_id: str) -> bool:
    return len(await service.recommend(user_id)) == 12


def _kept_of(home: Path, user_id: str) -> int:
    """How many rows of a person the snapshot holds."""
    connection = sqlite3.connect(home / "snapshot.db")
    try:
        [(count,)] = connection.execute("SELECT COUNT(*) FROM changes WHERE user_id = ?", (user_id,))
        return count
    finally:
        connection.close()

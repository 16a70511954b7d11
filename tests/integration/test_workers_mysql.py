"""Two processes of one machine, on one home directory and one database, agree."""

from pathlib import Path

from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from tests.integration.running import Service, eventually, impatient, now, publish, running
from tests.servers import MariaDBServer
from tests.site import Site

_KEYS = Statement("SELECT idempotency_key FROM ml_feedback")
_UNSAVES = Statement("SELECT COUNT(*) FROM ml_feedback WHERE action = 'unsave'")


async def test_what_one_acknowledges_the_other_knows_soon(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db) as first, running(home, site_db) as second:
        await first.give(4, "12", "hide")
        await eventually(lambda: _lacks(second, 4, "12"))
        await second.give("new", "6", "save")
        await eventually(lambda: _first(first, "new", "7"))
        await eventually(lambda: _agree(first, second))


async def test_one_knows_what_the_other_acknowledges_while_the_database_hangs(
    home: Path, site_db: DatabaseSettings, mistreated_server: MariaDBServer
):
    async with running(home, site_db) as first, running(home, site_db) as second:
        mistreated_server.pause()  # with timeouts of many seconds, so that nobody gets by on them
        try:
            await first.give(4, "12", "hide")
            await eventually(lambda: _lacks(second, 4, "12"), within=3.0)
            await second.give(4, "11", "hide")
            await eventually(lambda: _lacks(first, 4, "11"), within=3.0)
        finally:
            mistreated_server.resume()


async def test_a_change_of_mind_over_two_processes_ends_as_it_was_made(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db) as first, running(home, site_db) as second:
        for number in range(20):
            last = [first, second][number % 2]
            await last.give("new", "6", "save" if number % 4 < 2 else "hide")
        await first.give("new", "6", "save")
        await eventually(lambda: _first(second, "new", "7"))
        assert await _first(first, "new", "7")
        await eventually(lambda: _agree(first, second))


async def test_both_follow_the_site_and_a_row_that_both_miss_is_recorded_once(
    home: Path, site_db: DatabaseSettings, site: Site, others: Database
):
    async with running(home, site_db) as first, running(home, site_db) as second:
        await site.unsave(4, 7)
        await site.save(4, 12, now())
        for service in (first, second):
            await eventually(lambda service=service: _lacks(service, 4, "12"))
            await eventually(lambda service=service: _holds(service, 4, "7"))
        await eventually(lambda: _count(others, _UNSAVES, 1))
        await first.give(1, "9", "click", recommendation_id="last")
        await eventually(lambda: _keys(others, 2))
        assert await others.fetch(_UNSAVES) == [(1,)]


async def test_both_take_over_a_new_model(home: Path, site_db: DatabaseSettings, others: Database):
    async with running(home, site_db) as first, running(home, site_db) as second:
        version = await publish(home, others)
        for service in (first, second):
            await eventually(lambda service=service: _serves(service, version))


async def test_feedback_of_both_is_drained_by_one_and_by_the_other_when_that_one_is_gone(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, impatient(site_db)) as second:
        async with running(home, impatient(site_db)) as first:
            for number in range(10):
                service = [first, second][number % 2]
                await service.post_feedback(1, number, "click", key=f"k{number}")
            await eventually(lambda: _keys(others, 10))
        await second.post_feedback(1, 11, "click", key="k10")
        await eventually(lambda: _keys(others, 11))


async def _holds(service: Service, user_id: object, event_id: str) -> bool:
    return event_id in await service.recommend(user_id)


async def _lacks(service: Service, user_id: object, event_id: str) -> bool:
    return not await _holds(service, user_id, event_id)


async def _first(service: Service, user_id: object, event_id: str) -> bool:
    return (await service.recommend(user_id))[0] == event_id


async def _agree(first: Service, second: Service) -> bool:
    """Whether both say the same to everyone, scores and reasons included."""
    for user_id in (1, 2, 3, 4, 5, 6, "new", "nobody"):
        answers = [(await service.answer(user_id))["recommendations"] for service in (first, second)]
        if answers[0] != answers[1]:
            return False
    return True


async def _serves(service: Service, version: str) -> bool:
    return (await service.readiness())[1]["model_version"] == version


async def _count(others: Database, statement: Statement, expected: int) -> bool:
    return await others.fetch(statement) == [(expected,)]


async def _keys(others: Database, count: int) -> bool:
    return len(await others.fetch(_KEYS)) == count

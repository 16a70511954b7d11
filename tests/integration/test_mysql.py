"""The whole way on MySQL itself; the other tests here use MariaDB."""

from pathlib import Path

from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.opening import open_database
from tests.conftest import empty_database
from tests.integration.running import eventually, fill, now, publish, running
from tests.servers import MySQLServer
from tests.site import Site

_FEEDBACK = Statement("SELECT user_id, event_id, action FROM ml_feedback ORDER BY id")


async def test_a_site_on_mysql_is_learned_from_followed_and_written_to(
    tmp_path: Path, mysql_server: MySQLServer, kept_mysql_settings
):
    empty_database(mysql_server, kept_mysql_settings.name)
    others = await open_database(kept_mysql_settings)
    site = Site(others)
    await fill(site, others)
    await publish(tmp_path, others)

    async with running(tmp_path, kept_mysql_settings) as service:
        assert (await service.recommend(1))[:2] == ["3", "4"]

        await site.save(4, 12, now())
        await eventually(lambda: _lists(service, 4, "12", False))
        await site.unsave(4, 12)
        await eventually(lambda: _lists(service, 4, "12", True))
        await site.change_event(3, title="CANCELLED: Event 3")
        await eventually(lambda: _lists(service, 1, "3", False))

        await service.give(1, "4", "hide")
        assert "4" not in await service.recommend(1)
        await eventually(lambda: _has_recorded(others, [("4", "12", "unsave"), ("1", "4", "hide")]))
    await others.close()


async def _has_recorded(database: Database, rows: list[tuple[str, str, str]]) -> bool:
    return await database.fetch(_FEEDBACK) == rows


async def _lists(service, user_id: int, event_id: str, whether: bool) -> bool:
    return (event_id in await service.recommend(user_id)) == whether

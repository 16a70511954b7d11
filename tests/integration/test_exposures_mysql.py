"""Who was shown what is kept once, and not for ever; people's tastes are read, their tokens never."""

import time
from pathlib import Path

import orjson
import pytest

from service.live.retention import Retention
from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from service.storage.errors import StatementError
from service.storage.opening import open_database
from service.storage.queries.people import read_listening, read_preferences
from service.storage.times import to_text
from tests.conftest import server_settings
from tests.integration.running import eventually, now, running
from tests.servers import MariaDBServer
from tests.site import Site

_ROWS = Statement(
    "SELECT recommendation_id, user_id, event_ids, num_recommendations, variant, arm, model_version, latency_ms,"
    " city, is_exposure FROM model_predictions ORDER BY id"
)
_COUNT = Statement("SELECT COUNT(*) FROM model_predictions")
_OLD_ROW = Statement(
    "INSERT INTO model_predictions (user_id, recommendation_id, created_at) VALUES ('1', ?, ?)"
)
_OLD_CACHE = Statement("INSERT INTO recommendation_cache (cache_key, expires_at) VALUES (?, ?)")
_LEFT = Statement("SELECT recommendation_id FROM model_predictions")
_LEFT_CACHED = Statement("SELECT cache_key FROM recommendation_cache")
_TOKENS = Statement("SELECT access_token FROM user_spotify")

DAY = 86_400


async def test_each_answer_is_kept_once_with_what_was_shown_in_which_order_and_how_it_came_about(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        answers = [
            await service.answer(1, limit=3, variant=None),
            await service.answer(None, city="Cork", variant=None),
            await service.answer(4, variant="control"),
        ]
        model = (await service.readiness())[1]["model_version"]
        rows = await eventually(lambda: _rows(others, 3))
    for answer, row in zip(answers, rows, strict=True):
        shown = [item["event_id"] for item in answer["recommendations"]]
        assert row[0] == answer["recommendation_id"]
        assert orjson.loads(row[2]) == shown
        assert row[3] == len(shown)
        assert row[4] == row[5] == answer["variant"]
        assert row[6] == model == answer["model_version"]
        assert row[7] == pytest.approx(answer["latency_ms"], abs=0.001)
    assert [(row[1], row[8], row[9]) for row in rows] == [("1", None, 1), (None, "Cork", 1), ("4", None, 0)]


async def test_a_variant_that_the_caller_named_is_a_test_and_no_exposure(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        await service.answer(1, variant="collaborative_filtering")
        await service.answer(1, variant=None)
        rows = await eventually(lambda: _rows(others, 2))
    assert [(row[4], row[9]) for row in rows] == [
        ("collaborative_filtering", 0),
        ("collaborative_filtering", 1),
    ]


async def test_answers_given_while_the_database_hangs_are_kept_when_it_is_back(
    home: Path, site_db: DatabaseSettings, others: Database, mistreated_server: MariaDBServer
):
    async with running(home, site_db) as service:
        mistreated_server.pause()
        try:
            ids = [(await service.answer(1))["recommendation_id"] for _ in range(20)]
        finally:
            mistreated_server.resume()
        rows = await eventually(lambda: _rows(others, 20))
    assert [row[0] for row in rows] == ids


async def test_answers_given_right_before_the_end_are_kept(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        last = (await service.answer(1))["recommendation_id"]
    async with running(home, site_db):
        rows = await eventually(lambda: _rows(others, 1))
    assert [row[0] for row in rows] == [last]


async def test_only_answers_older_than_the_setting_and_expired_ones_are_deleted(others: Database):
    for name, age in (("old", 91 * DAY), ("young", 89 * DAY)):
        await others.execute(_OLD_ROW, (name, to_text(now() - age)))
    for number in range(1_200):
        await others.execute(_OLD_ROW, (f"older {number}", to_text(now() - 100 * DAY)))
    for name, left in (("expired", -60), ("fresh", 3_600)):
        await others.execute(_OLD_CACHE, (name, to_text(now() + left)))

    assert await Retention(others, 90, time.time).delete_old() == 1_202

    assert await others.fetch(_LEFT) == [("young",)]
    assert await others.fetch(_LEFT_CACHED) == [("fresh",)]


async def test_the_service_works_with_an_account_that_may_not_read_spotify_s_tokens(
    home: Path, site_db: DatabaseSettings, site: Site, mistreated_server: MariaDBServer
):
    await site.prefer(1, "preferred_genres", '["trad"]', now())
    await site.listen(1, '["Lankum"]', '[{"name": "folk"}]', now())
    reader = _account_without_tokens(mistreated_server, site_db)
    database = await open_database(reader)
    try:
        assert [one.genres for one in (await read_preferences(database)).people] == [("trad",)]
        [listening] = (await read_listening(database)).people
        assert (listening.top_artists, listening.top_genres) == (("Lankum",), ("folk",))
        with pytest.raises(StatementError, match="access_token"):
            await database.fetch(_TOKENS)
    finally:
        await database.close()
    async with running(home, reader) as service:
        assert (await service.recommend(1))[0] == "3"
        await service.give(1, "3", "save")
        await eventually(lambda: _works(service))


def _account_without_tokens(server: MariaDBServer, site_db: DatabaseSettings) -> DatabaseSettings:
    """An account with the rights that docs/operations.md asks for, and of user_spotify the columns it names."""
    ours = ("ml_feedback", "model_versions", "model_predictions", "recommendation_cache", "ml_erased_users")
    read = ("users", "events", "venues", "user_saved_events", "user_hidden_events", "user_preferences")
    spotify = "SELECT (user_id, top_artists, top_genres, updated_at)"
    grants = [f"ALL ON `{site_db.name}`.{table}" for table in ours]
    grants += [f"SELECT ON `{site_db.name}`.{table}" for table in read]
    grants += [f"{spotify} ON `{site_db.name}`.user_spotify"]
    made = "CREATE OR REPLACE USER 'reader'@'%' IDENTIFIED BY 'its password';"
    server.run_sql(made + "".join(f"GRANT {grant} TO 'reader'@'%';" for grant in grants))
    known = server_settings(server, site_db.name)
    return DatabaseSettings(
        host=known.host, port=known.port, user="reader", password="its password", name=known.name
    )


async def _rows(others: Database, count: int) -> list[tuple]:
    rows = await others.fetch(_ROWS)
    return rows if len(rows) >= count else []


async def _works(service) -> bool:
    """Whether the database was followed and what waited was drained."""
    _, said = await service.readiness()
    status = await service.queue.status()
    return said["database"] == "connected" and not said["problems"] and not status.waiting_feedback

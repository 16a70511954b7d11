"""Feedback is acknowledged when it is durable, once for each key, whatever the database does."""

import asyncio
from pathlib import Path

import pytest

from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from tests.integration.running import Service, eventually, running

_ROWS = Statement(
    "SELECT user_id, event_id, action, idempotency_key, recommendation_id, context FROM ml_feedback ORDER BY id"
)
_COUNT = Statement("SELECT COUNT(*) FROM ml_feedback")


async def stored(others: Database, count: int) -> list[tuple]:
    """All rows, once there are so many in the database."""

    async def all_there() -> list[tuple]:
        rows = await others.fetch(_ROWS)
        return rows if len(rows) >= count else []

    return await eventually(all_there)


async def test_feedback_reaches_the_table_as_it_was_said(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        context = {"recommendation_id": "abc", "position": 3, "page": "home", "client": "wéb ✓"}
        response = await service.post_feedback(1, 3, "thumbs_up", context, key="key-1")
        assert response.status == 200
        assert await response.json() == {"status": "success", "message": "Feedback recorded"}
        [row] = await stored(others, 1)
        assert row[:5] == ("1", "3", "thumbs_up", "key-1", "abc")
        assert '"client":"wéb ✓"' in row[5]


async def test_all_six_actions_are_taken_and_no_other(
    home: Path, site_db: DatabaseSettings, others: Database
):
    actions = ["save", "click", "hide", "skip", "thumbs_up", "thumbs_down"]
    async with running(home, site_db) as service:
        for number, action in enumerate(actions):
            await service.give(1, number, action)
        for action in ("unsave", "unhide", "SAVE", ""):
            assert (await service.post_feedback(1, 1, action)).status == 400
        assert [row[2] for row in await stored(others, 6)] == actions


async def test_a_key_makes_a_retry_one_effect_and_another_body_a_conflict(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        first = await service.post_feedback(1, 5, "click", key="k")
        again = await service.post_feedback(1, 5, "click", key="k")
        assert (first.status, await first.read()) == (again.status, await again.read())
        for other in [
            (2, 5, "click", None),
            (1, 6, "click", None),
            (1, 5, "save", None),
            (1, 5, "click", {"page": "x"}),
        ]:
            conflict = await service.post_feedback(*other, key="k")
            assert conflict.status == 409
            assert "'k'" in (await conflict.json())["detail"]
        await service.give(1, 9, "save")
        assert [row[:4] for row in (await stored(others, 2))[:1]] == [("1", "5", "click", "k")]
        assert len(await stored(others, 2)) == 2


async def test_without_a_key_the_same_action_on_the_same_answer_is_one_effect_whenever_it_is_said(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        for timestamp in (1, 2):
            context = {"recommendation_id": "r1", "timestamp": timestamp}
            assert (await service.post_feedback(1, 5, "click", context)).status == 200
        for changed in [{"recommendation_id": "r2"}, {"recommendation_id": "r1", "position": 1}]:
            event_id = 5 if changed["recommendation_id"] == "r2" else 6
            assert (await service.post_feedback(1, event_id, "click", changed)).status == 200
        await service.give(1, 5, "click")
        await service.give(1, 5, "click")  # outside of any answer a second click is a second click
        assert len(await stored(others, 5)) == 5


@pytest.mark.parametrize("key", ["x" * 125, "café", "tab\tin it"])
async def test_a_key_that_cannot_be_kept_is_refused_by_name(home: Path, site_db: DatabaseSettings, key: str):
    async with running(home, site_db) as service:
        response = await service.post_feedback(1, 5, "click", key=key)
        assert response.status == 400
        assert "Idempotency-Key" in (await response.json())["detail"]


async def test_a_batch_is_recorded_as_a_whole_or_not_at_all(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as service:
        good = [{"user_id": 1, "event_id": event, "action": "click"} for event in (3, 4, 5)]
        bad = [*good, {"user_id": 1, "event_id": 6, "action": "sing"}]
        refused = await service.client.post("/v1/feedback/batch", json={"feedback": bad})
        assert refused.status == 400
        assert "feedback[3].action" in (await refused.json())["detail"]

        await service.post_feedback(2, 8, "click", key="b#2")
        clash = await post_batch(service, good, "b")
        assert clash.status == 409

        taken = await post_batch(service, good, "c")
        assert await taken.json() == {"status": "success", "message": "Feedback recorded", "recorded": 3}
        assert [row[3] for row in await stored(others, 4)] == ["b#2", "c#0", "c#1", "c#2"]


async def test_a_batch_is_retried_as_a_whole(home: Path, site_db: DatabaseSettings, others: Database):
    async with running(home, site_db) as service:
        said = [{"user_id": 1, "event_id": event, "action": "click"} for event in (3, 4, 5)]
        first, again = await post_batch(service, said, "k"), await post_batch(service, said, "k")
        assert (first.status, await first.read()) == (again.status, await again.read())
        for other in (said[:2], said[::-1], [*said, said[0]]):
            assert (await post_batch(service, other, "k")).status == 409
        await service.give(1, 9, "save")
        assert len(await stored(others, 4)) == 4


async def test_every_action_of_a_batch_counts_in_the_next_answer(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db) as service:
        before = await service.recommend(7)
        said = [{"user_id": 7, "event_id": event, "action": "hide"} for event in before[:5]]
        assert (await post_batch(service, said, None)).status == 200
        assert await service.recommend(7) == before[5:]


async def test_fifty_posts_with_one_key_at_once_are_one_row_and_fifty_identical_answers(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db) as first, running(home, site_db) as second:
        posts = [[first, second][number % 2].post_feedback(1, 5, "click", key="same") for number in range(50)]
        responses = await asyncio.gather(*posts)
        answers = {(response.status, await response.read()) for response in responses}
        assert answers == {(200, b'{"status":"success","message":"Feedback recorded"}')}
        await first.give(2, 9, "save")
        assert [row[3] for row in (await stored(others, 2))[:1]] == ["same"]
        assert len(await stored(others, 2)) == 2


async def test_a_full_queue_says_when_to_come_back_and_drops_nothing(
    home: Path, site_db: DatabaseSettings, others: Database
):
    await others.execute(Statement("RENAME TABLE ml_feedback TO ml_feedback_away"))
    try:
        async with running(home, site_db, queue_bytes=20_000) as service:
            acknowledged = []
            while True:
                key = f"key-{len(acknowledged)}"
                response = await service.post_feedback(7, len(acknowledged), "click", key=key)
                if response.status != 200:
                    break
                acknowledged.append(key)
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
            assert await response.json() == {"detail": "Too much feedback waits to be stored"}
            assert len(await service.recommend(1)) > 0
            assert len(acknowledged) > 10

            await others.execute(Statement("RENAME TABLE ml_feedback_away TO ml_feedback"))
            rows = await stored(others, len(acknowledged))
            assert [row[3] for row in rows] == acknowledged

            async def taken_again() -> bool:
                # Rows are in the table a moment before the queue has let go of them.
                return (await service.post_feedback(7, 999, "click", key="after")).status == 200

            assert await eventually(taken_again)
    finally:
        if not await others.fetch(Statement("SHOW TABLES LIKE 'ml_feedback'")):
            await others.execute(Statement("RENAME TABLE ml_feedback_away TO ml_feedback"))


async def test_without_a_usable_queue_feedback_is_refused_and_recommendations_go_on(
    home: Path, site_db: DatabaseSettings, others: Database
):
    async with running(home, site_db, has_queue=False) as service:
        assert (await service.recommend(1))[0] == "3"
        for request in (
            service.post_feedback(1, 5, "click"),
            post_batch(service, [{"user_id": 1, "event_id": 5, "action": "click"}], None),
            service.client.get("/v1/users/1/data"),
            service.client.delete("/v1/users/1"),
        ):
            response = await request
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
        assert (await service.readiness())[0] == 200
        assert await others.fetch(_COUNT) == [(0,)]


async def post_batch(service: Service, said: list[dict], key: str | None):
    headers = {"Idempotency-Key": key} if key else {}
    return await service.client.post("/v1/feedback/batch", json={"feedback": said}, headers=headers)

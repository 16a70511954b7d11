import pytest

from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.queries import pages
from service.storage.queries.recording import Feedback, insert_feedback, insert_predictions
from service.storage.queries.retention import (
    delete_expired_cache,
    delete_old_feedback,
    delete_old_predictions,
)
from service.storage.times import optional_text
from tests.service.storage.queue_fakes import exposure
from tests.site import START


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "DELETE_ROWS", 2)


async def test_old_answers_go_and_new_ones_stay(db: Database) -> None:
    ages = [5, 4, 3, 2, 1, 0, -1]
    answers = [exposure(recommendation_id=str(age), created_at=START - age) for age in ages]
    await insert_predictions(db, answers)

    assert await delete_old_predictions(db, START) == 5
    assert await delete_old_predictions(db, START) == 0

    left = await db.fetch(Statement("SELECT recommendation_id FROM model_predictions ORDER BY id"))
    assert left == [("0",), ("-1",)]


async def test_old_feedback_goes_and_undated_feedback_stays(db: Database) -> None:
    times = [START - 2, None, START - 1, START]
    await insert_feedback(db, [Feedback("1", str(number), "click", at) for number, at in enumerate(times)])

    assert await delete_old_feedback(db, START) == 2

    assert await db.fetch(Statement("SELECT event_id FROM ml_feedback ORDER BY id")) == [("1",), ("3",)]


async def test_expired_recommendations_go(db: Database) -> None:
    add = Statement("INSERT INTO recommendation_cache (cache_key, expires_at) VALUES (?, ?)")
    await db.execute_many(add, [(str(at), optional_text(at)) for at in (START - 1, START, None)])

    assert await delete_expired_cache(db, START) == 1

    left = await db.fetch(Statement("SELECT cache_key FROM recommendation_cache ORDER BY id"))
    assert left == [(str(START),), ("None",)]

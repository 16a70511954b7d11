import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from service.storage.errors import StatementError
from service.storage.migrate import migrate
from service.storage.opening import open_database
from service.storage.queries.privacy import erase_user
from service.storage.queries.recording import (
    Feedback,
    KnownFeedback,
    Recorded,
    erased_since,
    find_feedback,
    insert_feedback,
    insert_predictions,
)
from service.storage.queue_entries import ExposureEntry
from tests.service.storage.queue_fakes import exposure
from tests.site import START

FEEDBACK = Statement(
    "SELECT user_id, event_id, action, {epoch:created_at}, context, idempotency_key, request_hash, recommendation_id"
    " FROM ml_feedback ORDER BY id"
)
PREDICTIONS = Statement(
    "SELECT user_id, model_version, variant, num_recommendations, latency_ms, {epoch:created_at}, recommendation_id,"
    " arm, city, event_ids, experiment_id, is_exposure FROM model_predictions ORDER BY id"
)

EXPERIMENTS = Statement("SELECT experiments FROM model_predictions ORDER BY id")


def prediction(recommendation_id: str, user_id: str | None = "1", at: float = START) -> ExposureEntry:
    return exposure(recommendation_id=recommendation_id, user_id=user_id, created_at=at)


async def recorded_keys(db: Database) -> list[str]:
    return [row[5] for row in await db.fetch(FEEDBACK)]


async def test_feedback_is_stored_as_it_was_given(db: Database) -> None:
    row = Feedback("Zoë", "gig-1", "thumbs_up", START, '{"page": "home"}', "key", "a" * 64, "rec-1")

    assert await insert_feedback(db, [row]) == Recorded(added=1, refused=0)

    assert await db.fetch(FEEDBACK) == [
        ("Zoë", "gig-1", "thumbs_up", START, '{"page": "home"}', "key", "a" * 64, "rec-1")
    ]


async def test_one_key_is_one_row_however_often_it_comes(db: Database) -> None:
    first = Feedback("1", "10", "save", START, idempotency_key="a")
    again = Feedback("1", "10", "hide", START, idempotency_key="a")
    new = Feedback("1", "10", "save", START, idempotency_key="b")

    assert await insert_feedback(db, [first, again]) == Recorded(added=1, refused=0)
    assert await insert_feedback(db, [again, new]) == Recorded(added=1, refused=0)

    assert [row[2] for row in await db.fetch(FEEDBACK)] == ["save", "save"]


async def test_feedback_without_a_key_is_a_row_of_its_own(db: Database) -> None:
    await insert_feedback(db, [Feedback("1", "10", "click", START)] * 2)

    assert len(await db.fetch(FEEDBACK)) == 2


async def test_the_same_key_from_many_tasks_at_once_is_one_row(db: Database) -> None:
    row = Feedback("1", "10", "save", START, idempotency_key="a")

    results = await asyncio.gather(*(insert_feedback(db, [row]) for _ in range(20)))

    assert sum(result.added for result in results) == 1
    assert await recorded_keys(db) == ["a"]


async def test_a_row_that_does_not_fit_leaves_the_others_out_too(site_settings: DatabaseSettings) -> None:
    db = await open_database(site_settings)
    await migrate(db)
    rows = [Feedback("1", "10", "save", START), Feedback("1", "10", "x" * 51, START)]

    with pytest.raises(StatementError, match="action"):
        await insert_feedback(db, rows)

    assert await db.fetch(FEEDBACK) == []
    await db.close()


async def test_nothing_to_store_is_no_mistake(db: Database) -> None:
    assert await insert_feedback(db, []) == Recorded(added=0, refused=0)
    assert await insert_predictions(db, []) == Recorded(added=0, refused=0)


async def test_taken_keys_are_found_with_their_requests(db: Database) -> None:
    rows = [Feedback("1", "10", "save", START, None, key, "b" * 64) for key in ("k1", "k2")]
    await insert_feedback(db, rows)

    found = await find_feedback(db, ["k2", "k3"])

    [(row_id,)] = await db.fetch(Statement("SELECT id FROM ml_feedback WHERE idempotency_key = 'k2'"))
    assert found == {"k2": KnownFeedback(row_id, "b" * 64)}
    assert await find_feedback(db, []) == {}


async def test_more_keys_than_one_list_holds_are_found(db: Database) -> None:
    keys = [f"k{number:04}" for number in range(1_100)]
    await insert_feedback(db, [Feedback("1", "10", "save", START, idempotency_key=key) for key in keys])

    assert (await find_feedback(db, keys)).keys() == set(keys)


async def test_ids_that_differ_only_in_case_are_two_people(db: Database) -> None:
    await erase_user(db, "ann", START)

    assert await insert_feedback(
        db, [Feedback(user, "10", "save", START) for user in ("ann", "Ann")]
    ) == Recorded(1, 1)

    assert [row[0] for row in await db.fetch(FEEDBACK)] == ["Ann"]


async def test_those_erased_since_a_time_are_found_to_the_second(db: Database) -> None:
    for number in range(3):
        await erase_user(db, str(number), START + number)

    assert await erased_since(db, START + 1) == {"1": START + 1, "2": START + 2}
    assert len(await erased_since(db, 0)) == 3


async def test_an_answer_is_stored_with_what_was_shown(db: Database) -> None:
    row = ExposureEntry(
        recommendation_id="rec-1",
        user_id="1",
        model_version="v1",
        variant="hybrid",
        arm="content_based",
        city="Cork",
        event_ids=Raw(b'["10", "11"]'),  # as MySQL writes JSON; the other engines keep it as it came
        latency_ms=0.75,
        experiment_id="exp",
        is_exposure=True,
        created_at=START + 0.9,
        experiments=(("exp", "hybrid", 3),),
        num_recommendations=2,
    )
    guest = msgspec.structs.replace(
        row,
        recommendation_id="rec-2",
        user_id=None,
        city=None,
        experiment_id=None,
        is_exposure=False,
        experiments=(),
    )

    assert await insert_predictions(db, [row, guest]) == Recorded(2, 0)

    assert await db.fetch(PREDICTIONS) == [
        ("1", "v1", "hybrid", 2, 0.75, START, "rec-1", "content_based", "Cork", '["10", "11"]', "exp", 1),
        (None, "v1", "hybrid", 2, 0.75, START, "rec-2", "content_based", None, '["10", "11"]', None, 0),
    ]
    experiments = [text for (text,) in await db.fetch(EXPERIMENTS)]
    assert (json.loads(experiments[0]), experiments[1]) == ([["exp", "hybrid", 3]], None)


async def test_a_replayed_batch_of_answers_is_one_effect(db: Database) -> None:
    batch = [prediction("rec-1"), prediction("rec-2")]
    await insert_predictions(db, batch)

    assert await insert_predictions(db, [*batch, prediction("rec-3")]) == Recorded(added=1, refused=0)

    assert [row[6] for row in await db.fetch(PREDICTIONS)] == ["rec-1", "rec-2", "rec-3"]


async def test_a_replay_does_not_bring_back_what_was_erased(db: Database) -> None:
    await erase_user(db, "1", START)
    rows = [
        Feedback("1", "10", "save", START, idempotency_key="before"),
        Feedback("1", "10", "save", None, idempotency_key="undated"),
        Feedback("1", "10", "save", START + 1, idempotency_key="after"),
        Feedback("2", "10", "save", START, idempotency_key="other"),
    ]

    assert await insert_feedback(db, rows) == Recorded(added=2, refused=2)
    answers = [prediction("before"), prediction("after", at=START + 1), prediction("guest", user_id=None)]
    assert await insert_predictions(db, answers) == Recorded(added=2, refused=1)

    assert await recorded_keys(db) == ["after", "other"]
    assert [row[6] for row in await db.fetch(PREDICTIONS)] == ["after", "guest"]


class ErasingWhileWriting:
    """A database in which somebody is erased between the look for erased people and the write."""

    def __init__(self, db: Database, user_id: str, at: int) -> None:
        self._db = db
        self._erasure = (user_id, at)
        self.fetch = db.fetch
        self.execute = db.execute
        self.dialect = db.dialect
        self.transaction = db.transaction
        self.close = db.close

    async def execute_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        user_id, at = self._erasure
        await erase_user(self._db, user_id, at)
        return await self._db.execute_many(statement, rows)


async def test_an_erasure_that_comes_between_wins(db: Database) -> None:
    between = ErasingWhileWriting(db, "1", START)

    await insert_feedback(
        between, [Feedback(user, "10", "save", START, idempotency_key=user) for user in "12"]
    )
    await insert_predictions(between, [prediction("a"), prediction("b", user_id="2")])

    assert await recorded_keys(db) == ["2"]
    assert [row[6] for row in await db.fetch(PREDICTIONS)] == ["b"]

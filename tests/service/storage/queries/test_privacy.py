from msgspec import Raw

from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.queries import pages
from service.storage.queries.privacy import PERSONAL_TABLES, UserData, erase_user, erased_users, export_user
from service.storage.queries.recording import Feedback, insert_feedback, insert_predictions
from service.storage.queue_entries import ExposureEntry
from service.storage.times import to_text
from tests.site import START

CACHE = Statement(
    "INSERT INTO recommendation_cache (cache_key, user_id, recommendations, created_at) VALUES (?, ?, '[]', ?)"
)
COUNT = Statement("SELECT COUNT(*) FROM {table} WHERE user_id = ?")


async def fill(db: Database, user_id: str) -> None:
    await insert_feedback(
        db, [Feedback(user_id, "10", "save", START, '{"page": 1}', None, None, f"r-{user_id}")]
    )
    answer = ExposureEntry(
        *(f"r-{user_id}", user_id, "v1", "control", "arm", "Cork", Raw(b'["10"]'), 0.5, "exp", True, START)
    )
    await insert_predictions(db, [answer])
    await db.execute(CACHE, (f"cache-{user_id}", user_id, to_text(START)))


async def counts(db: Database, user_id: str) -> list[int]:
    found = [await db.fetch(COUNT.with_names(table=table), (user_id,)) for table in PERSONAL_TABLES]
    return [rows[0][0] for rows in found]


async def test_an_export_shows_everything_about_one_person_and_nothing_about_another(db: Database) -> None:
    await fill(db, "1")
    await fill(db, "2")

    data = await export_user(db, "1")

    rows = (*data.feedback, *data.predictions, *data.cached)
    assert all(row.pop("id") > 0 for row in rows)
    assert data == UserData(
        feedback=(
            {
                "event_id": "10",
                "action": "save",
                "context": '{"page": 1}',
                "recommendation_id": "r-1",
                "created_at": START,
            },
        ),
        predictions=(
            {
                "recommendation_id": "r-1",
                "model_version": "v1",
                "variant": "control",
                "arm": "arm",
                "city": "Cork",
                "event_ids": '["10"]',
                "num_recommendations": 1,
                "latency_ms": 0.5,
                "experiment_id": "exp",
                "is_exposure": 1,
                "created_at": START,
            },
        ),
        cached=(
            {
                "cache_key": "cache-1",
                "recommendations": "[]",
                "model_version": None,
                "created_at": START,
                "expires_at": None,
            },
        ),
        erased_at=None,
    )


async def test_an_erasure_leaves_nothing_of_one_person_and_all_of_another(db: Database) -> None:
    await fill(db, "1")
    await fill(db, "2")

    assert await erase_user(db, "1", START) == 3

    assert await export_user(db, "1") == UserData((), (), (), erased_at=START)
    assert await counts(db, "2") == [1, 1, 1]


async def test_everything_is_erased_however_much_there_is(db: Database) -> None:
    rows = [Feedback("1", str(number), "click", START) for number in range(pages.DELETE_ROWS * 2 + 1)]
    await insert_feedback(db, rows)

    assert await erase_user(db, "1", START) == len(rows)
    assert await counts(db, "1") == [0, 0, 0]


async def test_rows_dated_in_the_future_are_erased_too(db: Database) -> None:
    await insert_feedback(db, [Feedback("1", "10", "click", START + 1000)])

    await erase_user(db, "1", START)

    assert await counts(db, "1") == [0, 0, 0]


async def test_erasing_again_moves_the_mark_forward_and_never_back(db: Database) -> None:
    for at in (START, START + 10, START + 5):
        await erase_user(db, "1", at)

    assert await erased_users(db) == {"1": START + 10}


async def test_erasing_somebody_unknown_is_remembered(db: Database) -> None:
    assert await erase_user(db, "never seen", START) == 0
    assert await erased_users(db) == {"never seen": START}


async def test_an_id_that_looks_like_sql_is_only_an_id(db: Database) -> None:
    await fill(db, "1")

    await erase_user(db, "x' OR '1'='1", START)

    assert await counts(db, "1") == [1, 1, 1]

import asyncio
from pathlib import Path

import pytest

from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from service.storage.errors import StatementError, StorageUnavailable
from service.storage.opening import open_database

ADD = Statement("INSERT INTO recommendation_cache (cache_key, user_id) VALUES (?, ?)")
KEYS = Statement("SELECT cache_key FROM recommendation_cache ORDER BY cache_key")
CHANGE = Statement("UPDATE recommendation_cache SET user_id = ? WHERE cache_key = ?")
REMOVE = Statement("DELETE FROM recommendation_cache")


async def keys(db: Database) -> list[str]:
    return [key for (key,) in await db.fetch(KEYS)]


async def test_what_was_written_is_read_whatever_its_alphabet(db: Database) -> None:
    await db.execute(ADD, ("Ciarán 🎻 'quoted' \\ \\' \"\n 100%s ?", None))

    assert await keys(db) == ["Ciarán 🎻 'quoted' \\ \\' \"\n 100%s ?"]


async def test_a_write_says_how_many_rows_it_changed(db: Database) -> None:
    assert await db.execute(ADD, ("a", "1")) == 1
    assert await db.execute_many(ADD, [("b", "1"), ("c", "1")]) == 2
    assert await db.execute(CHANGE, ("2", "nobody")) == 0
    assert await db.execute_many(CHANGE, [("3", "a"), ("3", "b")]) == 2


async def test_writing_no_rows_at_all_changes_nothing(db: Database) -> None:
    assert await db.execute_many(ADD, []) == 0


async def test_of_many_rows_with_a_bad_one_none_is_written(db: Database) -> None:
    with pytest.raises(StatementError):
        await db.execute_many(ADD, [("a", None), ("b", None), ("a", None)])

    assert await keys(db) == []


async def test_a_transaction_takes_place_as_a_whole(db: Database) -> None:
    async with db.transaction() as session:
        await session.execute(ADD, ("a", None))
        await session.execute_many(ADD, [("b", None)])
        assert await session.fetch(KEYS) == [("a",), ("b",)]

    assert await keys(db) == ["a", "b"]


async def test_a_transaction_left_by_an_exception_leaves_nothing(db: Database) -> None:
    with pytest.raises(LookupError):
        async with db.transaction() as session:
            await session.execute(ADD, ("a", None))
            raise LookupError

    assert await keys(db) == []


async def test_a_cancelled_transaction_leaves_nothing_and_the_database_usable(db: Database) -> None:
    written = asyncio.Event()

    async def write_and_wait() -> None:
        async with db.transaction() as session:
            await session.execute(ADD, ("a", None))
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await keys(db) == []


async def test_another_tasks_write_does_not_become_part_of_a_transaction(db: Database) -> None:
    begun = asyncio.Event()

    async def fail_later() -> None:
        async with db.transaction() as session:
            await session.execute(ADD, ("a", None))
            begun.set()
            await asyncio.sleep(0.05)  # room for the other task, if it were let in
            raise LookupError

    async def write() -> None:
        await begun.wait()
        await db.execute(ADD, ("b", None))

    results = await asyncio.gather(fail_later(), write(), return_exceptions=True)

    assert [type(result) for result in results] == [LookupError, type(None)]
    assert await keys(db) == ["b"]


async def test_bad_sql_is_not_taken_for_a_missing_database(db: Database) -> None:
    with pytest.raises(StatementError, match="no_such_table"):
        await db.fetch(Statement("SELECT 1 FROM no_such_table"))

    assert await keys(db) == []


async def test_many_tasks_share_the_database(db: Database) -> None:
    await asyncio.gather(*(db.execute(ADD, (f"{number:02}", None)) for number in range(30)))

    assert await keys(db) == [f"{number:02}" for number in range(30)]


async def test_a_closed_database_answers_no_more(db: Database) -> None:
    await db.fetch(KEYS)
    await db.close()

    with pytest.raises(StorageUnavailable, match="closed"):
        await db.fetch(KEYS)


def test_the_password_is_never_shown() -> None:
    settings = DatabaseSettings(host="db.example.org", user="craic", password="hunter2")

    assert "hunter2" not in repr(settings)
    assert settings.where == "db.example.org:3306/gigsdb"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({}, "path or host"),
        ({"path": Path("a.db"), "host": "b"}, "path or host"),
        ({"host": "b", "max_connections": 5}, "max_connections"),
        ({"host": "b", "max_connections": 0}, "max_connections"),
        ({"host": "b", "read_timeout": 0.0}, "read_timeout"),
        ({"host": "b", "acquire_timeout": float("nan")}, "acquire_timeout"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DatabaseSettings(**wrong)  # type: ignore[arg-type]


async def resting_mark(db: Database, tables: tuple[str, ...]) -> tuple[int, ...]:
    """The mark once the server is sure of it."""
    async with asyncio.timeout(10):
        # The server has no event to wait for.
        while (mark := await db.change_mark(tables)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return mark


async def test_a_change_mark_is_another_after_every_write_of_somebody_else(
    db: Database, migrated_settings: DatabaseSettings
) -> None:
    tables = ("ml_feedback", "recommendation_cache")
    other = await open_database(migrated_settings)
    await other.execute(ADD, ("a", None))
    await other.execute(
        Statement("INSERT INTO ml_feedback (user_id, event_id, action) VALUES (1, 1, 'save')")
    )
    seen = await resting_mark(db, tables)
    assert await db.change_mark(tables) == seen
    await other.execute(CHANGE, ("2", "a"))
    assert await db.change_mark(tables) != seen
    changed = await resting_mark(db, tables)
    await other.execute(REMOVE, ())
    assert await db.change_mark(tables) != changed
    await other.close()

    assert changed != seen


async def test_a_transaction_changes_the_mark_when_it_is_committed(
    db: Database, migrated_settings: DatabaseSettings
) -> None:
    tables = ("recommendation_cache",)
    other = await open_database(migrated_settings)
    await other.execute(ADD, ("a", None))
    mark = await resting_mark(db, tables)
    async with other.transaction() as session:
        await session.execute(ADD, ("b", None))
        assert await db.change_mark(tables) == mark
    assert await db.change_mark(tables) != mark
    await other.close()

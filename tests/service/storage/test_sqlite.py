import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from service.storage.errors import StatementError, StorageUnavailable
from service.storage.migrate import migrate
from service.storage.opening import open_database
from service.storage.sqlite import ROWS_AT_ONCE

SAVE = Statement("INSERT INTO user_saved_events (user_id, event_id) VALUES (?, ?)")


@pytest.fixture
async def db(file_settings: DatabaseSettings) -> Database:
    database = await open_database(file_settings)
    await migrate(database)
    return database


async def test_the_file_and_its_folder_are_created(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "craic.db"

    database = await open_database(DatabaseSettings(path=path))
    await database.close()

    assert path.is_file()


async def test_readers_do_not_wait_for_a_writer(db: Database) -> None:
    assert await db.fetch(Statement("PRAGMA journal_mode")) == [("wal",)]


async def test_many_rows_go_in_their_order_and_all_or_none_of_them(db: Database) -> None:
    insert = Statement("INSERT INTO venues (id, name, address) VALUES (?, ?, ?) {skip_known:id}")
    rows = [(f"{number:03}", f"Venue {number}", "?") for number in range(2 * ROWS_AT_ONCE + 3)]
    assert await db.execute_many(insert, rows[5:6]) == 1
    assert await db.execute_many(insert, rows) == len(rows) - 1
    names = await db.fetch(Statement("SELECT id, name, address FROM venues ORDER BY id"))
    assert names == rows

    unnamed = [(f"new {number}", None if number == ROWS_AT_ONCE + 1 else "name", "?") for number in range(99)]
    with pytest.raises(StatementError, match="NOT NULL"):
        await db.execute_many(insert, unnamed)
    assert await db.fetch(Statement("SELECT COUNT(*) FROM venues")) == [(len(rows),)]


@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1])
async def test_any_number_of_rows_can_be_inserted(db: Database, count: int) -> None:
    insert = Statement("INSERT INTO venues (id, name, address) VALUES (?, ?, ?)")
    assert await db.execute_many(insert, [(str(number), "name", "?") for number in range(count)]) == count
    assert await db.fetch(Statement("SELECT COUNT(*) FROM venues")) == [(count,)]


async def test_a_save_of_an_event_that_does_not_exist_is_refused(db: Database) -> None:
    with pytest.raises(StatementError, match="FOREIGN KEY"):
        await db.execute(SAVE, ("1", "1"))


async def test_the_event_loop_goes_on_during_a_long_query(db: Database) -> None:
    long = Statement(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT SUM(i) FROM n"
    )
    query = asyncio.create_task(db.fetch(long))
    turns = 0
    while not query.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns > 10  # a query on the loop's own thread would leave it two
    assert await query == [(45_000_150_000,)]


async def test_a_lock_held_by_another_process_for_too_long_makes_it_unavailable(
    db: Database, file_settings: DatabaseSettings
) -> None:
    await db.close()
    assert file_settings.path is not None
    other = sqlite3.connect(file_settings.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    impatient = await open_database(DatabaseSettings(path=file_settings.path, write_timeout=0.05))

    with pytest.raises(StorageUnavailable, match="locked"):
        await impatient.execute(SAVE, ("1", "1"))

    other.execute("ROLLBACK")
    other.close()
    await impatient.close()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("not a database, but long enough to be looked at" * 100)

    with pytest.raises(StorageUnavailable, match=r"notes\.db"):
        await open_database(DatabaseSettings(path=path))


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageUnavailable, match="file"):
        await open_database(DatabaseSettings(path=tmp_path / "file" / "craic.db"))


async def test_closing_ends_the_thread(db: Database) -> None:
    await db.close()

    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("sqlite")]:
        thread.join(timeout=10)
        assert not thread.is_alive()


async def test_text_that_looks_like_a_number_stays_as_it_was_written(db: Database) -> None:
    add = Statement("INSERT INTO users (id, name, email, password_hash) VALUES (?, '', ?, '')")
    await db.execute_many(add, [("007", "a"), ("7", "b"), ("1e3", "c")])

    assert await db.fetch(Statement("SELECT id FROM users ORDER BY id")) == [("007",), ("1e3",), ("7",)]

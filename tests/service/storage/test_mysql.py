"""What only a server can do: be slow, be full, restart, hang; and MySQL's own login."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import Statement
from service.storage.errors import StorageUnavailable
from service.storage.opening import open_database
from tests.conftest import require_mariadb, server_settings
from tests.servers import MariaDBServer, MySQLServer, free_port

ONE = Statement("SELECT 1")
ECHO = Statement("SELECT ?")
SLEEP = Statement("SELECT SLEEP(?)")
OWN_ID = Statement("SELECT CONNECTION_ID()")


@pytest.fixture
async def db(site_settings: DatabaseSettings) -> AsyncIterator[Database]:
    database = await open_database(site_settings)
    yield database
    await database.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[MariaDBServer]:
    """A server that the test may stop and starve."""
    require_mariadb()
    server = MariaDBServer(tmp_path / "own")
    try:
        server.install()
        server.create_database("site")
        yield server
    finally:
        server.stop()


def connections(server: MariaDBServer, settings: DatabaseSettings) -> dict[int, str]:
    """The connections that the server has for this test's database: what each is doing, by id."""
    lines = server.run_sql("SELECT id, db, info FROM information_schema.processlist").splitlines()
    rows = [line.split("\t") for line in lines]
    return {int(number): doing for number, name, doing in rows if name == settings.name}


async def until_sleeping(server: MariaDBServer, settings: DatabaseSettings, count: int) -> None:
    """Wait until the server executes `count` SLEEPs."""
    async with asyncio.timeout(10):
        # The server has no event to wait for.
        while sum("SLEEP" in doing for doing in connections(server, settings).values()) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_session_is_in_utc_strict_and_reads_what_is_committed(db: Database) -> None:
    [row] = await db.fetch(
        Statement("SELECT @@sql_mode, @@time_zone, @@tx_isolation, @@autocommit, @@character_set_client")
    )

    assert "STRICT_TRANS_TABLES" in row[0]
    assert row[1:] == ("+00:00", "READ-COMMITTED", 1, "utf8mb4")


async def test_a_server_in_another_zone_gives_and_takes_times_in_utc(
    db: Database, mariadb_server: MariaDBServer, site_settings: DatabaseSettings
) -> None:
    [(zone,)] = await db.fetch(Statement("SELECT @@GLOBAL.time_zone"))
    assert zone == "+05:30"
    add = Statement("INSERT INTO users (name, email, password_hash, created_at) VALUES ('', '', '', ?)")
    await db.execute(add, ("2026-03-17 20:00:00",))

    [(seconds,)] = await db.fetch(Statement("SELECT {epoch:created_at} FROM users"))
    local = mariadb_server.run_sql(
        "SELECT created_at, UNIX_TIMESTAMP(created_at) FROM users", site_settings.name
    )

    assert seconds == 1_773_777_600
    assert local.split("\t") == ["2026-03-18 01:30:00", "1773777600\n"]


async def test_no_more_connections_are_made_than_allowed(
    db: Database, mariadb_server: MariaDBServer, site_settings: DatabaseSettings
) -> None:
    queries = [asyncio.create_task(db.fetch(SLEEP, (0.2,))) for _ in range(8)]
    await until_sleeping(mariadb_server, site_settings, 4)

    assert len(connections(mariadb_server, site_settings)) == 4
    assert await asyncio.gather(*queries) == [[(0,)]] * 8


async def test_connections_are_used_again(db: Database) -> None:
    first = await db.fetch(OWN_ID)

    assert await db.fetch(OWN_ID) == first


async def test_waiting_for_a_free_connection_ends(site_settings: DatabaseSettings) -> None:
    database = await open_database(replace(site_settings, max_connections=1, acquire_timeout=0.05))
    slow = asyncio.create_task(database.fetch(SLEEP, (0.5,)))
    await asyncio.sleep(0)  # the first query takes the only connection

    with pytest.raises(StorageUnavailable, match="free connection"):
        await database.fetch(ONE)

    assert await slow == [(0,)]
    await database.close()


async def test_a_cancelled_query_leaves_its_answer_to_nobody(
    db: Database, mariadb_server: MariaDBServer, site_settings: DatabaseSettings
) -> None:
    query = asyncio.create_task(db.fetch(Statement("SELECT ?, SLEEP(?)"), ("stolen", 0.3)))
    await until_sleeping(mariadb_server, site_settings, 1)
    cancelled = set(connections(mariadb_server, site_settings))
    query.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query

    answers = await asyncio.gather(*(db.fetch(ECHO, (f"mine {n}",)) for n in range(20)))
    [(used,)] = await db.fetch(OWN_ID)

    assert answers == [[(f"mine {n}",)] for n in range(20)]
    assert used not in cancelled


async def test_a_query_that_takes_too_long_is_given_up_with_its_connection(
    site_settings: DatabaseSettings,
) -> None:
    database = await open_database(replace(site_settings, read_timeout=0.1))
    [(before,)] = await database.fetch(OWN_ID)

    with pytest.raises(StorageUnavailable, match=r"within 0\.1 s while reading"):
        await database.fetch(SLEEP, (5,))

    [(after,)] = await database.fetch(OWN_ID)
    assert after != before
    await database.close()


async def test_a_write_that_waits_for_a_lock_too_long_is_given_up_and_undone(
    db: Database, site_settings: DatabaseSettings
) -> None:
    add = Statement("INSERT INTO venues (id, name, address) VALUES (?, '', '')")
    impatient = await open_database(replace(site_settings, write_timeout=0.1))
    async with db.transaction() as session:
        await session.execute(add, (1,))
        with pytest.raises(StorageUnavailable, match="while writing"):
            await impatient.execute_many(add, [(2,), (1,)])

    await impatient.close()
    assert await db.fetch(Statement("SELECT id FROM venues")) == [(1,)]


async def test_a_connection_killed_by_the_server_is_replaced(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    [(killed,)] = await db.fetch(OWN_ID)
    mariadb_server.run_sql(f"KILL {killed}")

    with pytest.raises(StorageUnavailable):
        await db.fetch(ONE)

    assert await db.fetch(ONE) == [(1,)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, "Access denied"),
        ({"name": "nowhere"}, "nowhere"),
        ({"host": "no-such-host.invalid"}, "no-such-host.invalid"),
    ],
)
async def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    site_settings: DatabaseSettings, change: dict[str, str], said: str
) -> None:
    settings = replace(site_settings, **change)  # type: ignore[arg-type]
    database = await open_database(settings)

    with pytest.raises(StorageUnavailable, match=said) as caught:
        await database.fetch(ONE)

    assert settings.password not in str(caught.value)
    await database.close()


async def test_a_port_where_nobody_listens_is_unavailable_at_once() -> None:
    database = await open_database(DatabaseSettings(host="127.0.0.1", port=free_port(), user="craic"))

    with pytest.raises(StorageUnavailable, match=r"127\.0\.0\.1"):
        await database.fetch(ONE)
    await database.close()


async def test_a_server_that_hangs_is_given_up_and_found_again(own_server: MariaDBServer) -> None:
    settings = replace(server_settings(own_server, "site"), connect_timeout=0.2, read_timeout=0.2)
    database = await open_database(settings)
    assert await database.fetch(ONE) == [(1,)]

    own_server.pause()
    with pytest.raises(StorageUnavailable, match="no answer within"):
        await database.fetch(ONE)
    with pytest.raises(StorageUnavailable, match="while connecting"):
        await database.fetch(ONE)
    own_server.resume()

    assert await database.fetch(ONE) == [(1,)]
    await database.close()


async def test_a_restarted_server_is_found_again(own_server: MariaDBServer) -> None:
    database = await open_database(server_settings(own_server, "site"))
    await database.fetch(ONE)

    own_server.kill()
    with pytest.raises(StorageUnavailable):
        await database.fetch(ONE)
    own_server.start()

    assert await database.fetch(ONE) == [(1,)]
    await database.close()


async def test_an_account_with_mysql_s_own_login_gets_in_the_first_time_and_again(
    mysql_server: MySQLServer, kept_mysql_settings: DatabaseSettings
) -> None:
    accounts = mysql_server.run_sql("SELECT user, plugin FROM mysql.user").splitlines()
    assert f"{mysql_server.user}\tcaching_sha2_password" in accounts
    mysql_server.run_sql(
        "FLUSH PRIVILEGES"
    )  # forgets whose password was right: the whole exchange is made anew

    for _ in range(2):  # and then the short one
        database = await open_database(kept_mysql_settings)
        assert await database.fetch(ECHO, ("fáilte",)) == [("fáilte",)]
        await database.close()


async def test_a_wrong_password_is_refused_by_mysql_s_own_login(
    kept_mysql_settings: DatabaseSettings,
) -> None:
    database = await open_database(replace(kept_mysql_settings, password="wrong"))

    with pytest.raises(StorageUnavailable, match="Access denied"):
        await database.fetch(ONE)
    await database.close()


async def test_nothing_is_said_of_a_table_that_the_server_knows_no_time_of(
    db: Database, mariadb_server: MariaDBServer, site_settings: DatabaseSettings
) -> None:
    mariadb_server.run_sql(
        "CREATE TABLE plain (id INT); CREATE VIEW seen AS SELECT id FROM plain", site_settings.name
    )

    assert await db.change_mark(("plain",)) is None
    assert await db.change_mark(("seen",)) is None
    assert await db.change_mark(("absent",)) is None

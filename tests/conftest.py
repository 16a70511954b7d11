"""Databases for the tests: a real MariaDB and MySQL for the whole session, and all engines behind one fixture."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from service.process import prepare_this_process

prepare_this_process()  # kernels compiled from what is there now, in these tests and in the processes they start

from service.storage.database import Database, DatabaseSettings  # noqa: E402
from service.storage.migrate import migrate  # noqa: E402
from service.storage.opening import open_database  # noqa: E402
from tests.dynamodb_servers import dynalite_server, moto_server  # noqa: E402
from tests.servers import MariaDBServer, MySQLServer, has_mysql, missing_program  # noqa: E402
from tests.site import Site  # noqa: E402

#: What tests/*/install unpacked, with tests of its own in it.
collect_ignore = ["arm/root", "mysql/root"]

# The first call of a kernel compiles it, which says nothing about the example that happened to make it.
settings.register_profile("compiled", deadline=None)
settings.load_profile("compiled")
# Chosen with --hypothesis-profile where an emulated processor makes everything slow (tests/arm).
settings.register_profile(
    "emulated", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)

_RECORD = "ml_schema_migrations"
_SITE_TABLES = Path(__file__).with_name("site_tables.sql").read_text("utf-8")


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    """A MariaDB that only reading and writing tests share: who stops or starves a server starts their own."""
    require_mariadb()
    server = MariaDBServer(tmp_path_factory.mktemp("mariadb"))
    try:
        server.install()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def mysql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQLServer]:
    """A MySQL, with the login that is its default."""
    require_mariadb()  # for the plain client
    if not has_mysql():
        pytest.skip("no MySQL server (tests/mysql/install)")
    server = MySQLServer(tmp_path_factory.mktemp("mysql"))
    try:
        server.install()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """A DynamoDB endpoint."""
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def dynalite_url() -> Iterator[str]:
    """Another one, of other people's making."""
    with dynalite_server() as url:
        yield url


@pytest.fixture(scope="session")
def mistreated_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    """A MariaDB that tests stop, kill and starve, each leaving it as it found it."""
    require_mariadb()
    server = MariaDBServer(tmp_path_factory.mktemp("mistreated"))
    try:
        server.install()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def mistreated_settings(mistreated_server: MariaDBServer) -> DatabaseSettings:
    """One migrated database there, for the whole session."""
    return _kept_site(mistreated_server)


@pytest.fixture
def site_settings(mariadb_server: MariaDBServer) -> Iterator[DatabaseSettings]:
    """A database of its own with the site's tables and nothing in them; not migrated."""
    name = f"site_{uuid4().hex}"
    mariadb_server.create_database(name)
    mariadb_server.run_sql(_SITE_TABLES, name)
    yield server_settings(mariadb_server, name)
    mariadb_server.run_sql(f"DROP DATABASE `{name}`")


@pytest.fixture
def file_settings(tmp_path: Path) -> DatabaseSettings:
    """An embedded database that does not exist yet."""
    return DatabaseSettings(path=tmp_path / "embedded" / "craic.db")


@pytest.fixture(params=["sqlite", "mariadb"])
def database_settings(request: pytest.FixtureRequest) -> DatabaseSettings:
    """Each engine in turn, empty; not migrated."""
    fixture = {"sqlite": "file_settings", "mariadb": "site_settings"}[request.param]
    settings: DatabaseSettings = request.getfixturevalue(fixture)
    return settings


@pytest.fixture(scope="session")
def kept_site_settings(mariadb_server: MariaDBServer) -> DatabaseSettings:
    """One migrated database for the whole session: making one takes longer than most tests."""
    return _kept_site(mariadb_server)


@pytest.fixture(scope="session")
def kept_mysql_settings(mysql_server: MySQLServer) -> DatabaseSettings:
    """The same on MySQL."""
    return _kept_site(mysql_server)


_KEPT = {
    "mariadb": ("kept_site_settings", "mariadb_server"),
    "mysql": ("kept_mysql_settings", "mysql_server"),
}


@pytest.fixture(params=["sqlite", *_KEPT])
def migrated_settings(request: pytest.FixtureRequest) -> DatabaseSettings:
    """Each engine in turn, migrated and empty."""
    if request.param == "sqlite":
        file_settings: DatabaseSettings = request.getfixturevalue("file_settings")
        asyncio.run(_migrate(file_settings))
        return file_settings
    settings: DatabaseSettings
    server: MariaDBServer
    settings, server = map(request.getfixturevalue, _KEPT[request.param])
    empty_database(server, settings.name)
    return settings


@pytest.fixture
async def db(migrated_settings: DatabaseSettings) -> AsyncIterator[Database]:
    """Each engine in turn, migrated and empty."""
    database = await open_database(migrated_settings)
    yield database
    await database.close()


@pytest.fixture
def site(db: Database) -> Site:
    """The site's other services, writing to the tables of `db`."""
    return Site(db)


def require_mariadb() -> None:
    """Skip, naming the package, when MariaDB is not installed; fail instead where REQUIRE_SERVERS is set."""
    missing = missing_program()
    if missing is None:
        return
    reason = f"{missing} is not installed (Debian package mariadb-server)"
    if os.environ.get("REQUIRE_SERVERS"):
        pytest.fail(reason)
    pytest.skip(reason)


def empty_database(server: MariaDBServer, name: str) -> None:
    """Delete every row but the record of migrations."""
    tables = [table for table in server.run_sql("SHOW TABLES", name).split() if table != _RECORD]
    emptying = "".join(f"DELETE FROM {table};" for table in tables)  # noqa: S608 - the names are the server's own
    server.run_sql("SET foreign_key_checks = 0;" + emptying, name)


def _kept_site(server: MariaDBServer) -> DatabaseSettings:
    server.create_database("kept")
    server.run_sql(_SITE_TABLES, "kept")
    settings = server_settings(server, "kept")
    asyncio.run(_migrate(settings))
    return settings


async def _migrate(settings: DatabaseSettings) -> None:
    database = await open_database(settings)
    await migrate(database)
    await database.close()


def server_settings(server: MariaDBServer, name: str) -> DatabaseSettings:
    """How the service reaches one database of a test's server."""
    return DatabaseSettings(
        host=server.host, port=server.port, user=server.user, password=server.password, name=name
    )

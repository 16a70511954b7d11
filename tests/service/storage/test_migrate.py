import asyncio
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import service.importing
import service.storage
from service.storage import migrate as migrate_module
from service.storage.database import Database, DatabaseSettings
from service.storage.dialect import MYSQL, SQLITE, Dialect, Statement
from service.storage.errors import StatementError
from service.storage.migrate import Migration, MigrationError, migrate, migrations_for
from service.storage.opening import open_database
from service.storage.queries.pair_tables import HIDDEN, SAVED
from service.storage.queries.privacy import PERSONAL_TABLES
from tests.servers import MariaDBServer

ENGINES = pytest.mark.parametrize("dialect", [MYSQL, SQLITE], ids=lambda dialect: dialect.name)
ADD_FEEDBACK = Statement("INSERT INTO ml_feedback (user_id, event_id, action) VALUES ('1', '2', 'save')")

#: table -> column -> whether it may be NULL
Shape = dict[str, dict[str, bool]]


async def site_shape(db: Database, name: str) -> Shape:
    statement = Statement(
        "SELECT TABLE_NAME, COLUMN_NAME, IS_NULLABLE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?"
    )
    shape: Shape = {}
    for table, column, nullable in await db.fetch(statement, (name,)):
        shape.setdefault(table, {})[column] = nullable == "YES"
    return shape


async def embedded_shape(db: Database) -> Shape:
    statement = Statement(
        'SELECT t.name, c.name, c."notnull" FROM sqlite_schema AS t, pragma_table_info(t.name) AS c'
        " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
    )
    shape: Shape = {}
    for table, column, not_null in await db.fetch(statement):
        shape.setdefault(table, {})[column] = not not_null
    return shape


async def unique_keys_of_site(db: Database, name: str) -> set[tuple[str, str]]:
    statement = Statement(
        "SELECT TABLE_NAME, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX) FROM information_schema.STATISTICS"
        " WHERE TABLE_SCHEMA = ? AND NON_UNIQUE = 0 GROUP BY TABLE_NAME, INDEX_NAME"
    )
    return set(await db.fetch(statement, (name,)))


async def unique_keys_of_file(db: Database) -> set[tuple[str, str]]:
    indexes = Statement(
        "SELECT t.name, (SELECT GROUP_CONCAT(c.name) FROM pragma_index_info(i.name) AS c)"
        " FROM sqlite_schema AS t, pragma_index_list(t.name) AS i WHERE t.type = 'table' AND i.\"unique\""
    )
    row_ids = Statement(
        "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c"
        " WHERE t.type = 'table' AND c.pk = 1 AND c.type = 'INTEGER'"
    )
    return {*await db.fetch(indexes), *await db.fetch(row_ids)}


def every_statement() -> list[Statement]:
    """All reading and writing SQL that these packages hold, with the names and lists filled in."""
    modules = [
        importlib.import_module(found.name)
        for package in (service.storage, service.importing)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    held = [value for module in modules for value in vars(module).values() if isinstance(value, Statement)]
    explained = [statement for statement in held if not statement.text.startswith("CREATE")]
    return list(dict.fromkeys(filled for one in explained for filled in with_names_and_lists(one)))


def with_names_and_lists(statement: Statement) -> list[Statement]:
    if "{table}" in statement.text and "event_id" in statement.text:
        return [table.fill(statement) for table in (SAVED, HIDDEN)]
    if "{table}" in statement.text:
        tables = [statement.with_names(table=table, time="created_at") for table in PERSONAL_TABLES]
        return [table.with_list(2) for table in tables]
    return [statement.with_list(2)]


async def test_every_migration_is_applied_once(database_settings: DatabaseSettings) -> None:
    db = await open_database(database_settings)
    seen: list[str] = []

    first = await migrate(db, seen.append)
    second = await migrate(db)

    assert first == seen == [migration.name for migration in migrations_for(db.dialect.name)]
    assert second == []
    await db.close()


async def test_the_plain_client_applies_the_files_twice_without_harm(
    site_settings: DatabaseSettings, mariadb_server: MariaDBServer
) -> None:
    db = await open_database(site_settings)
    shapes = []
    for _ in range(2):
        for migration in migrations_for("mysql"):
            mariadb_server.run_sql(migration.sql, site_settings.name)
        shapes.append(await site_shape(db, site_settings.name))
        await db.execute(ADD_FEEDBACK)

    assert shapes[0] == shapes[1]
    assert await db.fetch(Statement("SELECT COUNT(*) FROM ml_feedback")) == [(2,)]
    await db.close()


async def test_migrate_goes_on_after_the_plain_client(
    site_settings: DatabaseSettings, mariadb_server: MariaDBServer
) -> None:
    for migration in migrations_for("mysql")[:1]:
        mariadb_server.run_sql(migration.sql, site_settings.name)
    db = await open_database(site_settings)
    await db.execute(ADD_FEEDBACK)

    await migrate(db)

    rows = await db.fetch(Statement("SELECT user_id, event_id, action, idempotency_key FROM ml_feedback"))
    assert rows == [("1", "2", "save", None)]
    await db.close()


async def test_an_index_that_the_site_made_itself_is_not_made_again(
    site_settings: DatabaseSettings, mariadb_server: MariaDBServer
) -> None:
    mariadb_server.run_sql("ALTER TABLE events ADD KEY of_their_own (updated_at, city)", site_settings.name)
    db = await open_database(site_settings)

    await migrate(db)

    indexes = Statement(
        "SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND SEQ_IN_INDEX = 1"
        " AND COLUMN_NAME IN ('updated_at', 'saved_at', 'hidden_at') ORDER BY INDEX_NAME"
    )
    found = [name for (name,) in await db.fetch(indexes, (site_settings.name,))]
    assert found == ["of_their_own", "user_hidden_events_hidden", "user_saved_events_saved"]
    await db.close()


async def test_two_processes_may_migrate_at_once(database_settings: DatabaseSettings) -> None:
    one, other = await open_database(database_settings), await open_database(database_settings)

    applied = await asyncio.gather(migrate(one), migrate(other))

    assert sorted(applied, key=len)[0] == []
    await one.close()
    await other.close()


async def test_a_file_edited_after_it_was_applied_is_refused_by_name(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *rest = migrations_for(db.dialect.name)
    edited = Migration(first.name, first.sql + "-- one more remark\n")
    monkeypatch.setattr(migrate_module, "migrations_for", lambda name: [edited, *rest])

    with pytest.raises(MigrationError, match=first.name):
        await migrate(db)


async def test_an_embedded_file_of_an_older_release_keeps_its_rows(
    file_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = [migration for migration in migrations_for("sqlite") if migration.name < "004"]
    db = await open_database(file_settings)
    with monkeypatch.context() as patched:
        patched.setattr(migrate_module, "migrations_for", lambda name: older)
        await migrate(db)
    await db.execute(ADD_FEEDBACK)

    applied = await migrate(db)

    assert applied == [
        "004_feedback_and_exposures",
        "005_read_indexes",
        "006_experiments",
        "007_experiment_errors",
    ]
    rows = await db.fetch(Statement("SELECT user_id, event_id, action, idempotency_key FROM ml_feedback"))
    assert rows == [("1", "2", "save", None)]
    await db.close()


async def test_a_failed_migration_of_an_embedded_file_leaves_it_as_it_was(
    file_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Migration("900_broken", "CREATE TABLE half_done (id TEXT);\nCREATE TABLE users (id TEXT);\n")
    db = await open_database(file_settings)
    await migrate(db)
    monkeypatch.setattr(migrate_module, "migrations_for", lambda name: [broken])

    with pytest.raises(StatementError, match="users"):
        await migrate(db)

    assert "half_done" not in await embedded_shape(db)
    await db.close()


async def test_both_engines_have_the_same_tables_columns_and_unique_keys(
    site_settings: DatabaseSettings, file_settings: DatabaseSettings
) -> None:
    site, embedded = await open_database(site_settings), await open_database(file_settings)
    await migrate(site)
    await migrate(embedded)

    assert await embedded_shape(embedded) == await site_shape(site, site_settings.name)
    assert await unique_keys_of_file(embedded) == await unique_keys_of_site(site, site_settings.name)
    await site.close()
    await embedded.close()


async def test_every_statement_of_the_code_names_tables_and_columns_that_exist(db: Database) -> None:
    statements = every_statement()
    assert len(statements) > 20

    for statement in statements:
        if db.dialect is SQLITE and "information_schema" in statement.text:
            continue  # only a server has it
        # NULL fits every column, whatever its type, but not the number of rows.
        *values, _ = statement.text.split("?")
        params: list[object] = [None] * len(values)
        if values and values[-1].endswith("LIMIT "):
            params[-1] = 1
        assert await db.fetch(Statement("EXPLAIN " + statement.text), params), statement


def test_no_sql_is_written_where_the_test_above_does_not_look() -> None:
    root = Path(service.storage.__path__[0]).parent.parent
    elsewhere = [
        str(path)
        for path in [*root.glob("service/**/*.py"), *root.glob("training/**/*.py")]
        if re.search(r"\bStatement\(", path.read_text("utf-8"))
        and not {"storage", "importing"} & set(path.parts)
    ]

    assert elsewhere == []


@ENGINES
def test_every_file_can_be_split_into_statements(dialect: Dialect) -> None:
    for migration in migrations_for(dialect.name):
        statements = list(migration.statements())
        assert statements
        assert all(
            re.match(r"(CREATE|ALTER|SET|PREPARE|EXECUTE|DEALLOCATE) ", one.text) for one in statements
        )


def test_the_files_for_the_site_hold_no_semicolon_but_at_the_end_of_a_statement() -> None:
    for migration in migrations_for("mysql"):
        code = "".join(line for line in migration.sql.splitlines(True) if not line.startswith("--"))
        assert code.count(";") == len(list(migration.statements()))


def test_a_statement_without_its_semicolon_is_an_error_that_names_the_file() -> None:
    with pytest.raises(ValueError, match="006_forgotten"):
        list(Migration("006_forgotten", "CREATE TABLE t (id INT)\n").statements())

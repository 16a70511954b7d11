"""The database that the settings name, ready to use."""

from dataclasses import replace

from service.settings import Settings
from service.storage.database import Database, DatabaseSettings
from service.storage.migrate import migrate
from service.storage.opening import open_database


def database_settings(settings: Settings) -> DatabaseSettings:
    """The site's MySQL when DB_HOST is set, else the embedded file."""
    if not settings.uses_mysql:
        return DatabaseSettings(path=settings.sqlite_file)
    return DatabaseSettings(
        host=settings.db_host,
        port=settings.db_port,
        user=settings.db_user or "",
        password=settings.db_password or "",
        name=settings.db_name,
    )


#: A process that gets the processor only when nobody else wants it may not even see an answer that has come: it waits
#: so many times as long as one that people wait for.
PATIENCE = 20.0


def patient(settings: DatabaseSettings) -> DatabaseSettings:
    """The same database for such a process."""
    return replace(
        settings,
        connect_timeout=PATIENCE * settings.connect_timeout,
        acquire_timeout=PATIENCE * settings.acquire_timeout,
        read_timeout=PATIENCE * settings.read_timeout,
        write_timeout=PATIENCE * settings.write_timeout,
    )


async def open_configured_database(settings: Settings, *, is_patient: bool = False) -> Database:
    """Open it; `is_patient` for a process that nobody waits for (`patient`).

    The embedded file is made and brought up to date; the site's database is migrated by its owner.

    Raises StorageUnavailable when the embedded file cannot be used; a server is not contacted yet.
    """
    if not settings.uses_mysql:
        settings.craic_home.mkdir(parents=True, exist_ok=True)
    configured = database_settings(settings)
    database = await open_database(patient(configured) if is_patient else configured)
    if not settings.uses_mysql:
        await migrate(database)
    return database

"""The database that the settings name, ready to use."""

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


async def open_configured_database(settings: Settings) -> Database:
    """Open it. The embedded file is made and brought up to date; the site's database is migrated by its owner.

    Raises StorageUnavailable when the embedded file cannot be used; a server is not contacted yet.
    """
    if not settings.uses_mysql:
        settings.craic_home.mkdir(parents=True, exist_ok=True)
    database = await open_database(database_settings(settings))
    if not settings.uses_mysql:
        await migrate(database)
    return database

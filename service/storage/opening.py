"""Opening the database of given settings, with the driver it needs and no other."""

from service.storage.database import Database, DatabaseSettings


async def open_database(settings: DatabaseSettings) -> Database:
    """The database of `settings`.

    A server is not contacted before the first statement, so that a service may start while it is away. A
    SQLite file is created when missing; StorageUnavailable when that cannot be done or when it is no
    database.
    """
    # Each driver costs memory: only the one in use is loaded.
    if settings.path is not None:
        from service.storage.sqlite import open_sqlite

        return await open_sqlite(settings.path, settings.write_timeout)
    from service.storage.mysql import MySQLDatabase

    return MySQLDatabase(settings)

"""What a database call can fail with."""


class StorageError(Exception):
    """Any failure of the database, whichever engine it is."""


class StorageUnavailable(StorageError):  # noqa: N818 - it says how things stand
    """The database cannot be reached, did not answer in time, or has no room or lock to give at this moment.

    The same call may succeed later. Whether a write took place is unknown, so only idempotent writes are
    repeated. The message names the host or the file, never the password.
    """


class StatementError(StorageError):
    """The database answered and refused the statement: repeating it will not help.

    The message is the engine's.
    """

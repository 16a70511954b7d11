"""Moves what was committed from the queue's log (SQLite's WAL) into its file, beside the thread that writes.

A checkpoint syncs hundreds of pages all over the file. In the writing thread, where SQLite does it by itself, the puts
that come meanwhile wait for that; here only for the few pages that came while the others were moved. Moving all of
them lets the log begin anew in its place: a log that grows changes its file's length, and to sync that waits for
whatever else the file system has to write.
"""

import logging
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor

from service.storage.file_lock import FileLock
from service.storage.sparse_log import SparseLog

logger = logging.getLogger(__name__)

_MOVE = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpointer:
    """One process's checkpoints; several processes take turns. `turn` is the lock that whoever writes holds."""

    def __init__(self, connection: sqlite3.Connection, turn: FileLock) -> None:
        self._db = connection
        self._turn = turn
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="queue-checkpoints")
        self._under_way: Future[None] | None = None
        self._log = SparseLog(logger)

    def begin(self) -> None:
        """Begin a checkpoint in a thread, unless one is under way."""
        if self._under_way is None or self._under_way.done():
            self._under_way = self._thread.submit(self._run)

    def close(self) -> None:
        """Wait for the one under way, and close the connection."""
        self._thread.shutdown()
        self._db.close()
        self._turn.close()

    def _run(self) -> None:
        try:
            self._db.execute(_MOVE).fetchall()
            with self._turn.hold():
                self._db.execute(_MOVE).fetchall()
        except (sqlite3.Error, OSError) as error:  # the log grows until one succeeds
            self._log.warning("the queue's log cannot be moved into its file: %s", error)

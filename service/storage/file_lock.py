"""A lock between the processes of one machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileLock:
    """Held by one process at a time, and released by the kernel when that process dies, however it dies.

    The lock is on the file at `path`, which is created when missing and never removed: whoever waits for a
    removed file would not see who holds the new one. OSError when it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        # Python closes it in every program that this process starts, so none of them inherits the lock.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the lock, which blocks the thread, and hold it through the block."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def try_acquire(self) -> bool:
        """Take the lock if no other process holds it; returns whether this one does now."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let go of the lock and the file."""
        os.close(self._descriptor)

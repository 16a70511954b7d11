"""One training at a time on a machine, whoever starts it: what a training holds while it lasts, and who looks."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from os import getpid
from pathlib import Path

from service.storage.file_lock import FileLock

_FILE = "training.lock"
#: Who looks holds the lock for microseconds, so a training that finds it taken looks again.
_ATTEMPTS, _AGAIN_SECONDS = 5, 0.02


class TrainingBusyError(Exception):
    """Another training is under way; the message says which process it is."""


@contextmanager
def training_turn(models: Path) -> Iterator[None]:
    """Hold the right to train into the directory `models`; the system takes it back when the process ends.

    Raises TrainingBusyError when another process has it, OSError when the directory cannot be written.
    """
    models.mkdir(parents=True, exist_ok=True)
    file = models / _FILE
    with closing(FileLock(file)) as lock:
        if not _acquired(lock):
            raise TrainingBusyError(f"another training is under way, process {_named(file)}")
        file.write_text(f"{getpid()}\n")
        yield


def training_process(models: Path) -> str | None:
    """The id of the process that trains into `models` at this moment, "?" where it cannot be told; None for none."""
    file = models / _FILE
    if not file.exists():
        return None
    with closing(FileLock(file)) as lock:
        return None if lock.try_acquire() else _named(file)


def _acquired(lock: FileLock) -> bool:
    for _ in range(_ATTEMPTS):
        if lock.try_acquire():
            return True
        time.sleep(_AGAIN_SECONDS)
    return False


def _named(file: Path) -> str:
    return file.read_text().strip() or "?"

"""One training at a time on a machine, whoever starts it: a person, cron or the service."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from service.storage.file_lock import FileLock


class TrainingBusyError(Exception):
    """Another training is under way; the message says which process it is."""


@contextmanager
def training_turn(models: Path) -> Iterator[None]:
    """Hold the right to train into the directory `models`; the system takes it back when the process ends.

    Raises TrainingBusyError when another process has it, OSError when the directory cannot be written.
    """
    models.mkdir(parents=True, exist_ok=True)
    file = models / "training.lock"
    with closing(FileLock(file)) as lock:
        if not lock.try_acquire():
            raise TrainingBusyError(
                f"another training is under way, process {file.read_text().strip() or '?'}"
            )
        file.write_text(f"{os.getpid()}\n")
        yield

"""What became of trainings, in files, so that whichever of several workers is asked can tell.

    jobs/3f9c….json    one job, as it stands

Whoever runs a job holds a lock on its file while it lasts, which the system takes back when that process ends: a job
that says it is running and is not locked is none any more.
"""

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

logger = logging.getLogger(__name__)

#: Jobs that can still be asked for.
REMEMBERED = 20
_ID = re.compile(r"[0-9a-f]{16}")


class Job(Struct):
    """One training: `report` is what it printed when it succeeded, `reason` why it did not."""

    job_id: str
    status: Literal["running", "success", "refused", "busy", "failed"] = "running"
    report: dict[str, Any] | None = None
    reason: str | None = None


class JobFiles:
    """The jobs under one directory. A disk that fails costs others their answer, not the training: that is logged."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def lasting(self, job: Job) -> Iterator[None]:
        """Have others find the job while it lasts and as it is at the end; the oldest is forgotten for it."""
        self._forget_oldest()
        lock = self._put(job)
        try:
            yield
        finally:
            done = self._put(job)
            for descriptor in (lock, done):
                if descriptor is not None:
                    os.close(descriptor)

    def read(self, job_id: str) -> Job | None:
        """A job by its id, None for one that nobody knows."""
        if not _ID.fullmatch(job_id):
            return None
        was_locked = self._is_locked(job_id)  # before it is read: it is written before the lock is let go
        try:
            job = msgspec.json.decode(self._file(job_id).read_bytes(), type=Job)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("job %s: %s", job_id, error)
            return None
        if job.status == "running" and not was_locked:
            job.status, job.reason = "failed", "the service that had started it ended"
        return job

    def _file(self, job_id: str) -> Path:
        return self._directory / f"{job_id}.json"

    def _put(self, job: Job) -> int | None:
        """Replace a job's file by one that is locked through the descriptor that is returned, None where that fails.

        It need not outlast the machine's next start, so it is not waited for until it is on the disk.
        """
        file = self._file(job.job_id)
        fresh = file.with_suffix(".new")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            logger.warning("job %s: %s", job.job_id, error)
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, msgspec.json.encode(job))
            fresh.replace(file)
        except OSError as error:
            logger.warning("job %s: %s", job.job_id, error)
        return descriptor

    def _is_locked(self, job_id: str) -> bool:
        try:
            descriptor = os.open(self._file(job_id), os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _forget_oldest(self) -> None:
        try:
            files = sorted(self._directory.glob("*.json"), key=lambda file: file.stat().st_mtime)
            for file in files[: -(REMEMBERED - 1)]:
                file.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("old jobs: %s", error)

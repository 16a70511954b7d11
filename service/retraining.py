"""Trainings that this service starts: each a process of its own, so that its memory goes back to the machine."""

import asyncio
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import Literal

import orjson

from service.giving_way import give_way
from service.jobs import Job, JobFiles
from service.priority import let_others_go_first
from service.tasks import end_tasks

logger = logging.getLogger(__name__)

#: Exit codes of `craic train`.
_REFUSED, _BUSY = 3, 4
TRAIN = (sys.executable, "-m", "training", "train", "--json", "--with-parent")
_ENDINGS: Mapping[int | None, Literal["refused", "busy"]] = {_REFUSED: "refused", _BUSY: "busy"}


class Retraining:
    """Starts trainings, one at a time, and remembers what became of them. Ends the one under way with the service."""

    def __init__(self, files: JobFiles, command: tuple[str, ...] = TRAIN) -> None:
        self._files = files
        self._command = command
        self._newest: Job | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def under_way(self) -> Job | None:
        """The job of this process that is running."""
        return self._newest if self._newest is not None and self._newest.status == "running" else None

    def job(self, job_id: str) -> Job | None:
        """A job that is running or was, of any process of this machine, as long as it is remembered. Reads a file."""
        if self._newest is not None and self._newest.job_id == job_id:
            return self._newest
        return self._files.read(job_id)

    def start(self, *, force: bool) -> Job:
        """Start a training, which trains only when there is something new unless it is forced to.

        There must be none of this process under way.
        """
        job = self._newest = Job(secrets.token_hex(8))
        lasting = ExitStack()
        lasting.enter_context(self._files.lasting(job))  # at once: another worker may be asked for it next
        self._task = asyncio.create_task(self._run(lasting, job, () if force else ("--only-if-new",)))
        return job

    async def finished(self) -> None:
        """Return when the job under way has ended. Whoever waits may leave; the job goes on."""
        if self._task is not None:
            await asyncio.shield(self._task)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """End the training under way at the end; what it has not published yet leaves no trace."""
        yield
        if self._task is not None:
            await end_tasks([self._task])

    async def _run(self, lasting: ExitStack, job: Job, options: tuple[str, ...]) -> None:
        """Have a process train, and keep what became of it where other processes find it."""
        with lasting:
            await self._train(job, options)

    async def _train(self, job: Job, options: tuple[str, ...]) -> None:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*self._command, *options, stdout=pipe, stderr=pipe)
        except OSError as error:
            job.status, job.reason = "failed", f"the training could not be started: {error.strerror}"
            return
        let_others_go_first(process.pid)
        giving_way = asyncio.create_task(give_way(process.send_signal))
        try:
            out, told = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            job.status, job.reason = "failed", "the service ended"
            raise
        finally:
            await end_tasks([giving_way])
        _settle(job, process.returncode, out, told.decode(errors="replace"))
        logger.info("training %s: %s", job.job_id, job.reason or job.status)


def _settle(job: Job, code: int | None, out: bytes, told: str) -> None:
    """Take over what a process left: its report, or its last line, which says what went wrong."""
    if code == 0:
        try:
            job.report = orjson.loads(out)
            job.status = "success"
            return
        except orjson.JSONDecodeError:
            told = "the training printed no report"
    lines = [line for line in told.splitlines() if line.strip()]
    job.reason = lines[-1] if lines else f"the training ended with code {code}"
    job.status = _ENDINGS.get(code, "failed")

"""Servers under measurement: each a process of its own on a core of its own, gone when the measuring ends."""

import http.client
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

from bench.load import HOST
from bench.memory import high_water_mb
from service.settings import Settings

#: Compiling all kernels on a slow and busy core takes most of this.
READY_WITHIN_SECONDS = 180.0
STOP_WITHIN_SECONDS = 15.0
_POLL_SECONDS = 0.005
_LOG_TAIL = 4_000


class ServerFailedError(Exception):
    """A server did not start; the message holds the end of what it said."""


class Cores(NamedTuple):
    """Where the server runs, and where the load comes from; None leaves that to the system."""

    server: int | None
    load: int | None

    @property
    def told(self) -> str:
        """How figures taken on these cores are to be read."""
        if self.server is None:
            return "this system pins no process to a core: server and load may share one"
        if self.server == self.load:
            return "there is one core only: server and load share it, and figures are lower for that"
        return f"server on core {self.server}, load from core {self.load}"


def available_cores() -> Cores:
    """Two different cores of those this process may use, where there are two."""
    if not hasattr(os, "sched_setaffinity"):
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[-1])


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keep this thread, and the processes it starts meanwhile, on one core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready."""

    process: psutil.Process
    port: int
    ready_seconds: float  #: from the start of the process to the first 200 of /ready

    def cpu_seconds(self) -> float:
        """The processor time it has taken so far: on Linux to the nanosecond, elsewhere in ticks."""
        if platform.system() == "Linux":
            return time.clock_gettime(_processor_clock(self.process.pid))
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> dict[str, float]:
        """Its memory now, MB of 10⁶ bytes; mapped files count as far as they are in memory.

        `resident_mb`, and on Linux of it `own_mb`, which only this process has, and `mapped_mb`, files that several
        processes share; and `peak_mb`, the most that ever was resident.
        """
        return memory_mb(self.process)


def memory_mb(process: psutil.Process) -> dict[str, float]:
    """The memory of a process by kinds, as `Server.memory_mb`."""
    place = Path(f"/proc/{process.pid}")
    resident = float(process.memory_info().rss) / 1e6
    if not place.is_dir():
        return {"resident_mb": resident}
    own = _sizes_mb(place / "smaps_rollup")["Anonymous"]
    return {
        "resident_mb": resident,
        "own_mb": own,
        "mapped_mb": resident - own,
        "peak_mb": high_water_mb(process.pid),
    }


def _processor_clock(pid: int) -> int:
    """The clock of the processor time of a process, all its threads, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def _sizes_mb(file: Path) -> dict[str, float]:
    """The lines "name: 12 kB" of a file of /proc."""
    lines = (line.split() for line in file.read_text("ascii").splitlines())
    return {
        words[0][:-1]: int(words[1]) * 1_024 / 1e6
        for words in lines
        if words[-1:] == ["kB"] and len(words) == 3
    }


@contextmanager
def running_service(
    home: Path,
    core: int | None,
    settings: Mapping[str, str] = MappingProxyType({}),
    arguments: Sequence[str] = (),
    wrapping: Sequence[str] = (),
) -> Iterator[Server]:
    """The service as an operator starts it, on the data under `home` (a CRAIC_HOME), with `settings` beside it.

    `wrapping` goes before its command, for a start within bounds.
    """
    port = free_port()
    environment = service_environment(home, os.environ) | {"SERVICE_HOST": HOST, "SERVICE_PORT": str(port)}
    environment |= settings
    command = ["service", "serve", *arguments]
    with _running(command, environment, port, core, home / "server.log", wrapping) as server:
        yield server


@contextmanager
def running_bare(answers: Path, core: int | None) -> Iterator[Server]:
    """The bare handler that gives the answers of a file, one a line (`bench.bare`)."""
    with running_module("bench.bare", core, answers.with_suffix(".log"), arguments=[str(answers)]) as server:
        yield server


@contextmanager
def running_module(
    module: str,
    core: int | None,
    log: Path,
    settings: Mapping[str, str] = MappingProxyType({}),
    arguments: Sequence[str] = (),
) -> Iterator[Server]:
    """`python -m module --port PORT …`, which answers GET /ready with 200 once it takes requests."""
    port = free_port()
    command = [module, "--port", str(port), *arguments]
    with _running(command, os.environ | dict(settings), port, core, log) as server:
        yield server


def service_environment(home: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without any setting of the service, so that only the defaults are measured, and its home.

    Nor may it keep Python from keeping the bytecode of its modules, as it does wherever nobody asked it not to.
    """
    ours = {field.name.upper() for field in fields(Settings)} | {"PYTHONDONTWRITEBYTECODE"}
    foreign = {name: value for name, value in environment.items() if name not in ours}
    return foreign | {"CRAIC_HOME": str(home)}


def free_port() -> int:
    """A TCP port of this machine that nothing listens on at this moment."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def end_in_order() -> None:
    """Let Ctrl-C and SIGTERM end this process by way of every `finally`, so that it leaves no server behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


def machine() -> dict[str, str]:
    """The kind of machine that the figures are of."""
    return {
        "architecture": platform.machine(),
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "python": platform.python_version(),
    }


@contextmanager
def _running(
    module: Sequence[str],
    environment: Mapping[str, str],
    port: int,
    core: int | None,
    log: Path,
    wrapping: Sequence[str] = (),
) -> Iterator[Server]:
    """`python -m module …` from its readiness to its end, which comes whatever happens in between."""
    command = [*wrapping, sys.executable, "-m", *module]
    started = time.perf_counter()
    with pinned(core), log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(process, port, log, " ".join(module))
        yield Server(psutil.Process(process.pid), port, time.perf_counter() - started)
    finally:
        _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path, name: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while (said := _readiness(port)) != "":
        if process.poll() is not None or time.monotonic() > deadline:
            ended = f"ended with status {process.returncode}" if process.returncode is not None else said
            tail = log.read_text("utf-8", "replace")[-_LOG_TAIL:]
            raise ServerFailedError(f"{name} is not ready: {ended}\n{tail}")
        time.sleep(_POLL_SECONDS)


def _readiness(port: int) -> str:
    """Nothing when the server is ready, else what there is instead."""
    connection = http.client.HTTPConnection(HOST, port, timeout=STOP_WITHIN_SECONDS)
    try:
        connection.request("GET", "/ready")
        response = connection.getresponse()
        return "" if response.status == 200 else response.read().decode("utf-8", "replace")
    except OSError as error:
        return str(error)
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""Running the application: one process, or several that share the port."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time

import uvloop
from aiohttp import web

from service.app import Collaborators, build_app
from service.database import open_configured_database
from service.direct import DirectRunner
from service.experiments.stores.opening import open_experiment_store
from service.memory import give_arrays_back_at_once, settle_memory
from service.models import ModelRegistry
from service.settings import Settings
from service.storage.errors import StorageUnavailable
from service.storage.queue import DurableQueue, QueueSettings, open_queue
from service.storage.snapshot import SnapshotFile

logger = logging.getLogger(__name__)

#: Longer than the aggregator keeps idle connections, so that the side that reuses them never meets a closing one.
KEEPALIVE_SECONDS = 75.0
SHUTDOWN_SECONDS = 10.0
#: A worker that dies is started again, but not more often than this.
RESTART_SECONDS = 1.0
#: How long a thread that prepares something, as a new model, may keep the interpreter while a request waits for it.
#: Python's own 5 ms are ten times what a request takes.
SWITCH_SECONDS = 1e-4


def serve(settings: Settings, workers: int, worker: int | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. `worker` is this process's number among several."""
    if workers > 1:
        return _supervise(workers)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_one(settings, worker))
    return 0


async def _serve_one(settings: Settings, worker: int | None) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    give_arrays_back_at_once()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    database = await open_configured_database(settings)
    registry = ModelRegistry(settings.models_directory)
    queue = await _open_queue(settings)
    snapshot = SnapshotFile(settings.craic_home / "snapshot.db") if settings.uses_mysql else None
    experiments = await open_experiment_store(settings)
    parts = Collaborators(database, registry, queue, snapshot, time.time, experiments)
    app = build_app(settings, parts, worker)
    runner = DirectRunner(
        app,
        access_log=None,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
        handle_signals=False,
    )
    await runner.setup()
    settle_memory()
    try:
        await web.SockSite(runner, _listen(settings, shared=worker is not None), backlog=1024).start()
        logger.info("serving on http://%s:%d", settings.service_host, settings.service_port)
        await stop.wait()
    finally:
        await runner.cleanup()
        if queue is not None:
            await queue.close()
        if experiments is not None:
            await experiments.close()
        await database.close()


async def _open_queue(settings: Settings) -> DurableQueue | None:
    """The durable queue; without it, as on a full disk, recommendations are served and feedback is refused."""
    try:
        settings.craic_home.mkdir(parents=True, exist_ok=True)
        return await open_queue(
            QueueSettings(settings.craic_home, max_bytes=settings.queue_max_megabytes * 2**20)
        )
    except (StorageUnavailable, OSError) as error:
        logger.error("feedback cannot be taken: %s", error)
        return None


def _listen(settings: Settings, *, shared: bool) -> socket.socket:
    """A listening socket, `shared` with this command's other workers. OSError names an address that is taken.

    A server by itself does not share: a second one on its port, perhaps of another site, would silently take half of
    the requests.
    """
    family = socket.AF_INET6 if ":" in settings.service_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.service_host, settings.service_port))
    except OSError as error:
        listener.close()
        address = f"{settings.service_host}:{settings.service_port}"
        raise OSError(f"{address}: {error.strerror or error}") from error
    return listener


def _supervise(workers: int) -> int:
    """Keep `workers` processes of this command running; they share the port and map the same model."""
    running: dict[int, subprocess.Popen[bytes]] = {}
    stopping = False

    def stop(signal_number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True
        for process in running.values():
            process.send_signal(signal.SIGTERM)

    def start(place: int) -> None:
        running[place] = _start_worker(place)
        if stopping:  # asked for since, when this one was not there to hear it
            running[place].send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for place in range(workers):
        start(place)
    while not stopping:
        pid, status = os.wait()
        for place, process in tuple(running.items()):
            if process.pid == pid and not stopping:
                logger.error("worker %d ended with status %d; starting another", pid, status)
                time.sleep(RESTART_SECONDS)
                start(place)
    return max((abs(process.wait()) for process in running.values()), default=0)


def _start_worker(number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "service", "serve", "--worker", str(number)]
    return subprocess.Popen(command)  # noqa: S603 - this very command

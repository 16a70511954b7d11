"""Load at a given rate, whatever the server does: what is slow or fails is measured, and does not slow the load down.

Each answer's latency counts from the moment its request was due, so that requests which had to wait behind a slow one
are as slow as their senders found them (no coordinated omission).
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.load import Connection, LoadError


class Request(NamedTuple):
    """A request and what the sender calls it."""

    name: str
    content: bytes


class Answered(NamedTuple):
    """A request that got a plain 200; times are readings of perf_counter, seconds."""

    name: str
    due: float
    sent: float
    done: float


class Failed(NamedTuple):
    """A request that got another answer, or none: nobody knows what became of it."""

    name: str
    at: float  #: the reading of perf_counter when that was clear, seconds
    why: str


@dataclass(slots=True)
class Paced:
    """What became of some load."""

    answered: list[Answered] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def latencies_ms(self, start: float = -np.inf, stop: float = np.inf) -> NDArray[np.float64]:
        """float64[answered], of the requests due in [start, stop): from then to the last byte of the answer."""
        due = [one for one in self.answered if start <= one.due < stop]
        return np.array([(one.done - one.due) * 1000.0 for one in due])


class Pacing:
    """Sends requests at so many a second over a few connections, in threads of its own, until told to stop.

    Connections that break are made again; a sender that cannot connect any more ends.
    """

    def __init__(self, port: int, requests: Iterable[Request], per_second: float, connections: int) -> None:
        self._port = port
        self._requests = iter(requests)
        self._interval = 1.0 / per_second
        self._due = time.perf_counter()
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self.seen = Paced()  #: what became of the requests so far
        self._threads = [threading.Thread(target=self._send_on, daemon=True) for _ in range(connections)]

    def __enter__(self) -> "Pacing":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_sending(self) -> bool:
        """Whether any sender is left."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> Paced:
        """Send nothing any more, wait for what is under way, and tell what became of all."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self.seen

    def run_for(self, seconds: float) -> None:
        """Return after some seconds, or when no sender is left."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.is_sending:
            time.sleep(min(0.01, max(0.0, deadline - time.monotonic())))

    def _send_on(self) -> None:
        while not self._stopping.is_set():
            try:
                with closing(Connection(self._port)) as connection:
                    self._send_over(connection)
            except LoadError:
                continue  # noted; the connection is of no use any more
            except OSError:
                return

    def _send_over(self, connection: Connection) -> None:
        for request, due in self._dues():
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                connection.send(request.content)
                connection.receive()
            except (LoadError, OSError) as error:
                self.seen.failed.append(Failed(request.name, time.perf_counter(), str(error)))
                raise LoadError(str(error)) from error
            self.seen.answered.append(Answered(request.name, due, connection.sent_at, time.perf_counter()))

    def _dues(self) -> Iterator[tuple[Request, float]]:
        """The next request and when to send it, until told to stop."""
        while not self._stopping.is_set():
            with self._turn:
                request, due = next(self._requests), self._due
                self._due += self._interval
            yield request, due

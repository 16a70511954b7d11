"""Load at times fixed beforehand, whatever the server does: what is slow or fails is measured, and slows nothing down.

Each answer's latency counts from the moment its request was due, so that requests which had to wait behind a slow one
are as slow as their senders found them (no coordinated omission; Tene, "How NOT to Measure Latency"). One thread sends
and receives over all connections; a request that is due while all of them are busy waits for the first that is free.
"""

import select
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.load import SAMPLE_EVERY, Connection, LoadError

#: Waking up from a sleep takes so long, seconds: the rest of the time until a request is due is spent looking.
_WAKING_SECONDS = 0.0002
#: How often a sender that has nothing to do looks whether it is to stop, seconds.
_LOOK_SECONDS = 0.02
#: A connection that was not used for longer is replaced: servers close idle ones (the service after 75 s), and a
#: request that meets the closing gets no answer, which is no fault of the server's.
MOST_IDLE_SECONDS = 30.0


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
    samples: dict[str, list[bytes]] = field(
        default_factory=dict
    )  #: some of the bodies, by the request's name

    def latencies_ms(
        self, start: float = -np.inf, stop: float = np.inf, name: str | None = None
    ) -> NDArray[np.float64]:
        """float64[answered], of the requests due in [start, stop): from then to the last byte of the answer."""
        due = [one for one in self.answered if start <= one.due < stop and (name is None or one.name == name)]
        return np.array([(one.done - one.due) * 1000.0 for one in due])


def steadily(per_second: float) -> Iterator[float]:
    """Seconds from the beginning at which requests are due, so many a second at even distances, without end."""
    number = 0
    while True:
        yield number / per_second
        number += 1


def at_random(per_second: float, seconds: float, seed: int) -> list[float]:
    """Seconds from the beginning, ascending, below `seconds`: a Poisson process, as the arrivals of many people are."""
    rng = np.random.default_rng(seed)
    expected = per_second * seconds
    gaps = rng.exponential(1.0 / per_second, int(expected + 6.0 * expected**0.5 + 20.0))
    times = np.cumsum(gaps)
    return [float(time) for time in times[times < seconds]]


class Pacing:
    """Sends each of `requests` when its time in `dues` has come (seconds from the start, ascending), in a thread.

    It ends when either has ended, or when told to. Connections that break are made again; a sender that cannot connect
    any more ends.
    """

    def __init__(
        self, port: int, requests: Iterable[Request], dues: Iterable[float], connections: int
    ) -> None:
        self._port = port
        self._line = zip(requests, dues, strict=False)
        self._n_connections = connections
        self._stopping = threading.Event()
        self._waiting: deque[tuple[Request, float]] = deque()
        self._idle: list[Connection] = []
        self._busy: dict[int, tuple[Connection, Request, float]] = {}
        self._began = 0.0
        self.seen = Paced()  #: what became of the requests so far
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Pacing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_sending(self) -> bool:
        """Whether there is still something to send, and a server to send it to."""
        return self._thread.is_alive()

    def stop(self) -> Paced:
        """Send nothing any more, wait for what is under way, and tell what became of all."""
        self._stopping.set()
        return self.finish()

    def finish(self) -> Paced:
        """Wait until everything was sent and answered, and tell what became of it."""
        self._thread.join()
        return self.seen

    def run_for(self, seconds: float) -> None:
        """Return after some seconds, or when nothing is sent any more."""
        self._thread.join(seconds)

    def _run(self) -> None:
        self._connect(self._n_connections)
        self._began = time.perf_counter()
        try:
            self._send_on(next(self._line, None))
        finally:
            for connection in (*self._idle, *(busy for busy, _, _ in self._busy.values())):
                connection.close()

    def _send_on(self, following: tuple[Request, float] | None) -> None:
        while self._idle or self._busy:
            if self._stopping.is_set():
                following = None
                self._waiting.clear()
            now = time.perf_counter() - self._began
            while following is not None and following[1] <= now:
                self._waiting.append(following)
                following = next(self._line, None)
            while self._waiting and self._idle:
                connection = self._idle.pop()
                if time.perf_counter() - connection.sent_at > MOST_IDLE_SECONDS:
                    connection.close()
                    self._connect(1)
                else:
                    self._send(connection, *self._waiting.popleft())
            if following is None and not self._waiting and not self._busy:
                return
            self._receive(following[1] - now - _WAKING_SECONDS if following else _LOOK_SECONDS)

    def _receive(self, within: float) -> None:
        """Take what answers there are, at the latest after so many seconds."""
        # Not select(2), which knows no file descriptor above 1023. Whole milliseconds, rounded down: a wait that ends
        # early is only repeated.
        looking = select.poll()
        for number in self._busy:
            looking.register(number, select.POLLIN)
        for number, _ in looking.poll(int(1000.0 * min(max(0.0, within), _LOOK_SECONDS))):
            connection, request, due = self._busy.pop(number)
            try:
                connection.receive()
            except (LoadError, OSError) as error:
                self._fail(connection, request, error)
                continue
            self._note(connection, request, due)
            self._idle.append(connection)

    def _send(self, connection: Connection, request: Request, due: float) -> None:
        try:
            connection.send(request.content)
        except OSError as error:
            self._fail(connection, request, error)
        else:
            self._busy[connection.number] = (connection, request, due)

    def _note(self, connection: Connection, request: Request, due: float) -> None:
        if len(self.seen.answered) % SAMPLE_EVERY == 0:
            self.seen.samples.setdefault(request.name, []).append(connection.body)
        done = time.perf_counter()
        self.seen.answered.append(Answered(request.name, self._began + due, connection.sent_at, done))

    def _fail(self, connection: Connection, request: Request, error: Exception) -> None:
        self.seen.failed.append(Failed(request.name, time.perf_counter(), str(error)))
        connection.close()
        self._connect(1)

    def _connect(self, count: int) -> None:
        for _ in range(count):
            try:
                self._idle.append(Connection(self._port))
            except OSError:
                return

"""A load generator that costs less than the cheapest server: blocking sockets, and requests encoded beforehand.

It keeps C requests under way on C connections: each connection is read in turn and at once sent its next request. Of an
answer it looks at the status and the length; a sample of the bodies is kept for whoever wants to look closer.
"""

import socket
import struct
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

HOST = "127.0.0.1"
#: A server that says nothing for so long is hung, seconds.
PATIENCE_SECONDS = 30
#: One body in so many is kept.
SAMPLE_EVERY = 500

_BUFFER_BYTES = 1 << 22
_END_OF_HEAD = b"\r\n\r\n"
#: As aiohttp writes it, and as uvicorn does.
_LENGTHS = (b"Content-Length: ", b"content-length: ")


class LoadError(Exception):
    """A server did not answer as it should; the message says what it did instead."""


def post(path: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The bytes of a POST request with a JSON body, on a connection that stays open."""
    lines = {
        "Host": HOST,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


class Connection:
    """One HTTP/1.1 connection that is kept alive, with at most one request under way."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=PATIENCE_SECONDS)
        # A timeout of the kernel's: Python's own costs a poll before every read.
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", PATIENCE_SECONDS, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._body = slice(0, 0)
        #: The perf_counter reading just before the last request was sent, or now before the first, seconds.
        self.sent_at = perf_counter()

    @property
    def number(self) -> int:
        """The file descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    @property
    def body(self) -> bytes:
        """A copy of the body that was received last."""
        return bytes(self._view[self._body])

    def send(self, request: bytes) -> None:
        """Send a request and note the time."""
        self.sent_at = perf_counter()
        self._socket.sendall(request)

    def receive(self) -> int:
        """Wait for the whole answer; return the bytes of its body. Raises LoadError unless it is a plain 200."""
        got, end = 0, -1
        while end < 0:
            got = self._read(got)
            end = self._buffer.find(_END_OF_HEAD, 0, got)
        start = end + len(_END_OF_HEAD)
        stop = start + self._content_length(end)
        while got < stop:
            got = self._read(got)
        self._body = slice(start, stop)
        if got > stop or not self._buffer.startswith(b"HTTP/1.1 200 "):
            raise LoadError(f"unexpected answer: {bytes(self._view[: min(got, 500)])!r}")
        return stop - start

    def _read(self, got: int) -> int:
        try:
            received = self._socket.recv_into(self._view[got:])
        except BlockingIOError:
            raise LoadError(f"no answer within {PATIENCE_SECONDS} s") from None
        if received == 0:
            raise LoadError("the server closed the connection, or its answer is too long")
        return got + received

    def _content_length(self, end: int) -> int:
        for name in _LENGTHS:
            if (start := self._buffer.find(name, 0, end)) >= 0:
                return int(self._buffer[start + len(name) : self._buffer.find(b"\r", start)])
        raise LoadError(f"answer without Content-Length: {bytes(self._view[:end])!r}")


@dataclass(frozen=True, slots=True)
class Load:
    """What one stretch of load saw. All answers were 200."""

    seconds: float  #: from the first request to the last answer
    latencies_ms: NDArray[np.float64]  #: [answers], from just before the sending to the last byte
    body_bytes: int  #: of all answers
    samples: list[bytes]  #: some of the bodies

    @property
    def answers(self) -> int:
        """How many answers came."""
        return self.latencies_ms.size

    @property
    def requests_per_second(self) -> float:
        """The throughput."""
        return self.answers / self.seconds


def drive(
    port: int,
    requests: Iterator[bytes],
    connections: int,
    seconds: float,
    most: int = sys.maxsize,
    sample_every: int = SAMPLE_EVERY,
) -> Load:
    """Send `requests`, which must not end, over some connections at once for some seconds, and `most` so many.

    Raises LoadError for the first answer that is not a plain 200, OSError when there is no connection.
    """
    with ExitStack() as opened:
        idle = [opened.enter_context(closing(Connection(port))) for _ in range(connections)]
        return _drive(idle, requests, seconds, most, sample_every)


def _drive(
    connections: Sequence[Connection], requests: Iterator[bytes], seconds: float, most: int, sample_every: int
) -> Load:
    latencies: list[float] = []
    samples: list[bytes] = []
    body_bytes = 0
    started = now = perf_counter()
    for connection in connections:
        connection.send(next(requests))
    turns = deque(connections)
    while turns:
        connection = turns.popleft()
        body_bytes += connection.receive()
        now = perf_counter()
        if len(latencies) % sample_every == 0:
            samples.append(connection.body)
        latencies.append(now - connection.sent_at)
        if now - started < seconds and len(latencies) + len(turns) < most:
            connection.send(next(requests))
            turns.append(connection)
    return Load(now - started, np.array(latencies) * 1000.0, body_bytes, samples)


def percentile(latencies_ms: NDArray[np.float64], percent: float) -> float:
    """The smallest recorded latency that so many percent of all are not above: a sample, nothing interpolated."""
    return float(np.percentile(latencies_ms, percent, method="inverted_cdf"))

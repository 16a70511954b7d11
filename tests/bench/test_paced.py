"""Load at a steady rate tells the truth about servers that are slow or gone."""

import socket
import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from bench.load import HOST, post
from bench.paced import Answered, Paced, Pacing, Request
from bench.servers import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"


def requests() -> Iterator[Request]:
    return (Request(str(number), post("/", b"{}")) for number in count())


class FakeServer:
    """Answers each request on each connection with the next of some answers; None closes the connection."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = iter(answers)
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the waiting for a connection, which closing does not
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while connection.recv(65_536):
                answer = next(self._answers, OK)
                if answer is None:
                    return
                connection.sendall(answer)


@pytest.fixture
def served() -> Iterator[list[FakeServer]]:
    servers: list[FakeServer] = []
    yield servers
    for server in servers:
        server.close()


def drive(server: FakeServer, until_answers: int) -> Paced:
    """Load over one connection until so many requests were answered."""
    with Pacing(server.port, requests(), 500.0, 1) as pacing:
        deadline = time.monotonic() + 20
        while len(pacing.seen.answered) < until_answers and time.monotonic() < deadline:
            pacing.run_for(0.01)
    return pacing.stop()


def test_every_answer_is_noted_by_name_in_order(served) -> None:
    served.append(FakeServer())
    seen = drive(served[0], 5)
    assert [one.name for one in seen.answered] == [str(number) for number in range(len(seen.answered))]
    assert all(one.due <= one.sent <= one.done for one in seen.answered)
    assert seen.failed == []


@pytest.mark.parametrize("answer", [BUSY, None])
def test_a_request_that_fails_is_named_and_the_load_goes_on_over_a_new_connection(served, answer) -> None:
    served.append(FakeServer(OK, answer, OK))
    seen = drive(served[0], 3)
    assert [one.name for one in seen.failed] == ["1"]
    assert [one.name for one in seen.answered][:3] == ["0", "2", "3"]


def test_without_a_server_the_load_ends_by_itself() -> None:
    with Pacing(free_port(), requests(), 500.0, 2) as pacing:
        pacing.run_for(20.0)
        assert not pacing.is_sending
    assert pacing.stop().answered == []


def test_requests_that_had_to_wait_are_as_slow_as_they_were_late() -> None:
    seen = Paced(
        [Answered("late", due=1.0, sent=1.5, done=1.6), Answered("later", due=2.0, sent=2.0, done=2.1)]
    )
    assert seen.latencies_ms().tolist() == pytest.approx([600.0, 100.0])
    assert seen.latencies_ms(start=1.5).tolist() == pytest.approx([100.0])
    assert seen.latencies_ms(stop=2.0).tolist() == pytest.approx([600.0])

"""Load at a steady rate tells the truth about servers that are slow or gone."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from itertools import count, islice, pairwise

import pytest

from bench import paced
from bench.load import HOST, post
from bench.paced import Answered, Paced, Pacing, Request, at_random, steadily
from bench.servers import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"


def requests() -> Iterator[Request]:
    return (Request(str(number), post("/", b"{}")) for number in count())


class FakeServer:
    """Answers each request on each connection with the next of some answers; None closes the connection.

    So does it when nothing comes for `patience` seconds.
    """

    def __init__(self, *answers: bytes | None, patience: float | None = None) -> None:
        self._answers, self._patience = iter(answers), patience
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
        connection.settimeout(self._patience)
        with connection, contextlib.suppress(TimeoutError):
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
    with Pacing(server.port, requests(), steadily(500.0), 1) as pacing:
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


def test_a_connection_that_was_idle_for_long_is_replaced_before_the_server_closes_it(
    served, monkeypatch
) -> None:
    monkeypatch.setattr(paced, "MOST_IDLE_SECONDS", 0.1)
    served.append(FakeServer(patience=0.3))
    with Pacing(served[0].port, requests(), [0.0, 0.8], 1) as pacing:
        seen = pacing.finish()
    assert [one.name for one in seen.answered] == ["0", "1"]
    assert seen.failed == []


@pytest.mark.parametrize("answer", [BUSY, None])
def test_a_request_that_fails_is_named_and_the_load_goes_on_over_a_new_connection(served, answer) -> None:
    served.append(FakeServer(OK, answer, OK))
    seen = drive(served[0], 3)
    assert [one.name for one in seen.failed] == ["1"]
    assert [one.name for one in seen.answered][:3] == ["0", "2", "3"]


def test_without_a_server_the_load_ends_by_itself() -> None:
    with Pacing(free_port(), requests(), steadily(500.0), 2) as pacing:
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


def test_a_schedule_that_ends_is_sent_whole_and_counts_from_the_times_fixed_beforehand(served) -> None:
    served.append(FakeServer())
    with Pacing(served[0].port, requests(), [0.0, 0.0, 0.01, 0.03], 1) as pacing:
        seen = pacing.finish()
    first, *others = [one.due for one in seen.answered]
    assert [due - first for due in others] == pytest.approx([0.0, 0.01, 0.03])
    assert [len(bodies) for bodies in seen.samples.values()] == [1]
    assert seen.samples["0"] == [b"{}"]


def test_latencies_can_be_had_of_one_kind_of_request() -> None:
    seen = Paced([Answered("a", 1.0, 1.0, 1.5), Answered("b", 1.0, 1.0, 1.1)])
    assert seen.latencies_ms(name="a").tolist() == pytest.approx([500.0])


def test_even_arrivals_come_at_even_distances() -> None:
    assert list(islice(steadily(4.0), 4)) == [0.0, 0.25, 0.5, 0.75]


def test_random_arrivals_are_as_many_as_asked_for_on_the_whole_and_the_same_for_the_same_seed() -> None:
    times = at_random(1_000.0, 4.0, seed=1)
    assert times == at_random(1_000.0, 4.0, seed=1) != at_random(1_000.0, 4.0, seed=2)
    assert 3_800 < len(times) < 4_200
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) > 0.0
    assert times[-1] < 4.0
    # Of exponential gaps e⁻¹ are longer than their mean; of even ones none is.
    assert sum(gap > 0.001 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.04)

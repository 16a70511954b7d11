"""What counts as kept of what experiments promise, a line that fails as it is told, and what a call costs."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import pytest

from bench.assigning import MOST_US, Assigning, measure_assigning
from bench.costs import Site, measure_cost, size_of
from bench.experiments import Counted, Trouble
from bench.line import HOST, Line, running_line

ASSIGNING = Assigning("one experiment", 100, 2.0, MOST_US, 90.0)
TROUBLE = Trouble("silent", 1_000, 0, 1.0, 1.0, 2.0, 2.4, 50.0)
COUNTED = Counted(10, 10, 4, 4, 10, 0, 1.0)


@pytest.mark.parametrize("found", [ASSIGNING, TROUBLE, COUNTED])
def test_figures_right_at_their_bounds_keep_every_promise(found) -> None:
    assert found.broken() == []


@pytest.mark.parametrize(
    ("found", "changes"),
    [
        (ASSIGNING, {"p99_us": MOST_US + 0.1}),
        (TROUBLE, {"failed": 1}),
        (TROUBLE, {"p99_meanwhile_ms": 2.41}),
        (COUNTED, {"in_the_results": 11}),
        (COUNTED, {"people_in_dynamodb": 3}),
        (COUNTED, {"in_dynamodb": 9}),
    ],
)
def test_each_figure_beyond_its_bound_breaks_one_promise(found, changes: dict) -> None:
    assert len(replace(found, **changes).broken()) == 1


def test_assigning_is_measured_on_the_people_whom_each_case_is_about() -> None:
    one, three, moved = measure_assigning(150)
    assert one.people == three.people == 150
    assert 20 < moved.people < 100, "two fifths of the buckets have moved"
    assert all(0.0 < found.p50_us <= found.p99_us <= found.max_us for found in (one, three, moved))


@contextmanager
def echo() -> Iterator[int]:
    """The port of a server that says whatever it is told."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(65_536):
                connection.sendall(data)

    listener = socket.create_server((HOST, 0))
    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def line() -> Iterator[Line]:
    with echo() as port, running_line(port) as line:
        yield line


def connected(line: Line) -> socket.socket:
    return socket.create_connection((HOST, line.port), timeout=0.3)


def said(connection: socket.socket, text: bytes = b"hello") -> bytes:
    """What comes back; b"" from a connection that is broken."""
    try:
        connection.sendall(text)
        return connection.recv(100)
    except ConnectionError:
        return b""


def test_a_healthy_line_carries_everything_and_counts_the_operations_asked_for(line: Line) -> None:
    with closing(connected(line)) as connection:
        request = b"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.UpdateItem\r\n"
        for part in (request[:40], request[40:] + b"x-amz-target: DynamoDB_20120810.Query\r\n\r\n"):
            assert said(connection, part) == part
    assert line.counted() == {"UpdateItem": 1, "Query": 1}


def test_a_silent_line_takes_everything_and_never_answers_until_it_is_well(line: Line) -> None:
    with closing(connected(line)) as before:
        assert said(before) == b"hello"
        line.turn("silent")
        with closing(connected(line)) as fresh:
            for connection in (before, fresh):
                with pytest.raises(TimeoutError):
                    said(connection)
    line.turn("pass")
    with closing(connected(line)) as connection:
        assert said(connection) == b"hello"


def test_a_line_that_drops_breaks_connections_old_and_new(line: Line) -> None:
    with closing(connected(line)) as before:
        assert said(before) == b"hello"
        line.turn("drop")
        assert said(before) == b""
        with closing(connected(line)) as fresh:
            assert said(fresh) == b""


def test_an_unreachable_line_does_not_accept(line: Line) -> None:
    line.turn("unreachable")
    waiting = []
    with pytest.raises(TimeoutError):
        while len(waiting) < 10:
            waiting.append(connected(line))
            with suppress(TimeoutError):
                assert said(waiting[-1]) == b"", "no answer either"
    for connection in waiting:
        connection.close()


def test_an_item_is_as_large_as_dynamodb_counts_it() -> None:
    assert size_of({"user_id": {"S": "Zoë"}, "clicks": {"N": "5"}}) == 7 + 4 + 6 + 21


def test_held_counts_are_sent_once_a_day_and_people_whom_nobody_knew_at_once(dynalite_url: str) -> None:
    site = Site("a small one", requests=60, people=10, part=1.0, days=2)
    held, sent = (
        measure_cost(replace(site, hold_seconds=hours * 3_600.0), dynalite_url) for hours in (24, 0.001)
    )
    assert held.played == sent.played == 120
    new = 10 + 29 * 0  # of the first day; a twentieth of ten people is nobody
    assert new + 29 * 10 * 0.5 <= held.calls["UpdateItem"] <= 2 * new + 29 * 10 * 1.1
    assert sent.calls["UpdateItem"] > 3 * held.calls["UpdateItem"]
    assert held.write_units == held.calls["UpdateItem"] + new
    assert held.usd < sent.usd

"""The load generator, against a socket that says what the test wants, and against a real server."""

import socket
from collections.abc import Iterator
from contextlib import closing
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from bench.load import Connection, LoadError, drive, percentile, post
from bench.servers import running_bare

REQUEST = post("/v1/recommendations", b"{}")


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection and the other end of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, closing(Connection(listener.getsockname()[1])) as connection:
        peer, _ = listener.accept()
        with peer:
            yield connection, peer


def test_a_request_says_how_long_its_body_is() -> None:
    head, _, body = post("/path", b'{"user_id":"7"}').partition(b"\r\n\r\n")
    assert head.startswith(b"POST /path HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 15" in head
    assert body == b'{"user_id":"7"}'


def test_the_body_of_an_answer_is_what_follows_its_head(pair: tuple[Connection, socket.socket]) -> None:
    connection, peer = pair
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello")
    assert connection.receive() == 5
    assert connection.body == b"hello"


def test_a_shorter_answer_holds_nothing_of_the_longer_one_before_it(
    pair: tuple[Connection, socket.socket],
) -> None:
    connection, peer = pair
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\na long body.")
    connection.receive()
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
    assert connection.receive() == 2
    assert connection.body == b"no"


def test_an_answer_longer_than_a_socket_holds_is_read_to_its_end(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_bytes(b"x" * 3_000_000)
    with running_bare(answers, core=None) as server, closing(Connection(server.port)) as connection:
        connection.send(REQUEST)
        assert connection.receive() == 3_000_000
        assert connection.body == answers.read_bytes()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", "500 Oops"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "without Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nmore", "unexpected answer"),
    ],
)
def test_anything_but_a_plain_200_is_an_error_that_shows_it(
    pair: tuple[Connection, socket.socket], answer: bytes, told: str
) -> None:
    connection, peer = pair
    peer.sendall(answer)
    with pytest.raises(LoadError, match=told):
        connection.receive()


def test_a_closed_connection_is_an_error(pair: tuple[Connection, socket.socket]) -> None:
    connection, peer = pair
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Len")
    peer.close()
    with pytest.raises(LoadError, match="closed"):
        connection.receive()


@pytest.mark.parametrize("connections", [1, 8])
def test_every_request_of_a_load_is_answered_and_counted(tmp_path: Path, connections: int) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_bytes(b'{"a":1}\n{"a":2}')
    with running_bare(answers, core=None) as server:
        load = drive(server.port, repeat(REQUEST), connections, seconds=0.1)
    assert load.answers >= connections
    assert load.body_bytes == 7 * load.answers
    assert load.samples[0] == b'{"a":1}'
    assert (load.latencies_ms > 0).all()
    assert load.latencies_ms.max() <= 1000 * load.seconds


def test_percentiles_are_recorded_samples() -> None:
    latencies = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    assert percentile(latencies, 50) == 3.0
    assert percentile(latencies, 80) == 4.0
    assert percentile(latencies, 81) == 5.0
    assert percentile(latencies, 99) == 5.0


def test_the_99th_percentile_of_a_hundred_is_the_second_greatest() -> None:
    assert percentile(np.arange(1.0, 101.0), 99) == 99.0

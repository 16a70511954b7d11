"""The short way over real sockets: which requests take it, and that nobody can tell by the answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import pytest
from aiohttp import web

from service.direct import DIRECT, DirectRoute, DirectRunner
from service.metrics import Metrics

PATH = "/v1/things"
LIMIT = 1_000


class Site:
    """A server whose short way answers "at once: …" and whose usual way "in time: …"."""

    def __init__(self, address: tuple[str, int], metrics: Metrics) -> None:
        self.address = address
        self.metrics = metrics

    async def send(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Everything a connection answers until it is closed by the server, or has been silent for long enough."""
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            answered = b""
            while True:
                try:
                    more = await asyncio.wait_for(reader.read(2**16), 0.3)
                except TimeoutError:
                    return answered
                if not more:
                    return answered
                answered += more
        finally:
            writer.close()


def answer_at_once(headers: Mapping[str, str], raw: bytes) -> bytes | None:
    if raw == b"wait":
        return None
    if raw == b"fail":
        raise ValueError("as the usual way will say")
    return b"at once: " + raw


@asynccontextmanager
async def site(
    cors_origins: tuple[str, ...] = (),
    answer: Callable[[Mapping[str, str], bytes], bytes | None] = answer_at_once,
    keepalive_timeout: float = 75.0,
) -> AsyncIterator[Site]:
    async def usual(request: web.Request) -> web.Response:
        return web.Response(body=b"in time: " + await request.read(), content_type="application/json")

    app, metrics = web.Application(client_max_size=LIMIT), Metrics()
    app.add_routes([web.post(PATH, usual), web.post(PATH + "/other", usual)])
    app[DIRECT] = DirectRoute(PATH, answer, metrics, LIMIT, cors_origins)
    runner = DirectRunner(app, access_log=None, keepalive_timeout=keepalive_timeout)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Site(runner.addresses[0], metrics)
    finally:
        await runner.cleanup()


def request(body: bytes = b"x", path: str = PATH, version: str = "1.1", **headers: str) -> bytes:
    lines = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/{version}\r\n{head}\r\n".encode() + body


def parsed(response: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


async def test_a_plain_request_is_answered_at_once_with_the_head_of_the_usual_way() -> None:
    async with site() as served:
        status, headers, body = parsed(await served.send(request(b"same length")))
        usual_status, usual_headers, usual_body = parsed(await served.send(request(b"wait")))
    assert (body, usual_body) == (b"at once: same length", b"in time: wait")
    assert status == usual_status == "HTTP/1.1 200 OK"
    assert headers["Content-Length"] == str(len(body))
    assert abs(parsedate_to_datetime(headers["Date"]).timestamp() - time.time()) < 5
    assert headers.keys() == usual_headers.keys()
    differing = {"Content-Length", "Date"}
    assert all(headers[name] == usual_headers[name] for name in headers.keys() - differing)


@pytest.mark.parametrize(
    "sent",
    [
        request(b"wait"),
        request(b"fail"),
        request(path=PATH + "/other"),
        request(path=PATH + "?city=Cork"),
        request(version="1.0"),
        request(Connection="close"),
        request(Expect="100-continue"),
        request(b"1\r\nx\r\n0\r\n\r\n", Transfer_Encoding="chunked").replace(b"Content-Length: 11\r\n", b""),
    ],
    ids=["waits", "fails", "another path", "a query", "HTTP/1.0", "closes", "expects", "chunked"],
)
async def test_what_is_not_plain_goes_the_usual_way_with_its_body(sent: bytes) -> None:
    expected = sent.rpartition(b"\r\n\r\n")[2] if b"chunked" not in sent else b"x"
    async with site() as served:
        answered = await served.send(sent)
    assert answered.endswith(b"in time: " + expected)
    assert b"at once" not in answered


async def test_a_body_that_arrives_later_goes_the_usual_way() -> None:
    sent = request(b"in two parts")
    async with site() as served:
        answered = await served.send(sent[:-5], sent[-5:], pause=0.05)
    assert answered.endswith(b"in time: in two parts")


async def test_a_body_that_is_too_large_is_refused_as_ever() -> None:
    async with site() as served:
        status, _, _ = parsed(await served.send(request(b"x" * (LIMIT + 1))))
        at_the_limit = await served.send(request(b"x" * LIMIT))
    assert status == "HTTP/1.1 413 Request Entity Too Large"
    assert at_the_limit.endswith(b"at once: " + b"x" * LIMIT)


async def test_pages_of_other_origins_go_the_usual_way_and_caches_are_told_that_it_matters() -> None:
    async with site(cors_origins=("https://craic.example",)) as served:
        _, headers, body = parsed(await served.send(request()))
        of_a_page = await served.send(request(Origin="https://craic.example"))
    assert (headers["Vary"], body) == ("Origin", b"at once: x")
    assert of_a_page.endswith(b"in time: x")
    async with site(cors_origins=("*",)) as served:
        _, headers, _ = parsed(await served.send(request()))
    assert "Vary" not in headers


async def test_requests_of_one_connection_are_answered_in_their_order() -> None:
    sent = [request(body) for body in (b"1", b"2", b"wait", b"4", b"5")]
    async with site() as served:
        answered = await served.send(b"".join(sent))
    assert [answer.partition(b"HTTP")[0] for answer in answered.split(b"\r\n\r\n")[1:]] == [
        *(b"at once: 1", b"at once: 2", b"in time: wait"),
        *(b"in time: 4", b"in time: 5"),
    ]


async def test_a_connection_takes_the_short_way_again_after_the_usual_one() -> None:
    async with site() as served:
        answered = await served.send(request(b"wait"), request(b"again"), request(b"and again"), pause=0.05)
    assert answered.count(b"in time: ") == 1
    assert answered.count(b"at once: ") == 2


async def test_answers_are_counted_like_those_of_the_usual_way() -> None:
    async with site() as served:
        await served.send(request(), request(b"wait"), pause=0.05)
        counted = served.metrics.render().decode()
    # The usual way of this site has no middleware that counts.
    assert f'ml_service_requests_total{{endpoint="{PATH}",method="POST",status="200"}} 1.0' in counted
    assert f'ml_service_latency_seconds_count{{endpoint="{PATH}"}} 1.0' in counted


async def test_a_connection_in_use_stays_and_an_idle_one_is_closed() -> None:
    async with site(keepalive_timeout=0.5) as served:
        reader, writer = await asyncio.open_connection(*served.address)
        for _ in range(8):
            writer.write(request())
            assert b"at once" in await asyncio.wait_for(reader.read(2**16), 5)
            await asyncio.sleep(0.1)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_client_that_does_not_read_is_not_answered_into_memory() -> None:
    large = b"x" * 2**20
    async with site(answer=lambda headers, raw: large) as served:
        reader, writer = await asyncio.open_connection(*served.address, limit=2**10)
        for _ in range(50):
            writer.write(request())
        await asyncio.sleep(0.5)
        answered = 0
        while answered < 50:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            body = await reader.readexactly(int(parsed(head)[1]["Content-Length"]))
            answered += 1
            if body != large:
                assert body == b"in time: x"
                break
        else:
            pytest.fail("no request waited for the client to read")
        writer.close()

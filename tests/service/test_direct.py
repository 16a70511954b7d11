"""The short way over real sockets: which requests take it, and that nobody can tell by the answers."""

import asyncio
import gzip
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest
from aiohttp import web

from service.direct import DIRECT, MOST_AT_ONCE, Arrived, DirectRoute, DirectRunner, Step
from service.metrics import Metrics

PATH = "/v1/things"
LIMIT = 1_000


class Site:
    """A server whose short way answers "at once: …" and whose usual way "in time: …"."""

    def __init__(self, runner: web.AppRunner, metrics: Metrics) -> None:
        self.address = runner.addresses[0]
        self.metrics = metrics
        assert runner.server is not None
        self.server = runner.server

    async def send_together(self, *requests: bytes) -> list[bytes]:
        """The body of what is answered to each request, on connections of their own; all arrive in one turn."""
        opened = [await asyncio.open_connection(*self.address) for _ in requests]
        await asyncio.sleep(0.05)
        for (_, writer), sent in zip(opened, requests, strict=True):
            writer.write(sent)
        answered = [await asyncio.wait_for(body_of(reader), 5) for reader, _ in opened]
        for _, writer in opened:
            writer.close()
        return answered

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


def answer(arrived: Arrived) -> list[bytes] | None:
    if arrived.body == b"wait":
        return None
    if arrived.body == b"fail":
        raise ValueError("as the usual way will say")
    return [b"at once: ", arrived.body]


@asynccontextmanager
async def site(
    cors_origins: tuple[str, ...] = (),
    steps: Sequence[Step] = (answer,),
    keepalive_timeout: float = 75.0,
) -> AsyncIterator[Site]:
    async def usual(request: web.Request) -> web.Response:
        return web.Response(body=b"in time: " + await request.read(), content_type="application/json")

    app, metrics = web.Application(client_max_size=LIMIT), Metrics()
    app.add_routes([web.post(PATH, usual), web.post(PATH + "/other", usual)])
    app[DIRECT] = DirectRoute(PATH, steps, metrics, LIMIT, cors_origins)
    runner = DirectRunner(app, access_log=None, keepalive_timeout=keepalive_timeout)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Site(runner, metrics)
    finally:
        await runner.cleanup()


def request(body: bytes = b"x", path: str = PATH, version: str = "1.1", **headers: str) -> bytes:
    lines = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/{version}\r\n{head}\r\n".encode() + body


async def body_of(reader: asyncio.StreamReader) -> bytes:
    """The body of the next answer; nothing when there is none before the connection ends."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    return await reader.readexactly(int(parsed(head)[1]["Content-Length"]))


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


async def test_a_request_without_a_body_goes_the_usual_way() -> None:
    async with site() as served:
        assert (await served.send(request(b""))).endswith(b"in time: ")


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


async def test_several_requests_at_once_on_one_connection_go_the_usual_way_in_their_order() -> None:
    sent = b"".join(request(b"%d" % number) for number in range(50))
    async with site() as served:
        reader, writer = await asyncio.open_connection(*served.address)
        writer.write(sent)
        answered = [await asyncio.wait_for(body_of(reader), 5) for _ in range(50)]
        writer.close()
    assert answered == [b"in time: %d" % number for number in range(50)]


async def test_a_request_behind_one_that_waits_for_its_turn_is_answered_after_it() -> None:
    for first, second in ((b"1", b"2"), (b"1", b"wait"), (b"wait", b"2"), (b"wait", b"fail")):
        async with site() as served:
            reader, writer = await asyncio.open_connection(*served.address)
            await asyncio.sleep(0.05)
            [connection] = served.server.connections
            connection.data_received(request(first))
            connection.data_received(request(second))
            answered = [await asyncio.wait_for(body_of(reader), 5) for _ in range(2)]
            writer.close()
        assert [body.rpartition(b" ")[2] for body in answered] == [first, second]
        assert answered[0].startswith(b"in time" if first == b"wait" else b"at once")


@pytest.mark.parametrize("count", [1, 5, MOST_AT_ONCE, 2 * MOST_AT_ONCE + 3])
async def test_requests_that_arrive_together_take_each_step_together(count: int) -> None:
    taken: list[tuple[str, bytes]] = []

    def first(arrived: Arrived) -> bytes:
        taken.append(("first", arrived.body))
        return arrived.body

    def last(body: bytes) -> list[bytes]:
        taken.append(("last", body))
        return [b"at once: ", body]

    bodies = [b"%d" % number for number in range(count)]
    async with site(steps=(first, last)) as served:
        answered = await served.send_together(*map(request, bodies))
    assert answered == [b"at once: " + body for body in bodies]
    assert sorted(taken) == sorted([(step, body) for step in ("first", "last") for body in bodies])
    together = [len(list(run)) for _, run in groupby(taken, key=itemgetter(0))]
    assert max(together) == min(count, MOST_AT_ONCE)
    assert together[::2] == together[1::2]


async def test_requests_that_fail_or_have_to_wait_leave_those_beside_them_alone() -> None:
    bodies = [b"1", b"wait", b"2", b"fail", b"3"]
    async with site() as served:
        answered = await served.send_together(*map(request, bodies))
    assert answered == [b"at once: 1", b"in time: wait", b"at once: 2", b"in time: fail", b"at once: 3"]


async def test_who_has_left_before_their_turn_is_not_answered() -> None:
    asked: list[bytes] = []

    def step(arrived: Arrived) -> list[bytes]:
        asked.append(arrived.body)
        return [arrived.body]

    async with site(steps=(step,)) as served:
        opened = [await asyncio.open_connection(*served.address) for _ in range(2)]
        await asyncio.sleep(0.05)
        leaving, staying = served.server.connections
        leaving.data_received(request(b"leaving"))
        staying.data_received(request(b"staying"))
        leaving.force_close()
        answered = [await asyncio.wait_for(body_of(reader), 5) for reader, _ in opened]
        for _, writer in opened:
            writer.close()
    assert sorted(answered) == [b"", b"staying"]
    assert asked == [b"staying"]


async def test_who_leaves_while_the_answer_is_made_harms_nobody() -> None:
    def step(arrived: Arrived) -> list[bytes]:
        if arrived.body == b"last":
            served.server.connections[0].force_close()
        return [arrived.body]

    async with site(steps=(step,)) as served:
        answered = await served.send_together(*map(request, (b"1", b"2", b"last")))
    assert answered.count(b"") == 1
    assert all(body in (b"", sent) for body, sent in zip(answered, (b"1", b"2", b"last"), strict=True))


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
    async with site(steps=(lambda arrived: [large],)) as served:
        reader, writer = await asyncio.open_connection(*served.address, limit=2**10)
        for _ in range(50):
            writer.write(request())
            await asyncio.sleep(0.01)
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


def known_heads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies of the requests whose heads were known when they came; grows from now on."""
    bodies = []
    look = DirectRoute.head_of

    def spied(route: DirectRoute, data: bytes, end: int) -> Any:
        found = look(route, data, end)
        if found is not None:
            bodies.append(data[end:])
        return found

    monkeypatch.setattr(DirectRoute, "head_of", spied)
    return bodies


async def test_a_head_that_has_come_before_is_known_on_every_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[str, bytes]] = []

    def step(arrived: Arrived) -> list[bytes]:
        seen.append((arrived.headers["X-Who"], arrived.body))
        return [b"at once: ", arrived.body]

    known = known_heads(monkeypatch)
    async with site(steps=(step,)) as served:
        await served.send(request(b"1", X_Who="one"), request(b"2", X_Who="one"), pause=0.05)
        await served.send(request(b"3", X_Who="one"), request(b"4", X_Who="two"), pause=0.05)
        answered = await served.send(request(b"55", X_Who="one"), request(b"6", X_Who="two"), pause=0.05)
    assert known == [b"2", b"3", b"6"]
    assert seen == [("one", b"1"), ("one", b"2"), ("one", b"3"), ("two", b"4"), ("one", b"55"), ("two", b"6")]
    assert answered.count(b"at once: ") == 2


async def test_a_known_head_whose_request_has_to_wait_goes_the_usual_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = known_heads(monkeypatch)
    async with site() as served:
        answered = await served.send(*map(request, (b"1234", b"wait", b"fail", b"5678")), pause=0.05)
    assert known == [b"wait", b"fail", b"5678"]
    assert [part.partition(b"HTTP")[0] for part in answered.split(b"\r\n\r\n")[1:]] == [
        *(b"at once: 1234", b"in time: wait", b"in time: fail", b"at once: 5678"),
    ]


@pytest.mark.parametrize(
    "sent",
    [
        [request(b"xyz")[:-1], b"z"],
        [request(b"xyz") + request(b"abc")],
        [request(b"xyz") + request(b"abc")[:20], request(b"abc")[20:]],
        [request(request(b"x"), path=PATH + "/other")[: -len(request(b"x"))], request(b"x")],
        [request(b"x")[:20], request(b"x")[20:]],
    ],
    ids=["body later", "two at once", "one and a part", "as a body", "head in two parts"],
)
async def test_what_only_looks_like_a_known_request_is_taken_for_what_it_is(
    sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [request(b"x"), request(b"xyz"), request(request(b"x"), path=PATH + "/other")]
    known = known_heads(monkeypatch)
    async with site() as served:
        expected = await served.send(*sent, pause=0.05)
        await served.send(*before, pause=0.05)
        known.clear()
        answered = await served.send(*sent, pause=0.05)
        # Whatever came, nothing is taken for a request that is behind it on this connection but by the parser.
        behind = await served.send(*sent, request(b"x"), pause=0.05)
    assert known == []
    assert without_dates(answered) == without_dates(expected)
    assert without_dates(behind).endswith(b"at once: x")


async def test_a_body_that_unpacks_to_the_length_of_more_hides_no_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Were its length compared, the start of a request behind it would go unseen, and what follows be misread."""
    start = request(b"yyy", path=PATH + "/other")[:-3]
    plain = next(
        text
        for text in (b"x" * length for length in range(1_000))
        if len(gzip.compress(text)) + len(start) == len(text)
    )
    packed = gzip.compress(plain)
    sent = request(packed, Content_Encoding="gzip") + start
    known = known_heads(monkeypatch)
    async with site() as served:
        await served.send(request(b"x"))
        answered = await served.send(sent, request(b"x"), pause=0.1)
    assert known == []
    assert (answered.count(b"in time: "), answered.count(b"at once: ")) == (2, 0)


async def test_only_so_many_heads_are_remembered_and_no_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.direct._MOST_HEADS", 2)
    known = known_heads(monkeypatch)
    async with site() as served:
        for who in ("1", "2", "1", "3", "3", "1"):
            await served.send(request(who.encode(), X_Who=who))
        assert known == [b"1", b"3"]
        for _ in range(2):
            await served.send(request(b"long", X_Who="x" * 2_000))
    assert known == [b"1", b"3"]


def without_dates(answers: bytes) -> bytes:
    return re.sub(rb"Date: [^\r]*\r\n", b"", answers)

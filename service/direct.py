"""The short way of requests that can be answered from memory at once.

aiohttp makes a task, a request, a writer and a response of each request and takes it through a router and middlewares:
what a handler needs that awaits something, and half of the time that an answer takes. A request for recommendations
awaits nothing as a rule. It has arrived whole and its answer is in memory, so it is taken from between the connection
and its parser, and the answer written to the transport.

Requests that arrive in the same turn of the event loop are answered together at its end: what each of them needs of
the interpreter, of tables and of kernels is near the core then, which makes an answer under load a quarter cheaper.
One that comes alone waits for nothing.

aiohttp parses and checks what arrives all the same, and whatever is not plain (a body that is still on its way, a
chunked or compressed one, a client that reads slowly or sends several requests at once, an error) goes the usual way,
as if nothing had happened here. Only a head that it has parsed before, to the letter, is not parsed again: callers send
the same few over and over, and parsing one takes longer than much of what an answer needs.
"""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from functools import cached_property, lru_cache
from time import perf_counter, time
from typing import Any, NamedTuple

from aiohttp import StreamReader, hdrs, web
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from service.metrics import Metrics

#: So many requests are answered together at most, so that the first does not wait long for the last.
MOST_AT_ONCE = 16
#: Of a longer body aiohttp's reader may have held up the connection, which reading it as it expects would end.
_LONGEST_BODY = 2**15
_HEAD_END = b"\r\n\r\n"
#: So many heads of requests are remembered, none of them longer: a megabyte at most.
_MOST_HEADS, _LONGEST_HEAD = 1024, 1024


class Arrived(NamedTuple):
    """A request that is here as a whole."""

    headers: Mapping[str, str]
    body: bytes
    at: float  #: the perf_counter reading when it was parsed, seconds


#: From what the step before came to, first a request, to what the next one takes, at last the body of the answer in
#: pieces; None when the answer has to be waited for. What a step raises, the usual way raises again, and answers.
Step = Callable[[Any], Any]
_Message = tuple[RawRequestMessage, StreamReader]


class _Head(NamedTuple):
    """What aiohttp found in the head of a plain request, all up to the empty line."""

    headers: Mapping[str, str]
    body_bytes: int


class DirectRoute:
    """A POST for a fixed path, answered in JSON, whose answers may go the short way by some steps.

    Requests that are answered together take a step all of them before any takes the next.
    """

    def __init__(
        self,
        path: str,
        steps: Sequence[Step],
        metrics: Metrics,
        max_body_bytes: int,
        cors_origins: tuple[str, ...],
    ) -> None:
        self._path = path
        self._steps = steps
        self._metrics = metrics
        self._max_body_bytes = min(max_body_bytes, _LONGEST_BODY)
        self._has_cors = bool(cors_origins)
        self._varies = self._has_cors and "*" not in cors_origins
        self._heads: dict[bytes, _Head] = {}

    def fits(self, message: RawRequestMessage, body: StreamReader) -> bool:
        """Whether a request is a plain one for this route, and here."""
        return (
            message.path == self._path
            and message.method == hdrs.METH_POST
            and body.is_eof()
            and 0 < body.total_bytes <= self._max_body_bytes
            and message.version == HttpVersion11
            and not (message.should_close or message.chunked or message.upgrade or message.compression)
            and hdrs.EXPECT not in message.headers
            and not (self._has_cors and hdrs.ORIGIN in message.headers)
        )

    def head_of(self, data: bytes, end: int) -> _Head | None:
        """The head that ends before `end`, if all of `data` is a plain request and its head is a known one."""
        head = self._heads.get(data[:end])
        return None if head is None or len(data) - end != head.body_bytes else head

    def remember(self, data: bytes, end: int, message: RawRequestMessage) -> None:
        """Know the head from now on of a plain request, which `data` is as a whole."""
        if end <= _LONGEST_HEAD:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()  # each has a token of its own, and none comes again before the others have
            self._heads[data[:end]] = _Head(message.headers, len(data) - end)

    def responses_to(self, requests: Sequence[Arrived]) -> Sequence[bytes | None]:
        """The whole response to each request, counted; None where it has to go the usual way."""
        reached: list[Any] = list(requests)
        for step in self._steps:
            reached = _take(step, reached)
        date = _http_date(int(time()))
        return [
            None if body is None else self._response(request, body, date)
            for request, body in zip(requests, reached, strict=True)
        ]

    def _response(self, request: Arrived, body: Sequence[bytes], date: bytes) -> bytes:
        self._metrics.observe_request(self._path, hdrs.METH_POST, 200, perf_counter() - request.at)
        return b"".join((self._head % (sum(map(len, body)), date), *body))

    @cached_property
    def _head(self) -> bytes:
        vary = f"{hdrs.VARY}: {hdrs.ORIGIN}\r\n" if self._varies else ""
        return (
            f"HTTP/1.1 200 OK\r\n{hdrs.CONTENT_TYPE}: application/json\r\n{vary}"
            f"{hdrs.CONTENT_LENGTH}: %d\r\n{hdrs.DATE}: %b\r\n{hdrs.SERVER}: {SERVER_SOFTWARE}\r\n\r\n"
        ).encode()


#: Where an application says which of its routes has a short way.
DIRECT = web.AppKey("direct", DirectRoute)


class DirectRunner(web.AppRunner):
    """Runs an application; connections take the short way of its route DIRECT."""

    async def _make_server(self) -> web.Server:
        usual = await super()._make_server()
        return _Server(self.app[DIRECT], usual)


class _Server(web.Server):
    def __init__(self, route: DirectRoute, usual: web.Server) -> None:
        super().__init__(
            usual.request_handler,
            request_factory=usual.request_factory,
            handler_cancellation=usual.handler_cancellation,
            **usual._kwargs,
        )
        self._turn = _Turn(route, self._loop)

    def __call__(self) -> RequestHandler:
        connection = super().__call__()
        connection._parser = _ShortWay(connection._parser, connection, self._turn)  # type: ignore[assignment]
        return connection


class _Turn:
    """The requests that have arrived in this turn of the event loop, over all connections."""

    def __init__(self, route: DirectRoute, loop: AbstractEventLoop) -> None:
        self.route = route
        self._loop = loop
        self._waiting: list[tuple[_ShortWay, Arrived]] = []

    def add(self, way: "_ShortWay", request: Arrived) -> None:
        """Let a request be answered before the loop looks for more that has arrived."""
        self._waiting.append((way, request))
        if len(self._waiting) == 1:
            self._loop.call_soon(self.answer)
        elif len(self._waiting) == MOST_AT_ONCE:
            self.answer()

    def answer(self) -> None:
        """Answer all that wait, but those whose client has gone."""
        waiting, self._waiting = [one for one in self._waiting if one[0].is_open], []
        if waiting:
            responses = self.route.responses_to([request for _, request in waiting])
            for (way, _), response in zip(waiting, responses, strict=True):
                way.finish(response)


class _ShortWay:
    """Stands where a connection's parser is: passes on what that parsed, but for what is answered together."""

    __slots__ = ("_connection", "_is_between", "_parser", "_passed_on", "_turn", "_waiting")

    def __init__(self, parser: Any, connection: RequestHandler, turn: _Turn) -> None:
        self._parser = parser
        self._connection = connection
        self._turn = turn
        #: The request that is not answered yet, parsed or not.
        self._waiting: Sequence[_Message] | bytes = b""
        self._passed_on: Sequence[_Message] = ()  #: one that goes the usual way after all
        #: Whether what comes next begins a request, as all that came were whole ones; once not, it is not known again.
        self._is_between = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[Sequence[_Message], bool, bytes]:
        """What has arrived, as the parser sees it, without what goes the short way."""
        if self._passed_on:
            messages, self._passed_on = self._passed_on, ()
            return messages, False, b""
        if self._waiting:
            self._turn.answer()  # what comes now is answered after it
        route = self._turn.route
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if self._is_between and (head := route.head_of(data, end)) is not None and self._is_idle():
            self._wait(data, head.headers, data[end:])
            return (), False, b""
        messages, upgraded, tail = self._parser.feed_data(data)
        if len(messages) != 1:
            self._is_between &= not data
            return messages, upgraded, tail
        message, body = messages[0]
        self._is_between &= (
            body.is_eof()
            and len(data) - end == body.total_bytes
            and not (message.chunked or message.compression)  # of which the body has other bytes than arrived
        )
        if not self._is_idle() or not route.fits(message, body):
            return messages, upgraded, tail
        if self._is_between:
            route.remember(data, end, message)
        self._wait(messages, message.headers, b"".join(body._buffer))
        return (), upgraded, tail

    def _wait(self, request: Sequence[_Message] | bytes, headers: Mapping[str, str], body: bytes) -> None:
        self._waiting = request
        self._turn.add(self, Arrived(headers, body, perf_counter()))

    @property
    def is_open(self) -> bool:
        """Whether the client is still there."""
        transport = self._connection.transport
        return transport is not None and not transport.is_closing()

    def finish(self, response: bytes | None) -> None:
        """Write the answer to the request that waits, or let it go the usual way."""
        request, self._waiting = self._waiting, b""
        connection = self._connection
        if not request or not self.is_open:
            return
        if response is None:
            self._passed_on = self._parser.feed_data(request)[0] if isinstance(request, bytes) else request
            connection.data_received(b"")
            return
        if not isinstance(request, bytes):
            self._parser.message_consumed()
        connection._request_count += 1
        connection._manager.requests_count += 1  # type: ignore[union-attr]
        connection._next_keepalive_close_time = connection._loop.time() + connection._keepalive_timeout
        connection.transport.write(response)  # type: ignore[union-attr]

    def _is_idle(self) -> bool:
        """Whether nothing of this connection's is under way, so that an answer comes in its turn."""
        connection = self._connection
        waiter = connection._waiter
        return (
            waiter is not None
            and not waiter.done()
            and not connection._messages
            and self.is_open
            and connection.transport.get_write_buffer_size() == 0  # type: ignore[union-attr]
        )


def _take(step: Step, reached: Sequence[Any]) -> list[Any]:
    """What a step makes of each that has come so far; None of who does not go on."""
    further: list[Any] = []
    for one in reached:
        try:
            further.append(None if one is None else step(one))
        except Exception:  # noqa: BLE001 - nothing is swallowed: it comes again on the usual way, which answers it
            further.append(None)
    return further


@lru_cache(maxsize=2)
def _http_date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()

"""The short way of requests that can be answered from memory at once.

aiohttp makes a task, a request, a writer and a response of each request and takes it through a router and middlewares:
what a handler needs that awaits something, and half of the time that an answer takes. A request for recommendations
awaits nothing as a rule. It has arrived whole and its answer is in memory, so it is taken from between the connection
and its parser, and the answer written to the transport.

Requests that arrive in the same turn of the event loop are answered together at its end: what each of them needs of
the interpreter, of tables and of kernels is near the core then, which makes an answer under load a quarter cheaper.
One that comes alone waits for nothing.

aiohttp parses and checks every request all the same, and whatever is not plain (a body that is still on its way, a
chunked or compressed one, a client that reads slowly or sends several requests at once, an error) goes the usual way,
as if nothing had happened here.
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


class Arrived(NamedTuple):
    """A request that is here as a whole."""

    headers: Mapping[str, str]
    body: bytes
    at: float  #: the perf_counter reading when it was parsed, seconds


#: From what the step before came to, first a request, to what the next one takes, at last the body of the answer in
#: pieces; None when the answer has to be waited for. What a step raises, the usual way raises again, and answers.
Step = Callable[[Any], Any]
_Message = tuple[RawRequestMessage, StreamReader]


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

    def responses_to(self, requests: Sequence[Arrived]) -> Sequence[bytes | None]:
        """The whole response to each request, counted; None where it has to go the usual way."""
        reached: list[Any] = list(requests)
        for step in self._steps:
            reached = [None if one is None else _attempt(step, one) for one in reached]
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

    __slots__ = ("_connection", "_parser", "_passed_on", "_turn", "_waiting")

    def __init__(self, parser: Any, connection: RequestHandler, turn: _Turn) -> None:
        self._parser = parser
        self._connection = connection
        self._turn = turn
        self._waiting: _Message | None = None  #: the request that is not answered yet
        self._passed_on: list[_Message] = []  #: one that goes the usual way after all

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[Sequence[_Message], bool, bytes]:
        """What has arrived, as the parser sees it, without what goes the short way."""
        if self._passed_on:
            messages, self._passed_on = self._passed_on, []
            return messages, False, b""
        if self._waiting is not None:
            self._turn.answer()  # what comes now is answered after it
        messages, upgraded, tail = self._parser.feed_data(data)
        if len(messages) == 1 and self._is_idle() and self._turn.route.fits(*messages[0]):
            self._waiting = message, body = messages[0]
            self._turn.add(self, Arrived(message.headers, b"".join(body._buffer), perf_counter()))
            return (), upgraded, tail
        return messages, upgraded, tail

    @property
    def is_open(self) -> bool:
        """Whether the client is still there."""
        transport = self._connection.transport
        return transport is not None and not transport.is_closing()

    def finish(self, response: bytes | None) -> None:
        """Write the answer to the request that waits, or let it go the usual way."""
        message, self._waiting = self._waiting, None
        connection = self._connection
        if message is None or not self.is_open:
            return
        if response is None:
            self._passed_on = [message]
            connection.data_received(b"")
            return
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


def _attempt(step: Step, taken: Any) -> Any:
    try:
        return step(taken)
    except Exception:  # noqa: BLE001 - nothing is swallowed: it comes again on the usual way, which answers it
        return None


@lru_cache(maxsize=2)
def _http_date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()

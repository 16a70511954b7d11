"""The short way of requests that can be answered from memory at once.

aiohttp makes a task, a request, a writer and a response of each request and takes it through a router and middlewares:
what a handler needs that awaits something, and half of the time that an answer takes. A request for recommendations
awaits nothing as a rule. It has arrived whole, its answer is in memory, so an idle connection answers it where its
parser hands it over, and writes to the transport.

aiohttp parses and checks every request all the same, and whatever is not plain (a body that is still on its way, a
chunked or compressed one, a client that reads slowly, an error) goes the usual way, as if nothing had happened here.
"""

from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import cached_property, lru_cache
from time import perf_counter, time
from typing import Any

from aiohttp import StreamReader, hdrs, web
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from service.metrics import Metrics

#: From the headers and the body of a request to the body of its answer, or None when that has to be waited for. What
#: it raises, the usual way raises again, and answers.
AnswerAtOnce = Callable[[Mapping[str, str], bytes], bytes | None]

#: Of a stream that only carries a body on which was here already.
_STREAM_LIMIT = 2**16


class DirectRoute:
    """A POST for a fixed path, answered in JSON, whose answers may go the short way."""

    def __init__(
        self,
        path: str,
        answer: AnswerAtOnce,
        metrics: Metrics,
        max_body_bytes: int,
        cors_origins: tuple[str, ...],
    ) -> None:
        self._path = path
        self._answer = answer
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._has_cors = bool(cors_origins)
        self._varies = self._has_cors and "*" not in cors_origins

    def fits(self, message: RawRequestMessage, body: StreamReader) -> bool:
        """Whether a request is a plain one for this route, and here."""
        return (
            message.path == self._path
            and message.method == hdrs.METH_POST
            and body.is_eof()
            and message.version == HttpVersion11
            and not (message.should_close or message.chunked or message.upgrade or message.compression)
            and hdrs.EXPECT not in message.headers
            and not (self._has_cors and hdrs.ORIGIN in message.headers)
        )

    def response_to(self, message: RawRequestMessage, raw: bytes) -> bytes | None:
        """The whole response, counted; None when the request has to go the usual way."""
        if len(raw) > self._max_body_bytes:
            return None
        started = perf_counter()
        try:
            body = self._answer(message.headers, raw)
        except Exception:  # noqa: BLE001 - nothing is swallowed: it comes again on the usual way, which answers it
            return None
        if body is None:
            return None
        head = self._head % (len(body), _http_date(int(time())))
        self._metrics.observe_request(self._path, hdrs.METH_POST, 200, perf_counter() - started)
        return head + body

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
        self._route = route

    def __call__(self) -> RequestHandler:
        connection = super().__call__()
        connection._parser = _ShortWay(connection._parser, connection, self._route)  # type: ignore[assignment]
        return connection


class _ShortWay:
    """Stands where a connection's parser is: passes on what that parsed, but for the requests it has answered."""

    __slots__ = ("_connection", "_parser", "_route")

    def __init__(self, parser: Any, connection: RequestHandler, route: DirectRoute) -> None:
        self._parser = parser
        self._connection = connection
        self._route = route

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[list[tuple[RawRequestMessage, StreamReader]], bool, bytes]:
        """What has arrived, as the parser sees it, without what is answered by now."""
        messages, upgraded, tail = self._parser.feed_data(data)
        answered = 0
        for message, body in messages:
            if not self._is_idle() or not self._route.fits(message, body):
                break
            raw = body.read_nowait()
            response = self._route.response_to(message, raw)
            if response is None:
                messages[answered] = message, self._stream_of(raw)
                break
            self._send(response)
            answered += 1
        return (messages[answered:] if answered else messages), upgraded, tail

    def _is_idle(self) -> bool:
        """Whether nothing of this connection's is under way, so that an answer comes in its turn."""
        connection = self._connection
        waiter, transport = connection._waiter, connection.transport
        return (
            waiter is not None
            and not waiter.done()
            and not connection._messages
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        )

    def _send(self, response: bytes) -> None:
        """Write an answer, with what else aiohttp does at the end of one."""
        connection = self._connection
        self._parser.message_consumed()
        connection._request_count += 1
        connection._manager.requests_count += 1  # type: ignore[union-attr]
        connection._next_keepalive_close_time = connection._loop.time() + connection._keepalive_timeout
        connection.transport.write(response)  # type: ignore[union-attr]

    def _stream_of(self, raw: bytes) -> StreamReader:
        """A body that was read already, to be read again."""
        stream = StreamReader(self._connection, _STREAM_LIMIT, loop=self._connection._loop)
        stream.feed_data(raw)
        stream.feed_eof()
        return stream


@lru_cache(maxsize=2)
def _http_date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()

"""What can go wrong with a request, and the one place where that becomes an HTTP answer."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

logger = logging.getLogger(__name__)


# Hop-by-hop and body headers of an aiohttp error belong to the body it would have had, not to ours.
_BODY_HEADERS = frozenset({"content-type", "content-length"})


class RequestError(Exception):
    """A request that cannot be served, for a reason the caller may know.

    ``detail`` is shown to the caller as it is; it must hold nothing internal. ``retry_after`` is in seconds.
    """

    status: ClassVar[int] = 400

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class BadRequestError(RequestError):
    """The body or a parameter is not what the route takes."""


class UnauthorisedError(RequestError):
    """A token or key was given and is not good."""

    status = 401

    def headers(self) -> dict[str, str]:
        return {**super().headers(), "WWW-Authenticate": "Bearer"}


class ForbiddenError(RequestError):
    """The caller is known, and may not do this."""

    status = 403


class NotFoundError(RequestError):
    """The thing that the path names does not exist."""

    status = 404


class ConflictError(RequestError):
    """It contradicts something that happened before."""

    status = 409


class BodyTooLargeError(RequestError):
    """More bytes, or more rows, than one request may carry."""

    status = 413


class UnprocessableError(RequestError):
    """Well-formed, and still not something that can be carried out."""

    status = 422


class TooManyRequestsError(RequestError):
    """The caller is asked to slow down."""

    status = 429


class UnavailableError(RequestError):
    """It cannot be done now and may work later: no model yet, a full queue."""

    status = 503


def error_middleware(translations: Mapping[type[Exception], type[RequestError]] | None = None) -> Middleware:
    """Build the middleware that answers every error as ``{"detail": "…"}``.

    ``translations`` says which request error stands for an exception of a layer that knows nothing of HTTP;
    its message becomes the detail and its attribute ``retry_after``, if it has one, the header. Subclasses
    count, the first that fits wins. Whatever is not foreseen is logged under a random id and answered with
    500 and that id.
    """
    known = tuple((translations or {}).items())

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RequestError as error:
            return _answer(error)
        except web.HTTPException as error:
            return _from_aiohttp(request, error)
        except Exception as error:  # noqa: BLE001 - the outermost net; nothing is swallowed, it is logged
            return _from_unforeseen(request, error, known)

    return answer_errors


def _answer(error: RequestError) -> web.Response:
    return _json(error.status, {"detail": error.detail}, error.headers())


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """Give aiohttp's own 404, 405 and 413 the shape of ours; redirects and the like pass as they are."""
    if error.status < 400:
        raise error
    headers = {name: value for name, value in error.headers.items() if name.lower() not in _BODY_HEADERS}
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            detail = f"{request.method} is not allowed for {_path(request)}, only {allowed}"
        case web.HTTPNotFound():
            detail = f"There is nothing at {_path(request)}"
        case web.HTTPRequestEntityTooLarge():
            detail = f"The body is larger than {request.client_max_size} bytes"
        case _:
            detail = error.reason
    return _json(error.status, {"detail": detail}, headers)


def _from_unforeseen(
    request: web.Request, error: Exception, known: tuple[tuple[type[Exception], type[RequestError]], ...]
) -> web.Response:
    for kind, stands_for in known:
        if isinstance(error, kind):
            return _answer(stands_for(str(error), retry_after=getattr(error, "retry_after", None)))
    if isinstance(error, web.RequestPayloadError):
        return _answer(BadRequestError("The body does not match its Content-Encoding or Transfer-Encoding"))
    if request.transport is None or request.transport.is_closing():
        logger.info("%s %s: the client left before it had its answer", request.method, _path(request))
        return _answer(BadRequestError("The connection was closed"))
    request_id = secrets.token_hex(8)
    logger.error("request %s: %s %s failed", request_id, request.method, _path(request), exc_info=error)
    return _json(500, {"detail": "Internal error", "request_id": request_id}, {})


def _path(request: web.Request) -> str:
    """The path as it was sent: percent-encoded, so that it cannot forge a line of the log, and without query."""
    return request.rel_url.raw_path[:200]


def _json(status: int, body: dict[str, Any], headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        status=status, body=orjson.dumps(body), headers=headers, content_type="application/json"
    )

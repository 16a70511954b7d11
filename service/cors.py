"""Which other origins' pages may call this service (CORS_ORIGINS), by the rules of the Fetch standard."""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

_ALLOWED_METHODS = "GET, POST, DELETE"
_ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, X-API-Key"
_REMEMBER_SECONDS = "600"
#: Beside the headers that every page may read.
_READABLE_HEADERS = "Retry-After"


def cors_middleware(origins: tuple[str, ...]) -> Middleware:
    """Build the middleware; without origins no page of another origin gets to read an answer."""
    any_origin = "*" in origins

    @web.middleware
    async def share(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or not (any_origin or origin in origins):
            return _varying(await handler(request))
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            response: web.StreamResponse = web.Response(status=204)
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = _ALLOWED_METHODS
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = _ALLOWED_HEADERS
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _REMEMBER_SECONDS
        else:
            response = await handler(request)
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _READABLE_HEADERS
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*" if any_origin else origin
        return _varying(response)

    def _varying(response: web.StreamResponse) -> web.StreamResponse:
        """Also what one origin does not get to read: a cache must not give it to another."""
        if not any_origin:
            response.headers[hdrs.VARY] = hdrs.ORIGIN
        return response

    return share

"""Reading a request's body within bounds."""

import asyncio

from aiohttp import web

from service.errors import BadRequestError

#: A client that sends its body more slowly than this is not served, seconds.
BODY_TIMEOUT = 5.0


async def read_body(request: web.Request) -> bytes:
    """The body of a request; BadRequestError when it does not arrive in time, aiohttp's 413 when it is too large."""
    if request.content.is_eof():  # all of it is here, as it nearly always is: no timer is needed
        return await request.read()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError:
        raise BadRequestError(f"The body did not arrive within {BODY_TIMEOUT:g} seconds") from None

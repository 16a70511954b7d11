import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from service.errors import error_middleware
from service.routes import bodies
from service.routes.bodies import read_body


@pytest.fixture
async def echo(aiohttp_client):
    """A service that answers with the body it was sent, if that is at most 100 bytes."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=await read_body(request))

    app = web.Application(middlewares=[error_middleware()], client_max_size=100)
    app.router.add_post("/", handle)
    return await aiohttp_client(app)


async def in_parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 100])
async def test_a_body_is_read_as_it_was_sent(echo, body):
    async with echo.post("/", data=body) as response:
        assert await response.read() == body


async def test_a_body_in_parts_is_put_together(echo):
    async with echo.post("/", data=in_parts(b"{", b'"a"', b": 1}")) as response:
        assert await response.read() == b'{"a": 1}'


@pytest.mark.parametrize("body", [b"x" * 101, in_parts(b"x" * 60, b"x" * 60)])
async def test_a_body_that_is_too_large_is_413(echo, body):
    async with echo.post("/", data=body) as response:
        assert response.status == 413
        assert await response.json() == {"detail": "The body is larger than 100 bytes"}


async def test_a_body_that_never_ends_is_not_waited_for(echo, monkeypatch):
    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 0.05)
    never = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await never.wait()

    async with echo.post("/", data=stuck()) as response:
        assert response.status == 400
        assert await response.json() == {"detail": "The body did not arrive within 0.05 seconds"}

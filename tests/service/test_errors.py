import asyncio
import json
import logging

import pytest
from aiohttp import web

from service import errors


class QueueFullError(Exception):
    """Stands for an error of a layer that knows nothing of HTTP."""

    retry_after = 7


class QueueAlmostFullError(QueueFullError):
    """A subclass, which has to be translated like its parent."""


def application(failure: Exception | None = None, translations=None) -> web.Application:
    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        if failure is not None:
            raise failure
        return web.Response(text=str(len(body)))

    app = web.Application(middlewares=[errors.error_middleware(translations)], client_max_size=1000)
    app.router.add_post("/echo", handle)
    app.router.add_get("/thing", handle)
    return app


async def test_an_answer_without_error_passes_untouched(aiohttp_client):
    client = await aiohttp_client(application())

    response = await client.post("/echo", data=b"12345")

    assert (response.status, await response.text()) == (200, "5")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.BadRequestError, 400),
        (errors.UnauthorisedError, 401),
        (errors.ForbiddenError, 403),
        (errors.NotFoundError, 404),
        (errors.ConflictError, 409),
        (errors.BodyTooLargeError, 413),
        (errors.UnprocessableError, 422),
        (errors.TooManyRequestsError, 429),
        (errors.UnavailableError, 503),
    ],
)
async def test_every_request_error_has_its_status_and_shows_its_detail(aiohttp_client, error, status):
    client = await aiohttp_client(application(error("what is wrong")))

    response = await client.get("/thing")

    assert response.status == status
    assert response.content_type == "application/json"
    assert await response.json() == {"detail": "what is wrong"}
    assert "Retry-After" not in response.headers


async def test_retry_after_is_sent_when_the_error_knows_it(aiohttp_client):
    client = await aiohttp_client(application(errors.UnavailableError("the queue is full", retry_after=3)))

    response = await client.get("/thing")

    assert response.headers["Retry-After"] == "3"


async def test_a_missing_identity_says_how_to_show_one(aiohttp_client):
    client = await aiohttp_client(application(errors.UnauthorisedError("no")))

    assert (await client.get("/thing")).headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("failure", [QueueFullError("full"), QueueAlmostFullError("full")])
async def test_an_error_of_another_layer_is_translated_with_its_subclasses(aiohttp_client, failure):
    client = await aiohttp_client(application(failure, {QueueFullError: errors.UnavailableError}))

    response = await client.get("/thing")

    assert response.status == 503
    assert response.headers["Retry-After"] == "7"
    assert await response.json() == {"detail": "full"}


async def test_an_unknown_path_is_a_404_in_the_same_shape(aiohttp_client):
    client = await aiohttp_client(application())

    response = await client.get("/nowhere%0afast")

    assert response.status == 404
    assert await response.json() == {"detail": "There is nothing at /nowhere%0Afast"}


async def test_a_wrong_method_is_a_405_that_names_the_right_ones(aiohttp_client):
    client = await aiohttp_client(application())

    response = await client.delete("/echo")

    assert response.status == 405
    assert response.headers["Allow"] == "POST"
    assert await response.json() == {"detail": "DELETE is not allowed for /echo, only POST"}


async def test_an_oversized_body_is_a_413_that_names_the_bound(aiohttp_client):
    client = await aiohttp_client(application())

    response = await client.post("/echo", data=b"x" * 1001)

    assert response.status == 413
    assert await response.json() == {"detail": "The body is larger than 1000 bytes"}


async def test_a_compressed_body_cannot_get_past_the_bound(aiohttp_client):
    client = await aiohttp_client(application())

    response = await client.post("/echo", data=b"x" * 100_000, compress="gzip")

    assert response.status == 413


async def test_another_error_of_the_framework_keeps_its_status_and_shows_its_reason(aiohttp_client):
    client = await aiohttp_client(application(web.HTTPGone(text="a text that is not shown")))

    response = await client.get("/thing")

    assert (response.status, await response.json()) == (410, {"detail": "Gone"})


async def test_a_redirect_is_no_error(aiohttp_client):
    client = await aiohttp_client(application(web.HTTPFound("/elsewhere")))

    response = await client.get("/thing", allow_redirects=False)

    assert (response.status, response.headers["Location"]) == (302, "/elsewhere")


async def test_an_unforeseen_error_is_logged_under_an_id_and_tells_nothing_else(aiohttp_client, caplog):
    client = await aiohttp_client(application(RuntimeError("password=hush")))

    with caplog.at_level(logging.ERROR, logger="service.errors"):
        response = await client.get("/thing?token=hush")
    answer = await response.json()

    assert response.status == 500
    assert answer["detail"] == "Internal error"
    assert set(answer) == {"detail", "request_id"}
    (record,) = [record for record in caplog.records if record.name == "service.errors"]
    assert answer["request_id"] in record.getMessage()
    assert "token" not in record.getMessage()
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "password=hush"


async def test_a_body_that_is_not_compressed_as_it_says_is_the_clients_fault(aiohttp_client, caplog):
    client = await aiohttp_client(application())

    response = await client.post("/echo", data=b"hello", headers={"Content-Encoding": "gzip"})

    assert response.status == 400
    assert "Content-Encoding" in (await response.json())["detail"]
    assert not [record for record in caplog.records if record.name == "service.errors"]


async def test_a_client_that_leaves_while_sending_is_no_error_of_the_service(caplog):
    logged = asyncio.Event()
    watcher = logging.Handler()
    watcher.emit = lambda record: logged.set()
    logging.getLogger("service.errors").addHandler(watcher)
    runner = web.AppRunner(application())  # aiohttp's test server cancels handlers, the real one does not
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with caplog.at_level(logging.INFO, logger="service.errors"):
            _, writer = await asyncio.open_connection(*runner.addresses[0])
            writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhalf of")
            await writer.drain()
            writer.close()
            await asyncio.wait_for(logged.wait(), 10)
    finally:
        logging.getLogger("service.errors").removeHandler(watcher)
        await runner.cleanup()

    (record,) = [record for record in caplog.records if record.name == "service.errors"]
    assert record.levelno == logging.INFO
    assert record.getMessage() == "POST /echo: the client left before it had its answer"


async def test_a_detail_that_is_not_ascii_arrives_as_it_was_written(aiohttp_client):
    client = await aiohttp_client(application(errors.NotFoundError("Dún Laoghaire – níl")))

    raw = await (await client.get("/thing")).read()

    assert json.loads(raw) == {"detail": "Dún Laoghaire – níl"}

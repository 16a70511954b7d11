"""Single requests to a server that may be in trouble."""

import http.client
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from bench.load import HOST
from bench.mysql_site import MySQLSite

WITHIN_SECONDS = 30.0


class Answer(NamedTuple):
    status: int
    retry_after: str | None
    body: Any


def ask(port: int, path: str, body: Any = None, key: str | None = None) -> Answer:
    """One request on a connection of its own: a POST when there is a body, else a GET."""
    connection = http.client.HTTPConnection(HOST, port, timeout=WITHIN_SECONDS)
    headers = {"Idempotency-Key": key} if key else {}
    try:
        connection.request(
            "GET" if body is None else "POST", path, body and orjson.dumps(body), headers=headers
        )
        response = connection.getresponse()
        return Answer(response.status, response.getheader("Retry-After"), orjson.loads(response.read()))
    finally:
        connection.close()


def recommend(port: int, user_id: int = 1) -> Answer:
    return ask(port, "/v1/recommendations", {"user_id": user_id})


def click(port: int, key: str, event_id: int = 1) -> Answer:
    said = {"user_id": 1, "event_id": event_id, "action": "click"}
    return ask(port, "/v1/feedback", said, key)


def stored_keys(site: MySQLSite, prefix: str) -> list[str]:
    """The idempotency keys in the site's table that begin so, in the order in which they came."""
    rows = site.rows("SELECT idempotency_key FROM ml_feedback WHERE idempotency_key IS NOT NULL ORDER BY id")
    return [key for (key,) in rows if key.startswith(prefix)]


def wait_until(condition: Callable[[], Any]) -> Any:
    """Return what `condition()` gives once that is true; fail when it is not in time."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {WITHIN_SECONDS:g} s"
        time.sleep(0.02)
    return found

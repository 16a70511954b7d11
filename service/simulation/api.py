"""The service as a caller over HTTP sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

_SECONDS = 30.0


class SimulationError(Exception):
    """The service does not answer as it should; the message says what was asked, and what came."""


class Api:
    """Requests that must succeed; made by `open_api`. `requests` counts them."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self.requests = 0

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer. Raises SimulationError when there is none, or when it is an error."""
        self.requests += 1
        data = None if body is None else orjson.dumps(body)
        try:
            async with self._session.request(method, self._url + path, data=data) as response:
                raw = await response.read()
                status = response.status
        except (ClientError, TimeoutError) as error:
            raise SimulationError(f"{method} {self._url}{path}: {error or 'no answer in time'}") from error
        if status >= 300:
            raise SimulationError(f"{method} {self._url}{path}: {status} {_detail(raw)}")
        return orjson.loads(raw)

    async def erase(self, user_id: str) -> None:
        """Have the service forget a person."""
        await self.ask("DELETE", f"/v1/users/{quote(user_id, safe='')}")


@asynccontextmanager
async def open_api(url: str, api_key: str | None, connections: int) -> AsyncIterator[Api]:
    """The service at `url`, over at most so many connections."""
    headers: Mapping[str, str] = {"Content-Type": "application/json"}
    if api_key:
        headers = {**headers, "X-API-Key": api_key}
    async with ClientSession(
        headers=headers,
        timeout=ClientTimeout(total=_SECONDS),
        connector=TCPConnector(limit=connections),
    ) as session:
        yield Api(session, url)


def _detail(raw: bytes) -> str:
    try:
        return str(orjson.loads(raw)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return raw[:200].decode(errors="replace")

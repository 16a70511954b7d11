"""Answers that are encoded by type, away from the request's way."""

from collections.abc import Mapping

import msgspec
import orjson
from aiohttp import web


def json_answer(
    answer: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A struct of `service.answers` as a response."""
    body = orjson.dumps(msgspec.to_builtins(answer))
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")

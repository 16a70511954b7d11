"""The page that shows the API and lets one try it, with every asset served from this machine."""

from __future__ import annotations

from typing import Any

import orjson
import swagger_ui_bundle
from aiohttp import web
from aiohttp.typedefs import Handler

# Nothing may be loaded from, or sent to, another address.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

# The addresses are relative, so that the page also works below a prefix of a proxy.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>WhatsTheCraic recommendations: API</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

# The bundled Swagger UI 4 draws OpenAPI 3.0 only. What it draws of this document reads the same in both, so
# the page, and only the page, is told the older number. Without an own value, the last option would send the
# document to a validator on another host.
_START = """"use strict";
fetch("openapi.json")
  .then((response) => response.json())
  .then((document) => SwaggerUIBundle({
    spec: { ...document, openapi: "3.0.3" },
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
  }));
"""

_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}


def docs_routes(openapi: dict[str, Any]) -> list[web.RouteDef]:
    """The routes of GET /openapi.json, GET /docs and the page's assets.

    The document is encoded once; the assets are read from the installed package when they are asked for.
    """
    document = orjson.dumps(openapi, option=orjson.OPT_INDENT_2)
    return [
        web.get("/openapi.json", _fixed(document, "application/json")),
        web.get("/docs", _fixed(_PAGE.encode(), "text/html")),
        web.get("/docs/start.js", _fixed(_START.encode(), "text/javascript")),
        *(web.get(f"/docs/{name}", _packaged(name, kind)) for name, kind in _ASSETS.items()),
    ]


def _fixed(body: bytes, content_type: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=_HEADERS)

    return answer


def _packaged(name: str, content_type: str) -> Handler:
    path = swagger_ui_bundle.swagger_ui_path / name

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers={**_HEADERS, "Content-Type": content_type})

    return answer

import json
import re

import pytest
from aiohttp import web

from service.docs_page import docs_routes
from service.openapi import ROUTES, build_openapi


@pytest.fixture
def app():
    app = web.Application()
    app.add_routes(docs_routes(build_openapi(ROUTES, "1.2.3")))
    return app


async def test_the_document_is_served_as_json(aiohttp_client, app):
    client = await aiohttp_client(app)

    response = await client.get("/openapi.json")

    assert (response.status, response.content_type) == (200, "application/json")
    assert json.loads(await response.read()) == build_openapi(ROUTES, "1.2.3")


async def test_everything_that_the_page_asks_for_is_served_by_this_service(aiohttp_client, app):
    client = await aiohttp_client(app)

    page = await (await client.get("/docs")).text()
    script = await (await client.get("/docs/start.js")).text()
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(r'fetch\("([^"]+)"\)', script)

    assert len(wanted) == 5
    for address in wanted:
        response = await client.get(f"/{address}")  # relative to /docs
        assert response.status == 200
        assert len(await response.read()) > 100


async def test_neither_page_nor_script_names_another_address(aiohttp_client, app):
    client = await aiohttp_client(app)

    for path in ("/docs", "/docs/start.js"):
        assert "//" not in await (await client.get(path)).text()


async def test_the_page_has_no_script_or_style_of_its_own_that_the_policy_would_stop(aiohttp_client, app):
    client = await aiohttp_client(app)

    page = await (await client.get("/docs")).text()

    assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == ["", ""]
    assert "<style" not in page
    assert not re.search(r"\s(on\w+|style)=", page)


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/openapi.json"])
async def test_a_strict_policy_comes_with_everything(aiohttp_client, app, path):
    client = await aiohttp_client(app)

    headers = (await client.get(path)).headers
    policy = headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/docs", "text/html"),
        ("/docs/start.js", "text/javascript"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/swagger-ui.css", "text/css"),
        ("/docs/favicon-32x32.png", "image/png"),
    ],
)
async def test_every_asset_has_the_type_that_nosniff_demands(aiohttp_client, app, path, kind):
    client = await aiohttp_client(app)

    response = await client.get(path)

    assert (response.status, response.content_type) == (200, kind)


@pytest.mark.parametrize("name", ["index.html", "swagger-ui-bundle.js.map", "..%2f__init__.py", "%2e%2e/x"])
async def test_no_other_file_of_the_package_can_be_read(aiohttp_client, app, name):
    client = await aiohttp_client(app)

    assert (await client.get(f"/docs/{name}")).status == 404


async def test_the_page_tells_the_older_swagger_ui_a_version_that_it_can_draw(aiohttp_client, app):
    client = await aiohttp_client(app)

    script = await (await client.get("/docs/start.js")).text()
    bundle = await (await client.get("/docs/swagger-ui-bundle.js")).text()

    assert 'openapi: "3.0.3"' in script
    assert '"3.0."' in bundle  # what it asks of the version; gone once the package brings Swagger UI 5

"""A simulated experiment against the whole application, over HTTP."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from service.cli import main
from service.demo_site.programme import TICKETS
from service.simulation.api import Api, SimulationError, open_api
from service.simulation.running import is_demo
from tests.apps import Clock, an_application, make_home, settings_of
from tests.integration.running import eventually

PEOPLE = 40


class GoingClock(Clock):
    """From NOW on: what is counted of an answer depends on what came after it."""

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()

    def __call__(self) -> float:
        return self.now + time.monotonic() - self._started


async def simulate(url: str, *arguments: str) -> Result:
    command = ["simulate", "--url", url, "--people", str(PEOPLE), "--settle-seconds", "0.5", *arguments]
    return await asyncio.to_thread(CliRunner().invoke, main, command)


async def test_what_people_do_is_what_the_results_have_and_then_they_are_gone(
    aiohttp_server: Any, tmp_path: Path
):
    home = await asyncio.to_thread(make_home, tmp_path / "home")
    async with an_application(settings_of(home), GoingClock()) as app, asyncio.timeout(60):
        server = await aiohttp_server(app)
        url = str(server.make_url(""))
        refused = await simulate(url)
        assert (refused.exit_code, "is not the demo" in refused.output) == (2, True)

        done = await simulate(url, "--yes", "--seed", "4", "--experiment", "known", "--effect", "0.25")
        assert done.exit_code == 0, done.output
        assert "True effect on clicks for each answer: +25.0%" in done.output
        told = re.findall(r"(control|changed) +(\d+) people +(\d+) answers", done.output)
        assert [name for name, *_ in told] == ["control", "changed"]
        assert sum(int(people) for _, people, _ in told) == PEOPLE

        async with open_api(url, None, 1) as api:
            await eventually(lambda: has_nobody(api))
            known = await api.ask("GET", "/v1/experiments/known")
        assert (known["status"], known["planned_people"]) == ("completed", PEOPLE)


async def has_nobody(api: Api) -> bool:
    results = await api.ask("GET", "/v1/experiments/known/results")
    return bool(results["participants"] == 0)


class Answering(Api):
    """A service that always gives one answer."""

    def __init__(self, *ticket_urls: str | None) -> None:
        self._answer = {"recommendations": [{"ticket_url": url} for url in ticket_urls]}

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        return self._answer


@pytest.mark.parametrize(
    ("ticket_urls", "expected"),
    [
        ([None, f"{TICKETS}1", f"{TICKETS}2"], True),
        ([f"{TICKETS}1", "https://tickets.example/2"], False),
        ([None], False),
        ([], False),
    ],
)
async def test_the_demo_is_known_by_all_that_it_sells(ticket_urls: list[str | None], expected: bool):
    assert await is_demo(Answering(*ticket_urls)) == expected


async def test_a_service_that_is_not_there_is_said_in_a_line():
    done = await simulate("http://127.0.0.1:9", "--yes")
    assert done.exit_code == 1
    assert done.output.splitlines()[-1].startswith("Error: POST http://127.0.0.1:9/v1/experiments: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--effect", "0.3"), "--effect"),
        (("--effect", "0.001"), "--effect: to find it takes"),
    ],
)
def test_what_cannot_be_simulated_is_told(arguments: tuple[str, ...], told: str):
    done = CliRunner().invoke(main, ["simulate", *arguments])
    assert (done.exit_code, told in done.output) == (2, True)


async def test_an_answer_that_is_an_error_is_told_with_what_was_asked(aiohttp_server: Any):
    app = web.Application()
    async with open_api(str((await aiohttp_server(app)).make_url("")), "the key", 1) as api:
        with pytest.raises(SimulationError, match=r"GET http://.*/nothing: 404 404: Not Found"):
            await api.ask("GET", "/nothing")

"""The script that cron runs, with cron's environment, against a service and a Slack on this machine."""

import asyncio
import fcntl
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bench.homes import craic
from bench.servers import running_service
from service.demo_site import generate_demo_site, write_files
from service.models import ModelRegistry

SCRIPT = Path(__file__).parents[2] / "scripts" / "retrain-model.sh"
KEY = 'the "key"\\'
TRAINED = {"status": "success", "model_version": "20270115T080000Z"}


class Ran(NamedTuple):
    """What a run of the script came to."""

    code: int
    log: str


class Service:
    """Answers as the service does, or as a Slack; keeps what it was asked."""

    def __init__(self, answers: Mapping[str, tuple[int, Any]]) -> None:
        self.asked: list[tuple[str, str, str | None, str]] = []  #: method, path, service key, body
        self._answers = answers

    async def answer(self, request: web.Request) -> web.Response:
        key = request.headers.get("X-API-Key")
        self.asked.append((request.method, request.path, key, await request.text()))
        status, body = self._answers[request.path]
        return web.json_response(body, status=status)


async def serve(aiohttp_server, answers: Mapping[str, tuple[int, Any]]) -> tuple[Service, str]:
    service = Service(answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    server: TestServer = await aiohttp_server(app)
    return service, f"http://127.0.0.1:{server.port}"


async def run(**environment: str) -> Ran:
    """Run the script as cron does, under a shell and with nothing in the environment but what the crontab says."""
    given = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", "-i", "PATH=/usr/bin:/bin", *given, "/bin/sh", "-c", str(SCRIPT)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return Ran(process.returncode or 0, out.decode())


@pytest.mark.parametrize(
    ("health", "status", "answer", "code", "told"),
    [
        (200, 200, TRAINED, 0, 'Model training: {"status": "success", "model_version": "20270115T080000Z"}'),
        (200, 409, {"detail": "under way, process 7"}, 3, "Model training was refused: "),
        (200, 503, {"detail": 'The "disk" is full \\ \n'}, 1, "Model training failed with status 503: "),
        (503, 200, TRAINED, 2, "/health answered 503"),
    ],
)
async def test_what_came_of_it_is_logged_told_to_slack_and_the_exit_code(
    aiohttp_server, health, status, answer, code, told
):
    service, url = await serve(
        aiohttp_server, {"/health": (health, {}), "/v1/model/retrain": (status, answer)}
    )
    slack, slack_url = await serve(aiohttp_server, {"/hook": (200, "ok")})

    ran = await run(ML_SERVICE_URL=url, SLACK_WEBHOOK_URL=f"{slack_url}/hook", API_KEY=KEY)

    assert (ran.code, told in ran.log) == (code, True), ran.log
    assert all(line[:2] == "20" and line[19] == "Z" for line in ran.log.splitlines())
    expected = [("GET", "/health")] + ([("POST", "/v1/model/retrain")] if health == 200 else [])
    assert [asked[:3] for asked in service.asked] == [(*one, KEY) for one in expected]
    [(_, _, key, posted)] = slack.asked
    assert key is None
    assert json.loads(posted)["text"] == ran.log.splitlines()[-1][21:]


async def test_a_slack_that_is_not_reached_fails_nothing(aiohttp_server):
    _, url = await serve(aiohttp_server, {"/health": (200, {}), "/v1/model/retrain": (200, TRAINED)})
    _, slack_url = await serve(aiohttp_server, {"/hook": (500, "no")})

    ran = await run(ML_SERVICE_URL=url, SLACK_WEBHOOK_URL=f"{slack_url}/hook")

    assert (ran.code, ran.log.splitlines()[-1][21:]) == (0, "Slack was not reached")


async def test_without_a_service_there_is_no_training():
    ran = await run(SERVICE_PORT="1")

    assert ran.code == 2
    assert "Model training did not start: http://127.0.0.1:1/health answered 000" in ran.log


async def test_two_runs_never_overlap():
    with SCRIPT.open() as script:
        fcntl.flock(script, fcntl.LOCK_EX)
        ran = await run(SERVICE_PORT="1")

    assert (ran.code, "another run of this script is under way" in ran.log) == (3, True)


@pytest.fixture(scope="module")
def demo_home(tmp_path_factory) -> Path:
    """A home with the demo's data and a model of them."""
    folder = tmp_path_factory.mktemp("demo")
    interactions, events = write_files(folder / "files", generate_demo_site(datetime.now(UTC)))
    home = folder / "home"
    craic(home, "service", "import", "--events", str(events), "--interactions", str(interactions))
    craic(home, "training", "train")
    return home


async def test_a_night_trains_and_publishes_what_the_service_goes_on_with(demo_home):
    """Nothing but the data is made up: the service, the script, the training and the reload are those of a site."""
    registry = ModelRegistry(demo_home / "models")
    before, told = registry.current(), {"RETRAIN_MIN_INTERACTIONS": "2", "POLL_SECONDS": "0.2"}
    with running_service(demo_home, None, told) as server:
        url, nobody = f"http://127.0.0.1:{server.port}", str(demo_home)
        idle = await run(HOME=nobody, ML_SERVICE_URL=url)
        async with ClientSession(url) as client:
            for action in ("save", "click"):
                feedback = {"user_id": "newcomer", "event_id": "1", "action": action}
                async with client.post("/v1/feedback", json=feedback) as answer:
                    assert answer.status in (200, 201, 202), await answer.text()
            trained = await run(HOME=nobody, ML_SERVICE_URL=url)
            serving = await serving_within(client, str(registry.current()))

    assert (idle.code, "have come since" in idle.log) == (0, True), idle.log
    assert trained.code == 0, trained.log
    assert registry.current() == serving != before
    assert f'"model_version":"{serving}"' in trained.log.replace(" ", "")
    assert "newcomer" in registry.load()[0].users


async def serving_within(client: ClientSession, version: str, seconds: float = 20.0) -> str:
    """The model that serves, once it is this one or the time is over."""
    deadline, serving = monotonic() + seconds, ""
    while serving != version and monotonic() < deadline:
        async with client.get("/health") as answer:
            serving = (await answer.json())["model_version"]
        await asyncio.sleep(0.05)
    return serving

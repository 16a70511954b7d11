"""The script that cron runs, with cron's environment, against a service and a Slack on this machine."""

import asyncio
import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

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

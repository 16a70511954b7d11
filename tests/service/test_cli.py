"""The commands as a person runs them: processes of their own, exit codes, and what they print."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from service.cli import main
from service.models import ModelRegistry
from service.refusals import Refusal, note_refusal
from tests.servers import free_port
from tests.sites import a_model, write_csv, write_model

ROOT = Path(__file__).parents[2]
SOON = datetime.now(UTC) + timedelta(days=30)
EVENT_COLUMNS = ("event_id", "title", "city", "start_time")
INTERACTION_COLUMNS = ("user_id", "event_id", "action", "created_at")


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Nothing of this machine's settings; kernels come from where this process keeps them as well."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    cache = os.environ.get("NUMBA_CACHE_DIR", "")
    return {**kept, "CRAIC_HOME": str(home), "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": cache, **settings}


def craic(home: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """One command from beginning to end."""
    return subprocess.run(
        [sys.executable, "-m", "service", *map(str, arguments)],
        env=environment(home, **settings),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed, once it is known to have succeeded."""
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def running(home: Path, *arguments: str | Path, **settings: str) -> Iterator[tuple[int, Any]]:
    """A server that is ready: its port and its process. At the end it has to stop by itself when asked."""
    port = free_port()
    log = home.parent / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *map(str, arguments)],
            env=environment(home, SERVICE_PORT=str(port), SERVICE_HOST="127.0.0.1", **settings),
            cwd=home.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(process, port, log)
            yield port, process
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if call(port, "/ready")[0] == 200:
                return
        except ConnectionError:
            pass  # nobody listens yet
        time.sleep(0.05)
    pytest.fail(f"the server did not become ready: {log.read_text()}")


def call(port: int, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    """Status and answer of one request."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(connection):
        connection.request("GET" if body is None else "POST", path, body and json.dumps(body))
        response = connection.getresponse()
        return response.status, json.load(response)


def events_file(directory: Path, n: int = 12) -> Path:
    rows = [(f"gig{k}", f"Gig {k}", ("Cork", "Sligo")[k % 2], SOON.isoformat()) for k in range(n)]
    return write_csv(directory / "events.csv", EVENT_COLUMNS, rows)


def interactions_file(directory: Path, people: int = 30) -> Path:
    """Everyone saves five gigs in a row, one a day, round in a ring."""
    start = datetime.now(UTC) - timedelta(days=40)
    rows = [
        (f"person{who}", f"gig{(who + step) % 12}", "save", (start + timedelta(days=who + step)).isoformat())
        for who in range(people)
        for step in range(5)
    ]
    return write_csv(directory / "interactions.csv", INTERACTION_COLUMNS, rows)


def test_the_whole_way_from_two_files_to_an_explained_answer(tmp_path):
    home, events, interactions = tmp_path / "home", events_file(tmp_path), interactions_file(tmp_path)

    imported = craic(home, "import", "--events", events, "--interactions", interactions)
    assert imported.returncode == 0
    assert "12 events: 12 new" in imported.stderr
    assert "150 interactions: 150 new" in imported.stderr
    trained = json.loads(succeeded(craic(home, "train", "--json")))
    measured = json.loads(succeeded(craic(home, "evaluate", "--json", "--k", "3")))

    assert trained["status"] == "success"
    assert trained["metrics"]["training_samples"] == 150
    assert 0 < trained["metrics"]["validation_metrics"]["ndcg_at_10"] <= 1
    assert set(measured) == {"control", "collaborative_filtering", "content_based", "als", "hybrid"}
    assert 0 < measured["collaborative_filtering"]["ndcg_at_3"] <= 1
    with running(home, "serve") as (port, _):
        assert call(port, "/health")[1]["model_version"] == trained["model_version"]
        status, answer = call(port, "/v1/recommendations", {"user_id": "person1", "city": "CORK", "limit": 3})
        second = craic(tmp_path / "other", "serve", SERVICE_PORT=str(port), SERVICE_HOST="127.0.0.1")
    assert (second.returncode, "Address already in use" in second.stderr) == (1, True)
    assert status == 200
    assert {item["city"] for item in answer["recommendations"]} == {"Cork"}
    assert answer["recommendations"][0]["because"]


def test_the_demo_site_is_imported_once_and_rewards_taste(tmp_path):
    home = tmp_path / "home"

    first, second = (craic(home, "import", "--demo") for _ in range(2))

    assert (first.returncode, second.returncode) == (0, 0)
    assert "3,000 events: 3,000 new" in first.stderr
    assert "3,000 events: 3,000 there already" in second.stderr
    assert "new" not in second.stderr
    measured = json.loads(succeeded(craic(home, "evaluate", "--json")))
    assert measured["collaborative_filtering"]["ndcg_at_10"] > 2 * measured["control"]["ndcg_at_10"]
    assert measured["collaborative_filtering"]["users"] > 1_000


def test_demo_trains_once_serves_and_trains_again_when_its_files_have_grown(tmp_path):
    home, events = tmp_path / "home", events_file(tmp_path)
    files = ("--events", events, "--interactions", interactions_file(tmp_path))
    log = tmp_path / "server.log"

    with running(home, "demo", *files) as (port, _):
        first = call(port, "/health")[1]["model_version"]
        printed = log.read_text()
        assert call(port, "/v1/recommendations", {"user_id": "person0"})[1]["recommendations"]
    assert f"curl -s localhost:{port}/v1/recommendations" in printed
    assert '"user_id": "person' in printed
    with running(home, "demo", *files) as (port, _):
        assert call(port, "/health")[1]["model_version"] == first
    assert "Published model" not in log.read_text()

    interactions_file(tmp_path, people=40)
    with running(home, "demo", *files) as (port, _):
        assert call(port, "/health")[1]["model_version"] > first


def test_a_bad_line_is_named_and_nothing_of_its_file_is_imported(tmp_path):
    home, events = tmp_path / "home", events_file(tmp_path)
    bad = write_csv(
        tmp_path / "bad.csv",
        INTERACTION_COLUMNS,
        [("ann", "gig1", "save", "2026-01-01"), ("ann", "gig2", "adore", "2026-01-01")],
    )

    done = craic(home, "import", "--events", events, "--interactions", bad)

    assert done.returncode == 1
    assert f"Error: {bad}, line 3, column action: " in done.stderr
    assert "Traceback" not in done.stderr
    bad.write_text(bad.read_text().replace("adore", "click"))
    assert "2 interactions: 2 new" in craic(home, "import", "--interactions", bad).stderr


def test_too_little_data_is_refused_with_a_code_of_its_own(tmp_path):
    home = tmp_path / "home"
    craic(home, "import", "--interactions", interactions_file(tmp_path, people=5))

    done = craic(home, "train")

    assert done.returncode == 3
    assert "Nothing was published: 25 usable interactions" in done.stderr
    assert "MIN_TRAINING_SAMPLES asks for 100" in done.stderr
    registry = ModelRegistry(home / "models")
    assert (registry.versions(), registry.current()) == ([], None)


def test_an_embedded_database_that_is_none_is_one_line_and_no_traceback(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "craic.db").write_bytes(b"no database" * 1_000)

    for arguments in (("import", "--demo"), ("train",), ("evaluate",), ("serve",)):
        done = craic(home, *arguments, SERVICE_PORT=str(free_port()))
        assert done.returncode == 1, arguments
        assert "craic.db: file is not a database" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = craic(tmp_path / "home", "serve", SERVICE_PORT=str(port), SERVICE_HOST="127.0.0.1")

    assert done.returncode == 1
    assert f"Error: 127.0.0.1:{port}: Address already in use" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_default_variant_that_no_arm_has_is_refused_at_the_start(tmp_path):
    done = craic(tmp_path / "home", "serve", DEFAULT_VARIANT="none", SERVICE_PORT=str(free_port()))

    assert done.returncode == 2
    assert "DEFAULT_VARIANT: expected one of control, " in done.stderr


def test_the_help_of_a_training_is_the_training_s_own(tmp_path):
    printed = succeeded(craic(tmp_path / "home", "train", "--help"))

    assert printed.startswith("Usage: craic train [OPTIONS]")
    assert "Exit codes: 0 published, or nothing new, 1 failed, 3 refused" in printed


# What never gets as far as a database needs no process of its own.


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command in this process."""
    for name, value in environment(tmp_path / "home", OPENBLAS_NUM_THREADS="1").items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(main, [*map(str, arguments)], prog_name="craic")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import"], "nothing to import: give --events, --interactions or --demo"),
        (["import", "--demo", "--events", __file__], "--demo brings its own files"),
        (["import", "--events", "nowhere.csv"], "'nowhere.csv' does not exist"),
        (["import", "--events", "."], "'.' is a directory"),
        (["demo", "--events", __file__], "--events and --interactions belong together"),
        (["serve", "--workers", "0"], "'--workers'"),
        (["serve", "--wrokers", "2"], "--wrokers"),
        (["inport"], "inport"),
    ],
)
def test_a_wrong_command_line_is_told_and_has_the_usual_code(run, arguments, told):
    done = run(*arguments)

    assert done.exit_code == 2
    assert told in done.output


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SERVICE_PORT", "http", "SERVICE_PORT: expected a whole number from 1 to 65535, got 'http'"),
        ("CRAIC_HOEM", "/tmp", "CRAIC_HOEM: no such setting; the nearest is CRAIC_HOME"),  # noqa: S108
    ],
)
def test_a_wrong_setting_is_named(run, monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)

    done = run("import", "--demo")

    assert done.exit_code == 2
    assert told in done.output


def test_migrating_twice_does_no_harm_and_says_so(run):
    first, second = run("migrate"), run("migrate")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.output.startswith("applied 001_")
    assert second.output == "Everything was applied before.\n"


@pytest.mark.parametrize("command", ["import", "serve", "migrate", "demo"])
def test_every_command_has_a_help_that_teaches(run, command):
    done = run(command, "--help")

    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 8


def test_the_whole_help_names_every_command_and_a_first_site(run):
    printed = run("--help").output

    assert all(
        f"\n  {command} " in printed
        for command in ("demo", "evaluate", "import", "migrate", "serve", "train")
    )
    assert "craic import --events events.csv --interactions interactions.csv" in printed


def test_models_are_listed_and_gone_back_to(run, tmp_path):
    models = tmp_path / "home" / "models"
    registry = ModelRegistry(models)
    for version in ("20270101T020000Z", "20270102T020000Z"):
        write_model(registry, replace(a_model({"ann": ["rock"]}), version=version))
    registry.publish("20270102T020000Z")

    note_refusal(models, Refusal("20270103T020000Z", 1.8e9, ["popularity holds NaN"], 420, {}))

    listed = run("models").stdout.splitlines()
    assert [line[:18] for line in listed] == [
        "* 20270102T020000Z",
        "  20270101T020000Z",
        "x 20270103T020000Z",
    ]
    assert listed[2].endswith("not published: popularity holds NaN")

    assert run("models", "rollback").stdout == "20270101T020000Z is published\n"
    assert registry.current() == "20270101T020000Z"
    again = run("models", "rollback")
    assert again.exit_code == 1
    assert "Nothing changed: there is no model before 20270101T020000Z" in again.output
    assert run("models", "rollback", "20270102T020000Z").exit_code == 0
    assert registry.current() == "20270102T020000Z"


def test_before_the_first_training_no_model_is_listed(run):
    assert run("models").output == "No model is published; train one with: craic train\n"

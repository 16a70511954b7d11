import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.bundle import BundleError
from service.database import open_configured_database
from service.models import ModelRegistry
from service.settings import Settings
from service.storage.errors import StorageUnavailable
from service.storage.queries.recording import Feedback, insert_feedback
from tests.sites import DAY
from training import cli, pipeline
from training.cli import main

YESTERDAY = 1_700_000_000  # long before any test runs, as the commands go by the time of day


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CRAIC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MIN_TRAINING_SAMPLES", "10")
    for name in ("DB_HOST", "MODEL_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def run(*arguments: str):
    return CliRunner().invoke(main, arguments, prog_name="craic")


def fill(home: Path, people: int = 12, action: str = "save") -> None:
    """Everyone acts on four of eight events, one a day."""
    rows = [
        Feedback(f"person{who}", f"gig{(who + step) % 8}", action, YESTERDAY + DAY * (who + step))
        for who in range(people)
        for step in range(4)
    ]

    async def insert() -> None:
        database = await open_configured_database(Settings.from_environment({"CRAIC_HOME": str(home)}))
        try:
            await insert_feedback(database, rows)
        finally:
            await database.close()

    asyncio.run(insert())


def test_a_training_tells_what_it_did(home):
    fill(home)
    fill(home, people=2, action="share")

    done = run("train")

    assert done.exit_code == 0
    version = ModelRegistry(home / "models").current()
    assert f"Published model {version} in " in done.stdout
    assert "48 of 56 interactions used: 48 likes, 0 dismissals; 8 of unknown actions." in done.stdout
    assert "Judged on the last fifth by time, " in done.stdout
    assert "collaborative_filtering" in done.stdout
    steps = done.stderr.splitlines()
    assert steps == [
        "reading interactions …",
        "fitting 56 interactions …",
        "validating …",
        f"publishing {version} …",
    ]


def test_a_training_tells_machines_in_json_alone(home):
    fill(home)

    done = run("train", "--json", "--seed", "3")

    report = json.loads(done.stdout)
    assert report["status"] == "success"
    assert report["model_version"] == ModelRegistry(home / "models").current()
    assert report["metrics"]["training_samples"] == 48
    assert set(report["metrics"]) == {"training_samples", "training_duration_seconds", "validation_metrics"}
    assert {"precision_at_10", "recall_at_10", "ndcg_at_10", "map"} <= set(
        report["metrics"]["validation_metrics"]
    )


def test_too_little_data_has_a_code_of_its_own_and_leaves_the_old_model(home, monkeypatch):
    fill(home)
    run("train")
    before = ModelRegistry(home / "models").current()
    monkeypatch.setenv("MIN_TRAINING_SAMPLES", "1000")

    done = run("train")

    assert done.exit_code == 3
    assert done.stderr.splitlines()[-1] == (
        "Nothing was published: 48 usable interactions, and MIN_TRAINING_SAMPLES asks for 1000"
    )
    assert done.stdout == ""
    assert ModelRegistry(home / "models").current() == before


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        BundleError(Path("20270115T080000Z"), "cannot be put in place: Directory not empty"),
    ],
)
def test_a_model_that_cannot_be_written_is_one_line_and_a_failure(home, monkeypatch, error):
    fill(home)

    def fail(*args):
        raise error

    monkeypatch.setattr(pipeline, "write_bundle", fail)
    done = run("train")

    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == f"Nothing was published: {error}"


@pytest.mark.parametrize(("command", "outcome"), [("train", "published"), ("evaluate", "measured")])
def test_a_database_that_is_away_is_one_line_and_a_failure(home, monkeypatch, command, outcome):
    async def away(settings):
        raise StorageUnavailable("db:3306/gigsdb: connection refused")

    monkeypatch.setattr(cli, "open_configured_database", away)
    done = run(command)

    assert done.exit_code == 1
    assert done.stderr == f"Nothing was {outcome}: db:3306/gigsdb: connection refused\n"


def test_an_evaluation_prints_a_line_for_each_arm_and_publishes_nothing(home):
    fill(home)

    done = run("evaluate", "--k", "5")

    assert done.exit_code == 0
    told, head, *arms = done.stdout.splitlines()
    assert told.startswith("Judged on the last fifth by time, ")
    columns = [
        "arm",
        "precision_at_5",
        "recall_at_5",
        "ndcg_at_5",
        "map",
        "hit_rate_at_5",
        "coverage",
        "novelty",
    ]
    assert head.split() == columns
    assert [line.split()[0] for line in arms] == ["control", "collaborative_filtering"]
    assert all(len(line.split()) == len(columns) for line in arms)
    assert ModelRegistry(home / "models").current() is None


def test_an_evaluation_of_nothing_is_refused(home):
    done = run("evaluate")

    assert done.exit_code == 3
    assert done.stderr == "Nothing was measured: there are too few likes to hold any out\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "--seed", "-1"], "-1 is not in the range x>=0"),
        (["evaluate", "--seed", "x"], "'x' is not a valid integer"),
        (["evaluate", "--k", "0"], "0 is not in the range 1<=x<=100"),
        (["train", "everything"], "everything"),
    ],
)
def test_a_wrong_command_line_has_the_usual_code(home, arguments, told):
    done = run(*arguments)

    assert done.exit_code == 2
    assert told in done.stderr


def test_a_wrong_setting_is_named(home, monkeypatch):
    monkeypatch.setenv("MIN_TRAINING_SAMPLES", "few")

    done = run("train")

    assert done.exit_code == 2
    assert "MIN_TRAINING_SAMPLES: expected a whole number" in done.stderr

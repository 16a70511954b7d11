import asyncio
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.bundle import BundleError
from core.collaborative import CollaborativeSettings
from core.model import ModelSettings
from service.database import open_configured_database
from service.models import ModelRegistry
from service.settings import Settings
from service.storage.errors import StorageUnavailable
from service.storage.queries.recording import Feedback, insert_feedback
from tests.sites import DAY
from training import cli, pipeline
from training.chosen import ChosenSettings, store_chosen
from training.cli import main
from training.ranking import ARMS

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
    async def away(settings, *, is_patient):
        assert is_patient  # it may run when nobody else wants the processor
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
    means, halves = arms[::2], arms[1::2]
    assert [line.split()[0] for line in means] == list(ARMS)
    assert all(len(line.split()) == len(columns) for line in means)
    assert all(line.count("±") == len(columns) - 2 for line in halves)  # of all but the name and the coverage
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


def test_what_was_chosen_is_told_and_used_until_it_is_reset(home):
    fill(home, people=140)  # so that more than twenty act in the last fifth of the time

    done = run("tune", "--seed", "2", "--arm", "control", "--arm", "content_based")

    assert done.exit_code == 0, done.output
    assert re.search(r"control: \d+ settings tried on \d+ people: NDCG@20 of held-out likes 0\.", done.stdout)
    assert "checking them on people and likes that were not looked at …" in done.stderr
    stored = json.loads((home / "models" / "settings.json").read_text())
    assert {arm: on["seed"] for arm, on in stored["chosen_on"].items()} == {"control": 2, "content_based": 2}
    assert run("train").exit_code == 0
    registry = ModelRegistry(home / "models")
    facts = registry.facts(registry.current())
    assert (facts["settings"], facts["settings_chosen_on"]) == (stored["settings"], stored["chosen_on"])
    assert json.loads(run("train", "--only-if-new", "--json").stdout)["kept"]

    reset = run("tune", "--reset")
    again = run("tune", "--reset")
    assert (reset.stdout, again.stdout) == (
        "The settings are the program's own again.\n",
        "The settings are the program's own.\n",
    )


def test_other_settings_are_something_new_to_train_with(home, monkeypatch):
    monkeypatch.setenv("RETRAIN_THRESHOLD_DAYS", "36500")
    fill(home)
    run("train")
    assert "Nothing was trained" in run("train", "--only-if-new").stdout

    store_chosen(
        home / "models", ChosenSettings(ModelSettings(collaborative=CollaborativeSettings(neighbours=9)), {})
    )

    assert "Published model" in run("train", "--only-if-new").stdout


def test_settings_on_disk_that_are_wrong_are_named(home):
    (home / "models").mkdir(parents=True)
    (home / "models" / "settings.json").write_text("{}")

    for command in ("train", "evaluate", "tune"):
        done = run(command)
        assert done.exit_code == 2
        assert "settings.json: 'settings' is missing" in done.stderr.replace("\n", "")


def test_too_few_people_to_choose_by_have_the_code_of_a_refusal(home):
    fill(home, people=5)

    done = run("tune")

    assert done.exit_code == 3
    assert "Nothing was chosen: fewer than 20 people have likes to hold out" in done.stderr


def test_a_refused_model_has_a_code_of_its_own_and_can_be_forced(home):
    fill(home, people=40)
    run("train")
    database = sqlite3.connect(home / "craic.db")
    with closing(database), database:
        database.execute("DELETE FROM ml_feedback WHERE CAST(SUBSTR(user_id, 7) AS INTEGER) >= 10")

    refused, forced = run("train"), run("train", "--force")

    assert (refused.exit_code, forced.exit_code) == (3, 0)
    assert "Nothing was published: only 10 of the 40 people of model " in refused.stderr
    assert "Published although only 10 of the 40 people of model " in forced.stdout

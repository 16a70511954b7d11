"""`craic export`, in this process: what it writes is what `craic import` takes."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from tests.sites import write_csv

EVENTS = [
    [
        "1",
        'Trad, "live" | late',
        "Cork",
        "2030-01-01T20:00:00Z",
        "2030-01-01T23:00:00Z",
        '["trad","folk, old"]',
        12.5,
    ],
    ["2", "Techno", "", "2030-01-02T22:30:00Z", "", "", ""],
]
ACTS = [["7", "1", "save", "2029-12-01T10:00:00Z"], ["7", "2", "thumbs_down", ""], ["ü", "gone", "click", ""]]


def run(home: Path, *arguments: object):
    environment = {"CRAIC_HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}
    return CliRunner().invoke(main, [*map(str, arguments)], env=environment, prog_name="craic")


@pytest.fixture
def home(tmp_path) -> Path:
    columns = ("event_id", "title", "city", "start_time", "end_time", "genres", "price_min")
    events = write_csv(tmp_path / "events.csv", columns, EVENTS)
    acts = write_csv(tmp_path / "acts.csv", ("user_id", "event_id", "action", "created_at"), ACTS)
    done = run(tmp_path / "home", "import", "--events", events, "--interactions", acts)
    assert done.exit_code == 0, done.output
    return tmp_path / "home"


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_what_is_exported_and_imported_again_is_the_same(home, tmp_path, ending):
    events, acts = tmp_path / f"out-events.{ending}", tmp_path / f"out-acts.{ending}"
    done = run(home, "export", "--events", events, "--interactions", acts)
    assert done.exit_code == 0, done.output
    assert "2 events are in" in done.stderr
    assert "3 interactions are in" in done.stderr

    again = run(home, "import", "--events", events, "--interactions", acts)
    assert "2 events: 2 there already" in again.stderr
    assert "3 interactions: 3 there already" in again.stderr
    copy = tmp_path / "copy"
    assert run(copy, "import", "--events", events, "--interactions", acts).exit_code == 0
    run(copy, "export", "--events", tmp_path / f"e2.{ending}", "--interactions", tmp_path / f"a2.{ending}")

    assert (tmp_path / f"e2.{ending}").read_bytes() == events.read_bytes()
    assert (tmp_path / f"a2.{ending}").read_bytes() == acts.read_bytes()


def test_the_values_are_those_that_were_imported(home, tmp_path):
    events, acts = tmp_path / "events.jsonl", tmp_path / "out.csv"
    run(home, "export", "--events", events, "--interactions", acts)

    first, second = map(json.loads, events.read_text().splitlines())
    with acts.open(newline="") as file:
        rows = list(csv.reader(file))
    assert (first["title"], first["genres"], first["price_min"]) == (
        EVENTS[0][1],
        ["trad", "folk, old"],
        12.5,
    )
    assert (second["city"], second["end_time"], second["start_time"]) == (None, None, EVENTS[1][3])
    assert rows == [["user_id", "event_id", "action", "created_at"], *ACTS]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "nothing to export"), (["--events", "x.parquet"], "--events: expected a name that ends in .csv")],
)
def test_a_wrong_command_line_is_told(tmp_path, arguments, told):
    done = run(tmp_path, "export", *arguments)

    assert done.exit_code == 2
    assert told in done.output

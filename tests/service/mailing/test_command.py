"""`craic recommend`, in this process, on a small trained site."""

import csv
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from service.cli import main
from service.mailing.files import COLUMNS, read_users, writing
from tests.apps import OPEN_AT_NOW, make_home
from tests.sites import NOW


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return make_home(tmp_path_factory.mktemp("site") / "home")


@pytest.fixture
def run(home, monkeypatch):
    """Run a command as of NOW."""
    monkeypatch.setenv("CRAIC_HOME", str(home))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr("time.time", lambda: float(NOW))
    return lambda *arguments: CliRunner().invoke(main, [*map(str, arguments)], prog_name="craic")


def test_everybody_gets_a_line_with_reasons(run, tmp_path):
    done = run("recommend", "--all", "--limit", 3, "--output", tmp_path / "all.jsonl")

    assert done.exit_code == 0, done.output
    assert "30 people are in" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [line["user_id"] for line in lines] == [f"person{n}" for n in range(30)]
    for line in lines:
        assert 1 <= len(line["recommendations"]) <= 3
        assert {item["event_id"] for item in line["recommendations"]} <= OPEN_AT_NOW
        assert line["variant"] == "collaborative_filtering"
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]


def test_csv_and_parquet_are_the_same_table_for_the_people_of_a_file(run, tmp_path):
    people = tmp_path / "people.txt"
    people.write_text("person3\n\n person1 \nperson3\nwho?\n")
    for name in ("some.csv", "some.parquet"):
        done = run("recommend", "--users", people, "--variant", "control", "--output", tmp_path / name)
        assert done.exit_code == 0, done.output

    with (tmp_path / "some.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "some.parquet")
    assert tuple(table.column_names) == tuple(rows[0]) == COLUMNS
    as_text = [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in table.to_pylist()
    ]
    assert as_text == rows
    assert list(dict.fromkeys(row["user_id"] for row in rows)) == ["person3", "person1", "who?"]
    assert {row["algorithm"] for row in rows} == {"popularity"}


def test_what_is_wanted_of_answers_is_as_the_settings_or_the_options_say(run, tmp_path, monkeypatch):
    def series(*options: object) -> list[int]:
        done = run("recommend", "--all", "--limit", 9, *options, "--output", tmp_path / "some.jsonl")
        assert done.exit_code == 0, done.output
        lines = [json.loads(line) for line in (tmp_path / "some.jsonl").read_text().splitlines()]
        names = [[item["title"].rstrip("0123456789") for item in line["recommendations"]] for line in lines]
        return [max(map(of.count, of)) for of in names]

    assert max(series()) > 3
    assert set(series("--max-per-series", 2)) == {2}
    monkeypatch.setenv("MAX_PER_SERIES", "3")
    assert set(series()) == {3}
    assert set(series("--max-per-series", 1)) == {1}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--output", "x.csv"], "give either --all or --users FILE"),
        (["--all", "--users", __file__, "--output", "x.csv"], "give either --all or --users FILE"),
        (["--all", "--output", "x.xlsx"], "x.xlsx: expected a name that ends in .jsonl"),
        (["--all", "--output", "no such folder/x.csv"], "is no directory"),
        (["--all", "--output", "x.csv", "--variant", "best"], "variant: expected one of control"),
        (["--all", "--output", "x.csv", "--limit", "0"], "--limit"),
        (["--all", "--output", "x.csv", "--soon-weight", "0.6"], "--soon-weight"),
    ],
)
def test_a_wrong_command_line_is_told_before_anything_is_worked_out(
    run, tmp_path, monkeypatch, arguments, told
):
    monkeypatch.chdir(tmp_path)

    done = run("recommend", *arguments)

    assert (done.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert told in done.output


def test_parquet_without_its_library_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    done = run("recommend", "--all", "--output", tmp_path / "x.parquet")

    assert done.exit_code == 2
    assert "pip install 'whatsthecraic-ml[parquet]'" in done.output


def test_a_site_without_a_model_is_told_so(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CRAIC_HOME", str(tmp_path / "empty"))

    done = run("recommend", "--all", "--output", tmp_path / "x.csv")

    assert done.exit_code == 1
    assert "Nothing is written: " in done.stderr
    assert not (tmp_path / "x.csv").exists()


def test_a_line_that_is_no_user_is_named(run, tmp_path):
    people = tmp_path / "people.txt"
    people.write_bytes(b"person1\nper\x00son\n")

    done = run("recommend", "--users", people, "--output", tmp_path / "x.csv")

    assert done.exit_code == 1
    assert f"{people}, line 2: is no user id" in done.stderr
    people.write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in run("recommend", "--users", people, "--output", tmp_path / "x.csv").stderr


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("the last one")

    with pytest.raises(KeyError), writing(path) as write:
        write("person1", {})

    assert path.read_text() == "the last one"
    assert list(tmp_path.iterdir()) == [path]


def test_people_of_a_file_come_once_in_its_order(tmp_path):
    (tmp_path / "people").write_text("\ufeffb\na\nb\n", encoding="utf-8")

    assert read_users(tmp_path / "people") == ["b", "a"]

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main

VARIANTS = [
    {"variant_id": "control", "arm": "control", "weight": 1},
    {"variant_id": "taste", "arm": "collaborative_filtering", "weight": 1},
]
ASKED = {"experiment_id": "exp", "name": "A test", "variants": VARIANTS}


@pytest.fixture
def craic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command on an embedded database of the test's own."""
    monkeypatch.setenv("CRAIC_HOME", str(tmp_path))

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, ["experiment", *arguments], input=stdin)

    return run


def test_the_standing_experiment_is_listed(craic):
    done = craic("list")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(
        "rec_algorithm_v1  draft  version 1  control 25.0%, collaborative_filtering 25.0%"
    )


def test_an_experiment_is_made_started_reweighted_paused_and_completed(craic, tmp_path: Path):
    (tmp_path / "exp.json").write_text(json.dumps(ASKED))
    steps = [
        craic("create", str(tmp_path / "exp.json")),
        craic("start", "exp"),
        craic("set-weights", "exp", "taste=3"),
        craic("pause", "exp"),
        craic("complete", "exp"),
    ]
    assert [step.exit_code for step in steps] == [0] * 5, [step.output for step in steps]
    assert steps[2].output == "exp  running  version 3  control 25.0%, taste 75.0%\n"
    told = json.loads(craic("show", "exp").output)
    assert [one["what"] for one in told["changes"]] == [
        "created",
        "running",
        "weights changed",
        "paused",
        "completed",
    ]


def test_a_variant_is_added_behind_the_others_and_takes_its_part(craic):
    craic("create", "-", stdin=json.dumps(ASKED))
    craic("start", "exp")
    more = ("add-variant", "exp", "more", "--arm", "control", "--weight", "0.5", "--name", "One more")
    done = craic(*more)
    assert done.exit_code == 0, done.output
    assert done.output == "exp  running  version 3  control 40.0%, taste 40.0%, more 20.0%\n"
    again = craic(*more)
    assert (again.exit_code, "'more' is there twice" in again.output) == (1, True)


def test_what_a_file_names_is_changed_and_the_rest_stays(craic):
    craic("create", "-", stdin=json.dumps(ASKED))
    done = craic("change", "exp", "-", stdin=json.dumps({"name": "Another", "planned_people": 900}))
    assert done.exit_code == 0, done.output
    told = json.loads(craic("show", "exp").output)
    assert (told["name"], told["planned_people"], told["version"]) == ("Another", 900, 2)
    assert [one["what"] for one in told["changes"]] == ["created", "changed"]
    refused = craic("change", "exp", "-", stdin='{"wieghts": []}')
    assert (refused.exit_code, "wieghts: unknown field" in refused.output) == (1, True)


def test_a_plan_says_how_many_people_it_takes_and_is_kept_when_told_so(craic):
    craic("create", "-", stdin=json.dumps({**ASKED, "goal_metrics": ["click_through_rate"]}))
    done = craic("plan", "exp", "--baseline", "0.12", "--effect", "0.1", "--people-a-day", "300", "--save")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "45,962 people (22,981, 22,981, control first) find a change of +10.0% of 0.12 with probability 0.8,"
        " looked at as often as you like.",
        "24,002 are enough if it is looked at once, at the end.",
        "Level 0.05 over 1 comparisons.",
        "At 300 people a day that takes 154 days.",
    ]
    assert json.loads(craic("show", "exp").output)["planned_people"] == 45_962
    uneven = craic("plan", "--baseline", "0.12", "--effect", "0.1", "--weights", "3,1,0")
    assert "62,531 people (46,899, 15,633, 0, control first)" in uneven.output, uneven.output


def test_a_definition_may_come_from_standard_input(craic):
    assert craic("create", "-", stdin=json.dumps(ASKED)).exit_code == 0
    assert json.loads(craic("results", "exp").output)["participants"] == 0
    assert craic("export", "exp").output.splitlines() == [
        "variant,map_version,exposures,clicks,saves,hides,errors,pre_activity,is_crossed"
    ]
    assert json.loads(craic("export", "exp", "--format", "json").output) == []


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("show", "nothing"), "There is no experiment 'nothing'", 1),
        (("pause", "rec_algorithm_v1"), "rec_algorithm_v1 is draft and cannot become paused", 1),
        (("set-weights", "rec_algorithm_v1", "magic=1"), "weights: expected one of control", 1),
        (("set-weights", "rec_algorithm_v1", "control"), "expected VARIANT=WEIGHT", 2),
        (("set-weights", "rec_algorithm_v1", "control=nan"), "expected VARIANT=WEIGHT", 2),
        (("add-variant", "rec_algorithm_v1", "no spaces", "--weight", "1"), "variant_id: ", 1),
        (("add-variant", "rec_algorithm_v1", "magic", "--weight", "1"), ".arm: expected one of", 1),
        (("plan", "rec_algorithm_v1", "--effect", "0.1"), "control of this experiment has not shown it", 1),
        (("plan", "--effect", "0.1"), "baseline: needed", 1),
        (("plan", "--effect", "0.1", "--baseline", "1.5"), "baseline: expected a rate between 0 and 1", 1),
        (("plan", "--effect", "0", "--baseline", "0.5"), "effect: expected a relative change", 1),
        (("plan", "--effect", "0.1", "--weights", "1,x"), "weights: expected numbers", 2),
        (("plan", "--effect", "0.1", "--comparisons", "0"), "$.comparisons", 2),
        (("plan", "--effect", "0.1", "--baseline", "0.5", "--save"), "--save: expected an experiment", 2),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(craic, arguments: tuple[str, ...], message: str, code: int):
    done = craic(*arguments)
    assert done.exit_code == code
    assert message in done.output


def test_a_definition_that_does_not_fit_is_refused_by_field(craic):
    done = craic("create", "-", stdin=json.dumps({**ASKED, "variants": VARIANTS[:1]}))
    assert (done.exit_code, "variants: " in done.output) == (1, True)

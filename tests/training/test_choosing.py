from dataclasses import replace

import numpy as np
import pytest

from core.bootstrap import Interval
from core.collaborative import CollaborativeSettings
from core.evaluation import Metrics
from core.model import ModelSettings
from core.popularity import PopularitySettings
from core.splits import Split
from service.settings import SettingsError
from tests.training.planted import planted_snapshot
from training import choosing
from training.arms_tuning import TunedArm
from training.choosing import NothingToChooseByError, choose_settings
from training.chosen import ChosenSettings, forget_chosen, read_chosen, store_chosen
from training.measuring import Difference
from training.snapshot import Snapshot

BAD = ModelSettings(collaborative=CollaborativeSettings(neighbours=1, activity=0.0, popularity_discount=1.0))
BETTER = CollaborativeSettings(neighbours=100)


@pytest.fixture
def tuned_on(monkeypatch) -> list[tuple[str, Snapshot, Split]]:
    """What the choosing was given, by arm; it says that BETTER is best for the neighbourhood."""
    given = []

    def tune(arm, snapshot, parts, start, seed, is_over, progress):
        given.append((arm, snapshot, parts))
        settings = replace(start, collaborative=BETTER) if arm == "collaborative_filtering" else start
        return TunedArm(settings, 0.5, 0.4, int(np.count_nonzero(np.diff(parts.held_out.indptr))), 7, True)

    monkeypatch.setattr(choosing, "tune_arm", tune)
    return given


def test_what_judges_the_choice_was_not_looked_at_while_choosing(tuned_on):
    snapshot = planted_snapshot()

    choice = choose_settings(snapshot, ChosenSettings(BAD), seed=0)

    assert [arm for arm, _, _ in tuned_on] == ["control", "collaborative_filtering", "als", "content_based"]
    for arm, past, parts in tuned_on:
        on = choice.chosen.chosen_on[arm]
        assert on["interactions_until"] == choice.validation.cutoff == past.cutoff < snapshot.log.times.max()
        assert on["interactions"] == len(past.log) == np.sum(snapshot.log.times <= past.cutoff)
        assert parts.train.times.max() <= on["fitted_until"] < past.log.times.max()


def test_a_choice_says_what_it_was_made_on(tuned_on):
    choice = choose_settings(planted_snapshot(), ChosenSettings(BAD), seed=3)

    assert choice.chosen.settings == ModelSettings(collaborative=BETTER)
    on = choice.chosen.chosen_on["collaborative_filtering"]
    told = {name: on[name] for name in ("seed", "metric", "value", "value_before", "trials", "finished")}
    assert told == {
        "seed": 3,
        "metric": "NDCG@20 of held-out likes",
        "value": 0.5,
        "value_before": 0.4,
        "trials": 7,
        "finished": True,
    }
    assert 20 <= on["people"] <= 60


def test_what_was_chosen_for_other_arms_stays_unless_it_is_the_same_settings(tuned_on):
    before = ChosenSettings(
        replace(ModelSettings(), popularity=PopularitySettings(prior_days=3.0)),
        {"control": {"seed": 1}, "hybrid": {"seed": 2}},
    )

    choice = choose_settings(planted_snapshot(), before, seed=0, arms=["collaborative_filtering"])

    assert choice.chosen.chosen_on.keys() == {"control", "collaborative_filtering"}
    assert choice.chosen.settings == replace(before.settings, collaborative=BETTER)


def test_arms_share_the_minutes_that_are_left(monkeypatch):
    now, over = [0.0], []

    def tune(arm, snapshot, parts, start, seed, is_over, progress):
        at = now[0]
        while not is_over():
            now[0] += 1.0
        over.append(now[0] - at)
        now[0] = at + 60.0 if arm == "control" else now[0]  # which was done sooner
        return TunedArm(start, 0.5, 0.5, 60, 1, False)

    monkeypatch.setattr(choosing, "tune_arm", tune)
    choose_settings(
        planted_snapshot(),
        ChosenSettings(ModelSettings()),
        seed=0,
        arms=["control", "als", "content_based"],
        minutes=9.0,
        clock=lambda: now[0],
    )

    assert over == [180.0, 240.0, 240.0]


def test_a_choice_is_compared_with_the_settings_before(tuned_on):
    choice = choose_settings(planted_snapshot(), ChosenSettings(BAD), seed=0)
    assert not choice.is_worse("collaborative_filtering")

    judged: dict[str, Metrics] = dict(choice.validation.arms)
    live = replace(
        choice.validation.live,
        differences={name: Difference(-0.1, Interval(-0.2, -0.01)) for name in judged},
    )
    worse = replace(choice, validation=replace(choice.validation, live=live))
    assert worse.is_worse("collaborative_filtering")


def test_of_too_few_people_nothing_is_chosen(tuned_on, monkeypatch):
    monkeypatch.setattr(choosing, "LEAST_JUDGES", 61)

    with pytest.raises(NothingToChooseByError, match="fewer than 61 people have likes to hold out"):
        choose_settings(planted_snapshot(), ChosenSettings(ModelSettings()), seed=0)


def test_who_likes_one_event_only_is_nobody_to_choose_by():
    snapshot = planted_snapshot()
    first = np.unique(snapshot.log.users, return_index=True)[1]

    with pytest.raises(NothingToChooseByError, match="fewer than 20 people have likes to hold out"):
        choose_settings(
            replace(snapshot, log=snapshot.log.select(np.isin(np.arange(420), first))),
            ChosenSettings(BAD),
            seed=0,
        )


def test_what_was_chosen_is_used_until_it_is_forgotten(tmp_path):
    models = tmp_path / "models"
    chosen = ChosenSettings(ModelSettings(collaborative=BETTER), {"seed": 3, "trials": 7})
    assert read_chosen(models) == ChosenSettings(ModelSettings())

    store_chosen(models, chosen)

    assert read_chosen(models) == chosen
    assert forget_chosen(models)
    assert not forget_chosen(models)
    assert read_chosen(models).settings == ModelSettings()


def test_settings_of_a_later_version_have_its_defaults(tmp_path):
    (tmp_path / "settings.json").write_text(
        '{"settings": {"collaborative": {"neighbours": 7}}, "chosen_on": {"seed": 1}}'
    )

    assert read_chosen(tmp_path).settings == ModelSettings(
        collaborative=replace(CollaborativeSettings(), neighbours=7)
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("nonsense", "Expecting value"),
        ("[]", "list indices"),
        ('{"settings": {}}', "'chosen_on' is missing"),
        ('{"settings": {"colaborative": {}}, "chosen_on": {}}', "settings.colaborative: no such setting"),
        ('{"settings": {"collaborative": {"k": 7}}, "chosen_on": {}}', "settings.collaborative.k: no such"),
        ('{"settings": {"collaborative": 7}, "chosen_on": {}}', "settings.collaborative: expected names"),
        ('{"settings": {"collaborative": {"neighbours": -7}}, "chosen_on": {}}', "neighbours"),
    ],
)
def test_a_file_of_settings_that_is_wrong_is_named_with_what_is_wrong(tmp_path, content, told):
    (tmp_path / "settings.json").write_text(content)

    with pytest.raises(SettingsError, match=told) as error:
        read_chosen(tmp_path)
    assert str(tmp_path / "settings.json") in str(error.value)

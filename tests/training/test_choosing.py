from dataclasses import replace

import numpy as np
import pytest

from core.bootstrap import Interval
from core.collaborative import CollaborativeSettings
from core.evaluation import Metrics
from core.model import ModelSettings
from core.splits import holdout_per_user
from service.settings import SettingsError
from tests.training.planted import planted_snapshot
from training import choosing
from training.choosing import NothingToChooseByError, choose_settings
from training.chosen import ChosenSettings, forget_chosen, read_chosen, store_chosen
from training.measuring import Difference
from training.tuning import Tuned

BAD = ModelSettings(collaborative=CollaborativeSettings(neighbours=1, activity=0.0, popularity_discount=1.0))
BETTER = CollaborativeSettings(neighbours=100)


@pytest.fixture
def tuned_on(monkeypatch) -> list[np.ndarray]:
    """What the choosing was given of each person's likes; it says that BETTER is best."""
    given = []

    def tune(liked, n_events, start, seed, progress):
        given.append(liked)
        _, held_out = holdout_per_user(liked, 0.2, seed)
        return Tuned(BETTER, 0.5, int(np.count_nonzero(np.diff(held_out.indptr))), 7)

    monkeypatch.setattr(choosing, "tune_neighbourhood", tune)
    return given


def test_what_judges_the_choice_was_not_looked_at_while_choosing(tuned_on):
    snapshot = planted_snapshot()

    choice = choose_settings(snapshot, BAD, seed=0)

    [liked] = tuned_on
    until = choice.chosen.chosen_on["interactions_until"]
    assert until == choice.validation.cutoff < snapshot.log.times.max()
    assert liked.indices.size == np.sum((snapshot.log.times <= until) & (snapshot.log.actions == 0))


def test_a_choice_says_what_it_was_made_on(tuned_on):
    snapshot = planted_snapshot()

    choice = choose_settings(snapshot, BAD, seed=3)

    assert choice.chosen.settings == ModelSettings(collaborative=BETTER)
    assert {
        name: choice.chosen.chosen_on[name] for name in ("data_cutoff", "seed", "metric", "value", "trials")
    } == {
        "data_cutoff": snapshot.cutoff,
        "seed": 3,
        "metric": "NDCG@20 of held-out likes",
        "value": 0.5,
        "trials": 7,
    }
    assert 20 <= choice.chosen.chosen_on["people"] <= 60


def test_a_choice_is_compared_with_the_settings_before(tuned_on):
    assert not choose_settings(planted_snapshot(), BAD, seed=0).is_worse("collaborative_filtering")

    choice = choose_settings(planted_snapshot(), ModelSettings(), seed=0)
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
        choose_settings(planted_snapshot(), ModelSettings(), seed=0)


def test_who_likes_one_event_only_is_nobody_to_choose_by():
    snapshot = planted_snapshot()
    first = np.unique(snapshot.log.users, return_index=True)[1]

    with pytest.raises(NothingToChooseByError, match="nobody has two likes"):
        choose_settings(
            replace(snapshot, log=snapshot.log.select(np.isin(np.arange(420), first))), BAD, seed=0
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

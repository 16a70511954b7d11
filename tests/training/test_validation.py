from dataclasses import replace

import numpy as np
import pytest

from core.als import AlsSettings
from core.collaborative import CollaborativeSettings
from core.interactions import PreferenceSettings
from core.model import ModelSettings
from core.tastes import ContentSettings, Kind
from service.live.features import feature_key
from service.storage.queries.people import Listening
from tests.sites import DAY, NOW, a_model
from tests.strategies import pairs_from_lists
from tests.training.planted import KINDS, planted_snapshot
from training import measuring, validation
from training.als import fit_factors
from training.gate import objections
from training.ranking import ARMS
from training.snapshot import EventFeatures, Snapshot
from training.validation import validate

SETTINGS = ModelSettings()


def test_known_times_are_split_by_time():
    snapshot = planted_snapshot()

    found = validate(snapshot, SETTINGS, seed=0)

    assert found is not None
    assert found.method == "time"
    assert np.mean(snapshot.log.times > found.cutoff) == pytest.approx(0.2, abs=0.01)


def test_without_times_a_part_of_each_person_s_likes_is_held_out():
    found = validate(planted_snapshot(timed=False), SETTINGS, seed=0)

    assert found is not None
    assert (found.method, found.cutoff) == ("holdout", float(NOW))
    assert found.arms["control"].users == 60


@pytest.mark.parametrize("timed", [True, False])
def test_collaborative_filtering_finds_the_tastes_that_control_cannot_see(timed):
    found = validate(planted_snapshot(timed=timed), SETTINGS, seed=0)

    assert found is not None
    assert set(found.arms) == set(ARMS)
    control, collaborative = found.arms["control"], found.arms["collaborative_filtering"]
    assert collaborative.ndcg > 1.5 * control.ndcg
    assert collaborative.users == control.users


def test_every_measure_is_in_its_range_and_says_how_long_the_lists_were():
    found = validate(planted_snapshot(), SETTINGS, seed=0, k=5)

    assert found is not None
    for metrics in found.arms.values():
        measures = metrics.as_dict()
        assert {"precision_at_5", "recall_at_5", "ndcg_at_5", "map", "hit_rate_at_5"} <= set(measures)
        assert all(
            0.0 <= measures[name] <= 1.0 for name in measures if not name.startswith(("users", "novelty"))
        )
        assert 0 < measures["users"] <= 60


@pytest.mark.parametrize("timed", [True, False])
def test_the_same_seed_gives_the_same_figures(timed):
    snapshot = planted_snapshot(timed=timed)

    assert validate(snapshot, SETTINGS, seed=3) == validate(snapshot, SETTINGS, seed=3)


def test_another_seed_holds_out_other_likes():
    snapshot = planted_snapshot(timed=False)

    assert validate(snapshot, SETTINGS, seed=3) != validate(snapshot, SETTINGS, seed=4)


def test_only_events_that_had_not_started_at_the_cut_are_candidates_and_judges():
    starts = np.full(30, float(NOW + DAY))
    starts[:24] = NOW - 365 * DAY

    found = validate(planted_snapshot(event_starts=starts), SETTINGS, seed=0, k=10)

    assert found is not None
    assert all(metrics.coverage <= 6 / 30 for metrics in found.arms.values())
    assert found.arms["control"].recall > 0.9


def test_an_event_that_is_no_longer_listed_may_have_been_open():
    starts = np.full(30, np.nan)

    found = validate(planted_snapshot(event_starts=starts), SETTINGS, seed=0)

    assert found == validate(planted_snapshot(), SETTINGS, seed=0)


def test_without_times_everything_is_a_candidate_whenever_it_started():
    starts = np.full(30, float(NOW - 365 * DAY))

    found = validate(planted_snapshot(timed=False, event_starts=starts), SETTINGS, seed=0)

    assert found == validate(planted_snapshot(timed=False), SETTINGS, seed=0)


def test_a_live_model_is_judged_the_same_whether_or_not_its_factors_are_fitted_anew(monkeypatch):
    live = replace(SETTINGS, collaborative=replace(SETTINGS.collaborative, neighbours=3))
    snapshot = planted_snapshot()

    found = validate(snapshot, SETTINGS, seed=0, live=live)
    monkeypatch.setattr(validation, "KeptFactors", lambda: fit_factors)

    assert found == validate(snapshot, SETTINGS, seed=0, live=live)
    assert found.live is not None
    assert found.live.arms == validate(snapshot, live, seed=0).arms


def test_where_nobody_is_left_to_judge_there_is_no_validation():
    everything_over = np.full(30, float(NOW - 365 * DAY))
    nobody = planted_snapshot()

    assert validate(planted_snapshot(event_starts=everything_over), SETTINGS, seed=0) is None
    assert validate(replace(nobody, log=nobody.log.select(np.zeros(420, np.bool_))), SETTINGS, seed=0) is None


def test_a_large_site_is_judged_by_a_sample_of_its_people(monkeypatch):
    monkeypatch.setattr(validation, "MOST_PEOPLE", 10)
    snapshot = planted_snapshot(timed=False)

    found = validate(snapshot, SETTINGS, seed=0)

    assert found is not None
    assert found.arms["control"].users == 10
    assert found == validate(snapshot, SETTINGS, seed=0)


def with_content(snapshot: Snapshot) -> Snapshot:
    """Every event says of which kind it is."""
    numbers = {feature_key(Kind.GENRE, f"kind {kind}"): kind for kind in range(KINDS)}
    return replace(
        snapshot, features=EventFeatures(numbers, pairs_from_lists([[n % KINDS] for n in range(30)]))
    )


@pytest.mark.parametrize("timed", [True, False])
def test_content_is_judged_by_what_events_are_like(timed):
    blind = validate(planted_snapshot(timed=timed), SETTINGS, seed=0)
    found = validate(with_content(planted_snapshot(timed=timed)), SETTINGS, seed=0)

    assert blind is not None
    assert found is not None
    assert blind.arms["content_based"].coverage == 0
    assert found.arms["content_based"].ndcg > 1.5 * found.arms["control"].ndcg
    assert found.arms["collaborative_filtering"] == blind.arms["collaborative_filtering"]


def test_what_people_state_counts_but_not_what_they_stated_after_the_cut():
    def ndcg(stated_at: float) -> float:
        snapshot = with_content(planted_snapshot())
        for user in range(60):
            genre = f"kind {(user + 1) % KINDS}"  # which they do not like, so that it shows
            snapshot.stated.listen(Listening(f"user{user}", (), (genre,) * 5, int(stated_at)))
        found = validate(snapshot, SETTINGS, seed=0)
        assert found is not None
        return found.arms["content_based"].ndcg

    silent = validate(with_content(planted_snapshot()), SETTINGS, seed=0)

    assert silent is not None
    assert ndcg(NOW) == silent.arms["content_based"].ndcg
    assert ndcg(0) < silent.arms["content_based"].ndcg


def test_settings_that_reached_far_more_once_say_that_the_data_went_bad():
    snapshot = planted_snapshot()
    found = validate(snapshot, SETTINGS, seed=0, live=SETTINGS)
    model = a_model({"ann": ["rock"]})
    assert found is not None

    def told(factor: float, method: str = "time") -> list[str]:
        arms = {name: {"ndcg_at_10": factor * arm.ndcg} for name, arm in found.arms.items()}
        recorded = {"method": method, "arms": arms}
        return objections(model, None, found, "collaborative_filtering", recorded)

    assert told(1.0) == []
    assert [reason.split(":")[0] for reason in told(5.0)] == [
        f"{name} has collapsed" for name in ("control", "collaborative_filtering", "als", "hybrid")
    ]
    assert told(5.0, "holdout") == []
    assert objections(model, None, found, "collaborative_filtering") == []


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({"collaborative": CollaborativeSettings(neighbours=7)}, {"control", "content_based", "als"}),
        ({"als": AlsSettings(factors=4), "content": ContentSettings(pivot=4.0)}, {"control"}),
        ({"preferences": PreferenceSettings(half_life_days=None)}, set()),
    ],
)
def test_arms_that_rank_alike_with_the_live_settings_are_judged_once_with_the_same_outcome(
    changes, alike, monkeypatch
):
    live, ranked = replace(SETTINGS, **changes), []
    counted = {name: _counted(name, rank, ranked) for name, rank in ARMS.items()}
    monkeypatch.setattr(measuring, "ARMS", counted)

    found = validate(planted_snapshot(), SETTINGS, seed=0, live=live)
    assert {name for name in ARMS if ranked.count(name) == 1} == alike

    monkeypatch.setattr(validation, "_OWN_GROUP", {})
    assert validate(planted_snapshot(), SETTINGS, seed=0, live=live) == found


def _counted(name, rank, ranked):
    def counted(*arguments):
        ranked.append(name)
        return rank(*arguments)

    return counted

from dataclasses import asdict, replace

import numpy as np
import pytest

from core.als import AlsSettings
from core.collaborative import CollaborativeSettings
from core.evaluation import per_user
from core.interactions import PreferenceSettings, build_preferences
from core.sparse import row_columns, rows_of
from core.splits import holdout_per_user
from tests.sites import NOW
from tests.strategies import rows_from_dense
from tests.training.planted import planted_snapshot
from training import tuning
from training.tuning import GRID, HELD_OUT, rank_with, tune_for_blend, tune_neighbourhood

START = CollaborativeSettings(neighbours=1, rarity=0.0, activity=0.3, posting_cap=7, seed=5)


@pytest.fixture(scope="module")
def liked():
    snapshot = planted_snapshot()
    return build_preferences(snapshot.log, 60, 30, PreferenceSettings(), float(NOW))[0].liked


@pytest.fixture(autouse=True)
def small_grid(monkeypatch):
    """Two values a setting are as good a test as six."""
    monkeypatch.setattr(tuning, "GRID", {name: (values[0], values[-1]) for name, values in GRID.items()})


def row_columns_of(rows, users) -> list[list[int]]:
    """The columns of each row, padded to 20 places."""
    columns = [row_columns(rows, user).tolist() for user in users.tolist()]
    return [one + [-1] * (20 - len(one)) for one in columns]


def quality(settings: CollaborativeSettings, liked, seed: int = 0) -> float:
    train, held_out = holdout_per_user(liked, HELD_OUT, seed)
    users = np.flatnonzero(np.diff(held_out.indptr)).astype(np.int32)
    return float(
        per_user(rank_with(settings, train, 30, users, 20), rows_of(held_out, users), 20).ndcg.mean()
    )


def test_the_chosen_settings_rank_held_out_likes_at_least_as_well_as_any_that_differ_in_one(liked):
    tuned = tune_neighbourhood(liked, 30, START)

    assert tuned.ndcg == quality(tuned.settings, liked) > quality(START, liked)
    for name in tuning.GRID.keys() - {"popularity_discount"}:
        others = [replace(tuned.settings, **{name: value}) for value in tuning.GRID[name]]
        assert all(quality(other, liked) <= tuned.ndcg for other in others)


def test_of_discounts_the_least_is_chosen_that_people_cannot_tell_from_the_best(liked, monkeypatch):
    monkeypatch.setattr(tuning, "GRID", {"popularity_discount": (0.3, 0.1, 0.2)})
    shares = {0.1: 0.2, 0.15: 0.4, 0.2: 0.9, 0.3: 0.91}
    rng = np.random.default_rng(0)

    def rank(settings, train, n_events, users, n):
        """The likes of so many people first, nothing right for the others."""
        right = row_columns_of(holdout_per_user(liked, HELD_OUT, 0)[1], users)
        found = rng.random(users.size) < shares[settings.popularity_discount]
        return np.array([one if hit else [-1] * n for one, hit in zip(right, found, strict=True)], np.int32)

    monkeypatch.setattr(tuning, "rank_with", rank)

    chosen = tune_neighbourhood(liked, 30, START).settings

    assert chosen == replace(START, popularity_discount=0.2)


def test_only_what_is_in_the_grid_is_changed(liked):
    tuned = tune_neighbourhood(liked, 30, START)

    changed = {name for name, value in asdict(tuned.settings).items() if value != getattr(START, name)}
    assert changed <= set(GRID)


def test_the_same_seed_chooses_the_same(liked):
    assert tune_neighbourhood(liked, 30, START, seed=2) == tune_neighbourhood(liked, 30, START, seed=2)


def test_every_trial_is_made_once_and_told(liked):
    told: list[str] = []

    tuned = tune_neighbourhood(liked, 30, START, progress=told.append)

    assert len(told) == len(set(told)) == tuned.trials
    assert all("NDCG@20" in line for line in told)


def test_a_sample_of_many_people_is_judged(liked, monkeypatch):
    monkeypatch.setattr(tuning, "MOST_USERS", 10)

    assert tune_neighbourhood(liked, 30, START).users == 10


def test_people_with_a_single_like_leave_nothing_to_choose_by():
    alone = rows_from_dense(np.eye(4, dtype=np.uint8))

    with pytest.raises(ValueError, match="nobody has two likes"):
        tune_neighbourhood(alone, 4, START)


def test_a_neighbourhood_is_chosen_for_a_blend_from_its_own_grid(liked, monkeypatch):
    monkeypatch.setattr(
        tuning, "BLENDED_GRID", {"activity": (0.5,), "neighbours": (200,), "posting_cap": (None,)}
    )
    factors = AlsSettings(factors=4)

    tuned = tune_for_blend(liked, 30, START, factors, seed=2)

    assert tuned == tune_for_blend(liked, 30, START, factors, seed=2)
    assert tuned.settings.neighbours == 200
    assert tuned.settings.activity in (0.5, START.activity)
    assert replace(tuned.settings, neighbours=1, activity=0.3, posting_cap=7) == START
    assert 0.0 < tuned.ndcg <= 1.0

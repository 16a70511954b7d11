from dataclasses import fields, replace

import numpy as np
import pytest

from core.als import AlsSettings
from core.collaborative import CollaborativeSettings
from core.model import ModelSettings
from core.popularity import PopularitySettings
from core.splits import Split
from core.tastes import ContentSettings, Kind
from service.live.features import feature_key
from tests.strategies import pairs_from_lists
from tests.training.planted import KINDS, planted_snapshot
from training import arms_tuning
from training.arms_tuning import TUNABLE, Tunable, tune_arm
from training.snapshot import EventFeatures, Snapshot
from training.validation import split_of

START = ModelSettings(
    popularity=PopularitySettings(half_life_days=0.01),
    collaborative=CollaborativeSettings(neighbours=1, activity=0.0, popularity_discount=1.0),
    als=AlsSettings(factors=1, iterations=2),
    content=ContentSettings(genre=0.0, tag=1.0),
)
SMALL = {
    "control": {"half_life_days": (14.0, 90.0)},
    "collaborative_filtering": {"neighbours": (20, 40), "popularity_discount": (0.0,)},
    "als": {"factors": (4, 8), "regularization": (1.0,)},
    "content_based": {"genre": (1.0,), "tag": (0.0, 0.5)},
    "hybrid": {"neighbours": (20, 40)},
}


@pytest.fixture(autouse=True)
def small_grids(monkeypatch):
    """A few values are as good a test as all."""
    grids = {arm: Tunable(TUNABLE[arm].group, grid) for arm, grid in SMALL.items()}
    monkeypatch.setattr(arms_tuning, "TUNABLE", grids)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """Events of a kind share a genre; each has a tag of its own, which says nothing."""
    events = range(30)
    numbers = {feature_key(Kind.GENRE, f"kind {kind}"): kind for kind in range(KINDS)}
    numbers |= {feature_key(Kind.TAG, f"tag {event}"): KINDS + event for event in events}
    rows = pairs_from_lists([[event % KINDS, KINDS + event] for event in events])
    return replace(planted_snapshot(), features=EventFeatures(numbers, rows))


@pytest.fixture(scope="module")
def parts(snapshot) -> Split:
    return split_of(snapshot, START, 0)


def tuned(arm, snapshot, parts, **given):
    options = {"seed": 0, "is_over": lambda: False, "progress": lambda _: None} | given
    return tune_arm(arm, snapshot, parts, START, **options)


@pytest.mark.parametrize("arm", SMALL)
def test_the_group_of_an_arm_is_chosen_and_nothing_else(snapshot, parts, arm):
    told: list[str] = []

    found = tuned(arm, snapshot, parts, progress=told.append)

    group = TUNABLE[arm].group
    assert replace(found.settings, **{group: getattr(START, group)}) == START
    chosen, before = getattr(found.settings, group), getattr(START, group)
    changed = {f.name for f in fields(chosen) if getattr(chosen, f.name) != getattr(before, f.name)}
    assert changed <= set(SMALL[arm])
    assert found.ndcg >= found.ndcg_before
    assert found.finished and len(told) == len(set(told)) == found.trials


@pytest.mark.parametrize("arm", ["collaborative_filtering", "als", "content_based"])
def test_settings_that_were_bad_become_better(snapshot, parts, arm):
    found = tuned(arm, snapshot, parts)

    assert found.ndcg > found.ndcg_before + 0.01


@pytest.mark.parametrize("arm", ["control", "content_based"])
def test_the_same_seed_chooses_the_same(snapshot, parts, arm):
    assert tuned(arm, snapshot, parts) == tuned(arm, snapshot, parts)


def test_when_the_time_is_up_the_best_so_far_is_taken(snapshot, parts):
    trials = iter([False, True])

    found = tuned("content_based", snapshot, parts, is_over=lambda: next(trials))

    assert (found.trials, found.finished) == (2, False)
    assert found.ndcg >= found.ndcg_before


def test_a_sample_of_many_people_judges(snapshot, parts, monkeypatch):
    monkeypatch.setattr(arms_tuning, "MOST_PEOPLE", 7)

    assert tuned("content_based", snapshot, parts).people == 7


def test_every_value_that_is_tried_is_one_that_the_settings_allow():
    for arm, (group, grid) in TUNABLE.items():
        settings = getattr(ModelSettings(), group)
        for name, values in grid.items():
            assert all(replace(settings, **{name: value}) for value in values), (arm, name)


def test_who_leaves_nothing_to_judge_by_is_told(snapshot, parts):
    nothing = replace(
        parts,
        held_out=parts.held_out._replace(
            indptr=np.zeros_like(parts.held_out.indptr),
            indices=np.empty(0, np.int32),
            weights=np.empty(0, np.uint8),
        ),
    )
    with pytest.raises(ValueError, match="nothing to hold out"):
        tuned("control", snapshot, nothing)


def test_of_discounts_the_least_is_taken_that_people_cannot_tell_from_the_best(snapshot, parts, monkeypatch):
    grid = {"popularity_discount": (0.3, 0.1, 0.2)}
    monkeypatch.setattr(arms_tuning, "TUNABLE", {"collaborative_filtering": Tunable("collaborative", grid)})
    means = {0.1: 0.2, 0.2: 0.899, 0.3: 0.9, 1.0: 0.5}

    def ndcg(arm, settings, base, snapshot, parts, jury):
        """Nearly the same for all people, a little up or down."""
        noise = np.random.default_rng(3).normal(0.0, 0.05, jury.people.size)
        mean = means[settings.collaborative.popularity_discount]
        return mean + (noise if mean == 0.899 else -noise)

    monkeypatch.setattr(arms_tuning, "_ndcg", ndcg)

    chosen = tuned("collaborative_filtering", snapshot, parts).settings.collaborative

    assert chosen == replace(START.collaborative, popularity_discount=0.2)

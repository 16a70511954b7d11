import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core import sparse, splits
from core.actions import Action
from core.interactions import InteractionLog, PreferenceSettings, build_preferences
from core.sparse import Rows
from tests.strategies import log_of, logs, matrices, sets_of

FRACTIONS = st.floats(0.01, 0.99)
SETTINGS = PreferenceSettings()
N_USERS, N_EVENTS = 4, 5
LATE = 1e9


def acted_on(log: InteractionLog) -> list[set[int]]:
    return [
        {e for u, e, a in zip(log.users, log.events, log.actions, strict=True) if u == user and a >= 0}
        for user in range(N_USERS)
    ]


# --- by user ---


@given(matrices(max_columns=20), FRACTIONS, st.integers(0, 9))
def test_a_holdout_divides_each_users_events_and_leaves_some(
    matrix: tuple[Rows, int], fraction: float, seed: int
) -> None:
    liked, n_columns = matrix
    train, held_out = splits.holdout_per_user(liked, fraction, seed)
    for part in (train, held_out):
        sparse.check_rows(part, n_columns)
    for before, kept, held in zip(sets_of(liked), sets_of(train), sets_of(held_out), strict=True):
        assert kept | held == before
        assert not kept & held
        assert len(held) == max(0, min(round(len(before) * fraction), len(before) - 1))


@given(matrices(), FRACTIONS, st.integers(0, 9))
def test_the_same_seed_holds_out_the_same_events(
    matrix: tuple[Rows, int], fraction: float, seed: int
) -> None:
    first, second = (splits.holdout_per_user(matrix[0], fraction, seed)[1] for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.indptr, second.indptr)


def test_another_seed_holds_out_other_events() -> None:
    liked = Rows(np.array([0, 100], np.int64), np.arange(100, dtype=np.int32), np.full(100, 9, np.uint8))
    held = [splits.holdout_per_user(liked, 0.2, seed)[1].indices.tolist() for seed in (1, 2)]
    assert held[0] != held[1]


def test_held_out_events_keep_their_weights() -> None:
    liked = Rows(np.array([0, 4], np.int64), np.arange(4, dtype=np.int32), np.array([9, 8, 7, 6], np.uint8))
    train, held_out = splits.holdout_per_user(liked, 0.5, seed=3)
    both = dict(zip(train.indices, train.weights, strict=True)) | dict(
        zip(held_out.indices, held_out.weights, strict=True)
    )
    assert both == {0: 9, 1: 8, 2: 7, 3: 6}


# --- by time ---


@given(logs(N_USERS, N_EVENTS), FRACTIONS)
def test_a_time_split_puts_every_row_on_its_side_of_the_cut(log: InteractionLog, fraction: float) -> None:
    assume(splits.times_are_known(log))
    earlier, later, cut = splits.split_by_time(log, fraction)
    assert len(earlier) + len(later) == len(log)
    assert len(later) > 0
    assert not (earlier.times > cut).any()
    assert (later.times > cut).all()
    assert cut in earlier.times


def test_the_fraction_is_of_the_rows_that_have_a_time() -> None:
    times = [math.nan] * 10 + list(map(float, range(10)))
    log = log_of([(0, i, Action.SAVE, time) for i, time in enumerate(times)])
    earlier, later, cut = splits.split_by_time(log, 0.3)
    assert (len(earlier), len(later), cut) == (17, 3, 6.0)


def test_rows_at_the_cut_stay_together() -> None:
    log = log_of([(0, i, Action.SAVE, time) for i, time in enumerate([1.0, 2.0, 2.0, 2.0, 2.0])])
    earlier, later, cut = splits.split_by_time(log, 0.4)
    assert (len(earlier), len(later), cut) == (1, 4, 1.0)


@pytest.mark.parametrize("times", [[], [math.nan], [1.0, 1.0, 1.0], [1.0, 2.0, math.nan, math.nan, math.nan]])
def test_times_hardly_known_or_all_the_same_are_no_ground_for_a_split(times: list[float]) -> None:
    log = log_of([(0, 0, Action.SAVE, time) for time in times])
    assert not splits.times_are_known(log)
    with pytest.raises(ValueError, match=r"^times: "):
        splits.split_by_time(log, 0.2)


# --- whichever fits ---


@given(logs(N_USERS, N_EVENTS), FRACTIONS, st.integers(0, 9))
def test_nothing_held_out_is_known_from_the_training_part(
    log: InteractionLog, fraction: float, seed: int
) -> None:
    divided = splits.split(log, N_USERS, N_EVENTS, SETTINGS, LATE, fraction, seed)
    assert divided.method == ("time" if splits.times_are_known(log) else "holdout")
    sparse.check_rows(divided.held_out, N_EVENTS)
    preferences, _ = build_preferences(divided.train, N_USERS, N_EVENTS, SETTINGS, divided.cutoff)
    for held, liked, dismissed in zip(
        sets_of(divided.held_out), sets_of(preferences.liked), sets_of(preferences.dismissed), strict=True
    ):
        assert not held & (liked | dismissed)


def test_a_log_with_times_is_judged_by_what_people_newly_like_afterwards() -> None:
    log = log_of(
        [
            (0, 0, Action.SAVE, 1.0),
            (0, 1, Action.SKIP, 2.0),
            (1, 0, Action.SAVE, 3.0),
            (0, 0, Action.CLICK, 11.0),
            (0, 1, Action.SAVE, 12.0),
            (0, 2, Action.SAVE, 13.0),
            (1, 3, Action.HIDE, 14.0),
            (1, 4, Action.SAVE, 99.0),
        ]
    )
    divided = splits.split(log, N_USERS, N_EVENTS, SETTINGS, cutoff=20.0, fraction=0.5, seed=1)
    assert (divided.method, divided.cutoff, len(divided.train)) == ("time", 11.0, 4)
    assert sets_of(divided.held_out) == [{2}, set(), set(), set()]


def test_a_log_without_times_is_judged_by_a_share_of_what_each_person_likes() -> None:
    log = log_of(
        [(0, event, action, math.nan) for event in range(4) for action in (Action.SAVE, Action.CLICK)]
        + [(1, 4, Action.HIDE, math.nan), (-1, -1, Action.SAVE, math.nan)]
    )
    divided = splits.split(log, N_USERS, N_EVENTS, SETTINGS, LATE, fraction=0.5, seed=1)
    assert (divided.method, divided.cutoff) == ("holdout", LATE)
    assert [len(held) for held in sets_of(divided.held_out)] == [2, 0, 0, 0]
    assert len(divided.train) == 10 - 2 * 2
    assert acted_on(divided.train)[0] == set(range(4)) - sets_of(divided.held_out)[0]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, math.nan])
def test_a_fraction_that_leaves_one_part_empty_is_refused(fraction: float) -> None:
    log = log_of([(0, 0, Action.SAVE, 1.0), (0, 1, Action.SAVE, 2.0)])
    liked = build_preferences(log, 1, 2, SETTINGS, LATE)[0].liked
    for divide in (
        lambda: splits.split(log, 1, 2, SETTINGS, LATE, fraction, 1),
        lambda: splits.split_by_time(log, fraction),
        lambda: splits.holdout_per_user(liked, fraction, 1),
    ):
        with pytest.raises(ValueError, match=r"^fraction: "):
            divide()

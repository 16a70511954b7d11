import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import interactions, sparse
from core.actions import Action, ActionWeights
from core.interactions import (
    DAY,
    DISMISSED,
    UNTOUCHED,
    BuildReport,
    InteractionLog,
    PairState,
    Preferences,
    PreferenceSettings,
    build_preferences,
    decay_at,
    fold_action,
    quantise,
)
from core.kernels import folding
from tests.strategies import log_of, logs, sets_of

WEIGHTS = ActionWeights(save=1.0, thumbs_up=0.8, click=0.3, skip=-0.1)
UNDECAYED = PreferenceSettings(WEIGHTS, half_life_days=None)
N_USERS, N_EVENTS = 4, 5
CUTOFF = 400 * DAY


# --- the rule, one action at a time ---


def fold(*actions: Action, decay: float = 1.0) -> PairState:
    state = UNTOUCHED
    for action in actions:
        state = fold_action(state, action, decay, WEIGHTS)
    return state


def test_a_save_is_worth_its_weight() -> None:
    assert fold(Action.SAVE) == PairState(1.0, dismissed=False, acted_on=True)
    assert fold(Action.SAVE, decay=0.25).value == 0.25


def test_a_second_save_adds_nothing() -> None:
    assert fold(Action.SAVE, Action.SAVE).value == 1.0


def test_a_weaker_vote_does_not_lower_a_preference() -> None:
    assert fold(Action.SAVE, Action.THUMBS_UP).value == 1.0


def test_clicks_add_up_to_one_at_most() -> None:
    assert fold(Action.CLICK, Action.CLICK).value == pytest.approx(0.6)
    assert fold(*[Action.CLICK] * 9).value == 1.0


def test_skips_take_away_down_to_nothing() -> None:
    assert fold(Action.CLICK, Action.SKIP).value == pytest.approx(0.2)
    assert fold(Action.CLICK, *[Action.SKIP] * 9) == PairState(0.0, dismissed=False, acted_on=True)


@pytest.mark.parametrize("refusal", [Action.HIDE, Action.THUMBS_DOWN])
def test_a_refusal_wins_over_what_came_before(refusal: Action) -> None:
    assert fold(Action.SAVE, Action.CLICK, refusal) == DISMISSED


@pytest.mark.parametrize("idle", [Action.CLICK, Action.SKIP, Action.UNSAVE])
def test_a_dismissal_outlasts_what_is_not_a_change_of_mind(idle: Action) -> None:
    assert fold(Action.HIDE, idle) == DISMISSED


@pytest.mark.parametrize("vote", [Action.SAVE, Action.THUMBS_UP])
def test_a_later_vote_ends_a_dismissal(vote: Action) -> None:
    assert fold(Action.HIDE, vote) == fold(vote)


def test_an_unsaved_event_is_forgotten() -> None:
    assert fold(Action.CLICK, Action.SAVE, Action.UNSAVE) == UNTOUCHED


def test_an_event_no_longer_hidden_is_forgotten() -> None:
    assert fold(Action.SAVE, Action.HIDE, Action.UNHIDE) == UNTOUCHED


def test_an_unhide_of_what_was_not_hidden_changes_nothing() -> None:
    assert fold(Action.CLICK, Action.UNHIDE) == fold(Action.CLICK)
    assert fold(Action.UNHIDE) == UNTOUCHED


@given(st.lists(st.tuples(st.sampled_from(Action), st.floats(0.0, 1.0))))
def test_the_compiled_fold_equals_the_readable_one(steps: list[tuple[Action, float]]) -> None:
    state, value, standing = UNTOUCHED, 0.0, folding.UNTOUCHED
    for action, decay in steps:
        state = fold_action(state, action, decay, WEIGHTS)
        value, standing = folding.apply_action(value, standing, int(action), decay, WEIGHTS.by_action())
        assert (value, standing) == (state.value, standing_of(state))


@given(st.lists(st.tuples(st.sampled_from(Action), st.floats(0.0, 1.0))))
def test_a_dismissed_pair_never_has_a_value_and_an_untouched_one_has_no_state(
    steps: list[tuple[Action, float]],
) -> None:
    state = UNTOUCHED
    for action, decay in steps:
        state = fold_action(state, action, decay, WEIGHTS)
        assert 0.0 <= state.value <= 1.0
        assert not state.dismissed or state == DISMISSED
        assert state.acted_on or state == UNTOUCHED


# --- decay and quantising ---


def test_an_action_counts_half_after_one_half_life() -> None:
    np.testing.assert_allclose(decay_at([0.0, 10 * DAY, 20 * DAY], 20 * DAY, 10.0), [0.25, 0.5, 1.0])


def test_unknown_and_later_times_do_not_decay() -> None:
    np.testing.assert_array_equal(decay_at([math.nan, 30 * DAY], 20 * DAY, 10.0), [1.0, 1.0])


def test_nothing_decays_without_a_half_life() -> None:
    np.testing.assert_array_equal(decay_at([0.0, -1e12], 20 * DAY, None), [1.0, 1.0])


def test_an_ancient_save_is_still_a_like() -> None:
    ancient = log_of([(0, 0, Action.SAVE, -1e15)])
    preferences, _ = build_preferences(ancient, 1, 1, PreferenceSettings(WEIGHTS, 0.001), CUTOFF)
    assert (sets_of(preferences.liked), preferences.liked.weights.tolist()) == ([{0}], [1])


def test_a_scalar_decays_and_quantises_like_an_array() -> None:
    assert float(decay_at(0.0, 20 * DAY, 10.0)) == 0.25
    assert int(quantise(0.3)) == quantise([0.3])[0] == 76


def test_preferences_are_quantised_to_one_byte_and_never_to_zero() -> None:
    quantised = quantise(np.array([1e-9, 0.5 / 255, 1.6 / 255, 0.5, 1.0]))
    assert (quantised.tolist(), quantised.dtype) == ([1, 1, 2, 128, 255], np.uint8)


# --- the batch ---


@given(logs(N_USERS, N_EVENTS), st.sampled_from([None, 0.5, 30.0]), st.sampled_from([0.0, 1.2 * DAY, CUTOFF]))
def test_the_batch_equals_the_readable_fold_of_every_pair(
    log: InteractionLog, half_life: float | None, cutoff: float
) -> None:
    settings = PreferenceSettings(WEIGHTS, half_life)
    preferences, report = build_preferences(log, N_USERS, N_EVENTS, settings, cutoff)
    sparse.check_rows(preferences.liked, N_EVENTS)
    sparse.check_pairs(preferences.dismissed, N_EVENTS)
    liked, dismissed, expected = slow_build(log, settings, cutoff)
    assert as_dicts(preferences) == (liked, dismissed)
    assert report == expected


@given(logs(1, 1, times=[0.0, DAY, 2 * DAY]), st.sampled_from(Action))
def test_one_more_action_applied_live_agrees_with_a_full_rebuild(log: InteractionLog, action: Action) -> None:
    settings = PreferenceSettings(WEIGHTS, 2.0)
    decay = float(decay_at(3 * DAY, CUTOFF, settings.half_life_days))
    live = fold_action(slow_states(log, settings, CUTOFF).get((0, 0), UNTOUCHED), action, decay, WEIGHTS)
    grown = InteractionLog(
        np.append(log.users, np.int32(0)),
        np.append(log.events, np.int32(0)),
        np.append(log.actions, np.int8(action)),
        np.append(log.times, 3 * DAY),
    )
    folded = interactions.fold_log(grown, 1, 1, settings, CUTOFF)
    assert (folded.values[0], folded.standings[0]) == (live.value, standing_of(live))


def test_a_later_hide_wins_over_an_earlier_save_in_whatever_order_they_are_read() -> None:
    rows = [(0, 0, Action.HIDE, 2.0), (0, 0, Action.SAVE, 1.0)]
    for log in (log_of(rows), log_of(rows[::-1])):
        preferences, report = build_preferences(log, 1, 1, UNDECAYED, CUTOFF)
        assert (sets_of(preferences.liked), sets_of(preferences.dismissed)) == ([set()], [{0}])
        assert report.contradictory == 1


def test_a_hide_wins_over_a_simultaneous_save() -> None:
    preferences, _ = build_preferences(
        log_of([(0, 0, Action.HIDE, 1.0), (0, 0, Action.SAVE, 1.0)]), 1, 1, UNDECAYED, CUTOFF
    )
    assert sets_of(preferences.dismissed) == [{0}]


def test_actions_of_unknown_time_come_before_all_others() -> None:
    preferences, _ = build_preferences(
        log_of([(0, 0, Action.SAVE, -5.0), (0, 0, Action.HIDE, math.nan)]), 1, 1, UNDECAYED, CUTOFF
    )
    assert sets_of(preferences.liked) == [{0}]


def test_an_event_only_skipped_is_dismissed_and_one_unsaved_is_neither() -> None:
    log = log_of([(0, 0, Action.SKIP, 1.0), (0, 1, Action.SAVE, 1.0), (0, 1, Action.UNSAVE, 2.0)])
    preferences, report = build_preferences(log, 1, 2, UNDECAYED, CUTOFF)
    assert (sets_of(preferences.liked), sets_of(preferences.dismissed)) == ([set()], [{0}])
    assert (report.liked, report.dismissed) == (0, 1)


def test_rows_are_counted_by_what_became_of_them() -> None:
    log = log_of(
        [
            (-1, -1, -1, 9.0),
            (0, -1, -1, 9.0),
            (0, 0, -1, 9.0),
            (0, 0, Action.SAVE, 9.0),
            (0, 0, Action.CLICK, 5.0),
            (0, 0, Action.CLICK, 5.0),
            (0, 0, Action.CLICK, math.nan),
            (0, 0, Action.CLICK, math.nan),
            (0, 0, Action.THUMBS_UP, 4.0),
            (0, 0, Action.THUMBS_DOWN, 3.0),
        ]
    )
    preferences, report = build_preferences(log, 1, 1, UNDECAYED, cutoff=5.0)
    assert report == BuildReport(
        rows=10,
        kept=4,
        unknown_user=1,
        unknown_event=1,
        unknown_action=1,
        after_cutoff=1,
        duplicates=2,
        contradictory=1,
        liked=1,
        dismissed=0,
    )
    assert preferences.liked.weights.tolist() == [255]


def test_an_empty_log_builds_empty_preferences() -> None:
    preferences, report = build_preferences(log_of([]), 3, 2, UNDECAYED, CUTOFF)
    sparse.check_rows(preferences.liked, 2)
    assert (preferences.liked.n_rows, preferences.dismissed.n_rows) == (3, 3)
    assert all(getattr(report, field.name) == 0 for field in fields(report))


def test_no_users_and_no_events_build_empty_preferences() -> None:
    preferences, report = build_preferences(log_of([(-1, -1, Action.SAVE, 1.0)]), 0, 0, UNDECAYED, CUTOFF)
    assert (preferences.liked.n_rows, report.unknown_user) == (0, 1)


def test_more_pairs_than_16_bits_count_are_built() -> None:
    n = 70_000
    users = (np.arange(n) * 7919 % n).astype(np.int32)
    log = InteractionLog(users, users % 13, np.zeros(n, np.int8), np.full(n, 1.0))
    preferences, report = build_preferences(log, n, 13, UNDECAYED, CUTOFF)
    assert report.liked == n
    np.testing.assert_array_equal(preferences.liked.indices, np.arange(n) % 13)


# --- what is refused ---


@pytest.mark.parametrize(
    ("field", "values", "complaint"),
    [
        ("users", np.zeros(2, np.int64), r"users: expected int32\[2\], got int64\[2\]"),
        ("events", np.zeros(3, np.int32), r"events: expected int32\[2\], got int32\[3\]"),
        ("actions", np.zeros(2, np.int32), "actions: expected int8"),
        ("actions", np.array([0, 8], np.int8), r"actions: 8 is outside -1\.\.7"),
        ("actions", np.array([-2, 0], np.int8), r"actions: -2 is outside"),
        ("times", np.zeros((2, 1)), r"times: expected float64\[2\], got float64\[2, 1\]"),
        ("times", np.array([0.0, math.inf]), "times: infinite"),
    ],
)
def test_a_log_of_the_wrong_shape_type_or_code_is_refused_by_field(
    field: str, values: np.ndarray, complaint: str
) -> None:
    good = {
        "users": np.zeros(2, np.int32),
        "events": np.zeros(2, np.int32),
        "actions": np.zeros(2, np.int8),
        "times": np.zeros(2),
    }
    with pytest.raises(ValueError, match=rf"^{complaint}"):
        InteractionLog(**{**good, field: values})


@pytest.mark.parametrize(("n_users", "n_events", "field"), [(1, 9, "users"), (9, 1, "events")])
def test_a_user_or_event_out_of_range_is_refused_by_field(n_users: int, n_events: int, field: str) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: 1 is outside -1\.\.0"):
        build_preferences(log_of([(1, 1, Action.SAVE, 1.0)]), n_users, n_events, UNDECAYED, CUTOFF)


@pytest.mark.parametrize("cutoff", [math.nan, math.inf])
def test_a_cutoff_that_is_no_time_is_refused(cutoff: float) -> None:
    with pytest.raises(ValueError, match=r"^cutoff: "):
        build_preferences(log_of([]), 1, 1, UNDECAYED, cutoff)


@pytest.mark.parametrize("days", [0.0, -1.0, math.nan, math.inf])
def test_a_half_life_that_is_none_is_refused(days: float) -> None:
    with pytest.raises(ValueError, match=r"^half_life_days: "):
        PreferenceSettings(half_life_days=days)


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="half_life"):
        PreferenceSettings(half_life=3.0)


# --- the readable twin ---


def standing_of(state: PairState) -> int:
    if state.dismissed:
        return folding.DISMISSED
    return folding.ACTED_ON if state.acted_on else folding.UNTOUCHED


def usable(log: InteractionLog, cutoff: float) -> list[tuple[int, int, int, float]]:
    """The rows that count, once each, unknown times as −inf."""
    rows = {
        (user, event, action, -math.inf if math.isnan(time) else time)
        for user, event, action, time in zip(*map(np.ndarray.tolist, columns_of(log)), strict=True)
        if user >= 0 and event >= 0 and action >= 0 and not time > cutoff
    }
    return sorted(rows, key=lambda row: (row[3], row[2]))


def columns_of(log: InteractionLog) -> tuple[np.ndarray, ...]:
    return log.users, log.events, log.actions, log.times


def slow_states(
    log: InteractionLog, settings: PreferenceSettings, cutoff: float
) -> dict[tuple[int, int], PairState]:
    states: dict[tuple[int, int], PairState] = {}
    for user, event, action, time in usable(log, cutoff):
        known_time = math.nan if time == -math.inf else time
        decay = float(decay_at(known_time, cutoff, settings.half_life_days))
        state = states.get((user, event), UNTOUCHED)
        states[user, event] = fold_action(state, Action(action), decay, settings.weights)
    return states


def slow_build(log: InteractionLog, settings: PreferenceSettings, cutoff: float) -> Any:
    states = slow_states(log, settings, cutoff)
    liked = {pair: int(quantise(state.value)) for pair, state in states.items() if state.value > 0}
    dismissed = {pair for pair, state in states.items() if state.acted_on and state.value == 0}
    rows = list(zip(*map(np.ndarray.tolist, columns_of(log)), strict=True))
    known_user = [row for row in rows if row[0] >= 0]
    known_event = [row for row in known_user if row[1] >= 0]
    known_action = [row for row in known_event if row[2] >= 0]
    in_time = [row for row in known_action if not row[3] > cutoff]
    kept = usable(log, cutoff)
    wanted = {row[:2] for row in kept if row[2] in (Action.SAVE, Action.THUMBS_UP)}
    refused = {row[:2] for row in kept if row[2] in (Action.HIDE, Action.THUMBS_DOWN)}
    report = BuildReport(
        rows=len(rows),
        kept=len(kept),
        unknown_user=len(rows) - len(known_user),
        unknown_event=len(known_user) - len(known_event),
        unknown_action=len(known_event) - len(known_action),
        after_cutoff=len(known_action) - len(in_time),
        duplicates=len(in_time) - len(kept),
        contradictory=len(wanted & refused),
        liked=len(liked),
        dismissed=len(dismissed),
    )
    return liked, dismissed, report


def as_dicts(preferences: Preferences) -> tuple[dict[tuple[int, int], int], set[tuple[int, int]]]:
    liked = preferences.liked
    dismissed = preferences.dismissed
    pairs = zip(sparse.entry_rows(liked).tolist(), liked.indices.tolist(), strict=True)
    refused = zip(sparse.entry_rows(dismissed).tolist(), dismissed.indices.tolist(), strict=True)
    return dict(zip(pairs, liked.weights.tolist(), strict=True)), set(refused)

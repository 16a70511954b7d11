import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actions import Action, ActionWeights
from core.interactions import DAY, UNTOUCHED, InteractionLog, decay_at, fold_action
from core.popularity import PopularitySettings, fit_popularity
from tests.strategies import log_of, logs

WEIGHTS = ActionWeights(save=1.0, thumbs_up=0.8, click=0.3, skip=-0.1)
SETTINGS = PopularitySettings(half_life_days=10.0, prior_days=5.0, min_city_events=2)
NOW = 100 * DAY
N_EVENTS = 5
NAN = math.nan


def fit(
    log: InteractionLog,
    city: list[int],
    created: list[float],
    settings: PopularitySettings = SETTINGS,
    cutoff: float = NOW,
) -> np.ndarray:
    cities, times = np.array(city, np.int32), np.array(created, np.float64)
    return fit_popularity(log, len(city), cities, times, settings, WEIGHTS, cutoff)


def saves(*event_days: tuple[int, float]) -> InteractionLog:
    """One save by a new person for each (event, day)."""
    return log_of([(user, event, Action.SAVE, day * DAY) for user, (event, day) in enumerate(event_days)])


# --- by hand ---


def test_two_events_worked_by_hand() -> None:
    # Event 0: ten days on sale, saved today and ten days ago; event 1: as long, never saved.
    fitted = fit(saves((0, 100), (0, 90)), [0, 0], [90 * DAY, 90 * DAY])
    exposure = (1 - 0.5) * 10 / math.log(2)
    mean = 1.5 / (2 * exposure)
    rates = [(1.5 + mean * 5) / (exposure + 5), mean * 5 / (exposure + 5)]
    np.testing.assert_allclose(fitted, np.array(rates) / rates[0], rtol=1e-6)
    assert fitted.dtype == np.float32


def test_a_new_event_starts_at_the_mean_of_its_city() -> None:
    log = saves((0, 95), (0, 96), (1, 97), (3, 99))
    fitted = fit(log, [0, 0, 0, 1, 1], [90 * DAY, 90 * DAY, NOW, 90 * DAY, 90 * DAY])
    assert fitted[1] < fitted[2] < fitted[0]
    quiet_town = fit(log, [0, 0, 1, 1, 1], [90 * DAY, 90 * DAY, NOW, 90 * DAY, 90 * DAY])
    assert quiet_town[2] / quiet_town[0] < fitted[2] / fitted[0]


@pytest.mark.parametrize("city", [-1, 7])
def test_an_event_of_an_unknown_or_small_city_starts_at_the_mean_of_all(city: int) -> None:
    # Four events ten days on sale, one of them saved today; the fifth is new. Of the two cities one has the
    # save.
    fitted = fit(saves((0, 100)), [0, 0, 1, 1, city], [90 * DAY] * 4 + [NOW])
    exposure = (1 - 0.5) * 10 / math.log(2)
    mean_of_all, mean_of_city = 1 / (4 * exposure), 1 / (2 * exposure)
    best = (1 + mean_of_city * 5) / (exposure + 5)
    assert fitted[4] == pytest.approx(mean_of_all / best)


def test_the_same_saves_count_more_the_later_they_came() -> None:
    fitted = fit(saves((0, 80), (1, 99)), [0, 0], [70 * DAY] * 2)
    assert fitted[0] < fitted[1] == 1.0


def test_an_event_outgrows_the_prior_as_evidence_comes() -> None:
    created = [90 * DAY] * 4
    few = fit(saves((0, 99), (1, 99), (2, 99)), [0] * 4, created)
    many = fit(saves(*[(0, 99)] * 50, (1, 99), (2, 99)), [0] * 4, created)
    assert few[1] / few[0] == 1.0
    assert many[1] / many[0] < 0.3


def test_a_save_taken_back_or_hidden_afterwards_does_not_count() -> None:
    log = log_of(
        [
            (0, 0, Action.SAVE, 98 * DAY),
            (1, 1, Action.SAVE, 98 * DAY),
            (1, 1, Action.HIDE, 99 * DAY),
            (2, 2, Action.SAVE, 98 * DAY),
            (2, 2, Action.UNSAVE, 99 * DAY),
        ]
    )
    fitted = fit(log, [0] * 3, [90 * DAY] * 3)
    assert fitted[1] == fitted[2] < fitted[0]


def test_an_ancient_preference_fades_below_what_one_byte_holds() -> None:
    # A thousand saves 30 half-lives ago are worth less than one click today.
    log = log_of(
        [(user, 0, Action.SAVE, -200 * DAY) for user in range(1000)] + [(0, 1, Action.CLICK, 100 * DAY)]
    )
    fitted = fit(log, [0, 0], [-200 * DAY] * 2)
    assert fitted[0] < fitted[1]


def test_an_event_is_on_sale_from_its_first_action_when_that_was_before_it_was_created() -> None:
    log = saves((0, 90), (1, 90))
    assert fit(log, [0, 0], [NOW, 90 * DAY]).tolist() == fit(log, [0, 0], [NAN, NAN]).tolist() == [1.0, 1.0]


def test_without_any_times_popularity_counts_preferences() -> None:
    log = saves((0, NAN), (0, NAN), (0, NAN), (1, NAN))
    fitted = fit(log, [0, 0, 0], [NAN, 0.0, NOW], PopularitySettings(10.0, 1e-9, 2))
    np.testing.assert_allclose(fitted, [1.0, 1 / 3, 0.0], atol=1e-6)


def test_actions_after_the_cutoff_are_not_known() -> None:
    log = saves((0, 99), (1, 101))
    assert fit(log, [0, 0], [NAN, NAN])[0] == 1.0
    np.testing.assert_array_equal(fit(log, [0, 0], [NAN] * 2), fit(saves((0, 99)), [0, 0], [NAN] * 2))


def test_nothing_is_popular_before_anyone_acted() -> None:
    np.testing.assert_array_equal(fit(log_of([]), [0, -1], [0.0, NAN]), [0, 0])


def test_no_events_have_no_popularity() -> None:
    assert fit(log_of([]), [], []).shape == (0,)


# --- in general ---


@st.composite
def events(draw: st.DrawFn) -> tuple[list[int], list[float]]:
    city = draw(st.lists(st.integers(-1, 2), min_size=N_EVENTS, max_size=N_EVENTS))
    times = st.sampled_from([NAN, 0.0, DAY, 9 * DAY, 500 * DAY])
    return city, draw(st.lists(times, min_size=N_EVENTS, max_size=N_EVENTS))


@given(logs(4, N_EVENTS), events(), st.sampled_from([0.0, DAY, 10 * DAY, 400 * DAY]))
def test_the_fit_equals_the_formula(
    log: InteractionLog, about: tuple[list[int], list[float]], cutoff: float
) -> None:
    fitted = fit(log, *about, cutoff=cutoff)
    assert np.isfinite(fitted).all()
    assert fitted.max() == 1.0 or not fitted.any()
    np.testing.assert_allclose(fitted, slow_fit(log, *about, cutoff), rtol=1e-5, atol=1e-7)


def slow_fit(log: InteractionLog, city: list[int], created: list[float], cutoff: float) -> list[float]:
    half_life, prior = SETTINGS.half_life_days, SETTINGS.prior_days
    rows = {
        (user, event, -math.inf if math.isnan(time) else time, action)
        for user, event, action, time in zip(
            log.users.tolist(), log.events.tolist(), log.actions.tolist(), log.times.tolist(), strict=True
        )
        if min(user, event, action) >= 0 and not time > cutoff
    }
    states = {}
    for user, event, time, action in sorted(rows):
        decay = 1.0 if time == -math.inf else float(decay_at(time, cutoff, half_life))
        before = states.get((user, event), UNTOUCHED)
        states[user, event] = fold_action(before, Action(action), decay, WEIGHTS)
    held = [sum(state.value for pair, state in states.items() if pair[1] == e) for e in range(len(city))]
    timed = [(event, time) for _, event, time, _ in rows if time > -math.inf]

    def days_on_sale(event: int) -> float:
        since = [time for e, time in timed if e == event]
        since += [] if math.isnan(created[event]) else [created[event]]
        age = max(0.0, cutoff - min(since)) / DAY if since and timed else math.inf
        return (1 - 2 ** (-age / half_life)) * half_life / math.log(2)

    exposure = [days_on_sale(e) for e in range(len(city))]

    def mean(members: list[int]) -> float | None:
        days = sum(exposure[e] for e in members)
        return sum(held[e] for e in members) / days if days > 0 else None

    overall = mean(list(range(len(city)))) or 0.0

    def prior_mean(event: int) -> float:
        members = [e for e in range(len(city)) if city[e] == city[event]]
        own = mean(members) if city[event] >= 0 and len(members) >= SETTINGS.min_city_events else None
        return overall if own is None else own

    rates = [(held[e] + prior_mean(e) * prior) / (exposure[e] + prior) for e in range(len(city))]
    return [rate / max(rates) if max(rates) > 0 else 0.0 for rate in rates]


# --- what is refused ---


@pytest.mark.parametrize(
    "setting",
    [
        {"half_life_days": 0.0},
        {"half_life_days": NAN},
        {"prior_days": 0.0},
        {"prior_days": NAN},
        {"prior_days": math.inf},
        {"min_city_events": 0},
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(setting))}: "):
        PopularitySettings(**setting)


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="half_life"):
        PopularitySettings(half_life=1.0)


@pytest.mark.parametrize(
    ("city", "created", "complaint"),
    [
        (np.zeros(2, np.int64), np.zeros(2), r"event_city: expected int32\[2\], got int64\[2\]"),
        (np.zeros(3, np.int32), np.zeros(2), r"event_city: expected int32\[2\], got int32\[3\]"),
        (
            np.zeros(2, np.int32),
            np.zeros(2, np.float32),
            r"event_created: expected float64\[2\], got float32",
        ),
    ],
)
def test_events_of_the_wrong_type_or_number_are_refused(
    city: np.ndarray, created: np.ndarray, complaint: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{complaint}"):
        fit_popularity(log_of([]), 2, city, created, SETTINGS, WEIGHTS, NOW)


def test_a_log_of_more_events_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^events: 2 is outside"):
        fit(saves((2, 1.0)), [0, 0], [NAN, NAN])


def test_infinite_creation_times_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^event_created: infinite"):
        fit(saves((0, 1.0)), [0, 0], [NAN, math.inf])

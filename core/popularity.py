"""The `control` arm: what is popular now, with a fair start for what is new."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.actions import ActionWeights
from core.interactions import DAY, InteractionLog, PreferenceSettings, check_half_life, fold_log, usable_rows


@dataclass(frozen=True)
class PopularitySettings:
    """How fast popularity fades and how long the prior holds.

    A preference counts half after `half_life_days`; two weeks, because what an event drew a month ago says
    little about tonight. The city's mean counts like `prior_days` of an event's own exposure. A city of fewer
    than `min_city_events` events takes the mean of all. ValueError names the field that is out of range.
    """

    half_life_days: float = 14.0
    prior_days: float = 7.0
    min_city_events: int = 20

    def __post_init__(self) -> None:
        check_half_life(self.half_life_days)
        if not 0.0 < self.prior_days < math.inf:
            raise ValueError(f"prior_days: {self.prior_days} is not above 0")
        if self.min_city_events < 1:
            raise ValueError(f"min_city_events: {self.min_city_events} is below 1")


def fit_popularity(
    log: InteractionLog,
    n_events: int,
    event_city: NDArray[np.int32],
    event_created: NDArray[np.float64],
    settings: PopularitySettings,
    weights: ActionWeights,
    cutoff: float,
) -> NDArray[np.float32]:
    """float32[n_events]: each event's rate of preferences a day at `cutoff` (unix seconds), scaled to 0..1.

    `event_city` int32[n_events] is −1 and `event_created` float64[n_events] (unix seconds) NaN where unknown.

    Preferences of event e arrive as a Poisson process whose rate has a Gamma prior around its city's mean
    rate m with the weight of b = `prior_days`; the posterior mean is

        rate_e = (s_e + m·b) / (T_e + b)

    where s_e adds up the preferences that hold at the cutoff, each decayed by 2^(−age / half-life), and T_e
    decays the event's days on sale in the same way (Gelman et al., Bayesian Data Analysis, 2.6). So an event
    that is new starts at its city's mean and moves as evidence comes. ValueError when an argument's shape or
    range is wrong.
    """
    _check_events("event_city", event_city, np.int32, n_events)
    _check_events("event_created", event_created, np.float64, n_events)
    if np.isinf(event_created).any():
        raise ValueError("event_created: infinite; an unknown time is NaN")
    held = _preferences_held(log, n_events, settings, weights, cutoff)
    exposure = _exposure_days(log, event_created, settings.half_life_days, cutoff)
    mean = _city_rates(held, exposure, event_city, settings.min_city_events)
    rate = (held + mean * settings.prior_days) / (exposure + settings.prior_days)
    greatest = rate.max(initial=0.0)
    return (rate / greatest if greatest > 0 else rate).astype(np.float32)


def _preferences_held(
    log: InteractionLog, n_events: int, settings: PopularitySettings, weights: ActionWeights, cutoff: float
) -> NDArray[np.float64]:
    """float64[n_events]: s, the decayed preferences of everyone, before they are rounded to a byte."""
    n_users = int(log.users.max(initial=-1)) + 1
    preferences = PreferenceSettings(weights, settings.half_life_days)
    folded = fold_log(log, n_users, n_events, preferences, cutoff)
    return _sums(folded.events, folded.values, n_events)


def _exposure_days(
    log: InteractionLog, event_created: NDArray[np.float64], half_life_days: float, cutoff: float
) -> NDArray[np.float64]:
    """float64[n_events]: the decayed days on sale: T = (1 − 2^(−age / h)) · h / ln 2.

    That is the decay's integral over the event's age, which runs from its creation or its first action,
    whichever is earlier. Where neither is known, and for all events when no action has a time (nothing decays
    then), the age is endless.
    """
    timed = usable_rows(log, cutoff) & ~np.isnan(log.times)
    longest = half_life_days / math.log(2)
    if not timed.any():
        return np.full(event_created.size, longest)
    since = np.where(np.isnan(event_created), math.inf, event_created)
    np.minimum.at(since, log.events[timed], log.times[timed])
    age_days = np.where(np.isinf(since), math.inf, np.maximum(cutoff - since, 0.0) / DAY)
    return longest * -np.expm1(-age_days / longest)


def _city_rates(
    held: NDArray[np.float64], exposure: NDArray[np.float64], event_city: NDArray[np.int32], min_events: int
) -> NDArray[np.float64]:
    """float64[n_events]: preferences over days on sale of all the events of the event's city.

    Of all events instead where the city is unknown or small, or its events have not been on sale yet.
    """
    overall = _ratio(held.sum(keepdims=True), exposure.sum(keepdims=True), 0.0)[0]
    city = np.where(event_city < 0, 0, event_city + 1)
    n_cities = int(city.max(initial=0)) + 1
    rates = _ratio(_sums(city, held, n_cities), _sums(city, exposure, n_cities), overall)
    rates[np.bincount(city, minlength=n_cities) < min_events] = overall
    rates[0] = overall
    return np.asarray(rates[city])


def _sums(groups: NDArray[np.int32], values: NDArray[np.float64], n_groups: int) -> NDArray[np.float64]:
    """float64[n_groups]: the sum of the values in each group."""
    return np.asarray(np.bincount(groups, values, n_groups), np.float64)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64], otherwise: float) -> NDArray[np.float64]:
    """above / below where `below` is positive, else `otherwise`."""
    return np.divide(above, below, out=np.full_like(above, otherwise), where=below > 0)


def _check_events(name: str, values: NDArray[np.generic], dtype: type[np.generic], n_events: int) -> None:
    if values.shape != (n_events,) or values.dtype != dtype:
        raise ValueError(
            f"{name}: expected {np.dtype(dtype)}[{n_events}], got {values.dtype}{list(values.shape)}"
        )

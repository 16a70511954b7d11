"""What a model may learn from and what it is judged by."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core import sparse
from core.interactions import InteractionLog, Preferences, PreferenceSettings, build_preferences
from core.sparse import Rows


@dataclass(frozen=True, eq=False)
class Split:
    """A log divided for validation.

    `train` is what to fit on, up to `cutoff` (unix seconds); `held_out` the liked events, by user, that a
    model fitted on it should find, none of which `train` has acted on; `method` says how it was divided.
    """

    method: Literal["time", "holdout"]
    train: InteractionLog
    held_out: Rows
    cutoff: float


def split(
    log: InteractionLog,
    n_users: int,
    n_events: int,
    settings: PreferenceSettings,
    cutoff: float,
    fraction: float,
    seed: int,
) -> Split:
    """Split the log up to `cutoff` by time when its times are known, and by user when they are not.

    By time is what a recommender faces: it knows the past and is judged by what people like next. Without
    times a random `fraction` of each user's liked events is held out instead.
    """
    _check_fraction(fraction)
    log = log.select(~(log.times > cutoff))

    def preferences(part: InteractionLog, until: float) -> Preferences:
        return build_preferences(part, n_users, n_events, settings, until)[0]

    if times_are_known(log):
        train, later, cut = split_by_time(log, fraction)
        held_out = _without(preferences(later, cutoff).liked, preferences(train, cut))
        return Split("time", train, held_out, cut)
    _, held_out = holdout_per_user(preferences(log, cutoff).liked, fraction, seed)
    return Split("holdout", log.select(~sparse.contains(held_out, log.users, log.events)), held_out, cutoff)


def times_are_known(log: InteractionLog) -> bool:
    """Whether at least half of the rows have a time, and not all the same one."""
    known = log.times[~np.isnan(log.times)]
    return 2 * known.size >= len(log) and known.size > 0 and bool(known.min() < known.max())


def split_by_time(log: InteractionLog, fraction: float) -> tuple[InteractionLog, InteractionLog, float]:
    """(earlier, later, cut), where later has about the latest `fraction` of the rows that have a time.

    Rows at the cut itself and those of unknown time are earlier. Both parts have rows. ValueError when the
    times are not known (see `times_are_known`) or the fraction is not between 0 and 1.
    """
    _check_fraction(fraction)
    if not times_are_known(log):
        raise ValueError("times: fewer than half are known, or all are the same; hold out by user instead")
    known = np.sort(log.times[~np.isnan(log.times)])
    before_last = known[np.searchsorted(known, known[-1]) - 1]
    wanted = known[max(0, math.ceil(known.size * (1.0 - fraction)) - 1)]
    cut = float(min(wanted, before_last))
    later = log.times > cut
    return log.select(~later), log.select(later), cut


def holdout_per_user(liked: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """(train, held out): of a user's n liked events round(n × fraction) at random are held out, never all.

    Deterministic by `seed`. ValueError when the fraction is not between 0 and 1.
    """
    _check_fraction(fraction)
    counts = np.diff(liked.indptr)
    wanted = np.rint(counts * fraction).astype(np.int64)
    wanted = np.maximum(np.minimum(wanted, counts - 1), 0)
    held_out = sparse.sample_entries(liked.indptr, wanted, seed)
    return sparse.select(liked, ~held_out), sparse.select(liked, held_out)


def _without(liked: Rows, known: Preferences) -> Rows:
    """The liked events that `known` has not acted on."""
    users = sparse.entry_rows(liked)
    acted_on = sparse.contains(known.liked, users, liked.indices)
    acted_on |= sparse.contains(known.dismissed, users, liked.indices)
    return sparse.select(liked, ~acted_on)


def _check_fraction(fraction: float) -> None:
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction: {fraction} is not between 0 and 1")

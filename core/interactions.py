"""From a log of actions to what each person likes and has dismissed."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.actions import Action, ActionWeights
from core.interaction_log import InteractionLog as InteractionLog
from core.interaction_log import check_codes
from core.kernels import folding
from core.sparse import Pairs, Rows

DAY = 86_400.0

#: 2**-1000 is still a positive float: an ancient save stays a like instead of vanishing into a dismissal.
_MOST_HALF_LIVES = 1000.0


@dataclass(frozen=True)
class PreferenceSettings:
    """How actions become preferences.

    An action counts half after `half_life_days`, None for always in full. Half a year by default: tastes
    outlast a season of gigs, and yet this summer's festivals say more than the last. ValueError unless it is
    above 0.
    """

    weights: ActionWeights = field(default_factory=ActionWeights)
    half_life_days: float | None = 180.0

    def __post_init__(self) -> None:
        if self.half_life_days is not None:
            check_half_life(self.half_life_days)


class Preferences(NamedTuple):
    """By user: the events liked, and those acted on with none left (hidden, thumbed down, skipped)."""

    liked: Rows
    dismissed: Pairs


@dataclass(frozen=True)
class BuildReport:
    """What became of the rows of a log.

    Each row is counted once, by the first that fits: `unknown_user`, `unknown_event`, `unknown_action`,
    `after_cutoff`, `duplicates` (another row has the same user, event, action and time; unknown times are the
    same), `kept`. `contradictory` counts the pairs both wanted (save, thumb up) and refused (hide, thumb
    down), where the last word counts; `liked` and `dismissed` the pairs that came out.
    """

    rows: int
    kept: int
    unknown_user: int
    unknown_event: int
    unknown_action: int
    after_cutoff: int
    duplicates: int
    contradictory: int
    liked: int
    dismissed: int


class PairState(NamedTuple):
    """How one person stands to one event after some actions.

    `value` 0..1 is the preference. A pair that is not `acted_on` (never, or forgotten) is as if never seen.
    While `dismissed`, only a save, a thumb up or an un-hide changes anything.
    """

    value: float
    dismissed: bool
    acted_on: bool


UNTOUCHED = PairState(value=0.0, dismissed=False, acted_on=False)
DISMISSED = PairState(value=0.0, dismissed=True, acted_on=True)


def fold_action(state: PairState, action: Action, decay: float, weights: ActionWeights) -> PairState:
    """The state after one more action, whose effect is scaled by `decay` in 0..1.

    A fold over a pair's actions in time order, so that a service that applies them one at a time agrees with
    a full rebuild. Save and thumb up raise the value to at least their weight and end a dismissal; a click
    adds to it and a skip takes away, within 0..1; hide and thumb down set it to 0 and dismiss. Un-save
    forgets the pair, yet leaves a dismissal: who hides a saved event must not see it again because the site
    then drops the save. Un-hide ends a dismissal and forgets the pair, since a dismissal left nothing else of
    it.
    """
    match action:
        case Action.SAVE | Action.THUMBS_UP:
            weight = weights.save if action == Action.SAVE else weights.thumbs_up
            return PairState(max(state.value, weight * decay), dismissed=False, acted_on=True)
        case Action.HIDE | Action.THUMBS_DOWN:
            return DISMISSED
        case Action.UNHIDE:
            return UNTOUCHED if state.dismissed else state
        case _ if state.dismissed:
            return state
        case Action.UNSAVE:
            return UNTOUCHED
        case Action.CLICK | Action.SKIP:
            weight = weights.click if action == Action.CLICK else weights.skip
            return PairState(min(1.0, max(0.0, state.value + weight * decay)), dismissed=False, acted_on=True)


def decay_at(times: ArrayLike, cutoff: float, half_life_days: float | None) -> NDArray[np.float64]:
    """2^(−age / half-life) of actions at `times` (unix seconds) seen from `cutoff`, in the shape of `times`.

    1 for unknown times (NaN), for those after the cutoff and without a half-life; never 0.
    """
    seconds = np.asarray(times, np.float64)
    if half_life_days is None:
        return np.ones_like(seconds)
    half_lives = (cutoff - np.where(np.isnan(seconds), cutoff, seconds)) / (half_life_days * DAY)
    return np.exp2(-np.clip(half_lives, 0.0, _MOST_HALF_LIVES))


def quantise(values: ArrayLike) -> NDArray[np.uint8]:
    """Preferences in 0..1 (exclusive of 0) in units of 1/255: uint8 in 1..255, in the shape of `values`."""
    return np.clip(np.rint(np.asarray(values, np.float64) * 255.0), 1, 255).astype(np.uint8)


def build_preferences(
    log: InteractionLog, n_users: int, n_events: int, settings: PreferenceSettings, cutoff: float
) -> tuple[Preferences, BuildReport]:
    """Fold every pair's actions up to `cutoff` (unix seconds) into what each user likes of the events.

    Rows of unknown time come first, ties in time go by the code of the action. ValueError when a user or
    event of the log is out of range or the cutoff is not finite.
    """
    folded = fold_log(log, n_users, n_events, settings, cutoff)
    liked = folded.values > 0
    dismissed = ~liked & (folded.standings != folding.UNTOUCHED)
    preferences = Preferences(
        Rows(_indptr(folded.users[liked], n_users), folded.events[liked], quantise(folded.values[liked])),
        Pairs(_indptr(folded.users[dismissed], n_users), folded.events[dismissed]),
    )
    return preferences, _report(log, folded, cutoff, int(liked.sum()), int(dismissed.sum()))


class FoldedLog(NamedTuple):
    """The pairs of a log, ascending by user, then event, and what was counted on the way.

    `users` int32[p], `events` int32[p], `values` float64[p] not yet quantised, `standings` int8[p] by the
    codes of `core.kernels.folding`.
    """

    users: NDArray[np.int32]
    events: NDArray[np.int32]
    values: NDArray[np.float64]
    standings: NDArray[np.int8]
    duplicates: int
    contradictory: int


def fold_log(
    log: InteractionLog, n_users: int, n_events: int, settings: PreferenceSettings, cutoff: float
) -> FoldedLog:
    """The folded state of every pair of the log; arguments and errors as for `build_preferences`."""
    if not math.isfinite(cutoff):
        raise ValueError(f"cutoff: {cutoff} is not a finite time")
    check_codes("users", log.users, n_users)
    check_codes("events", log.events, n_events)
    return FoldedLog(
        *folding.fold_pairs(
            log.users,
            log.events,
            log.actions,
            log.times,
            decay_at(log.times, cutoff, settings.half_life_days),
            _order(log, usable_rows(log, cutoff), n_users, n_events),
            settings.weights.by_action(),
        )
    )


def usable_rows(log: InteractionLog, cutoff: float) -> NDArray[np.bool_]:
    """bool[n]: the rows whose user, event and action are known and that are not after `cutoff`."""
    return (log.users >= 0) & (log.events >= 0) & (log.actions >= 0) & ~(log.times > cutoff)


def check_half_life(days: float) -> None:
    """ValueError unless `days` is a finite number above 0."""
    if not 0.0 < days < math.inf:
        raise ValueError(f"half_life_days: {days} is not above 0")


def _order(log: InteractionLog, usable: NDArray[np.bool_], n_users: int, n_events: int) -> NDArray[np.int32]:
    """int32[]: the usable rows by user, event, time (unknown first), action."""
    rows = np.flatnonzero(usable).astype(np.int32)
    times = log.times[rows]
    times[np.isnan(times)] = -math.inf
    by_time = rows[np.lexsort((log.actions[rows], times))]
    by_event = folding.sort_stably(log.events, by_time, n_events)
    return np.asarray(folding.sort_stably(log.users, by_event, n_users))


def _report(log: InteractionLog, folded: FoldedLog, cutoff: float, liked: int, dismissed: int) -> BuildReport:
    left = np.ones(len(log), np.bool_)
    counts = {}
    for name, excluded in (
        ("unknown_user", log.users < 0),
        ("unknown_event", log.events < 0),
        ("unknown_action", log.actions < 0),
        ("after_cutoff", log.times > cutoff),
    ):
        counts[name] = int((left & excluded).sum())
        left &= ~excluded
    return BuildReport(
        rows=len(log),
        kept=int(left.sum()) - folded.duplicates,
        duplicates=folded.duplicates,
        contradictory=folded.contradictory,
        liked=liked,
        dismissed=dismissed,
        **counts,
    )


def _indptr(sorted_rows: NDArray[np.int32], n_rows: int) -> NDArray[np.int64]:
    indptr = np.zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(sorted_rows, minlength=n_rows), out=indptr[1:])
    return indptr

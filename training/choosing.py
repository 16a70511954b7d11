"""Choosing settings for a site: on its past, checked on what came after."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from core.model import ModelSettings
from core.splits import Split
from training.arms_tuning import BY_DEFAULT, TUNABLE, TunedArm, tune_arm
from training.chosen import ChosenSettings
from training.gate import LEAST_JUDGES
from training.snapshot import Snapshot
from training.validation import HELD_OUT, Validation, split_of, validate

#: What settings are chosen by.
METRIC = "NDCG@20 of held-out likes"
#: How long the choosing may take, all arms together.
MINUTES = 20.0


class NothingToChooseByError(Exception):
    """There are too few likes to choose settings by."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings that were chosen, and how they and those before do for people whom the choosing did not look at."""

    chosen: ChosenSettings
    validation: Validation  #: `live` are the settings before
    arms: tuple[str, ...]  #: for which they were chosen

    def is_worse(self, arm: str) -> bool:
        """Whether an arm is worse with them than before, beyond the interval."""
        live = self.validation.live
        return live is not None and live.differences[arm].interval.high < 0.0


def choose_settings(
    snapshot: Snapshot,
    before: ChosenSettings,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
    *,
    arms: Sequence[str] = BY_DEFAULT,
    minutes: float = MINUTES,
    clock: Callable[[], float] = time.monotonic,
) -> Choice:
    """Choose the settings of some arms on what a validation would fit on, and validate them on the rest.

    That rest stays unseen until then: what the trials are judged by is held out of what is left, in the same way. Each
    arm gets an equal share of the minutes that are left. Settings that were chosen for other arms stay.
    Raises NothingToChooseByError when fewer than LEAST_JUDGES people have likes to hold out.
    """
    outer = split_of(snapshot, before.settings, seed)
    arms = tuple(dict.fromkeys(arms))
    past = replace(snapshot, log=outer.train, cutoff=outer.cutoff)
    inner = split_of(past, before.settings, seed)
    deadline, settings, chosen_on = clock() + 60.0 * minutes, before.settings, dict(before.chosen_on or {})
    for place, arm in enumerate(arms):
        now = clock()
        until = now + (deadline - now) / (len(arms) - place)
        tuned = _tuned(arm, past, inner, settings, seed, partial(_is_over, clock, until), progress)
        settings = tuned.settings
        for other in TUNABLE:  # which chose the same settings, for itself
            if TUNABLE[other].group == TUNABLE[arm].group:
                chosen_on.pop(other, None)
        chosen_on[arm] = _told(tuned, past, inner.cutoff, seed)
    progress("checking them on people and likes that were not looked at")
    validation = validate(snapshot, settings, seed, live=before.settings)
    if validation is None or validation.people < LEAST_JUDGES:
        raise NothingToChooseByError(f"fewer than {LEAST_JUDGES} people have likes to hold out")
    return Choice(ChosenSettings(settings, chosen_on), validation, arms)


def _is_over(clock: Callable[[], float], until: float) -> bool:
    return clock() >= until


def _tuned(
    arm: str,
    past: Snapshot,
    inner: Split,
    settings: ModelSettings,
    seed: int,
    is_over: Callable[[], bool],
    progress: Callable[[str], None],
) -> TunedArm:
    try:
        tuned = tune_arm(arm, past, inner, settings, seed, is_over, progress)
    except ValueError as error:
        raise NothingToChooseByError(str(error)) from None
    if tuned.people < LEAST_JUDGES:
        raise NothingToChooseByError(f"fewer than {LEAST_JUDGES} people have likes to hold out")
    return tuned


def _told(tuned: TunedArm, past: Snapshot, fitted_until: float, seed: int) -> Mapping[str, Any]:
    """What an arm's settings were chosen on."""
    return {
        "interactions": len(past.log),
        "interactions_until": past.cutoff,
        "fitted_until": fitted_until,
        "people": tuned.people,
        "held_out": HELD_OUT,
        "seed": seed,
        "metric": METRIC,
        "value": tuned.ndcg,
        "value_before": tuned.ndcg_before,
        "trials": tuned.trials,
        "finished": tuned.finished,
    }

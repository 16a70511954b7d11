"""Choosing settings for a site: on its past, checked on what came after."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.interactions import build_preferences
from core.model import ModelSettings
from training.chosen import ChosenSettings
from training.gate import LEAST_JUDGES
from training.snapshot import Snapshot
from training.tuning import HELD_OUT, tune_neighbourhood
from training.validation import Validation, split_of, validate

#: What settings are chosen by.
METRIC = "NDCG@20 of held-out likes"


class NothingToChooseByError(Exception):
    """There are too few likes to choose settings by."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings that were chosen, and how they and those before do for people whom the choosing did not look at."""

    chosen: ChosenSettings
    validation: Validation  #: `live` are the settings before

    def is_worse(self, arm: str) -> bool:
        """Whether an arm is worse with them than before, beyond the interval."""
        live = self.validation.live
        return live is not None and live.differences[arm].interval.high < 0.0


def choose_settings(
    snapshot: Snapshot, before: ModelSettings, seed: int, progress: Callable[[str], None] = lambda _: None
) -> Choice:
    """Choose settings on what a validation would fit on, and validate them on the rest, which stays unseen until then.

    Raises NothingToChooseByError when fewer than LEAST_JUDGES people have likes to hold out.
    """
    parts = split_of(snapshot, before, seed)
    preferences, _ = build_preferences(
        parts.train, len(snapshot.users), len(snapshot.events), before.preferences, parts.cutoff
    )
    try:
        tuned = tune_neighbourhood(
            preferences.liked, len(snapshot.events), before.collaborative, seed, progress
        )
    except ValueError as error:
        raise NothingToChooseByError(str(error)) from None
    settings = replace(before, collaborative=tuned.settings)
    progress("checking them on people and likes that were not looked at")
    validation = validate(snapshot, settings, seed, live=before)
    if validation is None or min(tuned.users, validation.people) < LEAST_JUDGES:
        raise NothingToChooseByError(f"fewer than {LEAST_JUDGES} people have likes to hold out")
    chosen_on = {
        "data_cutoff": snapshot.cutoff,
        "interactions": len(parts.train),
        "interactions_until": parts.cutoff,
        "people": tuned.users,
        "held_out": HELD_OUT,
        "seed": seed,
        "metric": METRIC,
        "value": tuned.ndcg,
        "trials": tuned.trials,
    }
    return Choice(ChosenSettings(settings, chosen_on), validation)

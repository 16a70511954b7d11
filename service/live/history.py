"""What a person did to one event since the training, folded in the order of time.

Actions come to be known out of order: feedback given to this process at once, what other services wrote seconds
later, what waited for a database hours later. A later hide wins over an earlier save whichever is heard of first, as
it does when a model is trained on both.
"""

from bisect import bisect_right, insort
from typing import NamedTuple

from core.actions import Action, ActionWeights
from core.interactions import UNTOUCHED, PairState, fold_action


class Deed(NamedTuple):
    """One action; `at` in seconds since 1970. Deeds sort by time, at the same time by the action's code."""

    at: float
    action: Action

    @property
    def to_the_second(self) -> "Deed":
        """As the database has it, whose times are whole seconds."""
        return Deed(float(int(self.at)), self.action)


class PairHistory(NamedTuple):
    """How a pair stands `now`, and how it came to that; never changed, only replaced."""

    before: PairState  #: as trained
    deeds: tuple[Deed, ...]  #: since then, ascending, each once
    now: PairState

    def including(self, deed: Deed, weights: ActionWeights) -> "PairHistory":
        """With one more deed, unless it is known already, from this source or another."""
        if not self.deeds:
            return PairHistory(self.before, (deed,), fold_action(self.now, deed.action, 1.0, weights))
        deeds = list(self.deeds)
        if deed in deeds or (deed.at == int(deed.at) and any(known.to_the_second == deed for known in deeds)):
            return self
        # The queue tells of feedback to the microsecond, the database of the same one to the second.
        rough = deed.to_the_second
        if rough in deeds:
            deeds.remove(rough)
        elif bisect_right(deeds, deed) == len(deeds):
            now = fold_action(self.now, deed.action, 1.0, weights)
            return PairHistory(self.before, (*self.deeds, deed), now)
        insort(deeds, deed)
        return _folded(self.before, deeds, weights)

    def since(self, until: float, weights: ActionWeights) -> "PairHistory":
        """Without anything from before or in the second `until`, what was trained included."""
        return _folded(UNTOUCHED, [deed for deed in self.deeds if int(deed.at) > until], weights)


def untouched_since(state: PairState) -> PairHistory:
    """The history of a pair that stood so when the model was trained."""
    return PairHistory(state, (), state)


def _folded(before: PairState, deeds: list[Deed], weights: ActionWeights) -> PairHistory:
    now = before
    for deed in deeds:
        now = fold_action(now, deed.action, 1.0, weights)
    return PairHistory(before, tuple(deeds), now)

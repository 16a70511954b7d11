"""What simulated people do: the truth that an experiment's results can be held against.

Person i looks at some answers and clicks on one event of each with probability p_i, whatever the answer shows; for
people of the changed variant with p_i · (1 + effect). Nothing else differs between the variants. So the expected
clicks for each answer differ by exactly `effect`, relatively, and so do the saves, each of which follows a click; the
hides and the number of answers do not differ. What an answer shows decides only on what they click: on what is to
their taste, and rather further up.
"""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from service.experiments.statistics.power import Baseline, plan

#: Chances to click on an answer are this large at most; on average half of it.
HIGHEST_CHANCE = 0.8
#: So large may an effect be, for all chances to stay below 1.
LARGEST_EFFECT = 1.0 / HIGHEST_CHANCE - 1.0
FEWEST_LOOKS, MOST_LOOKS = 2, 6
#: How often a save follows a click, and how often somebody hides an event of an answer.
SAVED, HIDDEN = 0.3, 0.05
_SPREAD = 6.0  # of Beta(6, 6), which the chances are drawn from
_ATTENTION = 0.9  # from one place to the next
#: How often as many people as `people_needed` says find the effect.
POWER = 0.99


class Shown(NamedTuple):
    """An event in an answer."""

    event_id: str
    genres: tuple[str, ...]


class Act(NamedTuple):
    """What somebody does with the event at a place of an answer, counted from 0."""

    action: str
    place: int


class SimulatedPerson:
    """One person. All they do follows from `seed`, their number, and whether they are `changed`."""

    def __init__(self, seed: int, number: int) -> None:
        self._dice = random.Random(f"{seed}/{number}")  # noqa: S311 - nothing here is secret
        self._taste_seed = f"{seed}/{number}/"
        self._liking: dict[str, float] = {}
        self.chance = HIGHEST_CHANCE * self._dice.betavariate(_SPREAD, _SPREAD)
        self.looks = self._dice.randint(FEWEST_LOOKS, MOST_LOOKS)

    def react(self, answer: Sequence[Shown], effect: float) -> list[Act]:
        """What they do with an answer, in order; `effect` is 0 for people of control.

        So many dice are thrown whatever comes of them that a person does the same in every run but for the effect.
        """
        clicks, saves, hides, where = (self._dice.random() for _ in range(4))
        if not answer:
            return []
        acts: list[Act] = []
        liking = [self.likes(event) * _ATTENTION**place for place, event in enumerate(answer)]
        if clicks < self.chance * (1.0 + effect):
            place = _drawn(liking, where)
            acts.append(Act("click", place))
            if saves < SAVED:
                acts.append(Act("save", place))
        if hides < HIDDEN:
            acts.append(Act("hide", min(range(len(answer)), key=lambda place: self.likes(answer[place]))))
        return acts

    def likes(self, event: Shown) -> float:
        """How well an event is to their taste: that for the best of its genres, 1 on average, far more for few."""
        return max([self._likes_genre(genre) for genre in event.genres], default=0.1)

    def _likes_genre(self, genre: str) -> float:
        if genre not in self._liking:
            dice = random.Random(self._taste_seed + genre)  # noqa: S311
            self._liking[genre] = dice.expovariate(1.0) ** 2 / 2.0
        return self._liking[genre]


def clicks_for_each_answer() -> Baseline:
    """Of people without an effect; the deviation is that of one person, by the delta method.

    With p of Beta(a, a), scaled, and L looks it is the root of E[L p (1 - p)] + E[L²] Var p, over E[L].
    """
    mean = HIGHEST_CHANCE / 2.0
    variance = HIGHEST_CHANCE**2 / (4.0 * (2.0 * _SPREAD + 1.0))
    looks = range(FEWEST_LOOKS, MOST_LOOKS + 1)
    mean_looks = sum(looks) / len(looks)
    mean_square = sum(count * count for count in looks) / len(looks)
    within = mean_looks * (mean * (1.0 - mean) - variance)
    return Baseline(mean, math.sqrt(within + mean_square * variance) / mean_looks)


def people_needed(effect: float, comparisons: int) -> int:
    """How many people in two equal variants find an effect on clicks, looked at as often as one likes."""
    return plan(clicks_for_each_answer(), effect, comparisons=comparisons, power=POWER).people


def _drawn(weights: Sequence[float], luck: float) -> int:
    """The place at which the weights up to it first make up the share `luck` of all."""
    left = luck * sum(weights)
    for place, weight in enumerate(weights):
        left -= weight
        if left < 0.0:
            return place
    return len(weights) - 1

"""One variant against control in one metric, within each version of the map and then over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.experiments.results.strata import Strata
from service.experiments.statistics.effects import Effect, difference, lift
from service.experiments.statistics.errors import NotComputableError
from service.experiments.statistics.estimates import Side, adjusted, plain, theta_of, weighted
from service.experiments.statistics.metrics import BEFORE, Metric
from service.experiments.statistics.moments import Moments
from service.experiments.statistics.power import ALPHA

Pair = tuple[Moments, Moments]


@dataclass(frozen=True)
class Cuped:
    """The effect after CUPED, and the slope by which it adjusts."""

    absolute: Effect
    relative: Effect | None
    theta: float


@dataclass(frozen=True)
class Comparison:
    """Control's value and the variant's over the same versions of the map, and how they differ.

    `relative` is None where control's value is 0, `cuped` where what people did before says nothing. `fewest` are the
    people of the smaller side; for `tuning_people` the sequential intervals are narrowest.
    """

    metric: Metric
    control: float
    variant: float
    people: int
    fewest: int
    tuning_people: float
    absolute: Effect
    relative: Effect | None
    cuped: Cuped | None

    @property
    def best(self) -> Effect:
        """The absolute effect to judge by: after CUPED where there is one."""
        return self.absolute if self.cuped is None else self.cuped.absolute

    @property
    def best_relative(self) -> Effect | None:
        """The same as a lift."""
        return self.relative if self.cuped is None else self.cuped.relative

    @property
    def is_improvement(self) -> bool:
        """Whether the estimate is on the good side."""
        return (self.best.estimate > 0.0) == self.metric.more_is_better


def compare(metric: Metric, control: Strata, variant: Strata, tuning_people: float) -> Comparison:
    """Raises NotComputableError when there is no version in which both can be compared.

    Each version counts by its people in both together, for control and variant alike.
    """
    pairs = _pairs(metric, control, variant)
    sizes = [a.n + b.n for a, b in pairs]
    weights = [size / sum(sizes) for size in sizes]

    def sides(estimate: Callable[[Moments], Side]) -> tuple[Side, Side]:
        return (
            weighted([estimate(a) for a, _ in pairs], weights),
            weighted([estimate(b) for _, b in pairs], weights),
        )

    before, after = sides(lambda people: plain(metric, people))
    return Comparison(
        metric=metric,
        control=before.value,
        variant=after.value,
        people=sum(sizes),
        fewest=min(before.n, after.n),
        tuning_people=tuning_people,
        absolute=difference(before, after, ALPHA, tuning_people),
        relative=_lift(before, after, tuning_people),
        cuped=_cuped(metric, pairs, sides, tuning_people),
    )


def _pairs(metric: Metric, control: Strata, variant: Strata) -> Sequence[Pair]:
    """The people of both in each version where the metric can be worked out of both."""
    shared = [(control[version], variant[version]) for version in sorted(control.keys() & variant.keys())]
    if not shared:
        raise NotComputableError("nobody was assigned to it while others were to control")
    usable: list[Pair] = []
    problem: NotComputableError | None = None
    for pair in shared:
        try:
            for people in pair:
                plain(metric, people)
            usable.append(pair)
        except NotComputableError as error:
            problem = error
    if problem is not None and not usable:
        raise problem
    return usable


def _cuped(
    metric: Metric,
    pairs: Sequence[Pair],
    sides: Callable[[Callable[[Moments], Side]], tuple[Side, Side]],
    tuning_people: float,
) -> Cuped | None:
    try:
        theta = theta_of(metric, BEFORE, pairs)
        before, after = sides(lambda people: adjusted(metric, people, theta, BEFORE))
        absolute = difference(before, after, ALPHA, tuning_people)
    except NotComputableError:
        return None
    return Cuped(absolute, _lift(before, after, tuning_people), theta)


def _lift(control: Side, variant: Side, tuning_people: float) -> Effect | None:
    try:
        return lift(control, variant, ALPHA, tuning_people)
    except NotComputableError:
        return None

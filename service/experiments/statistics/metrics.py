"""What an experiment is judged by, as statistics of what was counted of each person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: The figures of a person, in the order of `Moments`. `before` is log(1 + events liked before the first answer): its
#: logarithm, since a few people who liked hundreds would decide the regression by themselves.
COLUMNS = (
    "exposures",
    "clicks",
    "saves",
    "hides",
    "errors",
    "latency_ms",
    "conversions",
    "requests",
    "before",
)
BEFORE = COLUMNS.index("before")


@dataclass(frozen=True)
class Metric:
    """A `proportion` of people, a `mean` for each person, or a `ratio` of two sums over people.

    `numerator` and `denominator` are places in COLUMNS, the denominator only of a ratio.
    """

    name: str
    kind: Literal["proportion", "mean", "ratio"]
    numerator: int
    denominator: int | None
    more_is_better: bool


def _metric(name: str, numerator: str, denominator: str | None, *, more_is_better: bool = True) -> Metric:
    kind: Literal["proportion", "mean", "ratio"] = "mean" if denominator is None else "ratio"
    if numerator == "conversions":
        kind = "proportion"
    below = None if denominator is None else COLUMNS.index(denominator)
    return Metric(name, kind, COLUMNS.index(numerator), below, more_is_better)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        _metric("conversion_rate", "conversions", None),
        _metric("click_through_rate", "clicks", "exposures"),
        _metric("save_rate", "saves", "exposures"),
        _metric("hide_rate", "hides", "exposures", more_is_better=False),
        _metric("clicks_per_person", "clicks", None),
        _metric("saves_per_person", "saves", None),
        _metric("hides_per_person", "hides", None, more_is_better=False),
        _metric("error_rate", "errors", "requests", more_is_better=False),
        _metric("latency_ms", "latency_ms", "exposures", more_is_better=False),
    )
}

"""Holm's correction for many comparisons (Holm: "A Simple Sequentially Rejective Multiple Test Procedure", 1979)."""

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")


def holm(p_values: Mapping[K, float], comparisons: int | None = None) -> dict[K, float]:
    """The p values by which to judge each comparison when all are made, at most 1.

    `comparisons` is how many are made where some have no p value yet; those count as the largest. With p values that
    hold at every look the corrected ones do too.
    """
    ordered = sorted(p_values.items(), key=lambda item: item[1])
    count = max(comparisons or 0, len(ordered))
    corrected: dict[K, float] = {}
    largest = 0.0
    for place, (name, p) in enumerate(ordered):
        largest = max(largest, min(1.0, (count - place) * p))
        corrected[name] = largest
    return {name: corrected[name] for name in p_values}

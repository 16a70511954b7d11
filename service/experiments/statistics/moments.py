"""Sufficient statistics of some people: how many, the means of what was counted of each, and how those vary together.

They add up: the moments of everyone are the sum of the moments of any parts (Chan, Golub, LeVeque: "Algorithms for
Computing the Sample Variance", 1983), without the cancellation that sums of squares suffer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Of n people with k figures each: `means` float64[k], `comoments` float64[k, k], the sums of the products of the
    deviations from the means."""

    n: int
    means: Vector
    comoments: Vector

    @classmethod
    def none(cls, k: int) -> "Moments":
        """Of nobody."""
        return cls(0, np.zeros(k), np.zeros((k, k)))

    @classmethod
    def of(cls, values: ArrayLike) -> "Moments":
        """Of people one by one, float64[n, k]."""
        table = np.asarray(values, np.float64)
        if not len(table):
            return cls.none(table.shape[1])
        means = table.mean(axis=0)
        deviations = table - means
        return cls(len(table), means, deviations.T @ deviations)

    def __add__(self, other: "Moments") -> "Moments":
        n = self.n + other.n
        if not n:
            return self
        apart = other.means - self.means
        return Moments(
            n,
            self.means + apart * (other.n / n),
            self.comoments + other.comoments + np.outer(apart, apart) * (self.n * other.n / n),
        )

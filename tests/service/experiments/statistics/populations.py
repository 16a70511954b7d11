"""Invented people whose true metrics are known, many experiments at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments

#: Figures of a person here: y, the answers x, and what they did before.
BEFORE = 2
PROPORTION = Metric("y", "proportion", 0, None, more_is_better=True)
MEAN = Metric("y", "mean", 0, None, more_is_better=True)
RATIO = Metric("y", "ratio", 0, 1, more_is_better=True)


def moments_from_sums(n: int, sums: Sequence[float], products: ArrayLike) -> Moments:
    """From the sums of k figures and of their k × k products over n people, as other engines take them."""
    totals = np.asarray(sums, np.float64)
    return Moments(n, totals / n, np.asarray(products, np.float64) - np.outer(totals, totals) / n)


def draw(
    rng: np.random.Generator, metric: Metric, shape: tuple[int, ...], lift: float
) -> NDArray[np.float64]:
    """People of a variant whose true metric is (1 + `lift`) times control's: float64[*shape, 3].

    Who did more before does more and asks for more answers; and answers of one person are alike, so that a test that
    took them for independent would be wrong about twice as often as it says.
    """
    before = rng.exponential(1.0, shape)
    x = 1.0 + rng.poisson(2.0 + 2.0 * before)
    if metric is PROPORTION:
        y = rng.random(shape) < (0.05 + 0.05 * np.minimum(before, 4.0)) * (1.0 + lift)
    elif metric is MEAN:
        y = rng.gamma(2.0, 0.5 + before) * (1.0 + lift)
    else:
        taste = rng.beta(2.0, 10.0, shape)
        y = rng.binomial(
            x.astype(int), np.minimum(1.0, taste * (0.4 + 0.3 * np.minimum(before, 2.0)) * (1.0 + lift))
        )
    return np.stack([y.astype(np.float64), x, before], axis=-1)


def moments_of(tables: NDArray[np.float64]) -> Iterator[Moments]:
    """The moments of each experiment's people, float64[experiments, n, 3]."""
    means = tables.mean(axis=1)
    apart = tables - means[:, np.newaxis]
    comoments = np.einsum("enk,enl->ekl", apart, apart)
    return (Moments(tables.shape[1], mean, one) for mean, one in zip(means, comoments, strict=True))


def experiments(
    seed: int, metric: Metric, runs: int, n: int, lift: float = 0.0
) -> list[tuple[Moments, Moments]]:
    """So many experiments of n people in control and n in a variant."""
    rng = np.random.default_rng(seed)
    found: list[tuple[Moments, Moments]] = []
    while len(found) < runs:
        part = (min(500, runs - len(found)), n)
        control, variant = (draw(rng, metric, part, by) for by in (0.0, lift))
        found += zip(moments_of(control), moments_of(variant), strict=True)
    return found

"""Makes golden.json, what an independent engine says of some tables of people.

    python -m venv golden-venv && golden-venv/bin/pip install gbstats==0.8.0 statsmodels
    golden-venv/bin/python tests/service/experiments/statistics/make_golden.py

gbstats (GrowthBook's engine) is the judge of proportions, means, ratios, CUPED's absolute effect and its relative
estimate, and the sequential figures of all those. statsmodels and SciPy are it where gbstats is wrong or silent:

- the interval of a relative lift after CUPED: gbstats takes the adjusted control for what the lift is divided by in
  the variance, and the unadjusted one in the estimate;
- CUPED of ratios: 0.8.0 has none;
- sample ratio mismatch: gbstats counts variants without weight as degrees of freedom, and their people as expected.
"""

# ruff: noqa: T201

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import scipy.stats
from gbstats.frequentist.tests import (
    FrequentistConfig,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import (
    ProportionStatistic,
    RatioStatistic,
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
)
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW
from statsmodels.tools import add_constant

TARGET = Path(__file__).with_name("golden.json")


def people(rng, n, effect, kind):
    """Figures y (counted), x (answers), before: float64[n, 3]; who did a lot before does a lot."""
    before = np.log1p(rng.negative_binomial(1.0, 0.1, n))
    x = 1.0 + rng.poisson(2.0 + before, n)
    if kind == "proportion":
        y = (rng.random(n) < (0.1 + 0.05 * before) * (1.0 + effect)).astype(float)
    elif kind == "mean":
        y = rng.gamma(2.0, (1.0 + before) * (1.0 + effect), n)
    else:
        y = rng.binomial(x.astype(int), np.minimum(1.0, (0.1 + 0.03 * before) * (1.0 + effect))).astype(float)
    return np.column_stack([y, x, before])


def sums_of(table):
    return {"n": len(table), "sums": table.sum(axis=0).tolist(), "products": (table.T @ table).tolist()}


def mean_statistic(table, column):
    values = table[:, column]
    return SampleMeanStatistic(n=len(values), sum=values.sum(), sum_squares=(values**2).sum())


def statistic(table, kind):
    y, x, before = table.T
    if kind == "proportion":
        return ProportionStatistic(n=len(y), sum=y.sum())
    if kind == "mean":
        return mean_statistic(table, 0)
    if kind == "ratio":
        return RatioStatistic(
            n=len(y),
            m_statistic=mean_statistic(table, 0),
            d_statistic=mean_statistic(table, 1),
            m_d_sum_of_products=(y * x).sum(),
        )
    return RegressionAdjustedStatistic(
        n=len(y),
        post_statistic=mean_statistic(table, 0),
        pre_statistic=mean_statistic(table, 2),
        post_pre_sum_of_products=(y * before).sum(),
        theta=0.0,
    )


def by_gbstats(control, variant, kind, difference_type, alpha, tuning):
    """One result of gbstats, by both of its tests."""
    config = {"alpha": alpha, "difference_type": difference_type}
    fixed = TwoSidedTTest(statistic(control, kind), statistic(variant, kind), FrequentistConfig(**config))
    always = SequentialTwoSidedTTest(
        statistic(control, kind),
        statistic(variant, kind),
        SequentialConfig(**config, sequential_tuning_parameter=tuning),
    )
    one, two = asdict(fixed.compute_result()), asdict(always.compute_result())
    return figures(
        one["expected"], one["uplift"]["stddev"], one["ci"], one["p_value"], two["ci"], two["p_value"]
    )


def figures(estimate, error, interval, p, always=(None, None), always_p=None):
    names = ("estimate", "standard_error", "low", "high", "p_value")
    names += ("sequential_low", "sequential_high", "sequential_p_value")
    values = (estimate, error, *interval, p, *always, always_p)
    return {name: float(value) for name, value in zip(names, values) if value is not None}  # noqa: B905


def linearised(table, kind, reference):
    """One value a person whose mean is the metric, to first order about the people of `reference`."""
    if kind == "mean":
        return table[:, 0]
    ratio, mean_x = reference[:, 0].sum() / reference[:, 1].sum(), reference[:, 1].mean()
    return ratio + (table[:, 0] - ratio * table[:, 1]) / mean_x


def cuped_by_statsmodels(control, variant, kind, alpha):
    """Both effects after CUPED, from one adjusted value a person."""
    both = np.vstack([control, variant])
    theta = OLS(linearised(both, kind, both), add_constant(both[:, 2])).fit().params[1]
    raw = [linearised(table, kind, table) for table in (control, variant)]
    clean = [values - theta * table[:, 2] for values, table in zip(raw, (control, variant))]  # noqa: B905
    compared = CompareMeans(DescrStatsW(clean[1]), DescrStatsW(clean[0]))
    freedom = compared.dof_satt()
    apart, base = clean[1].mean() - clean[0].mean(), raw[0].mean()
    share = apart / base
    # To first order apart / base moves with control's people by -clean / base - share · raw / base.
    moved = CompareMeans(DescrStatsW(clean[1] / base), DescrStatsW((clean[0] + share * raw[0]) / base))
    found = {}
    for name, estimate, error in (
        ("absolute", apart, compared.std_meandiff_separatevar),
        ("relative", share, moved.std_meandiff_separatevar),
    ):
        width = scipy.stats.t.ppf(1.0 - alpha / 2.0, freedom) * error
        p = 2.0 * scipy.stats.t.sf(abs(estimate / error), freedom)
        found[name] = figures(estimate, error, (estimate - width, estimate + width), p)
    return found


def effect_cases():
    rng = np.random.default_rng(20261125)
    shapes = [
        (40, 25, 0.3, 0.05, 5_000.0),
        (1_000, 1_000, 0.0, 0.05, 5_000.0),
        (3_000, 1_500, 0.15, 0.05, 2_000.0),
        (20_000, 20_000, -0.08, 0.01, 40_000.0),
        (500, 4_500, 0.9, 0.1, 500.0),
    ]
    for n_control, n_variant, effect, alpha, tuning in shapes:
        for kind in ("proportion", "mean", "ratio", "cuped_mean", "cuped_ratio"):
            shape = kind.removeprefix("cuped_")
            control = people(rng, n_control, 0.0, shape)
            variant = people(rng, n_variant, effect, shape)
            if kind.startswith("cuped_"):
                source, expected = "statsmodels", cuped_by_statsmodels(control, variant, shape, alpha)
            if kind == "cuped_mean":
                source = "gbstats, statsmodels for the interval of the relative lift"
                theirs = by_gbstats(control, variant, kind, "relative", alpha, tuning)
                expected["absolute"] = by_gbstats(control, variant, kind, "absolute", alpha, tuning)
                expected["relative"]["estimate"] = theirs["estimate"]
            if kind == shape:
                types, source = ("absolute", "relative"), "gbstats"
                expected = {one: by_gbstats(control, variant, kind, one, alpha, tuning) for one in types}
            yield {
                "kind": kind,
                "source": source,
                "alpha": alpha,
                "tuning_people": tuning,
                "control": sums_of(control),
                "variant": sums_of(variant),
                "expected": expected,
            }


def mismatch_cases():
    """SciPy's χ² test over the variants that have weight."""
    for observed, weights in (
        ([50, 53], [1.0, 1.0]),
        ([24_272, 25_728], [1.0, 1.0]),
        ([1_010, 2_040, 990], [1.0, 2.0, 1.0]),
        ([500, 480, 0], [0.5, 0.5, 0.0]),
        ([500, 400, 7], [0.5, 0.5, 0.0]),
    ):
        kept = [(n, weight) for n, weight in zip(observed, weights) if weight > 0.0]  # noqa: B905
        total, weight = sum(n for n, _ in kept), sum(weight for _, weight in kept)
        found = scipy.stats.chisquare([n for n, _ in kept], [total * part / weight for _, part in kept])
        yield {"observed": observed, "weights": weights, "p_value": float(found.pvalue)}


def main():
    golden = {"effects": list(effect_cases()), "mismatches": list(mismatch_cases())}
    TARGET.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{len(golden['effects'])} comparisons and {len(golden['mismatches'])} spreads in {TARGET}")


if __name__ == "__main__":
    main()

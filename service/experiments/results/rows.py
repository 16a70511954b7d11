"""Results as a table for other programs: a row for each variant and metric."""

import csv
import io
from typing import Any

from service.experiments.results.answers import (
    ComparisonAnswer,
    EffectAnswer,
    ResultsAnswer,
    VariantResult,
)

_EFFECT = EffectAnswer.__struct_fields__
COLUMNS = (
    *(
        "experiment_id",
        "variant_id",
        "metric",
        "role",
        "participants",
        "exposures",
        "clicks",
        "saves",
        "hides",
    ),
    *("errors", "value", "control", "people"),
    *[f"{kind}_{field}" for kind in ("absolute", "relative") for field in _EFFECT],
    *[f"cuped_{kind}_{field}" for kind in ("absolute", "relative") for field in _EFFECT],
    *("corrected_p_value", "corrected_sequential_p_value", "is_better", "is_worse", "smallest_lift"),
    *("sample_ratio_p_value", "verdict"),
)


def results_csv(results: ResultsAnswer) -> str:
    """As CSV with a header; what there is not is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for variant in results.variants:
        writer.writerows(_rows(results, variant))
    return text.getvalue()


def _rows(results: ResultsAnswer, variant: VariantResult) -> list[dict[str, Any]]:
    same = {
        "experiment_id": results.experiment_id,
        "sample_ratio_p_value": results.sample_ratio.p_value,
        "verdict": results.verdict,
    }
    for name in ("variant_id", "participants", "exposures", "clicks", "saves", "hides", "errors"):
        same[name] = getattr(variant, name)
    by_metric = {one.metric: _compared(one) for one in variant.comparisons}
    return [
        {"metric": metric, **same, **by_metric.get(metric, {}), "value": value}
        for metric, value in variant.metrics.items()
    ]


def _compared(one: ComparisonAnswer) -> dict[str, Any]:
    plain = ("role", "control", "people", "corrected_p_value", "corrected_sequential_p_value")
    return {
        **{name: getattr(one, name) for name in (*plain, "is_better", "is_worse")},
        "smallest_lift": None if one.power is None else one.power.smallest_lift,
        **_flat("absolute", one.absolute),
        **_flat("relative", one.relative),
        **_flat("cuped_absolute", None if one.cuped is None else one.cuped.absolute),
        **_flat("cuped_relative", None if one.cuped is None else one.cuped.relative),
    }


def _flat(prefix: str, effect: EffectAnswer | None) -> dict[str, Any]:
    if effect is None:
        return {}
    return {f"{prefix}_{name}": getattr(effect, name) for name in _EFFECT}

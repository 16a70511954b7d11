"""What the commands print of trainings and measures."""

from collections.abc import Mapping
from typing import Any

from core.bootstrap import Interval
from core.evaluation import Metrics
from core.model import ModelSettings
from training.arms_tuning import TUNABLE
from training.choosing import Choice
from training.pipeline import TrainingReport
from training.validation import LiveMeasures, Validation


def report_as_dict(report: TrainingReport) -> dict[str, Any]:
    """The report by the names of the API's answer to a retraining."""
    return {
        "status": "success",
        "model_version": report.version,
        "metrics": {
            "training_samples": report.training_samples,
            "training_duration_seconds": round(report.training_duration_seconds, 3),
            "validation_metrics": report.validation_metrics,
        },
    }


def measures_as_dict(validation: Validation) -> dict[str, Any]:
    """Each arm's measures, with the intervals of those that have one."""
    return {
        name: {**metrics.as_dict(), "intervals": dict(validation.intervals[name])}
        for name, metrics in validation.arms.items()
    }


def told(report: TrainingReport) -> str:
    """A report in words and a table."""
    rows = report.rows
    left_out = {
        "of unknown actions": rows.unknown_action,
        "repeated": rows.duplicates,
        "after the cut-off": rows.after_cutoff,
    }
    lines = [
        f"Published model {report.version} in {report.training_duration_seconds:.1f} s.",
        *(f"Published although {objection}." for objection in report.overruled),
        f"{rows.kept:,} of {rows.rows:,} interactions used: {rows.liked:,} likes, {rows.dismissed:,} dismissals"
        + "".join(f"; {count:,} {what}" for what, count in left_out.items() if count)
        + ".",
    ]
    if report.validation is not None:
        lines += [table(report.validation), *_beside_live(report.validation.live)]
    return "\n".join(lines)


def table(validation: Validation) -> str:
    """The arms' measures, one line each, and how far they can be trusted."""
    how = "the last fifth by time" if validation.method == "time" else "a fifth of each person's likes"
    measures = {name: metrics.as_dict() for name, metrics in validation.arms.items()}
    columns = [name for name in next(iter(measures.values())) if not name.startswith("users")]
    head = f"{'arm':<26}" + "".join(f"{name:>17}" for name in columns)
    lines = [
        f"Judged on {how}, {validation.people:,} people; below each mean, half of its 95 % interval:",
        head,
    ]
    for arm, of in measures.items():
        lines.append(f"{arm:<26}" + "".join(f"{of[name]:>17.4f}" for name in columns))
        lines.append(" " * 26 + "".join(f"{_half(validation.intervals[arm], name):>17}" for name in columns))
    return "\n".join(lines)


def choice_told(choice: Choice) -> str:
    """What was chosen, on what, and what it is worth."""
    chosen_on = choice.chosen.chosen_on or {}
    return "\n".join(
        [
            *(_arm_told(arm, chosen_on[arm], choice.chosen.settings) for arm in choice.arms),
            table(choice.validation),
            *_beside_live(choice.validation.live, "the settings before"),
        ]
    )


def _arm_told(arm: str, on: Mapping[str, Any], settings: ModelSettings) -> str:
    rest = "" if on["finished"] else "; the time was up before nothing could be bettered any more"
    return (
        f"{arm}: {on['trials']} settings tried on {on['people']:,} people: {on['metric']} {on['value']:.4f},"
        f" {on['value_before']:.4f} before{rest}: {getattr(settings, TUNABLE[arm].group)}."
    )


def ndcg(metrics: Metrics) -> str:
    """The measure that decides."""
    return f"NDCG@{metrics.k} {metrics.ndcg:.4f}"


def _beside_live(live: LiveMeasures | None, what: str = "those of the live model") -> list[str]:
    if live is None:
        return []
    if live.same_settings:
        return [f"The settings are {what}."]
    return [
        f"{name}: {ndcg(live.arms[name])} with {what}; the difference is {mean:+.4f} ({low:+.4f} to {high:+.4f})."
        for name, (mean, (low, high)) in live.differences.items()
    ]


def _half(intervals: Mapping[str, Interval], name: str) -> str:
    if name not in intervals:
        return ""
    low, high = intervals[name]
    return f"± {(high - low) / 2:.4f}"

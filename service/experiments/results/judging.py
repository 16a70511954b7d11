"""The verdict in plain words: what whoever reads nothing else should do.

It rests on what holds at every look and after the correction, so it may be asked every day.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.experiments.results.answers import ComparisonAnswer, SampleRatioAnswer, VariantResult

#: The intervals are for large numbers: with fewer people than so many in a variant nothing is called.
LEAST_PEOPLE = 100
#: A larger part of people in several variants is no accident.
_MOST_CROSSED = 0.01


@dataclass(frozen=True)
class Standing:
    """How one variant is doing against control: its primary metric, and the guardrails that are worse."""

    variant: str
    primary: ComparisonAnswer
    broken: Sequence[str]


@dataclass(frozen=True)
class Verdict:
    """In a few words and with reasons; `winner` once one is decided."""

    words: str
    reasons: list[str]
    winner: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far an experiment is: its people, of how many planned, how many in several variants, whether it goes on."""

    people: int
    planned: int | None
    crossed: int
    is_over: bool


def standing_of(variant: VariantResult) -> Standing | None:
    """None for control, which stands against nobody."""
    primary = [one for one in variant.comparisons if one.role == "primary"]
    broken = [one.metric for one in variant.comparisons if one.role == "guardrail" and one.is_worse]
    return Standing(variant.variant_id, primary[0], broken) if primary else None


def judge(
    control: str, standings: Sequence[Standing], spread: SampleRatioAnswer, progress: Progress
) -> Verdict:
    """The first of these that holds: a broken assignment, a winner, a loser, no difference, too little data."""
    doubts = _doubts(spread, progress)
    if doubts:
        return Verdict("check the assignment first", doubts)
    reasons = [sentence for one in standings if (sentence := _sentence(control, one))]
    better = sorted((one for one in standings if one.primary.is_better), key=_size, reverse=True)
    sound = [one for one in better if not one.broken]
    if sound:
        reasons += _not_told_apart(sound)
        return Verdict(f"{sound[0].variant} wins", reasons, sound[0].variant)
    if better:
        return Verdict(f"check the guardrails of {better[0].variant} first", reasons)
    worse = [one.variant for one in standings if one.primary.is_worse]
    if worse and len(worse) == len(standings):
        return Verdict(f"{control} wins", reasons, control)
    reasons += [_outlook(one) for one in standings if not one.primary.is_worse]
    if worse:
        return Verdict(f"{' and '.join(worse)} {'loses' if len(worse) == 1 else 'lose'}", reasons)
    is_complete = progress.is_over or (progress.planned is not None and progress.people >= progress.planned)
    if is_complete and standings and all(one.primary.power is not None for one in standings):
        return Verdict("no difference found", [_amount(progress), *reasons])
    return Verdict("not enough data yet", [_amount(progress), *reasons])


def _doubts(spread: SampleRatioAnswer, progress: Progress) -> list[str]:
    doubts = []
    if spread.is_mismatch:
        doubts.append(
            f"People are not spread over the variants as the weights say (p = {spread.p_value:.1g})."
            " Something between the assignment and the counting treats the variants differently."
        )
    if progress.crossed > max(1.0, _MOST_CROSSED * progress.people):
        doubts.append(f"{progress.crossed:,} of {progress.people:,} people were shown several variants.")
    return doubts


def _sentence(control: str, one: Standing) -> str:
    """What holds of a variant; nothing where nothing does yet."""
    parts = []
    metric = one.primary.metric
    if one.primary.is_better or one.primary.is_worse:
        word = "better" if one.primary.is_better else "worse"
        parts.append(f"is {word} than {control} in {metric}{_interval(one.primary)}")
    if one.broken:
        parts.append(f"is worse in {', '.join(one.broken)}")
    return f"{one.variant} {' and '.join(parts)}." if parts else ""


def _interval(primary: ComparisonAnswer) -> str:
    lift = primary.relative if primary.cuped is None else primary.cuped.relative
    if lift is None:
        return ""
    return f" by {lift.estimate:+.1%} ({lift.sequential_low:+.1%} to {lift.sequential_high:+.1%} at 95 %)"


def _size(one: Standing) -> float:
    """By which winners are ordered: how large the change is."""
    effect = one.primary.absolute if one.primary.cuped is None else one.primary.cuped.absolute
    return abs(effect.estimate) if effect is not None else 0.0


def _not_told_apart(winners: Sequence[Standing]) -> list[str]:
    others = ", ".join(one.variant for one in winners[1:])
    return (
        [f"{others} beats control too; that the first is better than it has not been tested."]
        if others
        else []
    )


def _amount(progress: Progress) -> str:
    planned = "" if progress.planned is None else f" of {progress.planned:,} planned"
    return f"{progress.people:,} people{planned} have taken part."


def _outlook(one: Standing) -> str:
    """What the people so far could show."""
    primary = one.primary
    if primary.note is not None:
        return f"{one.variant}: {primary.note}."
    if primary.power is None or primary.power.smallest_lift is None:
        return f"{one.variant}: too few people so far."
    return f"{one.variant}: a change of {primary.power.smallest_lift:.1%} would be found by now (power 0.8)."

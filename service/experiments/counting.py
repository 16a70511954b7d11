"""What answers and feedback add to the counts of experiments.

An answer counts when it was given to a person whom an experiment assigned; one for a guest, for another service's own
use or by a variant that the caller named does not. Feedback counts for the answer that it followed: the one that it
names, if that showed the event to the person, or else the last one that did so within the window.
"""

from collections.abc import Iterable, Mapping, Sequence

from service.experiments.increments import COUNT_OF_ACTION, Increment
from service.storage.database import Session
from service.storage.queries.attribution import Answer, answers_by_id, answers_since
from service.storage.queue_entries import ExposureEntry, FeedbackEntry

#: For so long after an answer does an action that does not name it count as its effect, seconds.
WINDOW_SECONDS = 24 * 3_600


def count_answers(answers: Iterable[ExposureEntry]) -> list[Increment]:
    """One increment for each answer, or request that failed, and experiment that it counts in."""
    return [
        Increment(
            experiment_id=experiment_id,
            user_id=answer.user_id,
            variant=variant,
            map_version=map_version,
            first_at=answer.created_at,
            last_at=answer.created_at,
            pre_activity=answer.pre_activity,
            shown={} if answer.has_failed else {variant: 1},
            errors=int(answer.has_failed),
            latency_ms=answer.latency_ms,
        )
        for answer in answers
        if answer.is_exposure and answer.user_id is not None
        for experiment_id, variant, map_version in answer.experiments
    ]


async def count_feedback(session: Session, rows: Sequence[FeedbackEntry]) -> list[Increment]:
    """One increment for each action and experiment that it counts in. Raises StorageError."""
    counted = [row for row in rows if row.action in COUNT_OF_ACTION]
    if not counted:
        return []
    named = await answers_by_id(session, _distinct([row.recommendation_id for row in counted]))
    unnamed = [row for row in counted if row.recommendation_id not in named]
    shown: Mapping[str, Sequence[Answer]] = {}
    if unnamed:
        since = int(min([row.recorded_at for row in unnamed])) - WINDOW_SECONDS
        shown = await answers_since(session, _distinct([row.user_id for row in unnamed]), since)
    return [
        _increment(row, answer, *experiment)
        for row in counted
        if (answer := _followed(row, named, shown)) is not None
        for experiment in answer.experiments
    ]


def _followed(
    row: FeedbackEntry, named: Mapping[str, Answer], shown: Mapping[str, Sequence[Answer]]
) -> Answer | None:
    at = int(row.recorded_at)
    answer = named.get(row.recommendation_id or "")
    if answer is not None:
        return answer if answer.user_id == row.user_id and row.event_id in answer.event_ids else None
    within = (
        answer
        for answer in shown.get(row.user_id, ())
        if at - WINDOW_SECONDS <= answer.created_at <= at and row.event_id in answer.event_ids
    )
    return next(within, None)


def _increment(
    row: FeedbackEntry, answer: Answer, experiment_id: str, variant: str, map_version: int
) -> Increment:
    count = COUNT_OF_ACTION[row.action]
    return Increment(
        experiment_id=experiment_id,
        user_id=row.user_id,
        variant=variant,
        map_version=map_version,
        first_at=answer.created_at,
        last_at=row.recorded_at,
        clicks=int(count == "clicks"),
        saves=int(count == "saves"),
        hides=int(count == "hides"),
    )


def _distinct(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys([value for value in values if value is not None]))

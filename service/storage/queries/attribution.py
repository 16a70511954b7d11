"""Which answer an action followed: the one that it names, or the last one that showed the person the event."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from service.storage.database import Row, Session
from service.storage.dialect import Statement
from service.storage.times import to_text

ANSWERS_BY_ID = Statement(
    "SELECT recommendation_id, user_id, event_ids, experiments, is_exposure, {epoch:created_at}"
    " FROM model_predictions WHERE recommendation_id IN ({list})"
)
ANSWERS_SINCE = Statement(
    "SELECT recommendation_id, user_id, event_ids, experiments, is_exposure, {epoch:created_at}"
    " FROM model_predictions WHERE created_at >= ? AND is_exposure = 1 AND experiments IS NOT NULL"
    " AND user_id IN ({list}) ORDER BY created_at DESC, id DESC"
)
_LIST_SIZE = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as far as experiments go; `experiments` are id, variant and version of the map for each."""

    recommendation_id: str
    user_id: str | None
    event_ids: tuple[str, ...]
    experiments: tuple[tuple[str, str, int], ...]
    created_at: int


async def answers_by_id(session: Session, ids: Sequence[str]) -> Mapping[str, Answer]:
    """The answers of these ids that there are; one that was no exposure has no experiments."""
    found: dict[str, Answer] = {}
    for part in _parts(ids):
        for row in await session.fetch(ANSWERS_BY_ID.with_list(len(part)), part):
            found[row[0]] = _answer(row)
    return found


async def answers_since(
    session: Session, user_ids: Sequence[str], since: int
) -> Mapping[str, Sequence[Answer]]:
    """What each person was shown in experiments from `since` (seconds since 1970) on, the latest first."""
    found: dict[str, list[Answer]] = {}
    for part in _parts(user_ids):
        for row in await session.fetch(ANSWERS_SINCE.with_list(len(part)), (to_text(since), *part)):
            found.setdefault(row[1], []).append(_answer(row))
    return found


def _answer(row: Row) -> Answer:
    recommendation_id, user_id, event_ids, experiments, is_exposure, created_at = row
    shown = orjson.loads(experiments) if experiments and is_exposure else ()
    return Answer(
        recommendation_id=recommendation_id,
        user_id=user_id,
        event_ids=tuple(orjson.loads(event_ids) if event_ids else ()),
        experiments=tuple([(name, variant, int(version)) for name, variant, version in shown]),
        created_at=created_at,
    )


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + _LIST_SIZE] for start in range(0, len(values), _LIST_SIZE))

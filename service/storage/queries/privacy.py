"""A person's rights: everything that this service keeps about them, shown or erased.

The site's own tables are the site's to show and erase. Of those this service leaves out, after an erasure,
what happened until then; whoever comes back afterwards starts afresh.
"""

from dataclasses import dataclass
from typing import Any

from service.storage.database import Session
from service.storage.dialect import Statement
from service.storage.queries.pages import delete_in_slices
from service.storage.times import to_text

_FEEDBACK_COLUMNS = ("id", "event_id", "action", "context", "recommendation_id", "created_at")
_PREDICTION_COLUMNS = (
    "id",
    "recommendation_id",
    "model_version",
    "variant",
    "arm",
    "city",
    "event_ids",
    "num_recommendations",
    "latency_ms",
    "experiment_id",
    "is_exposure",
    "created_at",
)
_CACHE_COLUMNS = ("id", "cache_key", "recommendations", "model_version", "created_at", "expires_at")

EXPORT_FEEDBACK = Statement(
    "SELECT id, event_id, action, context, recommendation_id, {epoch:created_at} FROM ml_feedback"
    " WHERE user_id = ? ORDER BY id"
)
EXPORT_PREDICTIONS = Statement(
    "SELECT id, recommendation_id, model_version, variant, arm, city, event_ids, num_recommendations,"
    " latency_ms, experiment_id, is_exposure, {epoch:created_at} FROM model_predictions"
    " WHERE user_id = ? ORDER BY id"
)
EXPORT_CACHE = Statement(
    "SELECT id, cache_key, recommendations, model_version, {epoch:created_at}, {epoch:expires_at}"
    " FROM recommendation_cache WHERE user_id = ? ORDER BY id"
)
ERASED_AT = Statement("SELECT {epoch:erased_at} FROM ml_erased_users WHERE user_id = ?")
ERASED_USERS = Statement("SELECT user_id, {epoch:erased_at} FROM ml_erased_users")
MARK_ERASED = Statement("INSERT INTO ml_erased_users (user_id, erased_at) VALUES (?, ?) {skip_known:user_id}")
MARK_ERASED_AGAIN = Statement("UPDATE ml_erased_users SET erased_at = ? WHERE user_id = ? AND erased_at < ?")
IDS_OF_USER = Statement("SELECT id FROM {table} WHERE user_id = ? ORDER BY id LIMIT ?")
DELETE_IDS = Statement("DELETE FROM {table} WHERE id IN ({list})")

#: Every table of this service that has rows about people.
PERSONAL_TABLES = ("ml_feedback", "model_predictions", "recommendation_cache")


@dataclass(frozen=True)
class UserData:
    """Everything kept about one person: rows as dicts by column, times in seconds since 1970, JSON as text.

    `erased_at` is when they were last erased, None when never.
    """

    feedback: tuple[dict[str, Any], ...]
    predictions: tuple[dict[str, Any], ...]
    cached: tuple[dict[str, Any], ...]
    erased_at: int | None


async def export_user(session: Session, user_id: str) -> UserData:
    """Everything this service's tables hold about `user_id`."""
    erased = await session.fetch(ERASED_AT, (user_id,))
    return UserData(
        feedback=await _rows(session, EXPORT_FEEDBACK, _FEEDBACK_COLUMNS, user_id),
        predictions=await _rows(session, EXPORT_PREDICTIONS, _PREDICTION_COLUMNS, user_id),
        cached=await _rows(session, EXPORT_CACHE, _CACHE_COLUMNS, user_id),
        erased_at=erased[0][0] if erased else None,
    )


async def erase_user(session: Session, user_id: str, at: int) -> int:
    """Delete everything kept about `user_id` and remember that it was done `at` (seconds since 1970).

    Returns how many rows there were. Not for within a transaction: `service.storage.queries.recording` relies
    on the mark being committed first. Safe to repeat after a failure half-way.
    """
    await session.execute(MARK_ERASED, (user_id, to_text(at)))
    await session.execute(MARK_ERASED_AGAIN, (to_text(at), user_id, to_text(at)))
    deleted = 0
    for table in PERSONAL_TABLES:
        select, delete = IDS_OF_USER.with_names(table=table), DELETE_IDS.with_names(table=table)
        deleted += await delete_in_slices(session, select, delete, (user_id,))
    return deleted


async def erased_users(session: Session) -> dict[str, int]:
    """Everyone who was erased, and when (seconds since 1970)."""
    return dict(await session.fetch(ERASED_USERS))


async def _rows(
    session: Session, statement: Statement, columns: tuple[str, ...], user_id: str
) -> tuple[dict[str, Any], ...]:
    rows = await session.fetch(statement, (user_id,))
    return tuple(dict(zip(columns, row, strict=True)) for row in rows)

"""Old rows are deleted a few at a time, so that nobody waits for their locks."""

from service.storage.database import Session
from service.storage.dialect import Statement
from service.storage.queries.pages import delete_in_slices
from service.storage.times import to_text

OLD_IDS = Statement("SELECT id FROM {table} WHERE {time} < ? ORDER BY {time}, id LIMIT ?")
DELETE_IDS = Statement("DELETE FROM {table} WHERE id IN ({list})")


async def delete_old_predictions(session: Session, before: int) -> int:
    """Delete the answers recorded before `before` (seconds since 1970); returns how many."""
    return await _delete(session, "model_predictions", "created_at", before)


async def delete_old_feedback(session: Session, before: int) -> int:
    """Delete the feedback given before `before` (seconds since 1970); returns how many. Undated rows stay."""
    return await _delete(session, "ml_feedback", "created_at", before)


async def delete_expired_cache(session: Session, now: int) -> int:
    """Delete the cached recommendations that expired before `now` (seconds since 1970); returns how many."""
    return await _delete(session, "recommendation_cache", "expires_at", now)


async def _delete(session: Session, table: str, time: str, before: int) -> int:
    select = OLD_IDS.with_names(table=table, time=time)
    return await delete_in_slices(session, select, DELETE_IDS.with_names(table=table), (to_text(before),))

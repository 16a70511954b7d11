"""What happened since the last look: the service keeps up by asking these every few seconds.

A row is stamped or numbered when it is written and seen when it is committed, which may be later and in
another order. So ask with an overlap (some seconds, some hundred ids) and take what comes twice as one. What
people did before they asked to be erased is left out.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from service.storage.database import Database, Session
from service.storage.dialect import Statement
from service.storage.queries.pages import PAGE_ROWS, read_pages
from service.storage.queries.pair_tables import PairTable, TimedPair
from service.storage.times import to_text

PAIRS_SINCE = Statement(
    "SELECT CAST(user_id AS CHAR), CAST(event_id AS CHAR), {epoch:{time}} FROM {table} AS t"
    " WHERE {time} >= ? AND ({time} > ? OR user_id > ? OR (user_id = ? AND event_id > ?))"
    " AND NOT EXISTS (SELECT 1 FROM ml_erased_users AS e WHERE e.user_id = CAST(t.user_id AS CHAR)"
    " AND e.erased_at >= t.{time}) ORDER BY {time}, user_id, event_id LIMIT ?"
)
PAIRS_IN_BUCKET = Statement(
    "SELECT CAST(user_id AS CHAR), CAST(event_id AS CHAR), COALESCE({epoch:{time}}, 0) FROM {table} AS t"
    " WHERE {integer:user_id} BETWEEN ? AND ?"
    " AND NOT EXISTS (SELECT 1 FROM ml_erased_users AS e WHERE e.user_id = CAST(t.user_id AS CHAR)"
    " AND {epoch:e.erased_at} >= COALESCE({epoch:t.{time}}, 0)) ORDER BY user_id, event_id"
)
PAIR_FINGERPRINTS = Statement(
    "SELECT {integer:user_id} {div} 256, COUNT(*), SUM({checksum:user_id, event_id}) FROM {table}"
    " GROUP BY {integer:user_id} {div} 256"
)
FEEDBACK_AFTER = Statement(
    "SELECT id, user_id, event_id, action, COALESCE({epoch:created_at}, 0), idempotency_key"
    " FROM ml_feedback AS t WHERE id > ?"
    " AND NOT EXISTS (SELECT 1 FROM ml_erased_users AS e WHERE e.user_id = t.user_id"
    " AND {epoch:e.erased_at} >= COALESCE({epoch:t.created_at}, 0)) ORDER BY id LIMIT ?"
)
COUNT_FEEDBACK_AFTER = Statement("SELECT COUNT(*) FROM ml_feedback WHERE id > ?")
LAST_FEEDBACK_ID = Statement("SELECT COALESCE(MAX(id), 0) FROM ml_feedback")
SERVER_TIME = Statement("SELECT {epoch:CURRENT_TIMESTAMP}")

USERS_IN_BUCKET = 256  # as in PAIR_FINGERPRINTS


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """One recorded action; a greater `id` was recorded later. `at` in seconds since 1970.

    `key` is its idempotency key, None for a row that another program wrote.
    """

    id: int
    user_id: str
    event_id: str
    action: str
    at: int
    key: str | None


@dataclass(frozen=True, slots=True)
class BucketFingerprint:
    """The pairs of one bucket of users: other pairs, other values, but for a chance of about one in 2³²."""

    count: int
    checksum: int


async def pairs_since(
    db: Database, table: PairTable, since: int, page_rows: int = PAGE_ROWS
) -> AsyncIterator[list[TimedPair]]:
    """The pairs stamped at `since` (seconds since 1970) or later, in the order of time, page by page."""

    def after(at: int, user_id: str, event_id: str) -> tuple[str, ...]:
        return (to_text(at), to_text(at), user_id, user_id, event_id)

    start = db.dialect.before_first_id
    first, statement = after(since, start, start), table.fill(PAIRS_SINCE)
    async for rows in read_pages(db, statement, first, lambda row: after(row[2], *row[:2]), page_rows):
        yield rows


async def pair_fingerprints(session: Session, table: PairTable) -> dict[int, BucketFingerprint]:
    """A fingerprint of each bucket of 256 users that has pairs.

    Un-saving deletes a row and leaves no trace: a bucket whose fingerprint changed, or is gone, is read
    again. The server scans the table, so this is to be asked once or twice a minute.
    """
    rows = await session.fetch(table.fill(PAIR_FINGERPRINTS))
    return {int(bucket): BucketFingerprint(count, int(checksum)) for bucket, count, checksum in rows}


async def pairs_in_bucket(session: Session, table: PairTable, bucket: int) -> list[TimedPair]:
    """All pairs of the users of one bucket."""
    return await session.fetch(table.fill(PAIRS_IN_BUCKET), bounds_of(bucket))


async def feedback_after(session: Session, after_id: int, limit: int = 10_000) -> list[FeedbackRow]:
    """The first `limit` recorded actions whose id is greater than `after_id`, by id."""
    return [FeedbackRow(*row) for row in await session.fetch(FEEDBACK_AFTER, (after_id, limit))]


async def count_feedback_after(session: Session, after_id: int) -> int:
    """How many recorded actions have an id greater than `after_id`."""
    return int((await session.fetch(COUNT_FEEDBACK_AFTER, (after_id,)))[0][0])


async def last_feedback_id(session: Session) -> int:
    """The greatest id in ml_feedback, 0 when it is empty."""
    return int((await session.fetch(LAST_FEEDBACK_ID))[0][0])


async def server_time(session: Session) -> int:
    """The database's clock in seconds since 1970; also the cheapest proof that it answers."""
    return int((await session.fetch(SERVER_TIME))[0][0])


def bounds_of(bucket: int) -> tuple[int, int]:
    """The least and the greatest id that truncate to `bucket`; an id that is no number is in bucket 0."""
    nearest, others = bucket * USERS_IN_BUCKET, USERS_IN_BUCKET - 1
    return (nearest - (others if bucket <= 0 else 0), nearest + (others if bucket >= 0 else 0))

"""Who did what to which event, as one stream for a training.

Saves and hides are rows of the site's tables, everything else is feedback given through this service. What
people did before they asked to be erased is left out.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from service.storage.database import Database, Session
from service.storage.dialect import Statement
from service.storage.queries.pages import PAGE_ROWS, read_pages
from service.storage.queries.pair_tables import HIDDEN, SAVED, PairTable

#: user id, event id, action, seconds since 1970 (`UNKNOWN_TIME` when nobody knows).
Interaction = tuple[str, str, str, int]

# The time is compared as a number, not through its index: nearly every row lies before the cut-off, and the
# rows have to come in the order of the key.
TRAINING_PAIRS = Statement(
    "SELECT CAST(user_id AS CHAR), CAST(event_id AS CHAR), '{action}', COALESCE({epoch:{time}}, 0)"
    " FROM {table} AS t"
    " WHERE user_id >= ? AND (user_id > ? OR event_id > ?) AND COALESCE({epoch:{time}}, 0) <= ?"
    " AND NOT EXISTS (SELECT 1 FROM ml_erased_users AS e WHERE e.user_id = CAST(t.user_id AS CHAR)"
    " AND {epoch:e.erased_at} >= COALESCE({epoch:t.{time}}, 0))"
    " ORDER BY user_id, event_id LIMIT ?"
)
TRAINING_FEEDBACK = Statement(
    "SELECT user_id, event_id, action, COALESCE({epoch:created_at}, 0), id FROM ml_feedback AS t"
    " WHERE id > ? AND COALESCE({epoch:created_at}, 0) <= ?"
    " AND NOT EXISTS (SELECT 1 FROM ml_erased_users AS e WHERE e.user_id = t.user_id"
    " AND {epoch:e.erased_at} >= COALESCE({epoch:t.created_at}, 0))"
    " ORDER BY id LIMIT ?"
)
COUNT_ROWS = Statement(
    "SELECT (SELECT COUNT(*) FROM events), (SELECT COUNT(*) FROM user_saved_events),"
    " (SELECT COUNT(*) FROM user_hidden_events), (SELECT COUNT(*) FROM ml_feedback)"
)

SOMEBODY = Statement(
    "SELECT user_id FROM (SELECT user_id, id FROM ml_feedback ORDER BY id DESC LIMIT 5000) AS latest"
    " GROUP BY user_id ORDER BY COUNT(*) DESC, user_id LIMIT 1"
)


@dataclass(frozen=True)
class RowCounts:
    """How much there is to learn from."""

    events: int
    saves: int
    hides: int
    feedback: int

    @property
    def interactions(self) -> int:
        return self.saves + self.hides + self.feedback


async def stream_interactions(
    db: Database, until: int, page_rows: int = PAGE_ROWS
) -> AsyncIterator[list[Interaction]]:
    """Every interaction up to and including `until` (seconds since 1970), and those of unknown time.

    The saves come first, then the hides, then the feedback in the order it was recorded, in batches of at
    most `page_rows`. An action is as it was stored; one that nobody knows is the reader's to count and leave
    out.
    """
    for table in (SAVED, HIDDEN):
        async for rows in stream_pairs(db, table, until, page_rows):
            yield rows
    async for rows in stream_feedback(db, until, page_rows):
        yield rows


async def stream_pairs(
    db: Database, table: PairTable, until: int, page_rows: int = PAGE_ROWS
) -> AsyncIterator[list[Interaction]]:
    """The rows of one of the site's tables, as `stream_interactions`."""
    start = db.dialect.before_first_id
    statement, first = table.fill(TRAINING_PAIRS), (start, start, start, until)
    async for rows in read_pages(db, statement, first, lambda row: (row[0], *row[:2], until), page_rows):
        yield rows


async def stream_feedback(
    db: Database, until: int, page_rows: int = PAGE_ROWS
) -> AsyncIterator[list[Interaction]]:
    """The feedback given through this service, as `stream_interactions`."""
    async for rows in read_pages(db, TRAINING_FEEDBACK, (0, until), lambda row: (row[4], until), page_rows):
        yield [row[:4] for row in rows]


async def count_rows(session: Session) -> RowCounts:
    """The size of the tables that a training reads. A scan of each: not for every request."""
    [(events, saves, hides, feedback)] = await session.fetch(COUNT_ROWS)
    return RowCounts(events, saves, hides, feedback)


async def somebody(session: Session) -> str | None:
    """The id of a person who did a lot lately, to try things with; None when nobody did anything."""
    found = await session.fetch(SOMEBODY)
    return found[0][0] if found else None

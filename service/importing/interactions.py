"""Import of interactions into ml_feedback.

The database need not know the users and events: interactions may come first, or alone.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

from service.importing import values as check
from service.importing.loading import ImportReport, Progress, load, no_progress
from service.importing.reading import Columns
from service.storage.database import Database, Session
from service.storage.dialect import Statement
from service.storage.queries.privacy import erased_users
from service.storage.times import optional_text, to_text

INTERACTION_COLUMNS = Columns(required=("user_id", "event_id"), optional=("action", "created_at"))

INSERT_INTERACTIONS = Statement(
    "INSERT INTO ml_feedback (user_id, event_id, action, created_at, idempotency_key) VALUES (?, ?, ?, ?, ?)"
    " {skip_known:idempotency_key}"
)


#: A row of INSERT_INTERACTIONS: user id, event id, action, time as text or None, idempotency key.
StoredInteraction = tuple[str, str, str, str | None, str]


async def import_interactions(db: Database, path: Path, progress: Progress = no_progress) -> ImportReport:
    """Add the interactions of a .csv, .jsonl or .ndjson file, plain or with .gz, that are not there yet.

    Columns: user_id and event_id; action (save when absent or empty); created_at (ISO 8601 or unix seconds,
    unknown when absent or empty). The same user, event, action and second are one interaction, however often
    they come.

    Raises ImportFileError, with nothing written, or a StorageError, after which it is run again.
    """
    return await load(db, path, _Interactions(await erased_users(db)), progress)


def interaction_key(user_id: str, event_id: str, action: str, at: str | None) -> str:
    """The idempotency key of an imported interaction: the same for the same interaction in any file.

    80 bits of BLAKE2b: among a hundred million interactions two share a key with a chance below 10⁻⁸. Before them
    a checksum of the user, because the keys of one user, who often stand together in a file, then stand together
    in the index as well, and a large import touches few of its pages at a time.
    """
    # Ids have no characters that cannot be printed, so the separators cannot be part of one.
    text = f"{user_id}\n{event_id}\n{action}\n{at}"
    digest = blake2b(text.encode(), digest_size=10).hexdigest()
    return f"import:{crc32(user_id.encode()):08x}{digest}"


class _Interactions:
    """How interactions are checked and written."""

    columns = INTERACTION_COLUMNS

    def __init__(self, erased: Mapping[str, int]) -> None:
        self._erased = {user_id: to_text(at) for user_id, at in erased.items()}

    def parse(self, values: Sequence[str | None]) -> StoredInteraction:
        user_text, event_text, action_text, time_text = values
        user_id = check.identifier("user_id", user_text)
        event_id = check.identifier("event_id", event_text)
        action = check.action("action", action_text)
        at = (
            optional_text(check.instant("created_at", time_text, check.LAST_TIMESTAMP)) if time_text else None
        )
        return user_id, event_id, action, at, interaction_key(user_id, event_id, action, at)

    async def write(self, session: Session, rows: Sequence[StoredInteraction]) -> ImportReport:
        kept = [row for row in rows if not self._is_erased(row)] if self._erased else rows
        added = await session.execute_many(INSERT_INTERACTIONS, kept)
        known, refused = len(kept) - added, len(rows) - len(kept)
        return ImportReport(rows=len(rows), added=added, known=known, refused=refused)

    def _is_erased(self, row: StoredInteraction) -> bool:
        user_id, _, _, at, _ = row
        return user_id in self._erased and (at or "") <= self._erased[user_id]

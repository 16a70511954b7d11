"""The snapshot as those use it who follow the site: a disk that fails costs the next start, not the following."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from service.live.description import Described
from service.storage.queries.events import EventsFingerprint
from service.storage.snapshot import (
    NOTHING_KEPT,
    FeedbackSpan,
    Kept,
    Pair,
    SiteChange,
    SiteFeedback,
    SnapshotFile,
)

logger = logging.getLogger(__name__)


class LastKnown:
    """One process's way to the snapshot, or to none where the database is a file of this machine itself.

    Nothing raises but `erase_user`. A write that failed leaves the file without events it should hold, so from then
    on this process keeps it without a fingerprint, and the next start reads every event anew.
    """

    def __init__(self, file: SnapshotFile | None) -> None:
        self._file = file
        self._is_behind = False
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with the file, None while nothing is."""
        return self._problem

    async def load(self, take: Callable[[Sequence[Described]], object]) -> Kept:
        """As `SnapshotFile.load`; nothing when there is no file, or none that can be read."""
        kept = NOTHING_KEPT

        async def read(file: SnapshotFile) -> None:
            nonlocal kept
            kept = await file.load(take)

        await self._attempt(read)
        return kept

    async def load_changes(self) -> Sequence[SiteChange]:
        """Of that the rows that the site's tables got."""
        kept: Sequence[SiteChange] = ()

        async def read(file: SnapshotFile) -> None:
            nonlocal kept
            kept = await file.load_changes()

        await self._attempt(read)
        return kept

    async def put_events(
        self, events: Sequence[Described], gone: Collection[str], fingerprint: EventsFingerprint | None
    ) -> None:
        """As `SnapshotFile.put_events`."""
        sure = None if self._is_behind else fingerprint
        if not await self._attempt(lambda file: file.put_events(events, gone, sure)):
            self._is_behind = True

    async def keep_feedback(self, span: FeedbackSpan, rows: Sequence[SiteFeedback], *, begins: bool) -> bool:
        """As `SnapshotFile.keep_feedback`; whether it was written."""
        return await self._attempt(lambda file: file.keep_feedback(span, rows, begins=begins))

    async def add_changes(self, changes: Iterable[SiteChange]) -> None:
        """As `SnapshotFile.add_changes`."""
        await self._attempt(lambda file: file.add_changes(changes))

    async def drop_pairs(self, table: str, pairs: Collection[Pair]) -> None:
        """As `SnapshotFile.drop_pairs`."""
        await self._attempt(lambda file: file.drop_pairs(table, pairs))

    async def drop_changes(self, before: int) -> None:
        """As `SnapshotFile.drop_changes`."""
        await self._attempt(lambda file: file.drop_changes(before))

    async def erase_user(self, user_id: str) -> None:
        """As `SnapshotFile.erase_user`. Raises sqlite3.Error: whoever asked must not be told that it was done."""
        if self._file is not None:
            await self._file.erase_user(user_id)

    async def _attempt(self, work: Callable[[SnapshotFile], Awaitable[object]]) -> bool:
        """Whether it succeeded, or there is no file. A failure is logged once and kept for /ready."""
        if self._file is None:
            return True
        try:
            await work(self._file)
        except (sqlite3.Error, OSError) as error:
            if self._problem is None:
                logger.warning("the snapshot: %s", error)
            self._problem = f"the snapshot: {error}"
            return False
        self._problem = None
        return True

"""Follows ml_feedback: what was imported, or came from another machine; the queue tells of this machine's own.

Nearly all rows came through this machine's queue, which is read at a start anyway. So the snapshot keeps the others,
and up to which row that is known, and a start reads on from there instead of from where the model's training was.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.live.intake import PAGE, Intake
from service.live.last_known import LastKnown
from service.storage.database import Database
from service.storage.queries.changes import FeedbackRow, feedback_after
from service.storage.queue import DurableQueue
from service.storage.snapshot import FeedbackSpan, Kept

#: Ids are given when a row is written, and it is seen when it is committed, which may be so much later.
LATE_COMMIT_SECONDS = 2.0
#: A start may read so many rows again; to note each few of them would cost more.
_NOTED_EVERY = 100


class FeedbackFollower:
    """Keeps one live state current with the table. `facts` are those of the model's manifest."""

    def __init__(
        self,
        facts: Mapping[str, Any],
        intake: Intake,
        database: Database,
        queue: DurableQueue | None,
        last_known: LastKnown,
        clock: Callable[[], float],
    ) -> None:
        self._intake = intake
        self._database = database
        self._queue = queue
        self._last_known = last_known
        self._clock = clock
        self._version = str(facts["version"])
        self._cutoff = int(facts["cutoff"])
        self._trained_id = int(facts["last_feedback_id"])
        #: (clock, the greatest id seen then), the latest last. All up to the first was seen when it was settled.
        self._seen = deque([(float("-inf"), self._trained_id)])
        self._to_keep: list[FeedbackRow] = []
        self._noted: FeedbackSpan | None = None  #: what the snapshot was told last
        self._is_kept = True  #: whether the snapshot has what it was told

    async def start_from(self, kept: Kept) -> None:
        """Begin with what a snapshot kept, if that and the queue hold everything since this model was trained."""
        span = kept.feedback_span
        if span is None or span.model_version != self._version or self._queue is None:
            return
        if await self._queue.holds_all_since(self._cutoff):
            self._intake.apply_all([row[1:] for row in kept.feedback])
            self._seen = deque([(float("-inf"), span.settled_id), (span.seen_at, span.seen_id)])
            self._noted = span

    async def follow(self) -> None:
        """Apply the rows that came since the last call. Raises StorageError."""
        now, after = self._clock(), self._seen[0][1]
        while rows := await feedback_after(self._database, after, PAGE):
            self._take(rows)
            after = rows[-1].id
            if len(rows) < PAGE:
                break
        if after > self._seen[-1][1]:
            self._seen.append((now, after))
        # Only now: what was committed late was below the greatest id seen then, and was to be read once more.
        while len(self._seen) > 1 and self._seen[1][0] <= now - LATE_COMMIT_SECONDS:
            self._seen.popleft()
        await self._note()

    def _take(self, rows: Sequence[FeedbackRow]) -> None:
        news = self._intake.apply_all([(row.user_id, row.event_id, row.action, row.at) for row in rows])
        # From before the cut-off the queue tells only of what was not drained yet.
        self._to_keep += [
            row for row, is_news in zip(rows, news, strict=True) if is_news or row.at <= self._cutoff
        ]

    async def _note(self) -> None:
        """Let the snapshot keep what the queue does not tell, and how far that goes."""
        seen_at, seen_id = self._seen[-1]
        span = FeedbackSpan(self._version, self._seen[0][1], seen_id, seen_at)
        settled, seen = (
            (self._noted.settled_id, self._noted.seen_id) if self._noted else (self._trained_id,) * 2
        )
        is_further = max(span.settled_id - settled, seen_id - seen) >= _NOTED_EVERY
        if not self._is_kept or not (self._to_keep or is_further):
            return
        rows = [(row.id, row.user_id, row.event_id, row.action, row.at) for row in self._to_keep]
        self._is_kept = await self._last_known.keep_feedback(span, rows, begins=self._noted is None)
        self._noted, self._to_keep = span, []

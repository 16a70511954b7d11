"""Follows what other programs and other processes do, so that the live state is right within seconds.

Three sources tell of actions: the durable queue (feedback that any process of this machine acknowledged), ml_feedback
(what was imported, or came from another machine), and the site's tables of saves and hides. An action may be told by
two of them, and by the same one twice because each look overlaps the one before; it counts once, at its time
(`service.live.history`).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from service.live.events_follower import EventsFollower
from service.live.feedback_follower import FeedbackFollower
from service.live.intake import PAGE, Intake
from service.live.last_known import LastKnown
from service.live.pairs_follower import Fingerprints, PairsFollower
from service.live.state import LiveState
from service.live.tastes_follower import TastesFollower
from service.pacing import in_pieces
from service.storage.database import ChangeMark, Database
from service.storage.queries.pair_tables import HIDDEN, SAVED
from service.storage.queries.people import STATING_TABLES
from service.storage.queries.privacy import erased_users
from service.storage.queue import DurableQueue
from service.storage.queue_entries import FeedbackEntry
from service.tasks import in_thread_to_the_end

#: What is followed in the database, but for ml_feedback: it changes all the time where people give feedback, and what
#: is new in it is found by its ids, for one short question.
_TABLES = ("events", SAVED.name, HIDDEN.name, *STATING_TABLES, "ml_erased_users")
#: How often events are taken over in a thread, for nothing where some change meanwhile.
_ATTEMPTS = 3


class _Carried(NamedTuple):
    """What another follower knew of the database when its state was taken over."""

    mark: ChangeMark | None  #: of a database in which there was nothing left to see
    fingerprints: Fingerprints
    removals_at: float


class Follower:
    """Keeps one live state current. A new model gets a new follower."""

    def __init__(
        self,
        state: LiveState,
        facts: dict[str, Any],
        database: Database,
        queue: DurableQueue | None,
        last_known: LastKnown,
        clock: Callable[[], float],
        removals_seconds: float,
    ) -> None:
        self.state = state
        self.facts = facts  #: of the model's manifest
        self._database = database
        self._queue = queue
        self._last_known = last_known
        self._intake = Intake(state)
        self._events = EventsFollower(state, database, last_known, clock)
        self._pairs = PairsFollower(state.model, facts, self._intake, database, queue, last_known)
        self._feedback = FeedbackFollower(facts, self._intake, database, queue, last_known, clock)
        self._tastes = TastesFollower(state.stated, self._intake, database)
        self._cutoff = int(facts["cutoff"])
        self._queue_position = 0
        self._removals_seconds = removals_seconds
        self._removals_at = float("-inf")
        self._followed_mark: ChangeMark | None = None
        self._carried: _Carried | None = None

    async def start(self) -> bool:
        """Begin with what this machine's disk knows of the site; whether that is a catalogue to serve from."""
        kept = await self._last_known.load(self._events.take_kept)
        if not kept.n_events:
            return False
        await self._events.start_from(kept.fingerprint)
        await self._pairs.take(kept.changes)
        await self._feedback.start_from(kept)
        return True

    async def take_over(self, before: "Follower") -> None:
        """Begin with what another follower, whose state serves, knows of events and of what people state.

        What people did since the model was trained comes from the queue and from `catch_up`, as at a start.
        """
        numbers = await in_thread_to_the_end(in_pieces, self.state.numbers_of_events, before.state)
        for _ in range(_ATTEMPTS):
            changes = before.state.event_changes
            await in_thread_to_the_end(in_pieces, self.state.take_over_events, before.state, numbers)
            if before.state.event_changes == changes:
                break
        else:  # events come all the time: then those who ask wait for some milliseconds
            self.state.take_over_events(before.state, numbers)
        self.state.stated.take_over(before.state.stated)
        self._tastes.take_over(before._tastes)
        if before._removals_at > float("-inf"):
            self._carried = _Carried(before._followed_mark, before._pairs.expected(), before._removals_at)
        await self._events.take_over(before._events)
        await self._pairs.take(await self._last_known.load_changes())

    def begin_use(self) -> None:
        """From now on requests use the state; until then nobody but this follower does."""
        self._events.begin_use()

    def acknowledge(self, entry: FeedbackEntry) -> None:
        """Apply feedback that this process has just stored: it counts in the very next request."""
        self._intake.apply(entry.user_id, entry.event_id, entry.action, entry.recorded_at)

    def forget(self, user_id: str, until: int) -> bool:
        """Stop using anything a person did until `until`, seconds since 1970; whether that is news."""
        if not self._intake.forget(user_id, until):
            return False
        self._pairs.forget(user_id)
        self.state.stated.forget(user_id, until)
        return True

    async def follow_queue(self) -> None:
        """Apply what any process of this machine acknowledged since the last call.

        The first call goes back to the model's cut-off. Raises QueueUnavailableError.
        """
        if self._queue is None:
            return
        await self._forget_all(await self._queue.erased_users(self._cutoff))
        while rows := await self._queue.actions_after(self._queue_position, PAGE):
            # What was drained and is older than the cut-off is in the model, or ml_feedback tells of it.
            self._intake.apply_all(
                [row[1:5] for row in rows if not row.drained or row.recorded_at >= self._cutoff]
            )
            self._queue_position = rows[-1].position
            await asyncio.sleep(0)

    async def follow_site(self) -> None:
        """Apply everything that was written to the database since the last call. Raises StorageError, QueueError."""
        mark = await self._database.change_mark(_TABLES)
        if mark is not None and mark == self._followed_mark:
            await self._feedback.follow()
            return
        await self._follow_changes()
        if time.monotonic() >= self._removals_at:
            await self._pairs.follow_removals()
            await self._tastes.follow_removals()
            self._removals_at = time.monotonic() + self._removals_seconds
            self._followed_mark = mark  # only after a whole round is there nothing left to see

    async def catch_up(self) -> None:
        """See for the first time what was written to the database; for rows that are gone only as far as `before` did.

        Raises StorageError, QueueError.
        """
        carried = self._carried
        mark = await self._database.change_mark(_TABLES)
        has_all_events = carried is not None and mark is not None and mark == carried.mark
        await self._follow_changes(events=not has_all_events)
        if carried is not None:
            await self._pairs.follow_removals(carried.fingerprints)
            self._removals_at, self._followed_mark, self._carried = carried.removals_at, carried.mark, None

    async def _follow_changes(self, *, events: bool = True) -> None:
        """Everything but rows that are gone, whose finding takes a scan."""
        if events:
            await self._events.follow()
        erased = await erased_users(self._database)
        await self._forget_all(erased)
        await self._pairs.follow()
        await self._tastes.follow(erased)
        await self._feedback.follow()

    async def _forget_all(self, erased: dict[str, int]) -> None:
        for user_id, at in erased.items():
            if at >= self._cutoff and self.forget(user_id, at):
                await self._last_known.erase_user(user_id)

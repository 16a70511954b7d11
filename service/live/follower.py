"""Follows what other programs and other processes do, so that the live state is right within seconds.

Three sources tell of actions: the durable queue (feedback that any process of this machine acknowledged), ml_feedback
(what was imported, or came from another machine), and the site's tables of saves and hides. An action may be told by
two of them, and by the same one twice because each look overlaps the one before: rows are seen when they are
committed, which may be after later ones. Whatever has a key is applied once.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.actions import Action, action_from_name
from service.live.recent import RecentKeys
from service.live.site_tables import BucketDifference, SiteTable
from service.live.state import LiveState
from service.storage.database import Database
from service.storage.queries.changes import (
    BucketFingerprint,
    feedback_after,
    pair_fingerprints,
    pairs_in_bucket,
    pairs_since,
)
from service.storage.queries.events import (
    EventRow,
    EventsFingerprint,
    events_fingerprint,
    read_changed_events,
    read_event_ids,
)
from service.storage.queries.pair_tables import HIDDEN, SAVED, PairTable
from service.storage.queries.privacy import erased_users
from service.storage.queue import DurableQueue
from service.storage.queue_entries import FeedbackEntry
from service.storage.snapshot import SiteChange, SnapshotFile

logger = logging.getLogger(__name__)

#: How far each look goes back behind the one before.
OVERLAP_SECONDS = 10
OVERLAP_IDS = 200
_PAGE = 5_000
#: Events are encoded this many at a time, so that no request waits for more.
_EVENTS_AT_ONCE = 100

_TAKEN_BACK = {SAVED.name: Action.UNSAVE, HIDDEN.name: Action.UNHIDE}


@dataclass(frozen=True, slots=True)
class Change:
    """One action that came to be known; `at` in seconds since 1970."""

    user_id: str
    event_id: str
    action: Action
    at: float


class Follower:
    """Keeps one live state current. A new model gets a new follower."""

    def __init__(
        self,
        state: LiveState,
        facts: dict[str, Any],
        database: Database,
        queue: DurableQueue | None,
        snapshot: SnapshotFile | None,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._database = database
        self._queue = queue
        self._snapshot = snapshot
        self._clock = clock
        self._handled = RecentKeys()
        self._erased: dict[str, int] = {}
        self._cutoff = float(facts["cutoff"])
        self._first_feedback_id = self._feedback_id = int(facts["last_feedback_id"])
        self._queue_position = 0
        self._since = {table.name: int(self._cutoff) for table in (SAVED, HIDDEN)}
        self._events: EventsFingerprint | None = None
        self._known_events: set[str] = set()
        bases = {SAVED.name: state.model.saved, HIDDEN.name: state.model.hidden}
        self._tables = {
            name: SiteTable(base, state.model.users, state.model.events, _fingerprints(facts, name))
            for name, base in bases.items()
        }

    def acknowledge(self, entry: FeedbackEntry) -> None:
        """Apply feedback that this process has just stored: it counts in the very next request."""
        self._apply(entry.key, _change(entry.user_id, entry.event_id, entry.action, entry.recorded_at))

    def forget(self, user_id: str, at: int) -> None:
        """Stop using anything a person did until `at`."""
        if self._erased.get(user_id, -1) < at:
            self._erased[user_id] = at
            self._state.forget_user(user_id)

    async def follow_queue(self) -> None:
        """Apply what any process of this machine acknowledged since the last call.

        The first call goes back to the model's cut-off. Raises QueueUnavailableError.
        """
        if self._queue is None:
            return
        for user_id, at in (await self._queue.erased_users(int(self._cutoff))).items():
            self.forget(user_id, at)
        while rows := await self._queue.rows_after(self._queue_position, _PAGE):
            for row in rows:
                entry = row.entry
                if not row.drained or entry.recorded_at > self._cutoff:
                    self.acknowledge(entry)
            self._queue_position = rows[-1].position
            await asyncio.sleep(0)

    async def follow_actions(self) -> None:
        """Apply what was written to the database since the last call. Raises StorageUnavailable."""
        for user_id, at in (await erased_users(self._database)).items():
            if at >= self._cutoff:
                self.forget(user_id, at)
        changes: list[tuple[object, Change | None]] = []
        for table in (SAVED, HIDDEN):
            changes += await self._new_pairs(table)
        changes += await self._new_feedback()
        changes.sort(key=lambda keyed: keyed[1].at if keyed[1] else 0.0)
        for key, change in changes:
            self._apply(key, change)

    async def follow_removals(self) -> None:
        """Notice saves and hides that the site has deleted. Scans tables inside the server: once in a while.

        What is taken back is recorded as feedback of its own, so that the next training knows it as well.
        Raises StorageUnavailable and QueueError.
        """
        for table in (SAVED, HIDDEN):
            known = self._tables[table.name]
            fingerprints = await pair_fingerprints(self._database, table)
            for bucket in known.unexpected(fingerprints):
                rows = await pairs_in_bucket(self._database, table, bucket)
                current = {(user_id, event_id) for user_id, event_id, _ in rows}
                difference = known.replace(bucket, current, fingerprints.get(bucket))
                await self._settle(table, difference, {(user, event): at for user, event, at in rows})

    async def follow_events(self) -> None:
        """Take over events that were added, changed or deleted since the last call. Raises StorageUnavailable."""
        fingerprint = await events_fingerprint(self._database)
        if fingerprint == self._events:
            return
        since = self._events.last_update - OVERLAP_SECONDS if self._events else 0
        changed = (await read_changed_events(self._database, since)).events
        await self.take_events(changed, fingerprint)
        gone: set[str] = set()
        if len(self._known_events) != fingerprint.count:
            gone = self._known_events - await read_event_ids(self._database)
            self._state.close_events(gone)
            self._known_events -= gone
        if self._snapshot is not None:
            await self._snapshot.put_events(changed, gone, fingerprint)

    async def take_events(self, events: Sequence[EventRow], fingerprint: EventsFingerprint | None) -> None:
        """Put events into the catalogue, a few at a time; `fingerprint` is the table's as far as they go."""
        for start in range(0, len(events), _EVENTS_AT_ONCE):
            part = events[start : start + _EVENTS_AT_ONCE]
            self._state.put_events(part)
            self._known_events.update(event.event_id for event in part)
            await asyncio.sleep(0)
        self._state.settle_events()
        self._events = fingerprint

    def take_changes(self, changes: Iterable[SiteChange]) -> None:
        """Apply rows of the site's tables that a snapshot kept, those from after the model's cut-off."""
        for table, user_id, event_id, at in changes:
            if at > self._cutoff and table in self._tables:
                action = SAVED.action if table == SAVED.name else HIDDEN.action
                self._tables[table].add(user_id, event_id)
                self._apply((table, user_id, event_id, at), _change(user_id, event_id, action, at))

    async def _new_pairs(self, table: PairTable) -> list[tuple[object, Change | None]]:
        rows = await pairs_since(self._database, table, self._since[table.name] - OVERLAP_SECONDS)
        if rows:
            self._since[table.name] = max(self._since[table.name], rows[-1][2])
        for user_id, event_id, _ in rows:
            self._tables[table.name].add(user_id, event_id)
        if rows and self._snapshot is not None:
            await self._snapshot.add_changes((table.name, *row) for row in rows)
        return [
            ((table.name, user_id, event_id, at), _change(user_id, event_id, table.action, at))
            for user_id, event_id, at in rows
        ]

    async def _new_feedback(self) -> list[tuple[object, Change | None]]:
        changes: list[tuple[object, Change | None]] = []
        floor = max(self._first_feedback_id, self._feedback_id - OVERLAP_IDS)
        while rows := await feedback_after(self._database, floor, _PAGE):
            changes += [
                (row.key or row.id, _change(row.user_id, row.event_id, row.action, row.at)) for row in rows
            ]
            floor = rows[-1].id
            self._feedback_id = max(self._feedback_id, floor)
        return changes

    async def _settle(
        self, table: PairTable, difference: BucketDifference, times: dict[tuple[str, str], int]
    ) -> None:
        for user_id, event_id in sorted(difference.added):
            at = times[user_id, event_id]
            self._apply((table.name, user_id, event_id, at), _change(user_id, event_id, table.action, at))
        taken_back = _TAKEN_BACK[table.name]
        entries = [
            _removal(taken_back, user_id, event_id, self._clock())
            for user_id, event_id in sorted(difference.removed)
        ]
        for entry in entries:
            self.acknowledge(entry)
        for start in range(0, len(entries), 500):
            if self._queue is not None:
                await self._queue.put(entries[start : start + 500])

    def _apply(self, key: object, change: Change | None) -> None:
        if change is None or not self._handled.add(key):
            return
        if change.at > self._erased.get(change.user_id, -1):
            self._state.apply(change.user_id, change.event_id, change.action)


def _change(user_id: str, event_id: str, action: str, at: float) -> Change | None:
    """None for an action that this version does not know, which a later one may have written."""
    try:
        return Change(user_id, event_id, action_from_name(action), at)
    except ValueError:
        logger.warning("an action called %r is left out", action)
        return None


def _removal(action: Action, user_id: str, event_id: str, now: float) -> FeedbackEntry:
    """The record that a row is gone. Several processes notice it; within an hour it is one record."""
    said = f"{action.label}\n{user_id}\n{event_id}\n{int(now) // 3600}"
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
    return FeedbackEntry(
        key=f"{action.label}:{digest}",
        request_hash=digest,
        user_id=user_id,
        event_id=event_id,
        action=action.label,
        context=None,
        recommendation_id=None,
        recorded_at=now,
    )


def _fingerprints(facts: dict[str, Any], table: str) -> dict[int, BucketFingerprint]:
    stored = facts["fingerprints"].get(table, {})
    return {int(bucket): BucketFingerprint(*values) for bucket, values in stored.items()}

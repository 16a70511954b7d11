"""Follows the site's tables of saves and hides: rows that come, and rows that are gone again.

Un-saving deletes a row and leaves no trace, so what is known of each table is compared with it now and then.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from core.actions import Action
from core.model import Model
from service.live.intake import Intake
from service.live.last_known import LastKnown
from service.live.site_tables import Pair, SiteTable
from service.storage.database import ChangeMark, Database
from service.storage.queries.changes import (
    BucketFingerprint,
    pair_fingerprints,
    pairs_in_bucket,
    pairs_since,
    server_time,
)
from service.storage.queries.pair_tables import HIDDEN, SAVED, PairTable
from service.storage.queue import DurableQueue
from service.storage.queue_entries import FeedbackEntry
from service.storage.snapshot import SiteChange
from service.storage.times import UNKNOWN_TIME

#: How far each look goes back behind the one before: rows are seen when they are committed, which may be later.
OVERLAP_SECONDS = 10
#: Rows are read and applied this many at a time, so that no request waits for more.
_PAGE, _AT_ONCE = 1_000, 200
_ENTRIES_AT_ONCE = 500

#: Of the buckets of each table, by its name.
Fingerprints = Mapping[str, Mapping[int, BucketFingerprint]]

_TABLES = (SAVED, HIDDEN)
_TAKEN_BACK = {SAVED.name: Action.UNSAVE, HIDDEN.name: Action.UNHIDE}


class PairsFollower:
    """Keeps one live state current with both tables. `facts` are those of the model's manifest."""

    def __init__(
        self,
        model: Model,
        facts: dict[str, Any],
        intake: Intake,
        database: Database,
        queue: DurableQueue | None,
        last_known: LastKnown,
    ) -> None:
        self._intake = intake
        self._database = database
        self._queue = queue
        self._last_known = last_known
        self._cutoff = float(facts["cutoff"])
        self._looked_at = int(self._cutoff)  #: by the database's clock
        bases = {SAVED.name: model.saved, HIDDEN.name: model.hidden}
        #: The tables' marks when all of their rows were last compared with what is known.
        self._compared: dict[str, ChangeMark | None] = {}
        self._known = {
            name: SiteTable(base, model.users, model.events, _fingerprints(facts, name))
            for name, base in bases.items()
        }

    def forget(self, user_id: str) -> None:
        """A person had their past erased: that their rows do not count any more is nothing they did."""
        for known in self._known.values():
            known.forget(user_id)

    async def take(self, changes: Iterable[SiteChange]) -> None:
        """Apply rows that a snapshot kept, in any order."""
        kept: dict[str, list[tuple[str, str, int]]] = {table.name: [] for table in _TABLES}
        for name, user_id, event_id, at in changes:
            if name in kept:
                kept[name].append((user_id, event_id, at))
        for table in _TABLES:
            await self._apply_new(table, kept[table.name])

    async def follow(self) -> None:
        """Apply the rows that came since the last call. Raises StorageError."""
        now, since = await server_time(self._database), self._looked_at - OVERLAP_SECONDS
        for table in _TABLES:
            async for rows in pairs_since(self._database, table, since, _PAGE):
                if new := await self._apply_new(table, rows):
                    await self._last_known.add_changes([(table.name, *row) for row in new])
        self._looked_at = now

    def expected(self) -> Fingerprints:
        """What the tables' fingerprints should be by what is known of them, as of now."""
        return {name: known.expected for name, known in self._known.items()}

    async def follow_removals(self, seen: Fingerprints | None = None) -> None:
        """Notice rows that are gone, and any others that were missed. Scans the tables inside the server.

        With fingerprints that were `seen` lately nothing is scanned; what is gone since is noticed the next time.
        What is taken back is recorded as feedback of its own, so that the next training knows it as well.
        Raises StorageError and QueueError.
        """
        # Whatever is gone was taken back before this second; whoever does it again does so in it or later.
        at = await server_time(self._database) - 1
        for table in _TABLES:
            known = self._known[table.name]
            mark = await self._database.change_mark((table.name,)) if seen is None else None
            if mark is not None and mark == self._compared.get(table.name):
                continue
            fingerprints = (
                await pair_fingerprints(self._database, table) if seen is None else seen[table.name]
            )
            for bucket in known.unexpected(fingerprints):
                rows = await pairs_in_bucket(self._database, table, bucket)
                times = {(user_id, event_id): at for user_id, event_id, at in rows}
                difference = known.replace(bucket, times.keys(), fingerprints.get(bucket))
                missed = [
                    (*pair, at if times[pair] == UNKNOWN_TIME else times[pair])
                    for pair in sorted(difference.added)
                ]
                await self._last_known.add_changes([(table.name, *row) for row in missed])
                self._intake.apply_all(
                    [(user_id, event_id, table.action, done_at) for user_id, event_id, done_at in missed]
                )
                if difference.removed:
                    await self._take_back(table, sorted(difference.removed), at)
            self._compared[table.name] = mark

    async def _apply_new(
        self, table: PairTable, rows: list[tuple[str, str, int]]
    ) -> list[tuple[str, str, int]]:
        """Apply the rows that are news, which are returned.

        One that the model was trained on is none, or it would undo what was trained from later actions. The same pair
        with a time after the cut-off was taken back and done again.
        """
        new = []
        for number, (user_id, event_id, at) in enumerate(rows):
            if self._intake.is_erased(user_id, at):
                continue
            not_trained = self._known[table.name].add(user_id, event_id) or at > self._cutoff
            if not_trained and self._intake.apply(user_id, event_id, table.action, at):
                new.append((user_id, event_id, at))
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        return new

    async def _take_back(self, table: PairTable, pairs: list[Pair], at: int) -> None:
        action = _TAKEN_BACK[table.name]
        # What is taken back was done before, though its row may be stamped with this second, or with one to come.
        entries = [_removal(action, *pair, int(max(at, self._intake.last_acted_at(*pair)))) for pair in pairs]
        for entry in entries:
            self._intake.apply(entry.user_id, entry.event_id, entry.action, entry.recorded_at)
        await self._last_known.drop_pairs(table.name, pairs)
        if self._queue is not None:
            for start in range(0, len(entries), _ENTRIES_AT_ONCE):
                await self._queue.put(entries[start : start + _ENTRIES_AT_ONCE])


def _removal(action: Action, user_id: str, event_id: str, at: int) -> FeedbackEntry:
    """The record that a row is gone. Several processes notice it; within an hour it is one record."""
    said = f"{action.label}\n{user_id}\n{event_id}\n{at // 3600}"
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
    return FeedbackEntry(
        key=f"{action.label}:{digest}",
        request_hash=digest,
        user_id=user_id,
        event_id=event_id,
        action=action.label,
        context=None,
        recommendation_id=None,
        recorded_at=float(at),
    )


def _fingerprints(facts: dict[str, Any], table: str) -> dict[int, BucketFingerprint]:
    stored = facts["fingerprints"].get(table, {})
    return {int(bucket): BucketFingerprint(*values) for bucket, values in stored.items()}

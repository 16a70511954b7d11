"""Follows the site's table of events, so that new, changed, cancelled and deleted ones are right within seconds."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from service.live.description import Described, describe, up_to_date
from service.live.last_known import LastKnown
from service.live.state import LiveState
from service.pacing import in_one_go, in_pieces
from service.storage.database import ChangeMark, Database
from service.storage.queries.events import (
    EventRow,
    EventsFingerprint,
    events_fingerprint,
    read_event_ids,
    stream_changed_events,
    stream_events,
)
from service.tasks import in_thread_to_the_end

#: How far each look goes back behind the latest change seen: rows are seen when they are committed, which may be later.
OVERLAP_SECONDS = 10
#: Times of changes are whole seconds, so a second that is not over may bring another change with the same time.
LOOK_AGAIN_SECONDS = 2.0
#: Events are encoded this many at a time, so that no request waits for more.
_AT_ONCE = 50
_PAGE = 500


class EventsFollower:
    """Keeps the catalogue of one live state as the table is."""

    def __init__(
        self, state: LiveState, database: Database, last_known: LastKnown, clock: Callable[[], float]
    ) -> None:
        self._state = state
        self._is_in_use = False
        self._database = database
        self._last_known = last_known
        self._clock = clock
        self._seen: EventsFingerprint | None = None  #: of the table as far as the catalogue goes
        self._mark: ChangeMark | None = None  #: of the table when it was last looked at
        self._look_again_at = float("inf")
        self._undated: set[str] = set()  #: rows without a real start, which are no events

    def begin_use(self) -> None:
        """From now on requests use the state: what is done to it takes turns with them, and is done bit by bit."""
        self._is_in_use = True

    def take_kept(self, events: Sequence[Described]) -> None:
        """Take events that were kept, in a thread, before the state is in use."""
        self._state.put_described(up_to_date(events))

    async def start_from(self, fingerprint: EventsFingerprint | None) -> None:
        """All that were kept are taken; without their fingerprint the first look at the table reads all of it."""
        await self._settle()
        self._seen = fingerprint

    async def take_over(self, other: "EventsFollower") -> None:
        """Go on from where another one is, whose state's events were taken over in the same moment.

        From now on both states number features together, so that events come to this one bit by bit as well.
        """
        self._is_in_use = True
        self._seen, self._mark, self._look_again_at = other._seen, other._mark, other._look_again_at
        self._undated = other._undated
        await in_thread_to_the_end(in_pieces, self._state.settle_events)
        await in_thread_to_the_end(in_pieces, self._state.build_content)

    async def follow(self) -> None:
        """Take over what was added, changed or deleted since the last call. Raises StorageError."""
        mark = await self._database.change_mark(("events",))
        may_rest = self._clock() < self._look_again_at
        if mark is not None and mark == self._mark and may_rest:
            return
        fingerprint = await events_fingerprint(self._database)  # a pass over the table
        if fingerprint == self._seen and may_rest:
            self._mark = mark
            return
        is_new = fingerprint != self._seen
        if self._seen is None:
            await self._take_all()
            changed: Sequence[Described] = ()
        else:
            since = self._seen.last_update - OVERLAP_SECONDS
            changed = await self._take_changed(since)
        gone = await self._compare(fingerprint.count)
        await self._last_known.put_events(changed, gone, fingerprint)
        await self._settle()
        self._seen, self._mark = fingerprint, mark
        self._look_again_at = self._clock() + LOOK_AGAIN_SECONDS if is_new else float("inf")

    async def _settle(self) -> None:
        """Let requests know what came; what takes long does so in a thread."""
        self._state.settle_events()
        run = in_pieces if self._is_in_use else in_one_go
        await in_thread_to_the_end(run, self._state.build_content)

    async def _compare(self, count: int) -> set[str]:
        """Where the number of events is not the expected one, find those that are gone, which are returned.

        Also those that came with the time of a change long ago, as from a backup, which no look at changes finds.
        """
        if count == np.count_nonzero(self._state.catalogue.is_in_table) + len(self._undated):
            return set()
        ids = await read_event_ids(self._database)
        known = await in_thread_to_the_end(self._state.listed_event_ids)
        gone = known - ids
        self._state.close_events(gone)
        if not ids <= known | self._undated:
            await self._take_all()
            known = await in_thread_to_the_end(self._state.listed_event_ids)
        self._undated = ids - known
        return gone

    async def _take_all(self) -> None:
        """Read the whole table, page by page. What is kept of it is not all until the last page."""
        async for batch in stream_events(self._database, _PAGE):
            await self._last_known.put_events(await self._take(batch.events), (), None)

    async def _take_changed(self, since: int) -> list[Described]:
        """Read what was changed since, page by page: an import can be the whole table."""
        changed: list[Described] = []
        async for batch in stream_changed_events(self._database, since):
            changed += await self._take(batch.events)
        return changed

    async def _take(self, events: Sequence[EventRow]) -> list[Described]:
        """Take over rows; returns them with what was made of them."""
        if not self._is_in_use:
            described = await in_thread_to_the_end(describe, events)
            await in_thread_to_the_end(self._state.put_described, described)
            return described
        described = []
        for start in range(0, len(events), _AT_ONCE):
            part = describe(events[start : start + _AT_ONCE])
            self._state.put_described(part)
            described += part
            await asyncio.sleep(0)
        return described

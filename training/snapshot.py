"""One consistent look at the interactions, with a cut-off: what a training learns from.

Rows are numbered while they stream by, so that memory grows with the numbers (17 bytes a row), not with the text.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.actions import action_from_name
from core.interactions import InteractionLog
from core.sparse import Pairs
from core.vocabulary import Vocabulary
from service.live.cities import city_key
from service.storage.database import Database
from service.storage.queries.changes import last_feedback_id, pair_fingerprints
from service.storage.queries.events import stream_events
from service.storage.queries.interactions import stream_feedback, stream_pairs
from service.storage.queries.pair_tables import HIDDEN, SAVED, PairTable
from service.storage.times import UNKNOWN_TIME

_NOWHERE = -1
_UNKNOWN_ACTION = -1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything up to `cutoff` (unix seconds). Event arrays are by index in `events`."""

    cutoff: float
    users: Vocabulary
    events: Vocabulary
    log: InteractionLog
    saved: Pairs  #: what user_saved_events held
    hidden: Pairs  #: what user_hidden_events held
    #: of those tables: by name and bucket, (count, checksum)
    fingerprints: dict[str, dict[int, tuple[int, int]]]
    last_feedback_id: int  #: the greatest id in ml_feedback when the reading began
    event_city: NDArray[np.int32]  #: number of the city, -1 unknown
    event_created: NDArray[np.float64]  #: unix seconds, NaN unknown
    event_starts: NDArray[np.float64]  #: unix seconds, NaN for an event that is no longer listed


class _Numbering(dict[str, int]):
    """Numbers given to texts in the order in which they are first asked for."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


async def take_snapshot(
    database: Database, cutoff: int, progress: Callable[[int], None] = lambda _: None
) -> Snapshot:
    """Read all events and all interactions up to `cutoff`; `progress` is told how many rows came each time.

    Raises StorageUnavailable when the database is away.
    """
    events, cities = _Numbering(), _Numbering()
    event_facts: list[tuple[int, float, float]] = []
    async for batch in stream_events(database):
        for event in batch.events:
            city = cities[city_key(event.city)] if event.city else _NOWHERE
            created = float(event.created_at) if event.created_at != UNKNOWN_TIME else np.nan
            events[event.event_id]
            event_facts.append((city, created, float(event.start_time)))
        progress(len(batch.events))
    users, log, tables = _Numbering(), _Columns(), {}
    last_feedback = await last_feedback_id(database)
    # Before the rows: one that is taken back while they are read is then missed by whoever compares the two.
    fingerprints = {table.name: await _fingerprints(database, table) for table in (SAVED, HIDDEN)}
    for table in (SAVED, HIDDEN):
        start = len(log)
        async for rows in stream_pairs(database, table, cutoff):
            log.extend(rows, users, events)
            progress(len(rows))
        tables[table.name] = log.pairs(start)
    async for rows in stream_feedback(database, cutoff):
        log.extend(rows, users, events)
        progress(len(rows))
    event_facts += [(_NOWHERE, np.nan, np.nan)] * (len(events) - len(event_facts))
    city_column, created_column, start_column = (
        zip(*event_facts, strict=True) if event_facts else ((), (), ())
    )
    return Snapshot(
        cutoff=float(cutoff),
        users=Vocabulary.from_ids(users),
        events=Vocabulary.from_ids(events),
        log=log.finish(),
        saved=_by_user(*tables[SAVED.name], len(users)),
        hidden=_by_user(*tables[HIDDEN.name], len(users)),
        fingerprints=fingerprints,
        last_feedback_id=last_feedback,
        event_city=np.array(city_column, np.int32),
        event_created=np.array(created_column, np.float64),
        event_starts=np.array(start_column, np.float64),
    )


async def _fingerprints(database: Database, table: PairTable) -> dict[int, tuple[int, int]]:
    prints = await pair_fingerprints(database, table)
    return {bucket: (of.count, of.checksum) for bucket, of in prints.items()}


def _by_user(users: NDArray[np.int32], events: NDArray[np.int32], n_users: int) -> Pairs:
    """Pairs without repeats, as rows of events."""
    order = np.lexsort((events, users))
    counts = np.bincount(users, minlength=n_users)
    return Pairs(np.concatenate(([0], np.cumsum(counts))).astype(np.int64), events[order])


class _Columns:
    """The columns of a log while they grow."""

    def __init__(self) -> None:
        self._users, self._events = array("i"), array("i")
        self._actions, self._times = array("b"), array("d")
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._users)

    def pairs(self, start: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The users and events of the rows from `start` on."""
        return np.array(self._users[start:], np.int32), np.array(self._events[start:], np.int32)

    def extend(
        self, rows: list[tuple[str, str, str, int]], users: dict[str, int], events: dict[str, int]
    ) -> None:
        self._users.extend([users[user] for user, _, _, _ in rows])
        self._events.extend([events[event] for _, event, _, _ in rows])
        self._actions.extend([self._code(action) for _, _, action, _ in rows])
        self._times.extend([at if at != UNKNOWN_TIME else np.nan for _, _, _, at in rows])

    def finish(self) -> InteractionLog:
        return InteractionLog(
            np.frombuffer(self._users, np.int32) if self._users else np.empty(0, np.int32),
            np.frombuffer(self._events, np.int32) if self._events else np.empty(0, np.int32),
            np.frombuffer(self._actions, np.int8) if self._actions else np.empty(0, np.int8),
            np.frombuffer(self._times, np.float64) if self._times else np.empty(0, np.float64),
        )

    def _code(self, action: str) -> int:
        if action not in self._codes:
            try:
                self._codes[action] = int(action_from_name(action))
            except ValueError:
                self._codes[action] = _UNKNOWN_ACTION
        return self._codes[action]

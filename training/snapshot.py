"""One consistent look at the interactions, with a cut-off: what a training learns from.

Rows are numbered while they stream by, so that memory grows with the numbers (17 bytes a row), not with the text. No
module with compiled kernels is imported: they take more memory than a million interactions.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.actions import action_from_name
from core.interaction_log import InteractionLog
from core.matrices import Pairs
from core.vocabulary import Vocabulary
from service.live.cities import city_key
from service.live.features import feature_key, features_of
from service.live.stated import StatedTastes
from service.storage.database import Database
from service.storage.queries.changes import last_feedback_id, pair_fingerprints
from service.storage.queries.events import EventRow, stream_events
from service.storage.queries.interactions import stream_feedback, stream_pairs
from service.storage.queries.pair_tables import HIDDEN, SAVED, PairTable
from service.storage.queries.people import read_listening, read_preferences
from service.storage.queries.privacy import erased_users
from service.storage.times import UNKNOWN_TIME

Number = TypeVar("Number", bound=np.generic)

_NOWHERE = -1
_UNKNOWN_ACTION = -1
#: Small pages: what a page takes while it is decoded stays with the process.
_PAGE, _EVENT_PAGE = 5_000, 500


class EventFeatures(NamedTuple):
    """What the events are like that the site has; those that only interactions named come after them."""

    numbers: Mapping[str, int]  #: 0, 1, … in this order, by `service.live.features.feature_key`
    rows: Pairs  #: the features of each event, by their numbers


_NO_FEATURES = EventFeatures({}, Pairs(np.zeros(1, np.int64), np.empty(0, np.int32)))


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
    features: EventFeatures = _NO_FEATURES
    stated: StatedTastes = field(default_factory=StatedTastes)


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
    users, events = _Numbering(), _Numbering()
    facts, log = _EventFacts(events), _Columns(users, events)
    async for batch in stream_events(database, _EVENT_PAGE):
        facts.extend(batch.events)
        progress(len(batch.events))
    last_feedback = await last_feedback_id(database)
    # Before the rows: one that is taken back while they are read is then missed by whoever compares the two.
    fingerprints = {table.name: await _fingerprints(database, table) for table in (SAVED, HIDDEN)}
    ends = [0]
    for table in (SAVED, HIDDEN):
        async for rows in stream_pairs(database, table, cutoff, _PAGE):
            log.extend(rows)
            progress(len(rows))
        ends.append(len(log))
    stated = await _stated(database)
    async for rows in stream_feedback(database, cutoff, _PAGE):
        log.extend(rows)
        progress(len(rows))
    whole = log.finish()
    saved, hidden = (_by_user(whole, slice(*ends[place : place + 2]), users, events) for place in (0, 1))
    city, created, starts = facts.finish()
    return Snapshot(
        cutoff=float(cutoff),
        users=Vocabulary.from_ids(users),
        events=Vocabulary.from_ids(events),
        log=whole,
        saved=saved,
        hidden=hidden,
        fingerprints=fingerprints,
        last_feedback_id=last_feedback,
        event_city=city,
        event_created=created,
        event_starts=starts,
        features=facts.features(),
        stated=stated,
    )


async def _stated(database: Database) -> StatedTastes:
    """What people state, but for those who have had it erased."""
    stated = StatedTastes()
    erased = await erased_users(database)
    for told in (await read_preferences(database)).people:
        if told.updated_at > erased.get(told.user_id, -1):
            stated.prefer(told)
    for heard in (await read_listening(database)).people:
        if heard.updated_at > erased.get(heard.user_id, -1):
            stated.listen(heard)
    return stated


async def _fingerprints(database: Database, table: PairTable) -> dict[int, tuple[int, int]]:
    prints = await pair_fingerprints(database, table)
    return {bucket: (of.count, of.checksum) for bucket, of in prints.items()}


def _by_user(log: InteractionLog, part: slice, users: _Numbering, events: _Numbering) -> Pairs:
    """The rows of a part of the log, no two of which are the same pair, as rows of events."""
    counts = np.bincount(log.users[part], minlength=len(users))
    keys = log.users[part].astype(np.int64)
    keys *= len(events)
    keys += log.events[part]
    keys.sort()
    keys %= max(len(events), 1)
    return Pairs(np.concatenate(([0], np.cumsum(counts))).astype(np.int64), keys.astype(np.int32))


class _EventFacts:
    """What is known of each event, by its number, while the events stream by."""

    def __init__(self, events: _Numbering) -> None:
        self._events, self._cities = events, _Numbering()
        self._city, self._created, self._starts = array("i"), array("d"), array("d")
        self._numbers = _Numbering()
        self._bounds, self._features = array("q", [0]), array("i")

    def extend(self, rows: Sequence[EventRow]) -> None:
        """Number events, each of which comes once."""
        for row in rows:
            self._events[row.event_id]  # gives it the next number
            self._features.extend(sorted({self._numbers[feature_key(*of)] for of in features_of(row)}))
            self._bounds.append(len(self._features))
            self._city.append(self._cities[city_key(row.city)] if row.city else _NOWHERE)
            self._created.append(row.created_at if row.created_at != UNKNOWN_TIME else np.nan)
            self._starts.append(row.start_time)

    def features(self) -> EventFeatures:
        """What the events are like; nothing can be added afterwards."""
        rows = Pairs(_taken(self._bounds, np.int64), _taken(self._features, np.int32))
        return EventFeatures(self._numbers, rows)

    def finish(self) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
        """City, creation and start by event; those that only interactions named come last, with nothing known."""
        n_others = len(self._events) - len(self._city)
        self._city.extend([_NOWHERE] * n_others)
        self._created.extend([np.nan] * n_others)
        self._starts.extend([np.nan] * n_others)
        return (
            _taken(self._city, np.int32),
            _taken(self._created, np.float64),
            _taken(self._starts, np.float64),
        )


class _Columns:
    """The columns of a log while they grow."""

    def __init__(self, users: _Numbering, events: _Numbering) -> None:
        self._user_of, self._event_of = users, events
        self._users, self._events = array("i"), array("i")
        self._actions, self._times = array("b"), array("d")
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._users)

    def extend(self, rows: list[tuple[str, str, str, int]]) -> None:
        """Add rows of user id, event id, action and seconds since 1970."""
        self._users.extend([self._user_of[user] for user, _, _, _ in rows])
        self._events.extend([self._event_of[event] for _, event, _, _ in rows])
        self._actions.extend([self._code(action) for _, _, action, _ in rows])
        self._times.extend([at if at != UNKNOWN_TIME else np.nan for _, _, _, at in rows])

    def finish(self) -> InteractionLog:
        """The log; nothing can be added afterwards."""
        return InteractionLog(
            _taken(self._users, np.int32),
            _taken(self._events, np.int32),
            _taken(self._actions, np.int8),
            _taken(self._times, np.float64),
        )

    def _code(self, action: str) -> int:
        if action not in self._codes:
            try:
                self._codes[action] = int(action_from_name(action))
            except ValueError:
                self._codes[action] = _UNKNOWN_ACTION
        return self._codes[action]


def _taken(column: "array[Any]", dtype: type[Number]) -> NDArray[Number]:
    """A column as an array over the same memory."""
    return np.frombuffer(column, dtype) if column else np.empty(0, dtype)

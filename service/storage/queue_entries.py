"""What goes into the durable queue, what comes out, and what a call can fail with."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from msgspec import Raw, Struct, json

MAX_KEY_LENGTH = 128
_HASH_DIGITS = frozenset("0123456789abcdef")
_HASH_LENGTH = 64
#: What a row takes in the file beside its text: header, numbers, the entries of its indexes, page slack.
ROW_BYTES = 120

T = TypeVar("T")


class QueueError(Exception):
    """The queue did not take what it was given; nothing of that call is stored. Messages are fit for callers."""


class KeyReusedError(QueueError):
    """An idempotency key came back with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The idempotency key {key!r} was used for another request")


class QueueFullError(QueueError):
    """As much waits for the database as may wait. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too much feedback waits to be stored")
        self.retry_after = retry_after


class QueueUnavailableError(QueueError):
    """The queue's file cannot be read or written: disk full, I/O error, lock not had, or the queue is closed.

    `retry_after` is in seconds. The cause is in the log, not in the message.
    """

    def __init__(self, retry_after: int = 5) -> None:
        super().__init__("Feedback cannot be stored at the moment")
        self.retry_after = retry_after


class Outcome(Enum):
    """What became of one entry."""

    #: Stored, and to be acted upon.
    NEW = "new"
    #: Its key had been stored before, with the same request.
    REPEATED = "repeated"
    #: Not stored: its person asked to be erased after it was recorded.
    FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class FeedbackEntry:
    """One action of a person, as it was acknowledged.

    `key` is the idempotency key, ASCII, at most 128 long; `request_hash` the SHA-256 of the canonical request
    as 64 hexadecimal digits; `context` JSON text; `recorded_at` in seconds since 1970. ValueError names the
    field that does not fit.
    """

    key: str
    request_hash: str
    user_id: str
    event_id: str
    action: str
    context: str | None
    recommendation_id: str | None
    recorded_at: float

    def __post_init__(self) -> None:
        if not (self.key.isascii() and 1 <= len(self.key) <= MAX_KEY_LENGTH):
            raise ValueError(f"key: expected 1 to {MAX_KEY_LENGTH} ASCII characters, got {self.key!r}")
        if len(self.request_hash) != _HASH_LENGTH or not _HASH_DIGITS.issuperset(self.request_hash):
            raise ValueError(f"request_hash: expected 64 hexadecimal digits, got {self.request_hash!r}")
        check_instant("recorded_at", self.recorded_at)

    @cached_property
    def stored_bytes(self) -> int:
        """Roughly what the entry takes in the file; ValueError for text that is not Unicode."""
        texts = (self.event_id, self.action, self.context, self.recommendation_id, self.request_hash)
        indexed = (self.key, self.user_id)
        return ROW_BYTES + _utf8_bytes(texts) + 2 * _utf8_bytes(indexed)


class ExposureEntry(Struct, frozen=True, gc=False):
    """One answer: who was shown which events, the first at position 0, by what, and how fast.

    `user_id` is None for a guest, `event_ids` a list as JSON, for it is only passed on, of `num_recommendations` (None
    in what earlier releases stored), `latency_ms` in milliseconds, `created_at` in seconds since 1970;
    `is_exposure` says whether the answer counts in the experiments, `experiments` which those are, each with the
    variant shown and the version of its map, `pre_activity` how many events the person had liked before. Not checked
    here, on the request's way: what cannot be stored is counted as lost.

    With `has_failed` there was no answer but an error of ours, which experiments count and nothing else.
    """

    recommendation_id: str
    user_id: str | None
    model_version: str
    variant: str
    arm: str
    city: str | None
    event_ids: Raw
    latency_ms: float
    experiment_id: str | None
    is_exposure: bool
    created_at: float
    experiments: tuple[tuple[str, str, int], ...] = ()
    pre_activity: int = 0
    has_failed: bool = False
    num_recommendations: int | None = None

    @property
    def n_shown(self) -> int:
        """How many events the person was shown."""
        if self.num_recommendations is None:
            return len(json.decode(self.event_ids))
        return self.num_recommendations


@dataclass(frozen=True)
class QueuedFeedback:
    """Feedback in the queue. Positions grow in the order of acknowledgement, over all processes.

    `drained` says whether the main database has it; the copy here serves retries and other processes.
    """

    position: int
    entry: FeedbackEntry
    drained: bool


class QueuedAction(NamedTuple):
    """Of feedback in the queue what those need who follow it; positions and `drained` as in `QueuedFeedback`."""

    position: int
    user_id: str
    event_id: str
    action: str
    recorded_at: float  #: seconds since 1970
    drained: int  #: 1 or 0


@dataclass(frozen=True)
class Mark:
    """A place in the log of one kind: the last position before it, and the bytes up to there since the start."""

    position: int
    bytes: int


@dataclass(frozen=True)
class Batch(Generic[T]):
    """The rows that wait between two marks, oldest first. Without rows it may still span erased ones."""

    rows: tuple[T, ...]
    start: Mark
    end: Mark

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to move and nothing to skip."""
        return self.start == self.end


@dataclass(frozen=True)
class Waiting:
    """What the main database is to get next, read at one instant and to be applied in this order.

    `erasures` are people and when they were erased (whole seconds since 1970), all those not yet settled.
    Whatever `feedback` and `exposures` hold of such a person was recorded after that.
    """

    erasures: Mapping[str, int]
    feedback: Batch[QueuedFeedback]
    exposures: Batch[ExposureEntry]


@dataclass(frozen=True)
class Refusal:
    """A row that the main database will not have, and why: to be set aside.

    `content` is the row as JSON, `recorded_at` when it was recorded (seconds since 1970).
    """

    user_id: str | None
    recorded_at: float
    content: str
    reason: str


@dataclass(frozen=True)
class QueueStatus:
    """How the queue stands. Everything at `drained_position` or before is in the main database."""

    waiting_feedback: int
    waiting_exposures: int
    waiting_erasures: int
    waiting_bytes: int
    oldest_age_seconds: float
    refused: int
    last_position: int
    drained_position: int


@dataclass(frozen=True)
class ErasedRows:
    """How many rows of a person were deleted from the queue, by kind."""

    waiting_feedback: int
    drained_feedback: int
    exposures: int
    refused: int


@dataclass(frozen=True)
class RefusedRow:
    """A row that was set aside: of which kind, what it holds as JSON, and why the main database refused it."""

    kind: str
    content: str
    reason: str


@dataclass(frozen=True)
class QueuedUserData:
    """Everything in the queue about one person, and when they were last erased, None when never."""

    feedback: tuple[QueuedFeedback, ...]
    exposures: tuple[ExposureEntry, ...]
    refused: tuple[RefusedRow, ...]
    erased_at: int | None


def check_instant(name: str, seconds: float) -> None:
    """ValueError unless `seconds` since 1970 is a time that databases can hold."""
    if not (math.isfinite(seconds) and 0 <= seconds < 253_402_300_800):  # the year 10000
        raise ValueError(f"{name}: expected seconds since 1970, got {seconds}")


def _utf8_bytes(texts: Iterable[str | None]) -> int:
    return sum([len(text.encode()) for text in texts if text is not None])

"""What one of the site's tables of pairs held when it was last looked at, to notice rows that are gone.

Un-saving deletes a row and leaves no trace. So the pairs that were seen are kept, those a model was trained on in the
model's own arrays, and the database is asked for a fingerprint of each bucket of users now and then
(`service.storage.queries.changes`): where it is not the one expected, that bucket is read again and compared.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

import numpy as np

from core.sparse import Pairs, row_columns
from core.vocabulary import Vocabulary
from service.storage.queries.changes import USERS_IN_BUCKET, BucketFingerprint, bounds_of

_EMPTY = BucketFingerprint(0, 0)

#: user id, event id
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class BucketDifference:
    """How a bucket differs from what was known of it."""

    added: Set[Pair]
    removed: Set[Pair]


class SiteTable:
    """The known pairs of one table: a model's, and what changed since."""

    def __init__(
        self,
        base: Pairs,
        users: Vocabulary,
        events: Vocabulary,
        fingerprints: Mapping[int, BucketFingerprint],
    ) -> None:
        self._base = base
        self._users = users
        self._events = events
        # By bucket: pairs known to be there (True), or known to be gone (False), unlike in the base.
        self._since: defaultdict[int, dict[Pair, bool]] = defaultdict(dict)
        self._expected = dict(fingerprints)

    @property
    def expected(self) -> Mapping[int, BucketFingerprint]:
        """The fingerprints that the table should have by what is known of it, as of now."""
        return dict(self._expected)

    def add(self, user_id: str, event_id: str) -> bool:
        """A row was seen; whether it is new. Then it changes what its bucket's fingerprint is expected to be."""
        pair = (user_id, event_id)
        if self._holds(pair):
            return False
        bucket = bucket_of(user_id)
        self._since[bucket][pair] = True
        before = self._expected.get(bucket, _EMPTY)
        self._expected[bucket] = BucketFingerprint(before.count + 1, before.checksum + checksum_of(pair))
        return True

    def forget(self, user_id: str) -> None:
        """A person had their past erased: their rows, which may stay in the site's table, are none of ours now."""
        row, since = self._users.index_of(user_id), self._since[bucket_of(user_id)]
        gone = [(user_id, event_id) for event_id in self._trained_with(row)] if row >= 0 else []
        since.update(dict.fromkeys([*gone, *(pair for pair in since if pair[0] == user_id)], False))

    def unexpected(self, fingerprints: Mapping[int, BucketFingerprint]) -> list[int]:
        """The buckets whose fingerprint is not the expected one, among them those that are gone."""
        buckets = sorted(self._expected.keys() | fingerprints.keys())
        return [
            bucket
            for bucket in buckets
            if fingerprints.get(bucket, _EMPTY) != self._expected.get(bucket, _EMPTY)
        ]

    def replace(
        self, bucket: int, current: Set[Pair], fingerprint: BucketFingerprint | None
    ) -> BucketDifference:
        """Take `current` as all pairs of a bucket, under the fingerprint the database gave for it."""
        known = set(self._known(bucket))
        difference = BucketDifference(current - known, known - current)
        self._since[bucket].update(dict.fromkeys(difference.added, True))
        self._since[bucket].update(dict.fromkeys(difference.removed, False))
        self._expected[bucket] = fingerprint or _EMPTY
        return difference

    def _holds(self, pair: Pair) -> bool:
        known = self._since[bucket_of(pair[0])].get(pair)
        if known is not None:
            return known
        row, event = self._users.index_of(pair[0]), self._events.index_of(pair[1])
        if row < 0 or event < 0:
            return False
        columns = row_columns(self._base, row)
        place = int(np.searchsorted(columns, event))
        return place < columns.size and int(columns[place]) == event

    def _known(self, bucket: int) -> Iterator[Pair]:
        since = self._since[bucket]
        for user_id, row in self._people(bucket):
            for event_id in self._trained_with(row):
                if since.get((user_id, event_id), True):
                    yield user_id, event_id
        yield from (pair for pair, there in since.items() if there)

    def _trained_with(self, row: int) -> Iterator[str]:
        """The events that a person of the model had when it was trained."""
        return map(self._events.id_at, row_columns(self._base, row).tolist())

    def _people(self, bucket: int) -> Iterator[tuple[str, int]]:
        low, high = bounds_of(bucket)
        for number in range(low, high + 1):
            if (row := self._users.index_of(str(number))) >= 0:
                yield str(number), row
        if bucket == 0:  # ids that are no number are there too
            for row, user_id in enumerate(self._users):
                if not user_id.removeprefix("-").isdigit():
                    yield user_id, row


def bucket_of(user_id: str) -> int:
    """The bucket that the database counts a user in: the id over 256, truncated; 0 when it is no number."""
    try:
        number = int(user_id)
    except ValueError:
        return 0
    return abs(number) // USERS_IN_BUCKET * (1 if number >= 0 else -1)


def checksum_of(pair: Pair) -> int:
    """The database's checksum of one row: CRC-32 of "user,event"."""
    return zlib.crc32(f"{pair[0]},{pair[1]}".encode())

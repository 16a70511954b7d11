"""Which variant owns which of the 10,000 buckets; a change of weights moves as few of them as it can."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

BUCKETS = 10_000

#: Runs of equal buckets: how many, the place of their variant, whether they ever moved (0 or 1).
Runs = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class BucketMap:
    """The owner of every bucket, by its place among the experiment's variants.

    `owners` uint8[10,000]; `moved` uint8[10,000] is 1 where the owner has changed since version 1: who falls there
    may have been shown another variant.
    """

    version: int
    owners: bytes
    moved: bytes

    @classmethod
    def first(cls, weights: Sequence[float]) -> "BucketMap":
        """Version 1: the variants' parts one after the other, as GrowthBook's bucket ranges."""
        owners = b"".join([bytes([place]) * quota for place, quota in enumerate(quotas(weights))])
        return cls(1, owners, bytes(BUCKETS))

    def rebalanced(self, weights: Sequence[float]) -> "BucketMap":
        """The next version, by new weights: what a variant has too many goes to those that have too few.

        Variants may have been added at the end. The number of buckets that move is the least for these quotas, the
        sum of what is gained: the total variation between the weights, and at most one each for rounding.
        """
        owners, moved = bytearray(self.owners), bytearray(self.moved)
        missing = [quota - self.owners.count(place) for place, quota in enumerate(quotas(weights))]
        takers = [place for place, count in enumerate(missing) for _ in range(count)]
        for bucket in reversed(range(BUCKETS)):
            if takers and missing[owners[bucket]] < 0:
                missing[owners[bucket]] += 1
                owners[bucket], moved[bucket] = takers.pop(), 1
        return BucketMap(self.version + 1, bytes(owners), bytes(moved))

    def runs(self) -> Runs:
        """The same in a form that is short to store."""
        pairs = groupby(zip(self.owners, self.moved, strict=True))
        return tuple([(sum(1 for _ in group), *pair) for pair, group in pairs])

    @classmethod
    def from_runs(cls, version: int, runs: Runs) -> "BucketMap":
        """The inverse of `runs`; ValueError unless they make 10,000 buckets."""
        owners = b"".join([bytes([owner]) * length for length, owner, _ in runs])
        moved = b"".join([bytes([flag]) * length for length, _, flag in runs])
        if len(owners) != BUCKETS:
            raise ValueError(f"runs: expected {BUCKETS} buckets, got {len(owners)}")
        return cls(version, owners, moved)


def quotas(weights: Sequence[float]) -> list[int]:
    """How many of the 10,000 buckets each weight comes to, by largest remainders; ties go to the lower place.

    ValueError unless the weights are finite, none below 0 and one above.
    """
    total = sum(weights)
    if not 0.0 < total < float("inf") or min(weights) < 0.0:
        raise ValueError(
            f"weights: expected numbers of which none is below 0 and one is above, got {weights}"
        )
    exact = [weight / total * BUCKETS for weight in weights]
    whole = [int(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: (whole[place] - exact[place], place))
    for place in by_remainder[: BUCKETS - sum(whole)]:
        whole[place] += 1
    return whole

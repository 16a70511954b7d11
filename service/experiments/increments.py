"""What is added to a person's counts in one experiment, and how it follows from answers and feedback."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

#: Which count an action adds to. Thumbs and skips are kept as feedback and counted in none.
COUNT_OF_ACTION: Mapping[str, str] = {
    "click": "clicks",
    "save": "saves",
    "hide": "hides",
    "thumbs_down": "hides",
}


class Increment(Struct, frozen=True, gc=False, omit_defaults=True):
    """What to add for one person in one experiment. Increments of one person add up.

    `shown` counts answers by variant; `variant` and `map_version` are of the first one, and hold for the person unless
    they had another before. `pre_activity` is how many events the person had liked before the first answer; only
    increments with answers know it. `errors` counts requests that failed. `first_at` and `last_at` are seconds since
    1970, `latency_ms` the sum over the answers.
    """

    experiment_id: str
    user_id: str
    variant: str
    map_version: int
    first_at: float
    last_at: float
    pre_activity: int = 0
    shown: dict[str, int] = {}
    clicks: int = 0
    saves: int = 0
    hides: int = 0
    latency_ms: float = 0.0
    errors: int = 0

    @property
    def exposures(self) -> int:
        return sum(self.shown.values())

    def plus(self, later: "Increment") -> "Increment":
        """Both together; what only the first answer tells is this one's."""
        variants = dict.fromkeys([*self.shown, *later.shown])
        return msgspec.structs.replace(
            self,
            last_at=max(self.last_at, later.last_at),
            pre_activity=self.pre_activity if self.shown else later.pre_activity,
            shown={name: self.shown.get(name, 0) + later.shown.get(name, 0) for name in variants},
            clicks=self.clicks + later.clicks,
            saves=self.saves + later.saves,
            hides=self.hides + later.hides,
            latency_ms=self.latency_ms + later.latency_ms,
            errors=self.errors + later.errors,
        )


_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(Increment)
_LIST_DECODER = msgspec.json.Decoder(list[Increment])


def encode_increment(increment: Increment) -> str:
    """As JSON text."""
    return _ENCODER.encode(increment).decode()


def decode_increment(text: str) -> Increment:
    """The inverse."""
    return _DECODER.decode(text)


def encode_increments(increments: Sequence[Increment]) -> str:
    """As JSON text, a list."""
    return _ENCODER.encode(increments).decode()


def decode_increments(text: str) -> list[Increment]:
    """The inverse."""
    return _LIST_DECODER.decode(text)


def summed(increments: Iterable[Increment]) -> list[Increment]:
    """One increment for each person and experiment, in the order in which they first come."""
    sums: dict[tuple[str, str], Increment] = {}
    for increment in increments:
        key = increment.experiment_id, increment.user_id
        sums[key] = sums[key].plus(increment) if key in sums else increment
    return list(sums.values())

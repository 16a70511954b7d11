"""From a person's id to their variant, by GrowthBook's public hash, so that a front end with its SDK agrees.

Version 2 of that hash: FNV-1a, 32 bits, over the UTF-16 code units of the seed and the id, once more over the digits
of the result, modulo 10,000. (Fowler, Noll, Vo: "The FNV Non-Cryptographic Hash Algorithm".)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from math import inf

import orjson
from msgspec import Struct

from core.kernels.fnv import OFFSET_BASIS, fnv1a, fnv1a_twice
from core.kernels.jit import pinned
from service.experiments.buckets import BUCKETS
from service.experiments.revisions import Revision


def bucket(unit_id: str, seed: str) -> float:
    """The place of a unit in [0, 1), in steps of 1/10,000; `seed` tells experiments apart."""
    return bucket_number(unit_id, hash_state(seed)) / BUCKETS


def hash_state(seed: str) -> int:
    """What the hash has come to after the seed; the same for every unit, so worked out once."""
    return int(_compiled()[0](*_units(seed), OFFSET_BASIS))


def bucket_number(unit_id: str, state: int) -> int:
    """As `bucket`, times 10,000, from the `hash_state` of the seed."""
    return _compiled()[1](*_units(unit_id), state) % BUCKETS


@cache
def _compiled() -> tuple[Callable[[bytes, int, int], int], Callable[[bytes, int, int], int]]:
    """The kernels, when they are needed first: who only reads this module does not wait for a compiler."""
    return pinned(fnv1a, b"", 1, OFFSET_BASIS), pinned(fnv1a_twice, b"", 1, OFFSET_BASIS)


def _units(text: str) -> tuple[bytes, int]:
    """UTF-16 code units and how many bytes each has: one where that is enough, as nearly always."""
    if text.isascii():
        return text.encode(), 1
    return text.encode("utf-16-le", "surrogatepass"), 2


class Choice(Struct, frozen=True, gc=False):
    """What the experiments say about an answer: its arm and limit, None where they leave it alone.

    `counted` are the experiments it counts in, each with its variant and the version of its map. `experiment_id` and
    `variant` are of the one that chose the arm, or else of the first, and `told` is what the answer says of it, JSON.
    """

    arm: str | None
    limit: int | None
    counted: tuple[tuple[str, str, int], ...]
    experiment_id: str | None
    variant: str | None
    told: bytes


NO_CHOICE = Choice(None, None, (), None, None, b"null")


@dataclass(frozen=True, eq=False)
class Running:
    """An experiment as it is needed for each request."""

    revision: Revision
    experiment_id: str
    varies: frozenset[str]
    state: int
    layer_state: int
    layer_from: int
    layer_to: int
    starts_at: float
    ends_at: float
    owners: bytes
    moved: bytes

    @classmethod
    def of(cls, revision: Revision) -> "Running":
        experiment, buckets = revision.experiment, revision.buckets
        return cls(
            revision=revision,
            experiment_id=experiment.experiment_id,
            varies=experiment.varies,
            state=hash_state(experiment.hash_seed),
            # A hash of its own: place in the layer and variant must not hang together.
            layer_state=hash_state(f"layer:{experiment.layer_name}"),
            layer_from=round(experiment.layer_from * BUCKETS),
            layer_to=round(experiment.layer_to * BUCKETS),
            starts_at=-inf if experiment.starts_at is None else experiment.starts_at,
            ends_at=inf if experiment.ends_at is None else experiment.ends_at,
            owners=buckets.owners,
            moved=buckets.moved,
        )

    @cached_property
    def has_whole_layer(self) -> bool:
        """Whether its part of its layer is all of it."""
        return self.layer_from == 0 and self.layer_to == BUCKETS

    def has(self, unit_id: str) -> bool:
        """Whether the unit is in this experiment's part of its layer."""
        return self.layer_from <= bucket_number(unit_id, self.layer_state) < self.layer_to


class Draw(Struct, frozen=True):
    """Where one experiment puts a person; `is_unsure` when they may have been shown another variant before."""

    running: Running
    place: int
    is_unsure: bool


class Assigner:
    """The experiments of one moment. Nothing here waits: a person costs some microseconds."""

    def __init__(self, revisions: Iterable[Revision]) -> None:
        _compiled()  # now, and not while the first request waits
        found = [Running.of(revision) for revision in revisions if revision.experiment.status == "running"]
        self._running = [(running, _draws_of(running)) for running in found]
        self._choices: dict[tuple[tuple[str, int], ...], Choice] = {}

    def draw(self, unit_id: str, now: float) -> list[Draw]:
        """One draw for each experiment that has a say in what this unit is shown at `now`.

        Where two differ in the same thing, the older one has it, and the other does not count this unit.
        """
        drawn: list[Draw] = []
        taken: frozenset[str] = frozenset()
        for running, draws in self._running:
            if not running.starts_at <= now < running.ends_at:
                continue
            if taken and not taken.isdisjoint(running.varies):
                continue
            if not (running.has_whole_layer or running.has(unit_id)):
                continue
            taken |= running.varies
            drawn.append(draws[bucket_number(unit_id, running.state)])
        return drawn

    def choice(self, drawn: list[Draw]) -> Choice:
        """What the draws come to together."""
        key = tuple([(draw.running.experiment_id, draw.place) for draw in drawn])
        known = self._choices.get(key)
        if known is None:
            known = self._choices[key] = _combined(drawn)
        return known


def _draws_of(running: Running) -> tuple[Draw, ...]:
    """The draw of each bucket, made once; equal ones are one object."""
    buckets = list(zip(running.owners, running.moved, strict=True))
    made = {key: Draw(running, key[0], is_unsure=bool(key[1])) for key in set(buckets)}
    return tuple([made[key] for key in buckets])


def _combined(drawn: list[Draw]) -> Choice:
    if not drawn:
        return NO_CHOICE
    variants = [draw.running.revision.experiment.variants[draw.place] for draw in drawn]
    counted = tuple(
        [
            (draw.running.revision.experiment_id, variant.variant_id, draw.running.revision.map_version)
            for draw, variant in zip(drawn, variants, strict=True)
        ]
    )
    arms = [variant.arm for variant in variants if variant.arm is not None]
    limits = [variant.settings.limit for variant in variants if variant.settings.limit is not None]
    # Clients know of one experiment.
    first = next((place for place, variant in enumerate(variants) if variant.arm is not None), 0)
    experiment_id, variant_id, map_version = counted[first]
    told = {"experiment_id": experiment_id, "variant": variant_id, "map_version": map_version}
    return Choice(
        arm=arms[0] if arms else None,
        limit=limits[0] if limits else None,
        counted=counted,
        experiment_id=experiment_id,
        variant=variant_id,
        told=orjson.dumps(told),
    )

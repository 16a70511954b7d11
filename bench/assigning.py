"""What it takes to find a person's variant on a request's way, as the service does it: a distribution over people."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np

from service.experiments.definition import Experiment, Variant, VariantSettings, default_experiment
from service.experiments.live import LiveExperiments
from service.experiments.revisions import Revision, changed, created, moved_to
from service.experiments.sticky import Sticky
from service.experiments.stores.sql import SQLStore
from service.recommending.arms import ARMS
from service.storage.database import DatabaseSettings
from service.storage.migrate import migrate
from service.storage.opening import open_database

MOST_US = 20.0
N_PEOPLE = 15_000
#: Of one person the middle one of so many is what it takes: what else the machine does is not theirs.
_REPEATS = 5
STANDING = default_experiment("rec_algorithm_v1", "control")


@dataclass(frozen=True, slots=True)
class Assigning:
    """Microseconds, over people; `people` are those whom the case is about."""

    case: str
    people: int
    p50_us: float
    p99_us: float
    max_us: float

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        return [] if self.p99_us <= MOST_US else [f"{self.case}: p99 at most {MOST_US:g} µs"]


def running(experiment: Experiment, at: float) -> Revision:
    """An experiment that was made and started at a time, seconds since 1970."""
    return moved_to(created(experiment, ARMS, at), "running", ARMS, at)


def reweighted(revision: Revision, weights: Sequence[float], at: float) -> Revision:
    """The same with other weights, in force at once."""
    variants = tuple(
        [
            msgspec.structs.replace(variant, weight=weight)
            for variant, weight in zip(revision.experiment.variants, weights, strict=True)
        ]
    )
    one = msgspec.structs.replace(revision.experiment, variants=variants)
    return changed(revision, one, ARMS, at, delay=0.0)


def measure_assigning(n_people: int = N_PEOPLE) -> list[Assigning]:
    """Each case on experiments of its own."""
    return asyncio.run(_measure(n_people))


async def _measure(n_people: int) -> list[Assigning]:
    started = time.time() - 3_600.0
    one = running(STANDING, started)
    lengths = [
        running(_about_length("short", layer_to=0.5), started),
        running(_about_length("long", layer_from=0.5), started),
    ]
    everyone = list(_people(n_people))
    return [
        await _case("one experiment", [one], everyone),
        await _case("three, two of them in a layer", [one, *lengths], everyone),
        await _case(
            "buckets moved, looked up before",
            [one, reweighted(one, (0.05, 0.05, 0.45, 0.45), started + 60.0)],
            everyone,
            only_moved=True,
        ),
    ]


async def _case(
    name: str, revisions: list[Revision], people: list[str], *, only_moved: bool = False
) -> Assigning:
    with tempfile.TemporaryDirectory() as directory:
        database = await open_database(DatabaseSettings(path=Path(directory) / "craic.db"))
        try:
            await migrate(database)
            store = SQLStore(database, poll_seconds=2.0)
            for revision in revisions:
                await store.add_revision(revision)
            file, sticky = Path(directory) / "experiments.json", Sticky(store, patience_seconds=60.0)
            live = LiveExperiments(store, file, STANDING, ARMS, time.time, sticky)
            await live.refresh()
            if only_moved:
                people = [user_id for user_id in people if live.choose_at_once(user_id, time.time()) is None]
                for user_id in people:
                    await live.choose(user_id, time.time())
            taken = [await _taken(live, user_id) for user_id in people]
        finally:
            await database.close()
    p50, p99 = np.percentile(taken, [50, 99], method="inverted_cdf")
    return Assigning(name, len(taken), float(p50), float(p99), max(taken))


async def _taken(live: LiveExperiments, user_id: str) -> float:
    """Microseconds of what `RecommendationRoutes` does for a person."""
    seen = []
    for _ in range(_REPEATS):
        now = time.time()
        started = time.perf_counter_ns()
        at_once = live.choose_at_once(user_id, now)
        if at_once is None:
            await live.choose(user_id, now)
        seen.append(time.perf_counter_ns() - started)
    return float(np.median(seen)) / 1_000.0


def _people(count: int) -> Iterator[str]:
    """Ids as sites have them: numbers, UUIDs, and names, some of which are not ASCII."""
    for number in range(count):
        match number % 3:
            case 0:
                yield str(100_000 + number)
            case 1:
                yield str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128))
            case _:
                yield f"seán.ó.murchú.{number}"


def _about_length(experiment_id: str, **layer: float) -> Experiment:
    variants = (
        Variant("control", 1.0, settings=VariantSettings(limit=10)),
        Variant("more", 1.0, settings=VariantSettings(limit=30)),
    )
    return Experiment(experiment_id=experiment_id, name="", variants=variants, layer="page", **layer)  # type: ignore[arg-type]

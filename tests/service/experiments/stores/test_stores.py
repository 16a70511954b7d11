"""What every store promises, whatever it is made of."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from service.experiments.definition import default_experiment
from service.experiments.increments import Increment
from service.experiments.revisions import changed, created, moved_to
from service.experiments.stores import ExperimentStore, Person
from service.experiments.stores.dynamodb import open_dynamodb
from service.storage.errors import StorageUnavailable
from tests.service.experiments.stores.opening import Place, opened
from tests.service.experiments.stores.store_child import PEOPLE
from tests.service.storage.queue_processes import start_together

ARMS = ("control", "collaborative_filtering", "content_based", "hybrid")
_CHILD = Path(__file__).with_name("store_child.py")


def increment(user_id: str, **values: object) -> Increment:
    known = {"variant": "hybrid", "map_version": 1, "first_at": 1_000.5, "last_at": 2_000.5, **values}
    return Increment("exp", user_id, **known)  # type: ignore[arg-type]


async def everyone(store: ExperimentStore, experiment_id: str = "exp") -> dict[str, Person]:
    return {person.user_id: person async for page in store.people(experiment_id) for person in page}


async def test_what_is_there_is_not_prepared_again(place: Place) -> None:
    async with opened(place) as one:
        await one.claim("exp", "1", "hybrid", 1, 5.0)
        await one.prepare()
        async with opened(place) as other:
            assert await other.claim("exp", "1", "control", 1, 5.0) == "hybrid"


@pytest.mark.parametrize("server", ["moto", "dynalite"])
async def test_tables_that_are_not_there_yet_are_as_good_as_away(
    server: str, request: pytest.FixtureRequest
) -> None:
    place = Place.in_dynamodb(request.getfixturevalue(f"{server}_url"))
    store = await open_dynamodb(place.dynamodb)
    try:
        with pytest.raises(StorageUnavailable):
            await store.revisions()
        with pytest.raises(StorageUnavailable):
            await store.claim("exp", "1", "hybrid", 1, 1.0)
    finally:
        await store.close()


async def test_every_version_is_kept(store: ExperimentStore) -> None:
    first = created(default_experiment("rec", "control"), ARMS, 1_000.0)
    second = moved_to(first, "running", ARMS, 1_001.25)
    assert [await store.add_revision(one) for one in (first, second)] == [True, True]
    assert await store.revisions() == [first, second]


async def test_a_version_is_taken_by_whoever_comes_first(store: ExperimentStore) -> None:
    first = created(default_experiment("rec", "control"), ARMS, 1_000.0)
    mine, theirs = moved_to(first, "running", ARMS, 1_001.0), moved_to(first, "completed", ARMS, 1_002.0)
    await store.add_revision(first)
    assert await store.add_revision(mine)
    assert not await store.add_revision(theirs)
    assert await store.add_revision(mine), "a call that is repeated is the same call"
    assert [one.what for one in await store.revisions()] == ["created", "running"]


async def test_a_map_comes_back_as_it_was(store: ExperimentStore) -> None:
    experiment = default_experiment("rec", "control")
    first = moved_to(created(experiment, ARMS, 1.0), "running", ARMS, 2.0)
    weights = (0.1, 0.2, 0.3, 0.4)
    variants = tuple(
        type(variant)(variant.variant_id, weight, variant.arm, variant.name, variant.settings)
        for variant, weight in zip(experiment.variants, weights, strict=True)
    )
    running = first.experiment
    reweighted = changed(
        first,
        type(running)(
            **{name: getattr(running, name) for name in running.__struct_fields__} | {"variants": variants}
        ),
        ARMS,
        3.0,
        5.0,
    )
    await store.add_revision(reweighted)
    [kept] = await store.revisions()
    assert kept.buckets == reweighted.buckets
    assert sum(kept.buckets.moved) == 2_000


async def test_what_is_added_is_what_is_read(store: ExperimentStore) -> None:
    counts = {"clicks": 2, "saves": 1, "hides": 4, "latency_ms": 2.5, "errors": 3}
    one = increment("Zoë ✓", pre_activity=7, shown={"hybrid": 3, "control": 1}, **counts)
    await store.add("queue", 1, [one])
    expected = Person("exp", "Zoë ✓", "hybrid", 1, 4, 1, 2, 1, 4, 7, 2.5, 1_000, 2_000, 3)
    assert await everyone(store) == {"Zoë ✓": expected}
    assert await store.of_person("Zoë ✓") == [expected]


async def test_a_shipment_sent_again_counts_once(store: ExperimentStore) -> None:
    for number in (1, 1, 2, 2, 2):
        await store.add("queue", number, [increment("1", shown={"hybrid": 1}, clicks=1)])
    await store.add("another queue", 1, [increment("1", shown={"hybrid": 1}, clicks=1)])
    person = (await everyone(store))["1"]
    assert (person.exposures, person.clicks) == (3, 3)


async def test_facts_of_the_first_answer_stay(store: ExperimentStore) -> None:
    await store.add("queue", 1, [increment("1", pre_activity=3, shown={"hybrid": 1})])
    later = increment(
        "1",
        variant="control",
        map_version=2,
        pre_activity=9,
        first_at=5_000,
        last_at=5_000,
        shown={"control": 2},
    )
    await store.add("queue", 2, [later])
    person = (await everyone(store))["1"]
    assert (person.variant, person.map_version, person.pre_activity) == ("hybrid", 1, 3)
    assert (person.exposures, person.other_exposures) == (3, 2)
    assert (person.assigned_at, person.seen_at) == (1_000, 5_000)


async def test_what_was_liked_before_is_known_from_the_first_answer_even_after_failures(
    store: ExperimentStore,
) -> None:
    await store.add("queue", 1, [increment("1", errors=1)])
    await store.add("queue", 2, [increment("1", pre_activity=3, shown={"hybrid": 1})])
    await store.add("queue", 3, [increment("1", pre_activity=9, shown={"hybrid": 1}, errors=1)])
    person = (await everyone(store))["1"]
    assert (person.exposures, person.errors, person.pre_activity) == (2, 2, 3)


async def test_who_was_claimed_keeps_the_variant_when_counted(store: ExperimentStore) -> None:
    assert await store.claim("exp", "1", "control", 2, 900.0) == "control"
    await store.add("queue", 1, [increment("1", pre_activity=3, shown={"control": 1})])
    person = (await everyone(store))["1"]
    assert (person.variant, person.map_version, person.pre_activity) == ("control", 2, 3)
    assert person.other_exposures == 0


async def test_experiments_are_kept_apart(store: ExperimentStore) -> None:
    await store.claim("exp", "1", "control", 1, 1.0)
    await store.claim("other", "1", "hybrid", 1, 1.0)
    assert {person.variant for person in (await everyone(store, "other")).values()} == {"hybrid"}
    assert len(await store.of_person("1")) == 2


async def test_everything_about_a_person_is_forgotten(store: ExperimentStore) -> None:
    await store.add("queue", 1, [increment("1", shown={"hybrid": 1}), increment("2", shown={"hybrid": 1})])
    await store.claim("other", "1", "hybrid", 1, 1.0)
    assert await store.forget("1") == 2
    assert await store.forget("1") == 0
    assert await store.of_person("1") == []
    assert set(await everyone(store)) == {"2"}


async def test_many_people_come_in_pages_each_once(store: ExperimentStore) -> None:
    for number in range(3):
        await store.add(
            "queue", number + 1, [increment(f"{number}-{n}", shown={"hybrid": 1}) for n in range(100)]
        )
    people = [person.user_id async for page in store.people("exp") for person in page]
    assert len(people) == len(set(people)) == 300


async def test_of_fifty_first_answers_at_once_in_two_processes_one_holds(place: Place) -> None:
    async with opened(place) as store:
        with _children(("claim", place.text, "control", 25), ("claim", place.text, "hybrid", 25)) as children:
            printed = await asyncio.to_thread(start_together, children)
        [held] = await store.of_person("1")
    assert {variant for line in printed for variant in line.split()} == {held.variant}
    assert sum(len(line.split()) for line in printed) == 50


async def test_a_hundred_thousand_counts_from_two_processes_are_all_there(
    place: Place, tmp_path: Path
) -> None:
    async with opened(place) as store:
        with _children(
            ("add", place.text, tmp_path / "one", "hybrid", 50_000),
            ("add", place.text, tmp_path / "other", "control", 50_000),
        ) as children:
            assert await asyncio.to_thread(start_together, children) == ["done", "done"]
        people = await everyone(store)
    assert len(people) == PEOPLE
    assert {person.exposures for person in people.values()} == {100_000 // PEOPLE}
    assert {person.clicks for person in people.values()} == {100_000 // PEOPLE}
    assert {person.other_exposures for person in people.values()} == {50_000 // PEOPLE}


@contextmanager
def _children(*commands: tuple[object, ...]) -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that compete, killed at the end of the block if they still run."""
    environment = {**os.environ, "PYTHONPATH": str(_CHILD.parents[4])}
    with ExitStack() as stack:
        yield [
            stack.enter_context(_child([sys.executable, str(_CHILD), *map(str, command)], environment))
            for command in commands
        ]


@contextmanager
def _child(command: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()

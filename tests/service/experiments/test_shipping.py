import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.experiments.counted import CountedPeople
from service.experiments.increments import Increment, encode_increment, summed
from service.experiments.shipping import Shipper
from service.storage.errors import StorageUnavailable
from service.storage.queue import DurableQueue, QueueSettings, open_queue
from service.storage.queue_counts import MOST_TALLIES, SHIPMENT_PEOPLE
from service.storage.queue_writes import KNOWN_KEPT_SECONDS
from service.tasks import end_tasks
from tests.integration.running import eventually
from tests.service.experiments.fakes import FakeStore


def clicks(user_id: str, count: int = 1, at: float = 20.0) -> Increment:
    return Increment("exp", user_id, "hybrid", 1, 10.0, at, shown={"hybrid": 1}, clicks=count)


async def count(queue: DurableQueue, *increments: Increment) -> None:
    await queue.settle_counted(0, increments)


def total(store: FakeStore) -> dict[str, int]:
    shipped = summed(one for increments in store.added.values() for one in increments)
    return {one.user_id: one.clicks for one in shipped}


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


async def test_what_is_counted_is_added_up_and_sent_once(store: FakeStore, tmp_path: Path):
    queue = await open_queue(QueueSettings(tmp_path))
    await count(queue, clicks("1"), clicks("1"), clicks("2"))
    await count(queue, clicks("1"))
    shipper = Shipper(queue, store)
    assert [await shipper.ship_once() for _ in range(2)] == [True, False]
    assert total(store) == {"1": 3, "2": 1}
    assert len(store.added) == 1
    await queue.close()


async def test_a_shipment_that_may_have_arrived_is_sent_again_as_it_was(store: FakeStore, tmp_path: Path):
    queue = await open_queue(QueueSettings(tmp_path))
    await count(queue, clicks("1"))
    first = await queue.shipment()
    await count(queue, clicks("1", 5))
    again = await queue.shipment()
    assert first is not None
    assert again == first
    await queue.settle_shipment(first.number)
    following = await queue.shipment()
    assert following is not None
    assert (following.number, following.increments[0].clicks) == (first.number + 1, 5)
    await queue.close()


async def test_a_shipment_outlives_the_process(store: FakeStore, tmp_path: Path):
    queue = await open_queue(QueueSettings(tmp_path))
    await count(queue, clicks("1"))
    before = await queue.shipment()
    await queue.close()
    queue = await open_queue(QueueSettings(tmp_path))
    assert await queue.shipment() == before
    await queue.close()


async def test_while_the_store_is_away_counts_add_up_on_disk_and_none_is_lost(
    store: FakeStore, tmp_path: Path
):
    queue = await open_queue(QueueSettings(tmp_path))
    shipper = Shipper(queue, store)
    store.is_away = True
    for _ in range(3):
        await count(queue, clicks("1"))
        with pytest.raises(StorageUnavailable):
            await shipper.ship_once()
    store.is_away = False
    while await shipper.ship_once():
        pass
    assert total(store) == {"1": 3}
    await queue.close()


async def test_the_shipper_goes_on_by_itself_when_the_store_is_back(store: FakeStore, tmp_path: Path):
    queue = await open_queue(QueueSettings(tmp_path))
    shipper = Shipper(queue, store)
    store.is_away = True
    await count(queue, clicks("1"))
    working = asyncio.create_task(shipper.run())
    await eventually(lambda: shipper.failure == "the store is away")
    store.is_away = False
    await eventually(lambda: total(store) == {"1": 1} and shipper.failure is None)
    await end_tasks([working])
    await queue.close()


async def test_more_people_than_one_shipment_takes_come_in_several(store: FakeStore, tmp_path: Path):
    queue = await open_queue(QueueSettings(tmp_path))
    people = [str(number) for number in range(2 * SHIPMENT_PEOPLE + 1)]
    await count(queue, *map(clicks, people))
    shipper = Shipper(queue, store)
    while await shipper.ship_once():
        pass
    assert len(store.added) == 3
    assert set(total(store)) == set(people)
    await queue.close()


async def test_who_is_erased_is_not_counted_and_the_store_is_told(store: FakeStore, tmp_path: Path):
    queue = await open_queue(QueueSettings(tmp_path), lambda: 50.0)
    await count(queue, clicks("1"), clicks("2"))
    await queue.erase_user("1")
    await count(queue, clicks("1", at=50.0))  # what was under way when they were erased
    shipper = Shipper(queue, store)
    while await shipper.ship_once():
        pass
    assert total(store) == {"2": 1}
    assert store.forgotten == ["1"]
    assert await queue.forgotten() == []
    await count(queue, clicks("1", at=51.0))
    await shipper.ship_once()
    assert total(store) == {"1": 1, "2": 1}, "who comes back starts afresh"
    await queue.close()


class Hour:
    """The time of a test, in hours."""

    def __init__(self) -> None:
        self.hours = 1_000.0

    def __call__(self) -> float:
        return self.hours * 3_600.0


async def ship_all(queue: DurableQueue, store: FakeStore) -> None:
    shipper = Shipper(queue, store)
    while await shipper.ship_once():
        pass


async def test_whom_the_store_knows_is_sent_once_in_a_while_and_who_is_new_at_once(
    store: FakeStore, tmp_path: Path
):
    hour = Hour()
    store.hold_seconds = 24 * 3_600.0
    queue = await open_queue(QueueSettings(tmp_path), hour)
    await count(queue, clicks("1", at=hour()))
    await ship_all(queue, store)
    assert total(store) == {"1": 1}
    for _ in range(23):
        hour.hours += 1
        await count(queue, clicks("1", at=hour()))
        await ship_all(queue, store)
    assert total(store) == {"1": 1}
    await count(queue, clicks("2", at=hour()))
    await ship_all(queue, store)
    assert total(store) == {"1": 1, "2": 1}
    hour.hours += 2
    await ship_all(queue, store)
    assert total(store) == {"1": 24, "2": 1}
    assert len(store.added) == 3
    await queue.close()


async def test_what_waits_is_counted_as_if_the_store_had_it_and_never_twice(store: FakeStore, tmp_path: Path):
    hour = Hour()
    store.hold_seconds = 24 * 3_600.0
    queue = await open_queue(QueueSettings(tmp_path), hour)
    counted = CountedPeople(store, queue)

    async def clicked() -> dict[str, int]:
        found = {one.user_id: one.clicks async for page in counted.people("exp") for one in page}
        for user_id in found:
            assert [one.clicks for one in await counted.of_person(user_id)] == [found[user_id]]
        return found

    await count(queue, clicks("1", at=hour()), clicks("2", at=hour()))
    assert await clicked() == {"1": 1, "2": 1}, "whom the store does not have at all"
    await ship_all(queue, store)
    await count(queue, clicks("1", 5, at=hour()))
    assert await clicked() == {"1": 6, "2": 1}, "what is held"
    hour.hours += 25
    under_way = await queue.shipment(store.hold_seconds)
    assert under_way is not None
    await count(queue, clicks("1", 7, at=hour()))
    assert await clicked() == {"1": 13, "2": 1}, "what is under way"
    await store.add(under_way.source, under_way.number, under_way.increments)
    assert await clicked() == {"1": 13, "2": 1}, "what has arrived and is not settled"
    await queue.settle_shipment(under_way.number, remembers_people=True)
    assert await clicked() == {"1": 13, "2": 1}
    hour.hours += 25
    await ship_all(queue, store)
    assert await clicked() == total(store) == {"1": 13, "2": 1}
    await queue.close()


async def test_who_is_erased_is_new_when_they_come_back(store: FakeStore, tmp_path: Path):
    hour = Hour()
    store.hold_seconds = 24 * 3_600.0
    queue = await open_queue(QueueSettings(tmp_path), hour)
    await count(queue, clicks("1", at=hour()))
    await ship_all(queue, store)
    await queue.erase_user("1")
    assert _known(tmp_path) == []
    hour.hours += 1
    await count(queue, clicks("1", at=hour()))
    await ship_all(queue, store)
    assert len(store.added) == 2
    await queue.close()


def _known(directory: Path) -> list[tuple[str, str, float]]:
    with closing(sqlite3.connect(QueueSettings(directory).file)) as db:
        return db.execute("SELECT * FROM known").fetchall()


async def test_it_is_forgotten_after_a_time_whom_the_store_knows(store: FakeStore, tmp_path: Path):
    hour = Hour()
    store.hold_seconds = 24 * 3_600.0
    queue = await open_queue(QueueSettings(tmp_path), hour)
    await count(queue, clicks("1", at=hour()))
    await ship_all(queue, store)
    hour.hours += KNOWN_KEPT_SECONDS / 3_600.0 - 1
    await queue.prune()
    assert len(_known(tmp_path)) == 1
    hour.hours += 2
    await queue.prune()
    assert _known(tmp_path) == []
    await queue.close()


#: What a queue of version 3 held beside what there is now, but for indexes.
_VERSION_3 = """
    DROP TABLE tallies; DROP TABLE shipments; DROP TABLE counts;
    CREATE TABLE counts (
        experiment_id TEXT NOT NULL, user_id TEXT NOT NULL, shipment INTEGER NOT NULL, increment TEXT NOT NULL,
        opened_at REAL NOT NULL DEFAULT 0, PRIMARY KEY (experiment_id, user_id, shipment)
    ) WITHOUT ROWID;
    CREATE INDEX counts_user ON counts (user_id);
    CREATE INDEX counts_opened ON counts (shipment, opened_at);
    PRAGMA user_version = 3;
"""
_VERSION_2 = """
    DROP TABLE known; DROP INDEX counts_opened; ALTER TABLE counts DROP COLUMN opened_at;
    CREATE INDEX counts_shipment ON counts (shipment); PRAGMA user_version = 2;
"""


@pytest.mark.parametrize("script", [_VERSION_3, _VERSION_3 + _VERSION_2])
async def test_a_queue_of_an_earlier_release_keeps_what_it_counted(
    script: str, store: FakeStore, tmp_path: Path
):
    await (await open_queue(QueueSettings(tmp_path))).close()
    rows = [(1, clicks("1")), (1, clicks("2", 2)), (0, clicks("1", 3)), (0, clicks("3", 4))]
    with closing(sqlite3.connect(QueueSettings(tmp_path).file)) as db:
        db.executescript(script)
        db.execute("UPDATE counting SET shipment = 1")
        db.executemany(
            "INSERT INTO counts (experiment_id, user_id, shipment, increment) VALUES ('exp', ?, ?, ?)",
            [(one.user_id, shipment, encode_increment(one)) for shipment, one in rows],
        )
        db.commit()
    queue = await open_queue(QueueSettings(tmp_path))
    await ship_all(queue, store)
    assert [number for _, number in store.added] == [1, 2]
    assert total(store) == {"1": 4, "2": 2, "3": 4}
    await queue.close()


async def test_while_the_store_is_away_the_file_grows_with_the_people_only(store: FakeStore, tmp_path: Path):
    queue = await open_queue(QueueSettings(tmp_path))
    for _ in range(MOST_TALLIES + 5):
        await count(queue, clicks("1"), clicks("2"))
    with closing(sqlite3.connect(QueueSettings(tmp_path).file)) as db:
        assert db.execute("SELECT count(*) FROM tallies").fetchall() == [(MOST_TALLIES,)]
        assert db.execute("SELECT count(*) FROM counts").fetchall() == [(2,)]
    waiting = await queue.waiting_counts("exp")
    assert sum(one.clicks for one in waiting.missing(("exp", "1"), 0)) == MOST_TALLIES + 5
    await ship_all(queue, store)
    assert total(store) == {"1": MOST_TALLIES + 5, "2": MOST_TALLIES + 5}
    await queue.close()


@pytest.mark.parametrize("hold_seconds", [0.0, 30.0])
async def test_who_is_erased_is_taken_out_of_what_is_counted_wherever_it_waits(
    hold_seconds: float, tmp_path: Path
):
    queue = await open_queue(QueueSettings(tmp_path), lambda: 50.0)
    await count(queue, clicks("1"), clicks("2"))
    first = await queue.shipment(hold_seconds)
    await count(queue, clicks("1"), clicks("2", 5))
    await queue.erase_user("1")
    under_way = await queue.shipment(hold_seconds)
    assert first is not None
    assert under_way is not None
    assert under_way.number == first.number
    assert [one.user_id for one in under_way.increments] == ["2"]
    waiting = await queue.waiting_counts("exp")
    assert set(waiting.increments) == {("exp", "2")}
    await queue.close()

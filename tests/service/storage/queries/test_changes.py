import time

import pytest

from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.queries.changes import (
    feedback_after,
    last_feedback_id,
    pair_fingerprints,
    pairs_in_bucket,
    pairs_since,
    server_time,
)
from service.storage.queries.pair_tables import HIDDEN, SAVED, PairTable, TimedPair
from service.storage.queries.privacy import erase_user
from service.storage.queries.recording import Feedback, insert_feedback
from service.storage.times import UNKNOWN_TIME
from tests.site import START, Site

TABLES = pytest.mark.parametrize("table", [SAVED, HIDDEN], ids=lambda table: table.action)


@pytest.fixture(autouse=True)
async def people_and_events(site: Site) -> None:
    await site.add_users(1, 2, 255, 256, 700)
    await site.add_events(10, 11, 12)


async def add(site: Site, table: PairTable, user: int, event: int, at: int | None) -> None:
    await (site.save if table is SAVED else site.hide)(user, event, at)


async def all_since(db: Database, table: PairTable, since: int) -> list[TimedPair]:
    return [row async for page in pairs_since(db, table, since) for row in page]


@TABLES
async def test_pairs_written_since_come_in_order_of_time(db: Database, site: Site, table: PairTable) -> None:
    await add(site, table, 1, 10, START - 1)
    await add(site, table, 2, 11, START + 1)
    await add(site, table, 2, 10, START)
    await add(site, table, 1, 12, None)

    assert await all_since(db, table, START) == [("2", "10", START), ("2", "11", START + 1)]


@TABLES
async def test_pairs_written_within_one_second_come_page_by_page_each_once(
    db: Database, site: Site, table: PairTable
) -> None:
    written = [(user, event) for user in (1, 2, 700) for event in (10, 11, 12)]
    for user, event in written:
        await add(site, table, user, event, START)
    await add(site, table, 256, 10, START + 1)

    pages = [page async for page in pairs_since(db, table, START, page_rows=2)]

    assert [len(page) for page in pages] == [2, 2, 2, 2, 2]
    found = [(int(user), int(event)) for page in pages for user, event, _ in page]
    assert sorted(found[:-1]) == written
    assert found[-1] == (256, 10)


@TABLES
async def test_pairs_of_erased_people_come_only_from_afterwards(
    db: Database, site: Site, table: PairTable
) -> None:
    await add(site, table, 1, 10, START)
    await add(site, table, 1, 11, START + 2)
    await add(site, table, 1, 12, None)
    await erase_user(db, "1", START + 1)

    assert await all_since(db, table, START) == [("1", "11", START + 2)]
    assert await pairs_in_bucket(db, table, 0) == [("1", "11", START + 2)]


async def test_feedback_is_followed_by_its_id(db: Database) -> None:
    assert await last_feedback_id(db) == 0
    rows = [Feedback("1", str(event), "click", START, idempotency_key=f"k{event}") for event in (10, 11, 12)]
    await insert_feedback(db, rows)

    everything = await feedback_after(db, 0)
    later = await feedback_after(db, everything[0].id)

    assert [(row.event_id, row.at, row.key) for row in everything] == [
        ("10", START, "k10"),
        ("11", START, "k11"),
        ("12", START, "k12"),
    ]
    assert later == everything[1:]
    assert await feedback_after(db, 0, limit=2) == everything[:2]
    assert await last_feedback_id(db) == everything[-1].id


async def test_feedback_without_a_time_or_key_says_so(db: Database) -> None:
    await insert_feedback(db, [Feedback("1", "10", "click", None)])

    [row] = await feedback_after(db, 0)

    assert (row.at, row.key) == (UNKNOWN_TIME, None)


@TABLES
async def test_only_the_bucket_that_lost_a_pair_has_another_fingerprint(
    db: Database, site: Site, table: PairTable
) -> None:
    for user, event in ((1, 10), (255, 10), (256, 10), (256, 11), (700, 12)):
        await add(site, table, user, event, START)
    before = await pair_fingerprints(db, table)

    await db.execute(
        Statement("DELETE FROM {table} WHERE user_id = ? AND event_id = ?").with_names(table=table.name),
        ("256", "11"),
    )

    after = await pair_fingerprints(db, table)
    assert before.keys() == after.keys() == {0, 1, 2}
    assert [bucket for bucket in before if before[bucket] != after[bucket]] == [1]
    assert await pairs_in_bucket(db, table, 1) == [("256", "10", START)]
    assert await pairs_in_bucket(db, table, 0) == [("1", "10", START), ("255", "10", START)]


async def test_an_emptied_bucket_has_no_fingerprint(db: Database, site: Site) -> None:
    await site.save(700, 10, START)
    assert (await pair_fingerprints(db, SAVED)).keys() == {2}

    await site.unsave(700, 10)

    assert await pair_fingerprints(db, SAVED) == {}
    assert await pairs_in_bucket(db, SAVED, 2) == []


async def test_swapping_one_pair_for_another_changes_the_fingerprint(db: Database, site: Site) -> None:
    await site.save(1, 10, START)
    await site.save(2, 11, START)
    before = await pair_fingerprints(db, SAVED)

    await site.unsave(1, 10)
    await site.unsave(2, 11)
    await site.save(1, 11, START)
    await site.save(2, 10, START)

    assert await pair_fingerprints(db, SAVED) != before


async def test_ids_that_are_no_numbers_are_found_in_their_bucket(db: Database) -> None:
    if db.dialect.numeric_site_ids:
        return
    people = ["ann", "-5", "-300", "12x", "99999999999999999999"]
    add_user = Statement("INSERT INTO users (id, name, email, password_hash) VALUES (?, '', ?, '')")
    await db.execute_many(add_user, [(user, user) for user in people])
    save = Statement("INSERT INTO user_saved_events (user_id, event_id) VALUES (?, '10')")
    await db.execute_many(save, [(user,) for user in people])

    buckets = await pair_fingerprints(db, SAVED)
    found = [pair[0] for bucket in buckets for pair in await pairs_in_bucket(db, SAVED, bucket)]

    assert sorted(found) == sorted(people)


async def test_the_servers_clock_is_read_in_seconds_since_1970(db: Database) -> None:
    assert abs(await server_time(db) - time.time()) < 60

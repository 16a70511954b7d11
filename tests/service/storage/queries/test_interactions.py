import pytest

from service.storage.database import Database
from service.storage.queries.interactions import (
    Interaction,
    RowCounts,
    count_rows,
    somebody,
    stream_interactions,
)
from service.storage.queries.privacy import erase_user
from service.storage.queries.recording import Feedback, insert_feedback
from service.storage.times import UNKNOWN_TIME
from tests.site import START, Site


async def interactions(db: Database, until: int = START, page_rows: int = 2) -> list[Interaction]:
    batches = [batch async for batch in stream_interactions(db, until, page_rows)]
    assert all(0 < len(batch) <= page_rows for batch in batches)
    return [row for batch in batches for row in batch]


async def test_saves_hides_and_feedback_come_as_one_stream(db: Database, site: Site) -> None:
    await site.add_users(1, 2)
    await site.add_events(10, 11)
    await site.save(1, 10, START - 3)
    await site.hide(2, 11, START - 2)
    await insert_feedback(db, [Feedback("guest-7", "elsewhere", "thumbs_up", START - 1)])

    assert await interactions(db) == [
        ("1", "10", "save", START - 3),
        ("2", "11", "hide", START - 2),
        ("guest-7", "elsewhere", "thumbs_up", START - 1),
    ]


@pytest.mark.parametrize("page_rows", [1, 2, 3, 5, 100])
async def test_no_pair_is_lost_or_doubled_between_pages(db: Database, site: Site, page_rows: int) -> None:
    users, events = (1, 2, 3, 20), (4, 5, 30)
    await site.add_users(*users)
    await site.add_events(*events)
    for user in users:
        for event in events:
            await site.save(user, event, START)
    await insert_feedback(db, [Feedback("1", str(number), "click", START) for number in range(7)])

    found = await interactions(db, page_rows=page_rows)

    saves = [(row[0], row[1]) for row in found if row[2] == "save"]
    assert sorted(saves) == sorted((str(user), str(event)) for user in users for event in events)
    assert [row[1] for row in found if row[2] == "click"] == [str(number) for number in range(7)]


async def test_what_happened_after_the_cut_off_is_left_out(db: Database, site: Site) -> None:
    await site.add_users(1)
    await site.add_events(10, 11, 12, 13)
    await site.save(1, 10, START)
    await site.save(1, 11, START + 1)
    await site.hide(1, 12, START + 1)
    await insert_feedback(db, [Feedback("1", "13", "click", START + 1), Feedback("1", "13", "skip", START)])

    assert await interactions(db) == [("1", "10", "save", START), ("1", "13", "skip", START)]


async def test_what_happened_nobody_knows_when_is_never_left_out(db: Database, site: Site) -> None:
    await site.add_users(1)
    await site.add_events(10)
    await site.save(1, 10, None)
    await insert_feedback(db, [Feedback("1", "10", "click", None)])

    assert await interactions(db, until=1) == [
        ("1", "10", "save", UNKNOWN_TIME),
        ("1", "10", "click", UNKNOWN_TIME),
    ]


async def test_feedback_comes_in_the_order_it_was_recorded(db: Database) -> None:
    rows = [Feedback("1", "10", action, START) for action in ("save", "hide", "click", "unsave")]
    await insert_feedback(db, rows)

    assert [row[2] for row in await interactions(db)] == ["save", "hide", "click", "unsave"]


async def test_an_action_that_nobody_knows_is_left_to_the_reader(db: Database) -> None:
    await insert_feedback(db, [Feedback("1", "10", "stared_at", START)])

    assert await interactions(db) == [("1", "10", "stared_at", START)]


async def test_what_people_did_before_they_were_erased_is_left_out(db: Database, site: Site) -> None:
    await site.add_users(1, 2)
    await site.add_events(10, 11, 12)
    await site.save(1, 10, START - 10)
    await site.save(1, 11, None)
    await site.hide(1, 12, START - 10)
    await site.save(2, 10, START - 10)
    await insert_feedback(db, [Feedback("1", "10", "click", START - 10)])

    await erase_user(db, "1", START - 5)
    await site.hide(1, 10, START - 1)
    await insert_feedback(db, [Feedback("1", "12", "thumbs_up", START - 1)])

    assert await interactions(db) == [
        ("2", "10", "save", START - 10),
        ("1", "10", "hide", START - 1),
        ("1", "12", "thumbs_up", START - 1),
    ]


async def test_rows_are_counted_by_table(db: Database, site: Site) -> None:
    await site.add_users(1)
    await site.add_events(10, 11)
    await site.save(1, 10, START)
    await site.save(1, 11, START)
    await site.hide(1, 11, START)
    await insert_feedback(db, [Feedback("1", "10", "click", START)])

    counts = await count_rows(db)

    assert counts == RowCounts(events=2, saves=2, hides=1, feedback=1)
    assert counts.interactions == 4


async def test_somebody_is_who_gave_most_feedback_and_nobody_is_none(db: Database) -> None:
    assert await somebody(db) is None
    rows = [Feedback(user, str(number), "click", START) for number, user in enumerate("abbac" + "b")]
    await insert_feedback(db, rows)

    assert await somebody(db) == "b"

import pytest

from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.queries import pages
from service.storage.queries.pages import delete_in_slices, read_pages

ADD = Statement("INSERT INTO recommendation_cache (cache_key, user_id) VALUES (?, ?)")
AFTER = Statement("SELECT id, cache_key FROM recommendation_cache WHERE id > ? ORDER BY id LIMIT ?")
IDS = Statement("SELECT id FROM recommendation_cache WHERE user_id = ? ORDER BY id LIMIT ?")
DELETE = Statement("DELETE FROM recommendation_cache WHERE id IN ({list})")
COUNT = Statement("SELECT COUNT(*) FROM recommendation_cache")


@pytest.mark.parametrize(("rows", "sizes"), [(0, []), (2, [2]), (3, [3]), (7, [3, 3, 1])])
async def test_pages_hold_every_row_once(db: Database, rows: int, sizes: list[int]) -> None:
    await db.execute_many(ADD, [(f"{number:03}", None) for number in range(rows)])

    found = [page async for page in read_pages(db, AFTER, (0,), lambda row: row[:1], page_rows=3)]

    assert [len(page) for page in found] == sizes
    assert [key for page in found for _, key in page] == [f"{number:03}" for number in range(rows)]


async def test_rows_are_deleted_in_slices_and_others_stay(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "DELETE_ROWS", 3)
    await db.execute_many(ADD, [(f"{number:03}", "gone" if number < 8 else "stays") for number in range(10)])

    assert await delete_in_slices(db, IDS, DELETE, ("gone",)) == 8
    assert await delete_in_slices(db, IDS, DELETE, ("gone",)) == 0

    assert await db.fetch(COUNT) == [(2,)]

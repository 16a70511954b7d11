import sqlite3
from pathlib import Path

import pytest

from service.importing import loading
from service.importing.errors import ImportFileError
from service.importing.interactions import import_interactions
from service.importing.loading import ImportReport
from service.storage.database import Database, DatabaseSettings
from service.storage.migrate import migrate
from service.storage.opening import open_database
from service.storage.queries.interactions import Interaction, stream_interactions
from service.storage.queries.privacy import erase_user
from service.storage.times import UNKNOWN_TIME
from tests.site import START

HEADER = "user_id,event_id,action,created_at\n"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "BATCH_ROWS", 3)


def written(path: Path, content: str) -> Path:
    path.write_text(content, "utf-8")
    return path


async def stored(db: Database) -> list[Interaction]:
    return [row async for rows in stream_interactions(db, START) for row in rows]


async def test_rows_become_feedback_in_their_order(db: Database, tmp_path: Path) -> None:
    content = HEADER + "1,10,click,2026-03-17T20:00:00+01:00\nann,gig-1,,\n1,10,hide,1773777600\n2,10,save,\n"

    report = await import_interactions(db, written(tmp_path / "a.csv", content))

    assert report == ImportReport(rows=4, added=4)
    assert await stored(db) == [
        ("1", "10", "click", 1_773_774_000),
        ("ann", "gig-1", "save", UNKNOWN_TIME),
        ("1", "10", "hide", 1_773_777_600),
        ("2", "10", "save", UNKNOWN_TIME),
    ]


async def test_two_columns_are_enough(db: Database, tmp_path: Path) -> None:
    await import_interactions(db, written(tmp_path / "a.csv", "event_id,user_id\n10,1\n"))

    assert await stored(db) == [("1", "10", "save", UNKNOWN_TIME)]


async def test_importing_again_adds_nothing_whatever_the_spelling(db: Database, tmp_path: Path) -> None:
    content = HEADER + "1,10,click,2026-03-17T20:00:00Z\n1,11,,\n1,11,save,\n"
    first = await import_interactions(db, written(tmp_path / "a.csv", content))
    again = (
        '{"user_id": 1, "event_id": "10", "action": "click", "created_at": 1773777600}\n'
        '{"user_id": "1", "event_id": 11}\n'
        '{"user_id": "1", "event_id": 12}\n'
    )

    second = await import_interactions(db, written(tmp_path / "a.jsonl", again))

    assert first == ImportReport(rows=3, added=2, known=1)
    assert second == ImportReport(rows=3, added=1, known=2)
    assert [row[1] for row in await stored(db)] == ["10", "11", "12"]


@pytest.mark.parametrize(
    ("bad_row", "column", "value"),
    [
        (",10,save,", "user_id", ""),
        ("1,,save,", "event_id", ""),
        ("1,10,saved,", "action", "saved"),
        ("1,10,save,yesterday", "created_at", "yesterday"),
        ("1,10,save,2040-01-01", "created_at", "2040-01-01"),
    ],
)
async def test_a_bad_row_is_named_and_nothing_is_written(
    db: Database, tmp_path: Path, bad_row: str, column: str, value: str
) -> None:
    path = written(tmp_path / "a.csv", HEADER + "1,1,,\n" * 5 + '"1\n ",1,,\n' + bad_row + "\n1,1,,\n")

    with pytest.raises(ImportFileError) as caught:
        await import_interactions(db, path)

    # A row before it spans two lines.
    assert (caught.value.line, caught.value.column) == (9, column)
    assert caught.value.value == value
    assert await stored(db) == []


async def test_a_file_cut_short_writes_nothing(db: Database, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", HEADER + "1,1,,\n" * 7 + '1,"2')

    with pytest.raises(ImportFileError, match="line 9"):
        await import_interactions(db, path)

    assert await stored(db) == []


async def test_a_file_of_another_kind_writes_nothing(db: Database, tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="column 'userId' is unknown"):
        await import_interactions(db, written(tmp_path / "a.csv", "userId,event_id\n1,2\n"))

    assert await stored(db) == []


async def test_what_erased_people_did_before_is_refused(db: Database, tmp_path: Path) -> None:
    await erase_user(db, "1", START - 100)
    content = HEADER + f"1,10,click,{START - 100}\n1,11,click,\n1,12,click,{START - 99}\n2,10,click,\n"

    report = await import_interactions(db, written(tmp_path / "a.csv", content))

    assert report == ImportReport(rows=4, added=2, refused=2)
    assert [row[:2] for row in await stored(db)] == [("1", "12"), ("2", "10")]


async def test_progress_grows_from_nothing_to_the_whole(db: Database, tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    content = HEADER + "".join(f"{number},10,,\n" for number in range(3_000))

    await import_interactions(
        db, written(tmp_path / "a.csv", content), lambda rows, share: seen.append((rows, share))
    )

    assert seen == sorted(seen)
    assert seen[-1] == (3_000, 1.0)
    assert len({share for _, share in seen}) > 2


async def test_others_see_an_embedded_import_only_when_it_is_whole(
    file_settings: DatabaseSettings, tmp_path: Path
) -> None:
    db = await open_database(file_settings)
    await migrate(db)
    assert file_settings.path is not None
    other = sqlite3.connect(file_settings.path)
    count = "SELECT COUNT(*) FROM ml_feedback"
    seen: list[int] = []
    path = written(tmp_path / "a.csv", HEADER + "".join(f"{number},10,,\n" for number in range(20)))

    await import_interactions(db, path, lambda rows, share: seen.append(*other.execute(count).fetchone()))

    assert len(seen) > 6
    assert set(seen) == {0}
    assert other.execute(count).fetchone() == (20,)
    other.close()
    await db.close()

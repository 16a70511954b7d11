from pathlib import Path

import pytest

from service.importing import loading
from service.importing.errors import ImportFileError
from service.importing.events import EVENT_COLUMNS, import_events
from service.importing.loading import ImportReport
from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.queries.events import EventRow, events_fingerprint, stream_events
from service.storage.times import to_text
from tests.site import START, Site

FULL = {
    "event_id": "42",
    "title": '"Sessiún, ""late"""',
    "start_time": "2030-03-17T20:00:00+01:00",
    "end_time": str(START + 10**7),
    "city": "Galway",
    "venue_name": "The Crane",
    "genres": "trad|folk",
    "tags": '"[""late"", ""seated""]"',
    "price_min": "9.5",
    "price_max": "12",
    "latitude": "53.270668",
    "longitude": "-9.056791",
    "ticket_url": "https://example.org/42",
    "description": '"Two\nlines"',
    "images": "a.jpg|b.jpg",
    "currency": "EUR",
    "age_restriction": "18+",
}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "BATCH_ROWS", 3)


def written(tmp_path: Path, *rows: dict[str, str]) -> Path:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    path = tmp_path / "events.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def event(number: int | str, **values: str) -> dict[str, str]:
    return {"event_id": str(number), "title": f"Event {number}", "start_time": "2030-01-01", **values}


async def stored(db: Database) -> dict[str, EventRow]:
    return {row.event_id: row async for batch in stream_events(db) for row in batch.events}


def test_the_columns_are_those_of_the_documentation() -> None:
    assert EVENT_COLUMNS.required == ("event_id", "title", "start_time")
    assert set(EVENT_COLUMNS.names) == set(FULL)


async def test_every_column_arrives(db: Database, tmp_path: Path) -> None:
    assert await import_events(db, written(tmp_path, FULL)) == ImportReport(rows=1, added=1)

    row = (await stored(db))["42"]
    assert row == EventRow(
        event_id="42",
        title='Sessiún, "late"',
        start_time=1_900_004_400,
        end_time=START + 10**7,
        city="Galway",
        latitude=53.270668,
        longitude=-9.056791,
        venue_name="The Crane",
        ticket_url="https://example.org/42",
        age_restriction="18+",
        price_min=9.5,
        price_max=12.0,
        currency="EUR",
        genres=("trad", "folk"),
        tags=("late", "seated"),
        images=("a.jpg", "b.jpg"),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
    assert row.created_at == row.updated_at > 0
    assert await db.fetch(Statement("SELECT description FROM events")) == [("Two\nlines",)]


async def test_importing_again_touches_nothing(db: Database, tmp_path: Path) -> None:
    path = written(tmp_path, FULL)
    await import_events(db, path)
    await db.execute(Statement("UPDATE events SET updated_at = ?"), (to_text(START),))
    before = await events_fingerprint(db)

    assert await import_events(db, path) == ImportReport(rows=1, known=1)

    assert await events_fingerprint(db) == before


async def test_changed_events_are_updated_and_stamped(db: Database, tmp_path: Path) -> None:
    await import_events(db, written(tmp_path, *(event(number) for number in range(1, 6))))
    await db.execute(Statement("UPDATE events SET updated_at = ?"), (to_text(1_600_000_000),))

    rows = [event(number, city="Cork" if number % 2 else "") for number in range(1, 8)]
    report = await import_events(db, written(tmp_path, *rows))

    assert report == ImportReport(rows=7, added=2, changed=3, known=2)
    after = await stored(db)
    assert {key for key, row in after.items() if row.city == "Cork"} == {"1", "3", "5", "7"}
    assert {key for key, row in after.items() if row.updated_at == 1_600_000_000} == {"2", "4"}


async def test_an_absent_column_leaves_what_is_there_and_an_empty_value_clears_it(
    db: Database, tmp_path: Path
) -> None:
    await import_events(db, written(tmp_path, event(1, city="Cork", venue_name="The Marquee")))

    await import_events(db, written(tmp_path, event(1, city="")))

    row = (await stored(db))["1"]
    assert (row.city, row.venue_name) == (None, "The Marquee")


async def test_of_an_event_that_comes_twice_the_later_row_counts(db: Database, tmp_path: Path) -> None:
    rows = [event(1, city="Cork"), event(1, city="Galway"), event(2, city=""), event(2, city="Sligo")]

    assert await import_events(db, written(tmp_path, *rows)) == ImportReport(
        rows=4, added=2, changed=1, known=1
    )

    assert {key: row.city for key, row in (await stored(db)).items()} == {"1": "Galway", "2": "Sligo"}


async def test_events_of_the_site_are_updated_in_place(db: Database, site: Site, tmp_path: Path) -> None:
    await site.add_events(7)
    await site.change_event(7, genres='[ "trad" ]', price_min=5)
    path = written(tmp_path, event(7, start_time=str(START), genres="trad"))

    assert await import_events(db, path) == ImportReport(rows=1, known=1)
    path = written(tmp_path, event(7, start_time=str(START), genres="jazz"))
    assert await import_events(db, path) == ImportReport(rows=1, changed=1)

    row = (await stored(db))["7"]
    assert (row.title, row.genres, row.price_min) == ("Event 7", ("jazz",), 5.0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("event_id", ""),
        ("title", ""),
        ("title", "x" * 256),
        ("start_time", ""),
        ("start_time", "tonight"),
        ("end_time", "2029-12-31"),
        ("city", "x" * 101),
        ("genres", "[1]"),
        ("price_min", "free"),
        ("price_max", "-1"),
        ("latitude", "91"),
        ("longitude", "180.5"),
        ("ticket_url", "x" * 501),
        ("currency", "x" * 11),
    ],
)
async def test_a_bad_value_is_named_and_nothing_is_written(
    db: Database, tmp_path: Path, column: str, value: str
) -> None:
    rows = [event(number, **{column: event(number).get(column, "")}) for number in range(1, 6)]
    rows.append({**event(6, **{column: ""}), column: value})

    with pytest.raises(ImportFileError) as caught:
        await import_events(db, written(tmp_path, *rows))

    assert (caught.value.line, caught.value.column, caught.value.value) == (7, column, value)
    assert await stored(db) == {}


async def test_prices_the_wrong_way_round_are_refused(db: Database, tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="price_max: '5' is less than price_min, '10'"):
        await import_events(db, written(tmp_path, event(1, price_min="10", price_max="5")))


async def test_an_object_without_a_title_is_refused(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"event_id": 1, "start_time": "2030-01-01"}\n')

    with pytest.raises(ImportFileError, match="line 1, column title"):
        await import_events(db, path)


async def test_objects_may_carry_lists(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(
        '{"event_id": 1, "title": "A", "start_time": 1900000000, "genres": ["a", "b"], "images": []}\n'
    )

    await import_events(db, path)

    row = (await stored(db))["1"]
    assert (row.start_time, row.genres, row.images) == (START, ("a", "b"), ())


async def test_ids_may_be_any_text_where_the_database_keeps_text(db: Database, tmp_path: Path) -> None:
    path = written(tmp_path, event("gig-1"), event("007"), event("7"))

    if db.dialect.numeric_site_ids:
        with pytest.raises(ImportFileError, match="line 2, column event_id: 'gig-1' is not a whole number"):
            await import_events(db, path)
    else:
        await import_events(db, path)
        assert (await stored(db)).keys() == {"gig-1", "007", "7"}

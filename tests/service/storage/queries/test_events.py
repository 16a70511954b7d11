from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.queries.events import (
    EventRow,
    events_fingerprint,
    read_event_ids,
    stream_changed_events,
    stream_events,
)
from service.storage.times import to_text
from tests.site import START, Site


async def all_events(db: Database) -> list[EventRow]:
    return [event async for batch in stream_events(db, page_rows=2) for event in batch.events]


async def test_an_event_comes_out_as_the_site_has_it(db: Database, site: Site) -> None:
    await site.add_events(42)
    await site.change_event(
        42,
        title="Sessiún 🎻",
        end_time=to_text(START + 7200),
        city="Galway",
        latitude=53.270668,
        longitude=-9.056791,
        venue_name="The Crane",
        ticket_url="https://example.org/42",
        age_restriction="18+",
        price_min=9.5,
        price_max=12,
        currency="EUR",
        genres='["trad", "folk"]',
        tags="[]",
        images='["a.jpg", {"url": "b.jpg"}]',
        created_at=to_text(START - 200),
        updated_at=to_text(START - 100),
    )

    assert await all_events(db) == [
        EventRow(
            event_id="42",
            title="Sessiún 🎻",
            start_time=START,
            end_time=START + 7200,
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
            tags=(),
            images=("a.jpg", {"url": "b.jpg"}),
            created_at=START - 200,
            updated_at=START - 100,
        )
    ]


async def test_every_event_is_read_whatever_the_size_of_a_page(db: Database, site: Site) -> None:
    await site.add_events(3, 10, 2, 111, 1)

    assert {event.event_id for event in await all_events(db)} == {"1", "2", "3", "10", "111"}
    assert await read_event_ids(db) == {"1", "2", "3", "10", "111"}


async def test_json_that_cannot_be_read_is_counted_and_fails_nothing(db: Database, site: Site) -> None:
    await site.add_events(1, 2)
    await site.change_event(1, genres='{"not": "a list"}', tags='["jazz"]')

    [batch] = [batch async for batch in stream_events(db)]

    assert batch.unreadable == 1
    assert [(event.genres, event.tags) for event in batch.events] == [((), ("jazz",)), ((), ())]


async def test_an_event_after_2038_keeps_its_time(db: Database, site: Site) -> None:
    await site.add_events(1)
    await site.change_event(1, start_time="2051-06-01 19:30:00")

    assert [event.start_time for event in await all_events(db)] == [2_569_260_600]


async def test_only_events_changed_since_are_read_again(db: Database, site: Site) -> None:
    await site.add_events(1, 2, 3)
    for event, updated in ((1, START), (2, START + 10), (3, START + 5)):
        await site.change_event(event, updated_at=to_text(updated))

    for page_rows in (1, 2, 3):
        batches = [batch async for batch in stream_changed_events(db, START + 5, page_rows)]
        assert [event.event_id for batch in batches for event in batch.events] == ["3", "2"]


async def test_a_change_stamps_the_event_without_being_told_to(db: Database, site: Site) -> None:
    await site.add_events(1)
    await site.change_event(1, updated_at=to_text(START - 10**9))

    await site.change_event(1, title="Now in another room")

    [event] = await all_events(db)
    assert event.updated_at > START - 10**9


async def test_the_fingerprint_tells_of_every_kind_of_change(db: Database, site: Site) -> None:
    seen = [await events_fingerprint(db)]
    await site.add_events(1, 2)
    seen.append(await events_fingerprint(db))
    await site.change_event(1, updated_at=to_text(START))
    seen.append(await events_fingerprint(db))
    await site.delete_event(2)
    seen.append(await events_fingerprint(db))
    await site.add_events(3)
    await site.change_event(3, updated_at=to_text(START))
    seen.append(await events_fingerprint(db))
    await site.delete_event(3)

    assert len(set(seen)) == 5
    assert await events_fingerprint(db) == seen[3]


async def test_an_embedded_site_may_have_ids_that_are_no_numbers(db: Database) -> None:
    if db.dialect.numeric_site_ids:
        return
    add = Statement("INSERT INTO events (id, dedupe_key, title, start_time) VALUES (?, ?, '', ?)")
    ids = ["gig-1", "007", "7", "Ünïcode", "-3"]
    await db.execute_many(add, [(event, event, to_text(START)) for event in ids])

    assert {event.event_id for event in await all_events(db)} == set(ids)

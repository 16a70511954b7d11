from datetime import UTC, datetime

from service.demo_site import generate_demo_site
from service.importing.tastes import store_tastes
from service.storage.database import Database
from service.storage.queries.people import read_listening, read_preferences


async def test_what_the_people_of_the_demo_say_is_stored_once_where_the_service_reads_it(
    db: Database,
) -> None:
    tastes = generate_demo_site(datetime(2026, 11, 22, tzinfo=UTC)).tastes

    await store_tastes(db, tastes)
    await store_tastes(db, tastes)

    told = {one.user_id: one for one in (await read_preferences(db)).people}
    heard = {one.user_id: one for one in (await read_listening(db)).people}
    for row in tastes:
        one, other = told.get(str(row.user_id)), heard.get(str(row.user_id))
        assert row.preferences == (one and (one.genres, one.cities, one.budget_max, one.nights))
        assert row.listening == (other and (other.top_artists, other.top_genres))

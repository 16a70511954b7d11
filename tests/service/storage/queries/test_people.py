from service.storage.database import Database
from service.storage.queries import people
from service.storage.queries.people import Listening, Preferences, read_listening, read_preferences
from tests.site import START, Site

NOTHING: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("genres", "artists", "cities", "venues", "djs", "nights"), ()
)


async def test_preferences_are_read_with_every_list(db: Database, site: Site) -> None:
    await site.add_users(1, 2, 3)
    await site.prefer(1, "preferred_genres", '["trad", {"name": "folk"}]', START)
    await site.prefer(2, "night_preferences", '["friday"]', START)
    await site.prefer(3, "budget_max", 25.5, START)

    batch = await read_preferences(db)

    nothing = {**NOTHING, "budget_max": None, "radius_km": None, "updated_at": START}
    assert batch.unreadable == 0
    assert sorted(batch.people, key=lambda person: person.user_id) == [
        Preferences(**{**nothing, "user_id": "1", "genres": ("trad", "folk")}),
        Preferences(**{**nothing, "user_id": "2", "nights": ("friday",)}),
        Preferences(**{**nothing, "user_id": "3", "budget_max": 25.5}),
    ]


async def test_only_preferences_changed_since_are_read_again(db: Database, site: Site) -> None:
    await site.add_users(1, 2)
    await site.prefer(1, "radius_km", 5, START - 1)
    await site.prefer(2, "radius_km", 50, START)

    batch = await read_preferences(db, START)

    assert [(person.user_id, person.radius_km) for person in batch.people] == [("2", 50)]


async def test_preferences_that_cannot_be_read_are_counted(db: Database, site: Site) -> None:
    await site.add_users(1)
    await site.prefer(1, "preferred_cities", '"Cork"', START)

    batch = await read_preferences(db)

    assert batch.unreadable == 1
    assert batch.people[0].cities == ()


async def test_listening_is_read_in_its_order(db: Database, site: Site) -> None:
    await site.add_users(1, 2)
    await site.listen(1, '[{"name": "Lankum"}, {"name": "Ye Vagabonds"}]', '["folk"]', START)
    await site.listen(2, None, None, START - 1)

    batch = await read_listening(db, START)

    assert batch.people == (Listening("1", ("Lankum", "Ye Vagabonds"), ("folk",), START),)
    assert len((await read_listening(db)).people) == 2


def test_no_query_reads_a_token() -> None:
    for statement in (people.PREFERENCES, people.LISTENING):
        assert "token" not in statement.text
        assert "*" not in statement.text

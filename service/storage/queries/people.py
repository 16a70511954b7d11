"""What people told the site they like, and what Spotify says they listen to. The tokens are never read."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from service.storage.database import Row, Session
from service.storage.dialect import Statement
from service.storage.queries.json_columns import JsonColumns

PREFERENCES = Statement(
    "SELECT CAST(user_id AS CHAR), preferred_genres, preferred_artists, preferred_cities, preferred_venues,"
    " preferred_djs, night_preferences, budget_max, radius_km, COALESCE({epoch:updated_at}, 0)"
    " FROM user_preferences WHERE COALESCE({epoch:updated_at}, 0) >= ? ORDER BY updated_at, user_id"
)
LISTENING = Statement(
    "SELECT CAST(user_id AS CHAR), top_artists, top_genres, COALESCE({epoch:updated_at}, 0)"
    " FROM user_spotify WHERE COALESCE({epoch:updated_at}, 0) >= ? ORDER BY updated_at, user_id"
)
STATING_PEOPLE = Statement("SELECT CAST(user_id AS CHAR) FROM {table}")
PEOPLE_FINGERPRINT = Statement("SELECT COUNT(*), COALESCE(SUM({checksum:user_id}), 0) FROM {table}")
STATING_TABLES = ("user_preferences", "user_spotify")

#: For both tables, the number of their rows and a checksum of whose they are.
PeopleFingerprint = tuple[tuple[int, int], ...]


class StatingPeople(NamedTuple):
    """The people of whom there is a row."""

    preferring: set[str]
    listening: set[str]


@dataclass(frozen=True, slots=True)
class Preferences:
    """One row of user_preferences. `budget_max` in the site's currency, the time in seconds since 1970."""

    user_id: str
    genres: tuple[str, ...]
    artists: tuple[str, ...]
    cities: tuple[str, ...]
    venues: tuple[str, ...]
    djs: tuple[str, ...]
    nights: tuple[str, ...]
    budget_max: float | None
    radius_km: int | None
    updated_at: int


@dataclass(frozen=True, slots=True)
class Listening:
    """One person's top artists and genres at Spotify, the first the most listened to."""

    user_id: str
    top_artists: tuple[str, ...]
    top_genres: tuple[str, ...]
    updated_at: int


@dataclass(frozen=True)
class PreferencesBatch:
    """Preferences, and how many of their JSON columns could not be read and count as empty."""

    people: tuple[Preferences, ...]
    unreadable: int


@dataclass(frozen=True)
class ListeningBatch:
    """Listening, and how many of its JSON columns could not be read and count as empty."""

    people: tuple[Listening, ...]
    unreadable: int


async def read_preferences(session: Session, since: int = 0) -> PreferencesBatch:
    """The preferences changed at `since` (seconds since 1970) or later; 0 for all."""
    return await asyncio.to_thread(_all_preferences, await session.fetch(PREFERENCES, (since,)))


async def read_listening(session: Session, since: int = 0) -> ListeningBatch:
    """What Spotify knows of people, changed at `since` (seconds since 1970) or later; 0 for all."""
    return await asyncio.to_thread(_all_listening, await session.fetch(LISTENING, (since,)))


async def people_fingerprint(session: Session) -> PeopleFingerprint:
    """Changes when a row comes or goes: nothing else tells that one was deleted."""
    rows = [await session.fetch(PEOPLE_FINGERPRINT.with_names(table=table)) for table in STATING_TABLES]
    return tuple((count, int(checksum)) for [(count, checksum)] in rows)


async def stating_people(session: Session) -> StatingPeople:
    """Whose rows there are."""
    rows = [await session.fetch(STATING_PEOPLE.with_names(table=table)) for table in STATING_TABLES]
    return StatingPeople(*({user_id for (user_id,) in found} for found in rows))


def _all_preferences(rows: list[Row]) -> PreferencesBatch:
    columns = JsonColumns()
    return PreferencesBatch(tuple(_preferences(row, columns) for row in rows), columns.unreadable)


def _all_listening(rows: list[Row]) -> ListeningBatch:
    columns = JsonColumns()
    people = tuple(
        Listening(user_id, columns.names(artists), columns.names(genres), updated_at)
        for user_id, artists, genres, updated_at in rows
    )
    return ListeningBatch(people, columns.unreadable)


def _preferences(row: Row, columns: JsonColumns) -> Preferences:
    user_id, genres, artists, cities, venues, djs, nights, budget, radius, updated_at = row
    return Preferences(
        user_id=user_id,
        genres=columns.names(genres),
        artists=columns.names(artists),
        cities=columns.names(cities),
        venues=columns.names(venues),
        djs=columns.names(djs),
        nights=columns.names(nights),
        budget_max=_number(budget),
        radius_km=radius,
        updated_at=updated_at,
    )


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))  # DECIMAL on the site's server

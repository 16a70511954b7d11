"""What the people of the demo say of their tastes: a part of those with a history, and newcomers who have none."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import orjson

from service.demo_site.people import PEOPLE, People, make_people
from service.demo_site.places import CITIES, GENRES
from service.demo_site.programme import Artists
from service.storage.database import Database
from service.storage.dialect import Statement

#: People who have done nothing yet; their ids follow those of the others.
NEWCOMERS = 200
#: Of people with a history, who filled in their preferences, and who let the site read their Spotify.
PREFERENCES_SHARE, SPOTIFY_SHARE = 0.3, 0.3
_BUDGETS, _NIGHTS = (10.0, 20.0, 30.0, 50.0), ("friday", "saturday", "thursday")
_TOLD_GENRES, _HEARD_GENRES, _HEARD_ARTISTS = 2, 4, 8

_ADD_USER = Statement(
    "INSERT INTO users (id, name, email, password_hash) VALUES (?, ?, ?, '') {skip_known:id}"
)
_ADD_PREFERENCES = Statement(
    "INSERT INTO user_preferences (user_id, preferred_genres, preferred_cities, budget_max, night_preferences)"
    " VALUES (?, ?, ?, ?, ?) {skip_known:user_id}"
)
_ADD_LISTENING = Statement(
    "INSERT INTO user_spotify (user_id, spotify_user_id, access_token, expires_at, top_artists, top_genres)"
    " VALUES (?, ?, '', '2000-01-01 00:00:00', ?, ?) {skip_known:user_id}"
)


class TasteRow(NamedTuple):
    """What is stated of one person; None for a table that has no row of them."""

    user_id: int
    preferences: tuple[tuple[str, ...], tuple[str, ...], float, tuple[str, ...]] | None
    #: genres, cities, the highest price, nights
    listening: tuple[tuple[str, ...], tuple[str, ...]] | None  #: top artists, top genres


def make_tastes(rng: np.random.Generator, people: People, artists: Artists) -> list[TasteRow]:
    """Draw what is stated; `rng` is one of its own, so that the rest of the site does not depend on it."""
    newcomers = make_people(rng)
    rows = [
        _row(
            rng,
            person,
            person,
            people,
            artists,
            *(rng.random(2) < (PREFERENCES_SHARE, SPOTIFY_SHARE)).tolist(),
        )
        for person in range(PEOPLE)
    ]
    rows += [
        _row(rng, PEOPLE + person, person, newcomers, artists, True, person % 2 == 0)
        for person in range(NEWCOMERS)
    ]
    return [row for row in rows if row.preferences or row.listening]


async def store_tastes(database: Database, rows: Sequence[TasteRow]) -> None:
    """Write what is stated to the tables of the embedded database; what is there already stays."""
    async with database.transaction() as session:
        names = [(str(row.user_id), f"Person {row.user_id}", f"{row.user_id}@demo.example") for row in rows]
        await session.execute_many(_ADD_USER, names)
        told = [(row.user_id, row.preferences) for row in rows if row.preferences]
        await session.execute_many(
            _ADD_PREFERENCES,
            [
                (str(user), _json(genres), _json(cities), budget, _json(nights))
                for user, (genres, cities, budget, nights) in told
            ],
        )
        heard = [(row.user_id, row.listening) for row in rows if row.listening]
        await session.execute_many(
            _ADD_LISTENING,
            [(str(user), f"demo-{user}", _json(top), _json(genres)) for user, (top, genres) in heard],
        )


def _row(
    rng: np.random.Generator,
    number: int,
    person: int,
    people: People,
    artists: Artists,
    tells: bool,
    is_heard: bool,
) -> TasteRow:
    tastes = people.genres[person]
    best = np.argsort(-tastes, kind="stable")
    names = [GENRES[genre].name for genre in best.tolist()]
    told = (
        tuple(names[:_TOLD_GENRES]),
        (CITIES[people.city[person]].name,),
        float(rng.choice(_BUDGETS)),
        (str(rng.choice(_NIGHTS)),),
    )
    liking = np.log(tastes + 0.02)[artists.genre] + artists.character @ people.character[person] / 2.0
    tops = np.argsort(-liking - rng.gumbel(size=liking.size), kind="stable")[:_HEARD_ARTISTS]
    heard = (tuple(artists.names[artist] for artist in tops.tolist()), tuple(names[:_HEARD_GENRES]))
    return TasteRow(number + 1, told if tells else None, heard if is_heard else None)


def _json(names: Sequence[str]) -> str:
    return orjson.dumps(names).decode()

"""Writing what people state of their tastes to the tables of the embedded database."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from service.storage.database import Database
from service.storage.dialect import Statement

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


def _json(names: Sequence[str]) -> str:
    return orjson.dumps(names).decode()

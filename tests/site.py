"""What the site's other services do to their tables, for tests, the same on every engine."""

from typing import Any

from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.times import optional_text, to_text

START = 1_900_000_000  # seconds since 1970, in 2030

_ADD_USER = Statement("INSERT INTO users (id, name, email, password_hash) VALUES (?, ?, ?, ?)")
_ADD_EVENT = Statement("INSERT INTO events (id, dedupe_key, title, start_time) VALUES (?, ?, ?, ?)")
_CHANGE_EVENT = Statement("UPDATE events SET {column} = ? WHERE id = ?")
_DELETE_EVENT = Statement("DELETE FROM events WHERE id = ?")
_SAVE = Statement("INSERT INTO user_saved_events (user_id, event_id, saved_at) VALUES (?, ?, ?)")
_UNSAVE = Statement("DELETE FROM user_saved_events WHERE user_id = ? AND event_id = ?")
_HIDE = Statement("INSERT INTO user_hidden_events (user_id, event_id, hidden_at) VALUES (?, ?, ?)")
_PREFER = Statement("INSERT INTO user_preferences (user_id, {column}, updated_at) VALUES (?, ?, ?)")
_STOP_LISTENING = Statement("DELETE FROM user_spotify WHERE user_id = ?")
_LISTEN = Statement(
    "INSERT INTO user_spotify (user_id, spotify_user_id, access_token, expires_at, top_artists, top_genres,"
    " updated_at) VALUES (?, ?, 'secret-token', '2030-01-01 00:00:00', ?, ?, ?)"
)


class Site:
    """The site's tables; times in seconds since 1970."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add_users(self, *user_ids: int) -> None:
        rows = [(str(user), f"User {user}", f"user{user}@example.org", "-") for user in user_ids]
        await self._db.execute_many(_ADD_USER, rows)

    async def add_events(self, *event_ids: int) -> None:
        rows = [(str(event), f"key-{event}", f"Event {event}", to_text(START)) for event in event_ids]
        await self._db.execute_many(_ADD_EVENT, rows)

    async def change_event(self, event_id: int, **values: Any) -> None:
        for column, value in values.items():
            await self._db.execute(_CHANGE_EVENT.with_names(column=column), (value, str(event_id)))

    async def delete_event(self, event_id: int) -> None:
        await self._db.execute(_DELETE_EVENT, (str(event_id),))

    async def save(self, user_id: int, event_id: int, at: int | None) -> None:
        await self._db.execute(_SAVE, (str(user_id), str(event_id), optional_text(at)))

    async def unsave(self, user_id: int, event_id: int) -> None:
        await self._db.execute(_UNSAVE, (str(user_id), str(event_id)))

    async def hide(self, user_id: int, event_id: int, at: int | None) -> None:
        await self._db.execute(_HIDE, (str(user_id), str(event_id), optional_text(at)))

    async def prefer(self, user_id: int, column: str, value: Any, at: int) -> None:
        await self._db.execute(_PREFER.with_names(column=column), (str(user_id), value, to_text(at)))

    async def listen(self, user_id: int, artists: str | None, genres: str | None, at: int) -> None:
        values = (str(user_id), f"spotify-{user_id}", artists, genres, to_text(at))
        await self._db.execute(_LISTEN, values)

    async def stop_listening(self, user_id: int) -> None:
        await self._db.execute(_STOP_LISTENING, (str(user_id),))

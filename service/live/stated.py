"""What people have told the site and Spotify of their taste, by person."""

from collections.abc import Iterator
from typing import NamedTuple

from service.live.statements import Stated, of_listening, of_preferences
from service.storage.queries.people import Listening, Preferences

_NOTHING: tuple[Stated, ...] = ()


class _Told(NamedTuple):
    statements: tuple[Stated, ...]
    at: int  #: when the row was changed last, seconds since 1970


class StatedTastes:
    """One row a person of each table; small tuples, since most people state little."""

    def __init__(self) -> None:
        self._preferences: dict[str, _Told] = {}
        self._listening: dict[str, _Told] = {}

    def of(self, user_id: str) -> tuple[Stated, ...]:
        """All that is stated of a person."""
        told, heard = self._preferences.get(user_id), self._listening.get(user_id)
        return (told.statements if told else _NOTHING) + (heard.statements if heard else _NOTHING)

    def of_before(self, user_id: str, until: float) -> tuple[Stated, ...]:
        """What is stated of a person in rows that were not changed after the second `until`."""
        rows = [of.get(user_id) for of in self._tables()]
        return tuple(stated for row in rows if row and row.at <= until for stated in row.statements)

    def take_over(self, other: "StatedTastes") -> None:
        """Begin with what another one knows."""
        self._preferences, self._listening = dict(other._preferences), dict(other._listening)

    def prefer(self, row: Preferences) -> None:
        """Replace what a person told the site."""
        self._preferences[row.user_id] = _Told(tuple(of_preferences(row)), row.updated_at)

    def listen(self, row: Listening) -> None:
        """Replace what Spotify says of a person."""
        self._listening[row.user_id] = _Told(tuple(of_listening(row)), row.updated_at)

    def forget(self, user_id: str, until: float) -> None:
        """Forget what was stated of a person up to the second `until`."""
        for rows in self._tables():
            if user_id in rows and rows[user_id].at <= until:
                del rows[user_id]

    def keep_only(self, preferring: set[str], listening: set[str]) -> None:
        """Forget the rows of everyone else, which the site has deleted."""
        for rows, kept in zip(self._tables(), (preferring, listening), strict=True):
            for user_id in rows.keys() - kept:
                del rows[user_id]

    def _tables(self) -> Iterator[dict[str, _Told]]:
        yield self._preferences
        yield self._listening

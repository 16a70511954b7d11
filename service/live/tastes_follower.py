"""Follows what people tell the site they like, and what Spotify says they listen to."""

from collections.abc import Mapping

from service.live.intake import Intake
from service.live.stated import StatedTastes
from service.storage.database import Database
from service.storage.queries.changes import server_time
from service.storage.queries.people import (
    Listening,
    PeopleFingerprint,
    Preferences,
    people_fingerprint,
    read_listening,
    read_preferences,
    stating_people,
)

#: How far each look goes back behind the one before: rows are seen when they are committed, which may be later.
OVERLAP_SECONDS = 10


class TastesFollower:
    """Keeps `stated` as the tables are, but for people who had their past erased: what they state later counts."""

    def __init__(self, stated: StatedTastes, intake: Intake, database: Database) -> None:
        self._stated = stated
        self._intake = intake
        self._database = database
        self._looked_at = OVERLAP_SECONDS  #: by the database's clock; at first everything is new
        self._people: PeopleFingerprint | None = None

    def take_over(self, other: "TastesFollower") -> None:
        """Go on from where another one is, whose `stated` was taken over."""
        self._looked_at, self._people = other._looked_at, other._people

    async def follow(self, erased: Mapping[str, int]) -> None:
        """Take over the rows that came or changed since the last call. Raises StorageError.

        `erased` says who had erased what was until when, seconds since 1970, also from before the model's cut-off.
        """
        now, since = await server_time(self._database), self._looked_at - OVERLAP_SECONDS
        for told in (await read_preferences(self._database, since)).people:
            if not self._is_erased(told, erased):
                self._stated.prefer(told)
        for heard in (await read_listening(self._database, since)).people:
            if not self._is_erased(heard, erased):
                self._stated.listen(heard)
        self._looked_at = now

    def _is_erased(self, row: Preferences | Listening, erased: Mapping[str, int]) -> bool:
        until = erased.get(row.user_id, -1)
        return row.updated_at <= until or self._intake.is_erased(row.user_id, row.updated_at)

    async def follow_removals(self) -> None:
        """Forget the rows that are gone. Raises StorageError."""
        people = await people_fingerprint(self._database)
        if people != self._people:
            self._stated.keep_only(*await stating_people(self._database))
            self._people = people

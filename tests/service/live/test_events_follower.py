"""When the table of events is looked at: what a look costs the server is a pass over all of it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from service.live.events_follower import LOOK_AGAIN_SECONDS, EventsFollower
from service.live.last_known import LastKnown
from service.storage.database import ChangeMark, DatabaseSettings, Row
from service.storage.dialect import Statement
from service.storage.migrate import migrate
from service.storage.opening import open_database
from service.storage.queries.events import EVENTS_FINGERPRINT
from service.storage.sqlite import SQLiteDatabase
from tests.site import Site
from tests.sites import NOW, a_model, live_state


class Watched(SQLiteDatabase):
    """Counts the passes over the table; says nothing of changes while `is_silent`."""

    passes = 0
    is_silent = False

    async def fetch(self, statement: Statement, params: Sequence[Any] = ()) -> list[Row]:
        self.passes += statement == EVENTS_FINGERPRINT
        return await super().fetch(statement, params)

    async def change_mark(self, tables: Sequence[str]) -> ChangeMark | None:
        return None if self.is_silent else await super().change_mark(tables)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    database = Watched(tmp_path / "site.db")
    await database.connect(1.0)
    await migrate(database)
    yield database
    await database.close()


async def test_a_table_that_rests_is_looked_at_until_its_second_is_over_and_then_no_more(
    watched: Watched, tmp_path: Path
) -> None:
    other = await open_database(DatabaseSettings(path=tmp_path / "site.db"))
    site, now = Site(other), float(NOW)
    await site.add_events(1)
    state = live_state(a_model({"ann": ["rock"]}), [])
    follower = EventsFollower(state, watched, LastKnown(None), lambda: now)
    for later, passes in ((0.0, 1), (0.1, 1), (LOOK_AGAIN_SECONDS, 2), (1.0, 2), (1.0, 2)):
        now += later
        await follower.follow()
        assert watched.passes == passes
    await site.add_events(2)
    await follower.follow()
    assert (watched.passes, state.event_index("2") is not None) == (3, True)

    now += LOOK_AGAIN_SECONDS
    await follower.follow()
    watched.is_silent = True
    await follower.follow()
    await follower.follow()
    assert watched.passes == 6
    await other.close()

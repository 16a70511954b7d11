"""What a look at the database asks for: each question costs the server and this process."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from service.live.follower import Follower
from service.live.last_known import LastKnown
from service.storage.database import ChangeMark, Row
from service.storage.dialect import Statement
from service.storage.migrate import migrate
from service.storage.queries.changes import FEEDBACK_AFTER
from service.storage.queries.privacy import ERASED_USERS, erase_user
from service.storage.queries.recording import Feedback, insert_feedback
from service.storage.sqlite import SQLiteDatabase
from tests.sites import NOW, VERSION, a_model, an_event, live_state

FACTS = {"version": VERSION, "cutoff": NOW, "last_feedback_id": 0, "fingerprints": {}}


class Marked(SQLiteDatabase):
    """Knows when each table was changed last, as a server does, and what was asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.changes: Counter[str] = Counter()
        self.asked: list[Statement] = []

    async def change_mark(self, tables: Sequence[str]) -> ChangeMark | None:
        return tuple(self.changes[table] for table in tables)

    async def fetch(self, statement: Statement, params: Sequence[Any] = ()) -> list[Row]:
        self.asked.append(statement)
        return await super().fetch(statement, params)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Marked]:
    database = Marked(tmp_path / "site.db")
    await database.connect(1.0)
    await migrate(database)
    yield database
    await database.close()


async def test_where_only_feedback_comes_nothing_else_is_asked_for_and_it_counts(site: Marked) -> None:
    state = live_state(a_model({"ann": ["rock"]}), [an_event("rock"), an_event("jazz")])
    follower = Follower(state, FACTS, site, None, LastKnown(None), lambda: float(NOW + 10), 0.0)
    await follower.follow_site()
    await insert_feedback(site, [Feedback("ann", "jazz", "save", NOW + 5)])
    site.changes["ml_feedback"] += 1
    site.asked.clear()

    await follower.follow_site()

    assert site.asked == [FEEDBACK_AFTER]
    assert state.event_index("jazz") in state.profile("ann").events


async def test_a_table_that_has_changed_has_all_of_them_looked_at(site: Marked) -> None:
    state = live_state(a_model({"ann": ["rock"]}), [an_event("rock")])
    follower = Follower(state, FACTS, site, None, LastKnown(None), lambda: float(NOW + 10), 0.0)
    await follower.follow_site()
    await erase_user(site, "ann", NOW + 5)
    site.changes["ml_erased_users"] += 1

    await follower.follow_site()

    assert ERASED_USERS in site.asked
    assert not state.profile("ann").events.size

"""What a start reads of ml_feedback, and that nothing is missed however late it was committed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.live.feedback_follower import LATE_COMMIT_SECONDS, FeedbackFollower
from service.live.intake import Intake
from service.live.last_known import LastKnown
from service.live.state import LiveState
from service.storage.database import Database
from service.storage.dialect import Statement
from service.storage.migrate import migrate
from service.storage.queue import DurableQueue, QueueSettings, open_queue
from service.storage.snapshot import SnapshotFile
from service.storage.sqlite import open_sqlite
from service.storage.times import to_text
from tests.service.storage.queue_fakes import feedback
from tests.sites import NOW, VERSION, a_model, an_event, live_state

FACTS = {"version": VERSION, "cutoff": NOW, "last_feedback_id": 100}
_WRITE = Statement(
    "INSERT INTO ml_feedback (id, user_id, event_id, action, created_at) VALUES (?, ?, ?, ?, ?)"
)


@dataclass
class Process:
    """One process after the other, on the same disk and database."""

    database: Database
    queue: DurableQueue
    snapshot: SnapshotFile
    now: float = NOW + 10.0
    state: LiveState = field(init=False)
    follower: FeedbackFollower = field(init=False)

    async def start(self, version: str = VERSION) -> None:
        self.state = live_state(a_model({"ann": ["rock"]}), [an_event("rock")])
        last_known = LastKnown(self.snapshot)
        facts = FACTS | {"version": version}
        self.follower = FeedbackFollower(
            facts, Intake(self.state), self.database, self.queue, last_known, lambda: self.now
        )
        await self.follower.start_from(await last_known.load(lambda events: None))

    async def write(self, first: int, last: int | None = None, at: int = NOW + 5) -> None:
        """What another program writes: somebody called after the row's id saves an event called so."""
        numbers = range(first, (last or first) + 1)
        rows = [(number, f"u{number}", f"e{number}", "save", to_text(at)) for number in numbers]
        await self.database.execute_many(_WRITE, rows)

    def knows(self, number: int) -> bool:
        return self.state.event_index(f"e{number}") in self.state.profile(f"u{number}").events

    async def look(self, later: float = 0.0) -> None:
        self.now += later
        await self.follower.follow()


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    database = await open_sqlite(tmp_path / "site.db", 1.0)
    await migrate(database)
    queue = await open_queue(QueueSettings(tmp_path))
    process = Process(database, queue, SnapshotFile(tmp_path / "snapshot.db"))
    await process.start()
    yield process
    await queue.close()
    await database.close()


async def forget_rows(process: Process, last: int) -> None:
    """Take rows out of the table, so that only what was kept can tell of them."""
    await process.database.execute(Statement("DELETE FROM ml_feedback WHERE id <= ?"), (last,))


async def test_what_was_trained_is_left_and_what_came_since_counts(process: Process):
    await process.write(99, 102)
    await process.look()
    assert [process.knows(number) for number in range(99, 103)] == [False, False, True, True]


async def test_a_row_committed_late_is_seen_once_the_next_looks_are_over(process: Process):
    await process.write(200)
    await process.look()
    await process.write(150)  # written before the one above, and only now to be seen
    await process.look(later=LATE_COMMIT_SECONDS + 0.5)
    assert process.knows(150)


async def test_a_start_has_what_came_from_elsewhere_without_reading_it_again(process: Process):
    await process.write(101, 250)
    await process.look()
    await process.look(later=LATE_COMMIT_SECONDS)
    await forget_rows(process, 250)
    await process.write(251)

    await process.start()

    assert process.knows(101)
    assert process.knows(250)
    await process.look()
    assert process.knows(251)


async def test_starts_that_follow_one_another_soon_get_further_all_the_same(process: Process):
    await process.write(101, 250)
    for _ in range(3):
        process.now += LATE_COMMIT_SECONDS
        await process.start()
        await process.look()
    await process.write(251)
    await forget_rows(process, 250)
    await process.start()
    await process.look()
    assert [process.knows(number) for number in (101, 250, 251)] == [True] * 3


async def test_a_start_reads_again_what_may_have_been_committed_late(process: Process):
    await process.write(101, 300)
    await process.look()
    await process.database.execute(Statement("DELETE FROM ml_feedback WHERE id = 150"))
    await process.write(150, at=NOW + 6)
    process.now += LATE_COMMIT_SECONDS
    await process.start()
    await process.look()
    assert process.state.last_acted_at("u150", "e150") == NOW + 6


async def test_what_this_machine_acknowledged_is_not_kept_a_second_time(process: Process):
    entry = feedback(user_id="u101", event_id="e101", action="save", recorded_at=NOW + 5.25)
    await process.queue.put([entry])
    Intake(process.state).apply(entry.user_id, entry.event_id, entry.action, entry.recorded_at)
    await process.write(101, 250)
    await process.look()
    kept = await process.snapshot.load(lambda events: None)
    assert [row[0] for row in kept.feedback] == list(range(102, 251))


async def test_from_before_the_cut_off_rows_are_kept_whoever_told_of_them(process: Process):
    Intake(process.state).apply("u101", "e101", "save", NOW - 0.5)
    await process.write(101, at=NOW - 1)
    await process.look()
    kept = await process.snapshot.load(lambda events: None)
    assert [row[0] for row in kept.feedback] == [101]


async def test_for_another_model_all_is_read_anew(process: Process):
    await process.write(101, 250)
    await process.look()
    await process.start(version="20270116T080000Z")
    assert not process.knows(101)
    await process.look()
    assert process.knows(101)


async def test_without_all_of_the_queue_everything_is_read_anew(process: Process):
    await process.write(101, 250)
    await process.look()
    await process.queue.put([feedback(1), feedback(2, user_id="bob")])
    waiting = await process.queue.waiting(10)
    await process.queue.settle_feedback(waiting.feedback)
    await process.queue.prune()  # they are from long ago
    assert not await process.queue.holds_all_since(NOW)
    await process.start()
    assert not process.knows(101)
    await process.look()
    assert process.knows(101)

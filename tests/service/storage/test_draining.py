import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest
from msgspec import Raw

from service.storage.database import Database, Row, Session
from service.storage.dialect import Dialect, Statement
from service.storage.draining import Drainer, backoff_seconds
from service.storage.errors import StatementError, StorageUnavailable
from service.storage.migrate import migrate
from service.storage.opening import open_database
from service.storage.queries import privacy
from service.storage.queries.recording import INSERT_FEEDBACK, Feedback, insert_feedback
from service.storage.queue import DurableQueue, QueueSettings, open_queue
from service.storage.queue_entries import Outcome, QueueUnavailableError
from tests.service.storage.queue_fakes import NOON, Clock, exposure, feedback, until
from tests.service.storage.queue_processes import child

FEEDBACK_ROWS = Statement(
    "SELECT idempotency_key, request_hash, user_id, event_id, action, context, recommendation_id,"
    " {epoch:created_at} FROM ml_feedback ORDER BY id"
)
PREDICTION_ROWS = Statement(
    "SELECT recommendation_id, user_id, model_version, variant, arm, city, event_ids, num_recommendations,"
    " latency_ms, experiment_id, is_exposure, {epoch:created_at} FROM model_predictions ORDER BY id"
)


class Between:
    """A database that calls `before` ahead of every statement, and `after` behind it, for all a test wants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dialect: Dialect = database.dialect
        self.before: Callable[[Statement], Awaitable[None]] = nothing
        self.after: Callable[[Statement], Awaitable[None]] = nothing

    async def fetch(self, statement: Statement, params: Sequence[Any] = ()) -> list[Row]:
        await self.before(statement)
        rows = await self._database.fetch(statement, params)
        await self.after(statement)
        return rows

    async def execute(self, statement: Statement, params: Sequence[Any] = ()) -> int:
        await self.before(statement)
        changed = await self._database.execute(statement, params)
        await self.after(statement)
        return changed

    async def execute_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> int:
        await self.before(statement)
        changed = await self._database.execute_many(statement, rows)
        await self.after(statement)
        return changed

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        return self._database.transaction()

    async def close(self) -> None:
        await self._database.close()


async def nothing(statement: Statement) -> None:
    """What `Between` does unless a test says otherwise."""


async def away(statement: Statement) -> None:
    raise StorageUnavailable("the database is away")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def queue(tmp_path, clock) -> AsyncIterator[DurableQueue]:
    opened = await open_queue(QueueSettings(tmp_path / "queue"), clock)
    yield opened
    await opened.close()


@pytest.fixture
async def embedded(file_settings) -> AsyncIterator[Between]:
    """A migrated SQLite, for what does not depend on the engine."""
    database = await open_database(file_settings)
    await migrate(database)
    yield Between(database)
    await database.close()


async def drain(queue: DurableQueue, database: Database, batch_rows: int = 500) -> Drainer:
    drainer = Drainer(queue, database, batch_rows=batch_rows)
    while await drainer.drain_once():
        pass
    return drainer


async def keys_in(database: Session) -> list[str]:
    return [row[0] for row in await database.fetch(FEEDBACK_ROWS)]


async def nothing_waits(queue: DurableQueue) -> bool:
    status = await queue.status()
    return status.waiting_feedback == status.waiting_exposures == status.waiting_erasures == 0


class TestMovingRows:
    async def test_feedback_arrives_in_order_with_every_field(self, queue, db):
        full = feedback(0, recommendation_id="answer-1", user_id="Zoë 🎻", recorded_at=NOON + 0.9)
        await queue.put([full, feedback(1, context=None)])
        await queue.put([feedback(number) for number in range(2, 30)])
        drainer = await drain(queue, db, batch_rows=7)
        rows = await db.fetch(FEEDBACK_ROWS)
        assert rows[0] == (
            *(full.key, full.request_hash, "Zoë 🎻", "event-0", "save", '{"page":"home"}', "answer-1"),
            int(NOON),
        )
        assert rows[1][5:7] == (None, None)
        assert [row[0] for row in rows] == [f"key-{number}" for number in range(30)]
        assert (drainer.drained, drainer.refused) == (30, 0)
        assert await nothing_waits(queue)

    async def test_exposures_arrive_in_order_with_every_field(self, queue, db):
        guest = exposure(
            2, user_id=None, city=None, experiment_id=None, is_exposure=False, event_ids=Raw(b"[]")
        )
        queue.put_exposures([exposure(1, latency_ms=0.75), guest, exposure(3)])
        await queue.flush()
        await drain(queue, db, batch_rows=2)
        rows = [list(row) for row in await db.fetch(PREDICTION_ROWS)]
        shown = [json.loads(row.pop(6)) for row in rows]
        arm = "collaborative_filtering"
        assert shown == [["e1", "e2"], [], ["e1", "e2"]]
        assert rows[0] == [
            *("answer-1", "ann", "v1", "hybrid", arm, "Dublin", 2, 0.75, "rec_algorithm_v1", 1, int(NOON))
        ]
        assert rows[1] == ["answer-2", None, "v1", "hybrid", arm, None, 0, 0.75, None, 0, int(NOON)]
        assert rows[2][0] == "answer-3"

    async def test_what_was_drained_before_is_not_counted_twice(self, queue, db, monkeypatch):
        async def killed(*_: object) -> None:
            raise QueueUnavailableError

        await queue.put([feedback(number) for number in range(5)])
        queue.put_exposures([exposure(number) for number in range(5)])
        await queue.flush()
        for settle in ("settle_feedback", "settle_exposures"):
            with monkeypatch.context() as patch, pytest.raises(QueueUnavailableError):
                patch.setattr(queue, settle, killed)  # as if killed after the database's commit
                await drain(queue, db)
        await drain(queue, db)
        assert await keys_in(db) == [f"key-{number}" for number in range(5)]
        assert len(await db.fetch(PREDICTION_ROWS)) == 5
        assert (await queue.status()).refused == 0

    async def test_an_empty_queue_asks_nothing_of_the_database(self, queue, embedded):
        embedded.before = away
        assert not await Drainer(queue, embedded).drain_once()


class TestDatabaseAway:
    async def test_rows_wait_while_it_is_away_and_drain_in_order_when_it_is_back(self, queue, embedded):
        await queue.put([feedback(0)])
        embedded.before = away
        with pytest.raises(StorageUnavailable):
            await drain(queue, embedded)
        await queue.put([feedback(number) for number in range(1, 20)])
        with pytest.raises(StorageUnavailable):
            await drain(queue, embedded)
        assert (await queue.status()).waiting_feedback == 20
        embedded.before = nothing
        await drain(queue, embedded, batch_rows=6)
        assert await keys_in(embedded) == [f"key-{number}" for number in range(20)]

    async def test_going_away_in_the_middle_repeats_only_without_effect(self, queue, embedded):
        await queue.put([feedback(number) for number in range(30)])
        embedded.after = failing_at(3, StorageUnavailable("gone after it had committed"))
        with pytest.raises(StorageUnavailable):
            await drain(queue, embedded, batch_rows=8)
        assert (await queue.status()).waiting_feedback == 14
        await drain(queue, embedded, batch_rows=8)
        assert await keys_in(embedded) == [f"key-{number}" for number in range(30)]

    async def test_a_database_that_is_not_migrated_makes_rows_wait_and_refuses_none(
        self, queue, database_settings
    ):
        database = await open_database(database_settings)
        await queue.put([feedback(number) for number in range(3)])
        with pytest.raises(StorageUnavailable, match="ml_feedback"):
            await drain(queue, database)
        await migrate(database)
        await drain(queue, database)
        assert len(await keys_in(database)) == 3
        assert (await queue.status()).refused == 0
        await database.close()

    async def test_a_table_that_is_back_the_moment_after_a_row_failed_refuses_nothing(self, queue, embedded):
        await queue.put([feedback(0)])
        embedded.before = failing_at(1, StatementError("no such table: ml_feedback"))
        await drain(queue, embedded)
        assert await keys_in(embedded) == ["key-0"]
        assert (await queue.status()).refused == 0

    def test_waiting_gets_longer_up_to_ten_seconds(self):
        assert [backoff_seconds(failures, lambda: 0.0) for failures in range(1, 8)] == [
            *(0.5, 1.0, 2.0, 4.0, 8.0),
            *(10.0, 10.0),
        ]
        assert backoff_seconds(1_000_000, lambda: 1.0) == 5.0
        waits = {backoff_seconds(3) for _ in range(50)}
        assert len(waits) > 10
        assert all(1.0 <= wait <= 2.0 for wait in waits)


class TestRefusedRows:
    async def test_rows_that_the_database_refuses_are_set_aside_and_the_others_stored_in_order(
        self, queue, db, caplog
    ):
        await refuse_event(db, "bad")
        bad = {3, 4, 17}
        await queue.put([feedback(n, event_id="bad" if n in bad else "good") for n in range(20)])
        drainer = await drain(queue, db)
        assert await keys_in(db) == [f"key-{number}" for number in range(20) if number not in bad]
        assert (drainer.drained, drainer.refused) == (17, 3)
        assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 3
        refused = (await queue.export_user("ann")).refused
        assert [json.loads(row.content)["key"] for row in refused] == ["key-3", "key-4", "key-17"]
        assert all("not this one" in row.reason for row in refused)
        assert await nothing_waits(queue)

    async def test_a_retry_of_a_refused_request_is_still_a_retry(self, queue, embedded):
        await refuse_event(embedded, "bad")
        await queue.put([feedback(1, event_id="bad")])
        await drain(queue, embedded)
        assert await queue.put([feedback(1, event_id="bad")]) == [Outcome.REPEATED]

    async def test_a_value_too_long_for_its_column_is_refused_not_cut(self, queue, site_settings):
        database = await open_database(site_settings)
        await migrate(database)
        queue.put_exposures([exposure(1), exposure(2, model_version="v" * 51), exposure(3)])
        await queue.flush()
        await drain(queue, database)
        assert [row[0] for row in await database.fetch(PREDICTION_ROWS)] == ["answer-1", "answer-3"]
        [refused] = (await queue.export_user("ann")).refused
        assert (refused.kind, json.loads(refused.content)["recommendation_id"]) == ("exposures", "answer-2")
        assert "model_version" in refused.reason
        await database.close()

    async def test_a_key_that_another_request_has_in_the_database_is_set_aside(self, queue, db):
        known = Feedback("ann", "e1", "save", int(NOON), idempotency_key="key-1", request_hash="f" * 64)
        await insert_feedback(db, [known])
        await queue.put([feedback(0), feedback(1), feedback(2)])
        drainer = await drain(queue, db)
        assert await keys_in(db) == ["key-1", "key-0", "key-2"]
        assert drainer.refused == 1
        [refused] = (await queue.export_user("ann")).refused
        assert "idempotency key" in refused.reason


def failing_at(number: int, error: Exception) -> Callable[[Statement], Awaitable[None]]:
    """What `Between` calls so that the insert of feedback of that number, from 1 on, fails, and no other."""
    inserts = 0

    async def fail(statement: Statement) -> None:
        nonlocal inserts
        inserts += statement is INSERT_FEEDBACK
        if statement is INSERT_FEEDBACK and inserts == number:
            raise error

    return fail


async def refuse_event(database: Session, event_id: str) -> None:
    """Have the database refuse feedback on one event."""
    refuse = {
        "sqlite": f"WHEN NEW.event_id = '{event_id}' BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        "mysql": f"FOR EACH ROW IF NEW.event_id = '{event_id}' THEN"
        " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF",
    }[database.dialect.name]
    await database.execute(Statement(f"CREATE TRIGGER picky BEFORE INSERT ON ml_feedback {refuse}"))


class TestErasing:
    async def test_an_erasure_reaches_the_database(self, queue, db, clock):
        await queue.put([feedback(1), feedback(2, user_id="bob")])
        queue.put_exposures([exposure(1), exposure(2, user_id="bob")])
        await queue.flush()
        await drain(queue, db)
        await queue.erase_user("ann")
        await drain(queue, db)
        assert await keys_in(db) == ["key-2"]
        assert [row[0] for row in await db.fetch(PREDICTION_ROWS)] == ["answer-2"]
        assert await privacy.erased_users(db) == {"ann": int(NOON)}
        assert await nothing_waits(queue)

    async def test_an_erasure_waits_for_a_database_that_is_away(self, queue, embedded):
        await queue.put([feedback(1)])
        await drain(queue, embedded)
        embedded.before = away
        await queue.erase_user("ann")
        with pytest.raises(StorageUnavailable):
            await drain(queue, embedded)
        assert (await queue.status()).waiting_erasures == 1
        embedded.before = nothing
        await drain(queue, embedded)
        assert await keys_in(embedded) == []

    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_rows_of_a_batch_under_way_do_not_outlive_an_erasure(self, queue, embedded, clock, moment):
        await queue.put([feedback(1), feedback(2, user_id="bob")])

        async def erase(statement: Statement) -> None:
            if statement is INSERT_FEEDBACK:
                clock.now += 1
                setattr(embedded, moment, nothing)
                await queue.erase_user("ann")

        setattr(embedded, moment, erase)
        await drain(queue, embedded)
        assert await keys_in(embedded) == ["key-1", "key-2"]  # the batch was under way
        await drain(queue, embedded)
        assert await keys_in(embedded) == ["key-2"]

    async def test_a_drainer_killed_in_that_batch_leaves_the_erasure_to_the_next(
        self, queue, embedded, monkeypatch
    ):
        async def killed(*_: object) -> None:
            await queue.erase_user("ann")
            raise QueueUnavailableError

        await queue.put([feedback(1)])
        with monkeypatch.context() as patch, pytest.raises(QueueUnavailableError):
            patch.setattr(queue, "settle_feedback", killed)
            await drain(queue, embedded)
        assert await keys_in(embedded) == ["key-1"]
        await drain(queue, embedded)
        assert await keys_in(embedded) == []

    async def test_who_comes_back_after_an_erasure_keeps_what_they_do_then(
        self, queue, embedded, clock, monkeypatch
    ):
        async def killed(*_: object) -> None:
            raise QueueUnavailableError

        await queue.put([feedback(1)])
        await queue.erase_user("ann")
        clock.now += 1
        await queue.put([feedback(2, recorded_at=clock.now)])
        for settle in ("settle_erasure", "settle_feedback"):
            with monkeypatch.context() as patch, pytest.raises(QueueUnavailableError):
                patch.setattr(queue, settle, killed)
                await drain(queue, embedded)
        await drain(queue, embedded)
        assert await keys_in(embedded) == ["key-2"]

    async def test_erasing_again_after_the_first_was_applied_is_applied_too(self, queue, embedded, clock):
        await queue.erase_user("ann")
        await drain(queue, embedded)
        clock.now += 1
        await queue.put([feedback(1, recorded_at=clock.now)])
        await drain(queue, embedded)
        clock.now += 1
        await queue.erase_user("ann")
        await drain(queue, embedded)
        assert await keys_in(embedded) == []

    async def test_erasing_again_while_the_first_is_applied_is_applied_too(self, queue, embedded, clock):
        await queue.erase_user("ann")
        waiting = await queue.waiting(10)
        clock.now += 5
        await queue.erase_user("ann")
        await queue.settle_erasure("ann", waiting.erasures["ann"])
        assert (await queue.waiting(10)).erasures == {"ann": int(NOON) + 5}


class TestRunning:
    @pytest.fixture
    async def start(self) -> AsyncIterator[Callable[[Drainer], asyncio.Task[None]]]:
        tasks: list[asyncio.Task[None]] = []

        def start(drainer: Drainer) -> asyncio.Task[None]:
            tasks.append(asyncio.create_task(drainer.run()))
            return tasks[-1]

        yield start
        for task in tasks:
            await stop(task)

    async def test_it_drains_as_soon_as_something_is_put(self, queue, embedded, start):
        drainer = Drainer(queue, embedded, poll_seconds=3_600, gather_seconds=0)
        start(drainer)
        for number in range(3):
            await queue.put([feedback(number)])
            await until(lambda: nothing_waits(queue))
        assert await keys_in(embedded) == ["key-0", "key-1", "key-2"]

    async def test_it_finds_what_other_processes_put(self, queue, embedded, start):
        start(Drainer(queue, embedded, poll_seconds=0.01))
        await until(lambda: nothing_waits(queue))
        other = await open_queue(queue.settings)
        await other.put([feedback(1)])
        await other.close()
        await until(lambda: nothing_waits(queue))
        assert await keys_in(embedded) == ["key-1"]

    async def test_it_tells_that_the_database_is_away_and_goes_on_when_it_is_back(
        self, queue, embedded, start, caplog
    ):
        caplog.set_level(logging.INFO)
        embedded.before = away
        drainer = Drainer(queue, embedded, poll_seconds=0.01)
        start(drainer)
        await queue.put([feedback(1)])
        await until(lambda: drainer.failure is not None)
        assert drainer.failure == "the database is away"
        embedded.before = nothing
        await until(lambda: drainer.failure is None)
        assert await keys_in(embedded) == ["key-1"]
        assert "rows wait in the queue: the database is away" in caplog.text
        assert "rows are drained again" in caplog.text

    async def test_an_error_that_nobody_foresaw_is_logged_and_does_not_end_it(
        self, queue, embedded, start, caplog
    ):
        async def break_down(statement: Statement) -> None:
            embedded.before = nothing
            raise LookupError("unforeseen")

        embedded.before = break_down
        start(Drainer(queue, embedded))
        await queue.put([feedback(1)])
        await until(lambda: nothing_waits(queue))
        assert await keys_in(embedded) == ["key-1"]
        assert "Traceback" in caplog.text
        assert "unforeseen" in caplog.text

    async def test_one_drains_and_another_takes_its_place(self, queue, embedded, start):
        other_queue = await open_queue(queue.settings)
        first = Drainer(queue, embedded, poll_seconds=0.01)
        second = Drainer(other_queue, embedded, poll_seconds=0.01)
        task = start(first)
        await until(lambda: first.drains)
        start(second)
        await queue.put([feedback(1)])
        await until(lambda: nothing_waits(queue))
        assert (first.drains, second.drains) == (True, False)
        await stop(task)
        await until(lambda: second.drains)
        await queue.put([feedback(2)])
        await until(lambda: nothing_waits(queue))
        assert (first.drained, second.drained) == (1, 1)
        await other_queue.close()

    async def test_it_deletes_what_was_kept_long_enough(self, queue, embedded, clock, start):
        async def is_empty() -> bool:
            return await queue.actions_after(0, 1) == []

        await queue.put([feedback(number) for number in range(450)])
        clock.now += queue.settings.keep_seconds + 1
        start(Drainer(queue, embedded, poll_seconds=0.01, gather_seconds=0.0))
        await until(is_empty)
        assert len(await keys_in(embedded)) == 450


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.faults
async def test_drainers_killed_at_any_moment_leave_each_row_once_and_in_order(queue, file_settings):
    rng = random.Random(3)
    database = await open_database(file_settings)
    await migrate(database)
    await database.close()
    for round_ in range(6):
        entries = [feedback(f"{round_}-{number:03}") for number in range(80)]
        with child("drain", queue.settings.directory, file_settings.path):
            await queue.put(entries[:40])
            queue.put_exposures([exposure(f"{round_}-{number}") for number in range(40)])
            await queue.put(entries[40:])
            left = rng.randint(0, 70)

            async def far_enough(left: int = left) -> bool:
                return (await queue.status()).waiting_feedback <= left

            await until(far_enough)
    await queue.flush()
    database = await open_database(file_settings)
    await drain(queue, database)
    keys = await keys_in(database)
    assert keys == [f"key-{round_}-{number:03}" for round_ in range(6) for number in range(80)]
    assert len(await database.fetch(PREDICTION_ROWS)) == 6 * 40
    await database.close()

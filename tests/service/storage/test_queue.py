import asyncio
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from service.storage import queue as queue_module
from service.storage.errors import StorageUnavailable
from service.storage.file_lock import FileLock
from service.storage.queue import DurableQueue, QueueSettings, open_queue
from service.storage.queue_entries import (
    ErasedRows,
    FeedbackEntry,
    KeyReusedError,
    Outcome,
    QueueFullError,
    QueueUnavailableError,
    Refusal,
)
from service.storage.queue_packs import Pack, unpack_exposures
from service.storage.queue_reads import MOST_DISORDER_SECONDS
from service.storage.queue_schema import open_for_writing
from service.storage.queue_writes import PRUNE_ROWS, REFUSED_KEPT_SECONDS, QueueWrites
from tests.service.storage.queue_fakes import NOON, Clock, exposure, feedback, until
from tests.service.storage.queue_processes import child, lines_after_kill, start_together

NEW, REPEATED, FORGOTTEN = Outcome.NEW, Outcome.REPEATED, Outcome.FORGOTTEN
OTHER_HASH = "f" * 64


@pytest.fixture
def settings(tmp_path: Path) -> QueueSettings:
    return QueueSettings(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def queue(settings: QueueSettings, clock: Clock) -> AsyncIterator[DurableQueue]:
    opened = await open_queue(settings, clock)
    yield opened
    await opened.close()


async def entries_of(queue: DurableQueue) -> list[FeedbackEntry]:
    """All that is in the file, drained or not."""
    with closing(sqlite3.connect(queue.settings.file)) as file:
        rows = file.execute(
            "SELECT key, request_hash, user_id, event_id, action, context, recommendation_id, recorded_at"
            " FROM feedback ORDER BY id"
        )
        return [FeedbackEntry(*row) for row in rows]


def refusal(content: str = "{}") -> Refusal:
    """A row of ann's that the database finds too long."""
    return Refusal("ann", NOON, content, "too long")


async def settle_all(queue: DurableQueue, refusals: Sequence[Refusal] = ()) -> None:
    """Stand in for a drainer whose database takes everything but `refusals`."""
    waiting = await queue.waiting(100_000)
    await queue.settle_feedback(waiting.feedback, refusals)
    await queue.settle_exposures(waiting.exposures)
    await queue.settle_counted(waiting.feedback.end.position, [])


class TestPutting:
    async def test_what_was_put_can_be_read_in_order_with_every_field(self, queue):
        entries = [
            feedback(1),
            feedback(2, context=None, recommendation_id="answer-7", user_id="Zoë", action="hide"),
            feedback(3, recorded_at=NOON + 0.123),
        ]
        assert await queue.put(entries[:2]) == [NEW, NEW]
        assert await queue.put(entries[2:]) == [NEW]
        waiting = (await queue.waiting(10)).feedback.rows
        assert [row.entry for row in waiting] == entries
        assert [row.position for row in waiting] == [1, 2, 3]
        assert not any(row.drained for row in waiting)
        assert await queue.actions_after(0, 10) == [
            (place, one.user_id, one.event_id, one.action, one.recorded_at, False)
            for place, one in enumerate(entries, 1)
        ]

    async def test_another_process_reads_it_as_soon_as_it_is_acknowledged(self, queue, settings):
        other = await open_queue(settings)
        await queue.put([feedback(1)])
        assert await entries_of(other) == [feedback(1)]
        await other.close()

    async def test_it_is_there_after_the_queue_was_closed_and_opened_again(self, settings):
        first = await open_queue(settings)
        await first.put([feedback(1)])
        await first.close()
        second = await open_queue(settings)
        assert await second.put([feedback(1), feedback(2)]) == [REPEATED, NEW]
        await second.close()

    async def test_a_repeated_request_is_stored_once(self, queue):
        assert await queue.put([feedback(1), feedback(1)]) == [NEW, REPEATED]
        assert await queue.put([feedback(1, recorded_at=NOON + 60)]) == [REPEATED]
        assert await entries_of(queue) == [feedback(1)]

    async def test_a_drained_request_is_still_recognised(self, queue):
        await queue.put([feedback(1)])
        await settle_all(queue)
        assert await queue.put([feedback(1)]) == [REPEATED]

    async def test_a_key_with_another_request_stores_nothing_of_its_call(self, queue):
        await queue.put([feedback(1)])
        with pytest.raises(KeyReusedError, match="key-1"):
            await queue.put([feedback(2), feedback(1, request_hash=OTHER_HASH), feedback(3)])
        assert await entries_of(queue) == [feedback(1)]

    async def test_two_requests_of_one_call_cannot_share_a_key(self, queue):
        with pytest.raises(KeyReusedError, match="key-1"):
            await queue.put([feedback(1), feedback(1, request_hash=OTHER_HASH)])
        assert await entries_of(queue) == []

    async def test_no_entries_are_no_trouble(self, queue):
        assert await queue.put([]) == []

    async def test_fifty_puts_of_one_key_are_one_row(self, queue):
        outcomes = await asyncio.gather(*(queue.put([feedback(1)]) for _ in range(50)))
        assert Counter(outcome for (outcome,) in outcomes) == {NEW: 1, REPEATED: 49}
        assert await entries_of(queue) == [feedback(1)]

    async def test_fifty_puts_of_one_key_from_two_processes_are_one_row(self, queue, settings):
        with ExitStack() as stack:
            children = [
                stack.enter_context(child("compete", settings.directory, "same", 25)) for _ in range(2)
            ]
            printed = start_together(children)
        assert Counter(" ".join(printed).split()) == {"new": 1, "repeated": 49}
        assert [entry.key for entry in await entries_of(queue)] == ["key-same"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("key", ""),
            ("key", "k" * 129),
            ("key", "clé"),
            ("request_hash", "0" * 63),
            ("request_hash", "G" * 64),
            ("recorded_at", float("nan")),
            ("recorded_at", -1.0),
            ("recorded_at", 1e12),
        ],
    )
    def test_an_entry_that_no_database_could_hold_is_refused_by_field(self, field, value):
        with pytest.raises(ValueError, match=f"^{field}: expected"):
            replace(feedback(), **{field: value})

    async def test_text_that_is_not_unicode_is_its_callers_error_alone(self, queue):
        with pytest.raises(UnicodeEncodeError):
            await queue.put([feedback(1), feedback(2, user_id="\ud800")])
        assert await entries_of(queue) == []


class TestSharedCommits:
    async def test_puts_that_arrive_during_a_commit_share_the_next_one(self, queue, settings, monkeypatch):
        sizes = spy_on_groups(monkeypatch)
        await self.held_up(settings, [queue.put([feedback(number)]) for number in range(100)])
        assert sum(sizes) == 100
        assert len(sizes) <= 2
        assert [entry.key for entry in await entries_of(queue)] == [f"key-{number}" for number in range(100)]

    async def test_a_refused_put_does_not_fail_those_that_share_its_commit(self, queue, settings):
        await queue.put([feedback("taken")])
        puts = [queue.put([feedback(number)]) for number in range(10)]
        puts.insert(5, queue.put([feedback("lost"), feedback("taken", request_hash=OTHER_HASH)]))
        outcomes = await self.held_up(settings, puts)
        assert isinstance(outcomes.pop(5), KeyReusedError)
        assert outcomes == [[NEW]] * 10
        assert len(await entries_of(queue)) == 11

    async def test_a_group_is_bounded(self, queue, settings, monkeypatch):
        sizes = spy_on_groups(monkeypatch)
        batches = [[feedback(f"{batch}-{number}") for number in range(400)] for batch in range(6)]
        await self.held_up(settings, [queue.put(batch) for batch in batches])
        assert max(sizes) <= 3
        assert len(await entries_of(queue)) == 2_400

    async def test_a_cancelled_put_does_no_harm_to_the_others(self, queue, settings):
        lock = FileLock(settings.directory / "queue.turn")
        with lock.hold():
            first, second, third = (asyncio.ensure_future(queue.put([feedback(n)])) for n in range(3))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait([second])
        lock.close()
        assert await first == await third == [NEW]
        assert second.cancelled()
        assert await queue.put([feedback(1)]) in ([NEW], [REPEATED])

    async def test_an_error_that_nobody_foresaw_reaches_the_caller_and_the_next_put_works(
        self, queue, monkeypatch
    ):
        def fail(self: QueueWrites, puts: object) -> None:
            raise LookupError("unforeseen")

        with monkeypatch.context() as patch, pytest.raises(LookupError, match="unforeseen"):
            patch.setattr(QueueWrites, "put_group", fail)
            await queue.put([feedback(1)])
        assert await queue.put([feedback(1)]) == [NEW]

    async def held_up(self, settings: QueueSettings, puts: list) -> list:
        """Start the puts while another process has its turn, so that they pile up, and give all their results."""
        lock = FileLock(settings.directory / "queue.turn")
        with lock.hold():
            started = [asyncio.ensure_future(put) for put in puts]
            for _ in range(3):  # all of them are handed over
                await asyncio.sleep(0)
        lock.close()
        return await asyncio.gather(*started, return_exceptions=True)


def spy_on_groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of puts of each commit, as they happen."""
    sizes: list[int] = []
    original = QueueWrites.put_group

    def put_group(self: QueueWrites, puts: Sequence[Sequence[FeedbackEntry]]) -> object:
        sizes.append(len(puts))
        return original(self, puts)

    monkeypatch.setattr(QueueWrites, "put_group", put_group)
    return sizes


class TestCapacity:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> QueueSettings:
        return QueueSettings(tmp_path, max_bytes=60_000, buffer_rows=500)

    async def fill(self, queue: DurableQueue) -> int:
        """Put until the queue is full; returns how many entries it took."""
        for number in range(10_000):
            try:
                await queue.put([feedback(number)])
            except QueueFullError:
                return number
        raise AssertionError("the queue never was full")

    async def test_a_full_queue_says_so_and_keeps_what_it_has(self, queue):
        stored = await self.fill(queue)
        with pytest.raises(QueueFullError) as caught:
            await queue.put([feedback("one more")])
        assert caught.value.retry_after > 0
        assert len(await entries_of(queue)) == stored > 10
        assert 59_000 < (await queue.status()).waiting_bytes <= 60_000

    async def test_a_full_queue_still_recognises_a_retry(self, queue):
        await self.fill(queue)
        assert await queue.put([feedback(0), feedback(1)]) == [REPEATED, REPEATED]

    async def test_a_batch_that_does_not_fit_as_a_whole_is_not_stored_in_part(self, queue):
        with pytest.raises(QueueFullError):
            await queue.put([feedback(number) for number in range(400)])
        assert await entries_of(queue) == []

    async def test_draining_makes_room(self, queue):
        stored = await self.fill(queue)
        await settle_all(queue)
        again = [feedback(f"again-{number}") for number in range(stored // 2)]
        assert await queue.put(again) == [NEW] * len(again)

    async def test_the_capacity_is_shared_by_all_processes_and_survives_a_restart(self, queue, settings):
        await self.fill(queue)
        other = await open_queue(settings)
        with pytest.raises(QueueFullError):
            await other.put([feedback("other")])
        await other.close()

    async def test_exposures_leave_half_of_it_to_feedback_and_what_is_lost_is_counted(self, queue, caplog):
        for number in range(300):
            queue.put_exposures([exposure(number)])
        await queue.flush()
        status = await queue.status()
        assert 15_000 < status.waiting_bytes <= 30_000
        assert queue.exposures_lost == 300 - status.waiting_exposures > 0
        assert "exposures are lost" in caplog.text
        assert await self.fill(queue) > 10

    async def test_the_exposures_that_came_first_are_kept(self, queue):
        for number in range(300):
            queue.put_exposures([exposure(number)])
        await queue.flush()
        kept = [entry.recommendation_id for entry in (await queue.waiting(1_000)).exposures.rows]
        assert len(kept) >= 50
        assert kept == [f"answer-{number}" for number in range(len(kept))]

    async def test_feedback_that_fills_the_queue_leaves_exposures_nothing(self, queue):
        await self.fill(queue)
        queue.put_exposures([exposure(1)])
        await queue.flush()
        assert queue.exposures_lost == 1

    async def test_memory_is_bounded_while_the_disk_is_slow(self, queue, settings, caplog):
        lock = FileLock(settings.directory / "queue.turn")
        with lock.hold():
            for number in range(1_200):
                queue.put_exposures([exposure(number)])
            # Beside the buffer, at most one more is in the hands of the thread.
            assert 200 <= queue.exposures_lost <= 700
        lock.close()
        assert len([record for record in caplog.records if "exposures are lost" in record.message]) == 1


class TestExposures:
    async def test_they_are_stored_with_every_field_without_being_asked_to(self, queue):
        entries = [
            exposure(1),
            exposure(2, user_id=None, city=None, experiment_id=None, is_exposure=False, event_ids=Raw(b"[]")),
        ]
        queue.put_exposures(entries)

        async def stored() -> bool:
            return (await queue.status()).waiting_exposures == 2

        await until(stored)
        assert list((await queue.waiting(10)).exposures.rows) == entries

    async def test_all_handed_over_before_a_clean_end_are_stored(self, settings):
        first = await open_queue(settings)
        for number in range(700):
            first.put_exposures([exposure(number)])
        await first.close()
        second = await open_queue(settings)
        assert (await second.status()).waiting_exposures == 700
        assert first.exposures_lost == 0
        await second.close()

    @pytest.mark.parametrize(
        "bad",
        [
            exposure("bad", latency_ms=float("nan")),
            exposure("bad", city="\ud800"),
            exposure("bad", event_ids=Raw(b'["\xff"]')),
            exposure("bad", created_at=float("inf")),
        ],
    )
    async def test_one_that_cannot_be_stored_is_counted_and_the_others_are_stored(self, queue, bad, caplog):
        queue.put_exposures([exposure(1), bad, exposure(2)])
        await queue.flush()
        kept = [entry.recommendation_id for entry in (await queue.waiting(10)).exposures.rows]
        assert kept == ["answer-1", "answer-2"]
        assert queue.exposures_lost == 1
        assert "exposures are lost, 1 since the start" in caplog.text

    async def test_an_error_that_nobody_foresaw_neither_loses_them_nor_ends_the_writing(
        self, queue, monkeypatch, caplog
    ):
        original, failures = QueueWrites.add_exposures, [LookupError("unforeseen")]

        def fail_once(self: QueueWrites, packs: Sequence[Pack]) -> int:
            if failures:
                raise failures.pop()
            return original(self, packs)

        async def stored() -> bool:
            return (await queue.status()).waiting_exposures == 1

        monkeypatch.setattr(QueueWrites, "add_exposures", fail_once)
        queue.put_exposures([exposure(1)])
        await until(stored)
        assert "unforeseen" in caplog.text
        assert queue.exposures_lost == 0

    async def test_drained_ones_are_deleted(self, queue):
        queue.put_exposures([exposure(1)])
        await queue.flush()
        await settle_all(queue)
        assert (await queue.export_user("ann")).exposures == ()
        assert (await queue.status()).waiting_bytes == 0


class TestTrouble:
    async def test_after_its_end_nothing_is_accepted_and_nothing_is_silent(self, settings):
        queue = await open_queue(settings)
        await queue.close()
        with pytest.raises(QueueUnavailableError):
            await queue.put([feedback(1)])
        with pytest.raises(QueueUnavailableError):
            await queue.actions_after(0, 1)
        queue.put_exposures([exposure(1)])
        assert queue.exposures_lost == 1

    async def test_a_put_that_cannot_have_its_turn_gives_up(self, tmp_path):
        queue = await open_queue(QueueSettings(tmp_path, wait_seconds=0.05))
        lock = FileLock(tmp_path / "queue.turn")
        with lock.hold():
            with pytest.raises(QueueUnavailableError) as caught:
                await queue.put([feedback(1)])
            assert caught.value.retry_after > 0
        lock.close()
        await queue.close()

    async def test_a_full_disk_refuses_and_loses_nothing(self, settings, small_disk, caplog):
        small_disk(40)
        queue = await open_queue(settings)
        acknowledged = []
        with pytest.raises(QueueUnavailableError) as caught:
            for number in range(10_000):
                await queue.put([feedback(number)])
                acknowledged.append(feedback(number))
        assert "full" in caplog.text
        assert "full" not in str(caught.value)  # what callers see says nothing of the machine
        assert await entries_of(queue) == acknowledged != []
        await queue.close()

    async def test_on_a_full_disk_a_large_put_does_not_fail_the_small_ones_beside_it(
        self, settings, small_disk
    ):
        small_disk(40)
        queue = await open_queue(settings)
        large = [feedback(f"large-{number}") for number in range(900)]
        outcomes = await TestSharedCommits().held_up(
            settings, [queue.put([feedback(1)]), queue.put(large), queue.put([feedback(2)])]
        )
        assert [outcomes[0], outcomes[2]] == [[NEW], [NEW]]
        assert isinstance(outcomes[1], QueueUnavailableError)
        assert await entries_of(queue) == [feedback(1), feedback(2)]
        await queue.close()

    async def test_a_disk_with_room_again_goes_on_as_if_nothing_had_been(self, settings, small_disk):
        clock = Clock()
        small_disk(40)
        queue = await open_queue(settings, clock)
        with pytest.raises(QueueUnavailableError):
            for number in range(10_000):
                await queue.put([feedback(number)])
        queue.put_exposures([exposure(number) for number in range(100)])
        with pytest.raises(QueueUnavailableError):
            await queue.flush()
        await settle_all(queue)
        clock.now += settings.keep_seconds + 1
        while await queue.prune():
            pass
        await queue.flush()
        assert (await queue.status()).waiting_exposures == 100
        assert queue.exposures_lost == 0
        assert await queue.put([feedback("after")]) == [NEW]
        await queue.close()

    async def test_exposures_that_cannot_be_stored_at_the_end_are_counted(self, settings, small_disk):
        small_disk(30)
        queue = await open_queue(settings)
        queue.put_exposures([exposure(number) for number in range(1_000)])
        await queue.close()
        assert queue.exposures_lost == 1_000

    async def test_a_file_that_is_no_queue_is_refused_by_name(self, settings):
        settings.file.write_bytes(b"this is not a database, and long enough to look like one" * 100)
        with pytest.raises(StorageUnavailable, match=r"queue\.db: file is not a database"):
            await open_queue(settings)

    async def test_a_file_of_another_version_is_refused_by_name(self, settings):
        await (await open_queue(settings)).close()
        connection = sqlite3.connect(settings.file)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(StorageUnavailable, match=r"queue\.db: .*another version"):
            await open_queue(settings)

    async def test_a_directory_that_cannot_be_made_is_refused_by_name(self, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageUnavailable, match="file/queue"):
            await open_queue(QueueSettings(tmp_path / "file" / "queue"))

    def test_several_processes_may_open_a_new_queue_at_the_same_moment(self, settings):
        with ExitStack() as stack:
            children = [stack.enter_context(child("open", settings.directory)) for _ in range(4)]
            assert start_together(children) == ["opened"] * 4


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Call it with a number of pages: files of queues opened afterwards cannot grow beyond them."""

    def limit(pages: int) -> None:
        def open_limited(path: Path, turn: FileLock, wait_seconds: float) -> sqlite3.Connection:
            connection = open_for_writing(path, turn, wait_seconds)
            connection.execute(f"PRAGMA max_page_count = {pages}")
            return connection

        monkeypatch.setattr(queue_module, "open_for_writing", open_limited)

    return limit


async def test_a_put_is_fsynced_also_after_a_write_that_was_not(settings, monkeypatch):
    connections = []

    def open_seen(path: Path, turn: FileLock, wait_seconds: float) -> sqlite3.Connection:
        connections.append(open_for_writing(path, turn, wait_seconds))
        return connections[0]

    monkeypatch.setattr(queue_module, "open_for_writing", open_seen)
    queue = await open_queue(settings)
    full = 2  # SQLite's number for it
    for number in range(2):
        await queue.put([feedback(number)])
        assert connections[0].execute("PRAGMA synchronous").fetchone() == (full,)
        assert connections[0].execute("PRAGMA journal_mode").fetchone() == ("wal",)
        await settle_all(queue)
    await queue.close()


class TestReading:
    async def test_each_process_can_follow_what_all_of_them_acknowledge(self, queue):
        await queue.put([feedback(number, event_id=str(number)) for number in range(5)])
        first = await queue.actions_after(0, 3)
        assert [row.event_id for row in first] == ["0", "1", "2"]
        rest = await queue.actions_after(first[-1].position, 3)
        assert [row.event_id for row in rest] == ["3", "4"]
        assert await queue.actions_after(rest[-1].position, 3) == []

    async def test_drained_rows_stay_and_say_so(self, queue):
        await queue.put([feedback(1)])
        await settle_all(queue)
        await queue.put([feedback(2)])
        assert [(row.position, row.drained) for row in await queue.actions_after(0, 9)] == [
            (1, True),
            (2, False),
        ]

    async def test_a_position_is_never_given_twice(self, queue, clock):
        await queue.put([feedback(1), feedback(2, user_id="bob")])
        await queue.erase_user("bob")
        clock.now += 1
        await queue.put([feedback(3, recorded_at=clock.now)])
        assert [row.position for row in await queue.actions_after(2, 9)] == [3]

    async def test_it_knows_whether_anything_recorded_since_was_dropped_for_its_age(self, queue, clock):
        assert await queue.holds_all_since(NOON)
        await queue.put([feedback(1), feedback(2)])
        assert await queue.holds_all_since(NOON)
        await settle_all(queue)
        clock.now += queue.settings.keep_seconds + 1
        await queue.prune()
        assert not await queue.holds_all_since(NOON)
        later = clock.now + 2 * MOST_DISORDER_SECONDS
        await queue.put([feedback(3, recorded_at=clock.now)])
        assert await queue.holds_all_since(later)
        assert not await queue.holds_all_since(clock.now)

    async def test_the_status_tells_what_waits_and_since_when(self, queue, clock):
        await queue.put([feedback(1), feedback(2, recorded_at=NOON + 5)])
        await settle_all(queue)
        await queue.put([feedback(3, recorded_at=NOON + 10)])
        queue.put_exposures([exposure(1, created_at=NOON + 12)])
        await queue.flush()
        clock.now = NOON + 30
        status = await queue.status()
        assert (status.waiting_feedback, status.waiting_exposures) == (1, 1)
        assert status.oldest_age_seconds == 20
        assert (status.drained_position, status.last_position) == (2, 3)
        assert status.waiting_bytes > 0
        await settle_all(queue)
        status = await queue.status()
        assert (status.waiting_feedback, status.waiting_exposures, status.waiting_bytes) == (0, 0, 0)
        assert status.oldest_age_seconds == 0

    async def test_news_are_told_at_once_and_once(self, queue):
        waiting = asyncio.ensure_future(queue.wait_for_news(3_600))
        await queue.put([feedback(1)])
        await asyncio.wait_for(waiting, 20)
        await queue.wait_for_news(0.001)  # there are no more of them: returns for the time


class TestErasing:
    async def test_everything_of_the_person_is_deleted_and_nothing_of_others(self, queue):
        await queue.put([feedback(1)])
        await settle_all(queue)
        await queue.put([feedback(2), feedback(3), feedback(4, user_id="bob")])
        queue.put_exposures([exposure(1), exposure(2, user_id="bob"), exposure(3, user_id=None)])
        erased = await queue.erase_user("ann")
        assert erased == ErasedRows(waiting_feedback=2, drained_feedback=1, exposures=1, refused=0)
        assert await entries_of(queue) == [feedback(4, user_id="bob")]
        data = await queue.export_user("ann")
        assert (data.feedback, data.exposures, data.erased_at) == ((), (), int(NOON))
        assert (await queue.status()).waiting_exposures == 2

    @pytest.mark.parametrize("user_id", ["ann", 'quo"ted', "back\\slash", "Zoë 🎻", "%", "e1"])
    async def test_exposures_of_one_person_are_found_among_those_of_others(self, queue, user_id):
        others = [exposure(number, user_id=f"{user_id}-{number}", city=user_id) for number in range(120)]
        mine = [exposure("mine-1", user_id=user_id), exposure("mine-2", user_id=user_id)]
        queue.put_exposures([*others[:60], mine[0], *others[60:], mine[1]])
        assert (await queue.export_user(user_id)).exposures == tuple(mine)
        assert (await queue.erase_user(user_id)).exposures == 2
        assert (await queue.export_user(user_id)).exposures == ()
        assert (await queue.waiting(1_000)).exposures.rows == tuple(others)
        assert (await queue.status()).waiting_exposures == 120

    async def test_what_was_recorded_before_it_is_not_taken_in_afterwards(self, queue, clock):
        await queue.erase_user("ann")
        assert await queue.put([feedback(1), feedback(2, user_id="bob")]) == [FORGOTTEN, NEW]
        queue.put_exposures([exposure(1), exposure(2, user_id="bob")])
        await queue.flush()
        assert (await queue.waiting(10)).exposures.rows == (exposure(2, user_id="bob"),)
        assert queue.exposures_lost == 0
        clock.now += 1
        assert await queue.put([feedback(1, recorded_at=clock.now)]) == [NEW]

    async def test_it_is_remembered_after_a_restart(self, queue, settings, clock):
        await queue.erase_user("ann")
        clock.now += 10
        await queue.erase_user("bob")
        other = await open_queue(settings)
        assert await other.erased_users() == {"ann": int(NOON), "bob": int(NOON) + 10}
        assert await other.erased_users(since=int(NOON) + 1) == {"bob": int(NOON) + 10}
        assert await other.put([feedback(1)]) == [FORGOTTEN]
        await other.close()

    async def test_it_leaves_no_trace_in_the_file(self, settings):
        queue = await open_queue(settings, Clock())
        await queue.put([feedback(1, context='{"page":"a rather private page"}')])
        await queue.put([feedback(2, user_id="bob", context='{"page":"of bob"}')])
        await queue.erase_user("ann")
        await queue.close()
        left = settings.file.read_bytes()
        assert b"of bob" in left
        assert b"a rather private page" not in left

    async def test_erasing_what_waits_last_leaves_nothing_waiting(self, queue):
        await queue.put([feedback(1)])
        await queue.erase_user("ann")
        batch = (await queue.waiting(10)).feedback
        assert batch.rows == ()
        assert not batch.is_settled
        await queue.settle_feedback(batch)
        assert (await queue.waiting(10)).feedback.is_settled
        assert (await queue.status()).waiting_bytes == 0

    async def test_the_export_shows_what_waits_and_what_was_set_aside(self, queue):
        await queue.put([feedback(1), feedback(2), feedback(3, user_id="bob")])
        await settle_all(queue, [refusal('{"key":"key-2"}')])
        queue.put_exposures([exposure(1), exposure(2, user_id="bob")])
        data = await queue.export_user("ann")
        assert [row.entry for row in data.feedback] == [feedback(1), feedback(2)]
        assert data.exposures == (exposure(1),)
        assert [(row.kind, row.content, row.reason) for row in data.refused] == [
            ("feedback", '{"key":"key-2"}', "too long")
        ]
        assert data.erased_at is None
        assert (await queue.erase_user("ann")).refused == 1

    async def test_a_row_erased_while_the_database_refused_it_is_not_set_aside(self, queue):
        await queue.put([feedback(1)])
        batch = (await queue.waiting(10)).feedback
        await queue.erase_user("ann")
        await queue.settle_feedback(batch, [refusal()])
        assert (await queue.export_user("ann")).refused == ()


class TestKeeping:
    async def test_drained_rows_are_kept_for_their_time(self, queue, clock, settings):
        await queue.put([feedback(1), feedback(2, recorded_at=NOON + 100)])
        await settle_all(queue)
        clock.now = NOON + settings.keep_seconds + 50
        assert not await queue.prune()
        assert [entry.key for entry in await entries_of(queue)] == ["key-2"]

    async def test_rows_that_wait_are_kept_however_old(self, queue, clock, settings):
        await queue.put([feedback(1)])
        clock.now = NOON + 10 * settings.keep_seconds
        await queue.prune()
        assert await entries_of(queue) == [feedback(1)]

    async def test_many_are_deleted_a_few_at_a_time(self, queue, clock, settings):
        await queue.put([feedback(number) for number in range(PRUNE_ROWS + 1)])
        await settle_all(queue)
        clock.now = NOON + settings.keep_seconds + 1
        assert await queue.prune()
        assert len(await entries_of(queue)) == 1
        assert not await queue.prune()
        assert await entries_of(queue) == []

    async def test_the_file_does_not_grow_with_what_passes_through_it(self, tmp_path):
        settings = QueueSettings(tmp_path, max_bytes=50_000)
        queue = await open_queue(settings, Clock())
        sizes = []
        for round_ in range(40):
            await queue.put([feedback(f"{round_}-{number}") for number in range(100)])
            queue.put_exposures([exposure(f"{round_}-{number}") for number in range(50)])
            await queue.flush()
            await settle_all(queue)
            while await queue.prune():
                pass
            sizes.append(self.pages(settings.file))
        assert max(sizes[10:]) <= 1.5 * max(sizes[:10])
        kept = sum(entry.stored_bytes for entry in await entries_of(queue))
        assert abs(kept - settings.max_bytes) < 1_000
        await queue.close()

    async def test_refused_rows_are_kept_for_someone_to_look_at(self, queue, clock):
        await queue.put([feedback(1)])
        await settle_all(queue, [refusal()])
        clock.now += REFUSED_KEPT_SECONDS - 1
        await queue.prune()
        assert (await queue.status()).refused == 1
        clock.now += 2
        await queue.prune()
        assert (await queue.status()).refused == 0

    def pages(self, file: Path) -> int:
        connection = sqlite3.connect(file)
        [(pages,)] = connection.execute("PRAGMA page_count")
        connection.close()
        return int(pages)


class TestCrashes:
    @pytest.mark.faults
    @pytest.mark.parametrize("round_", range(4))
    async def test_whatever_was_acknowledged_survives_kill_9(self, settings, round_):
        with child("acknowledge", settings.directory, round_) as process:
            acknowledged = lines_after_kill(process, lines=100 + 57 * round_)
        queue = await open_queue(settings)
        keys = [entry.key for entry in await entries_of(queue)]
        assert len(acknowledged) >= 100
        assert set(acknowledged) <= set(keys)
        assert len(set(keys)) == len(keys)
        assert await queue.put([feedback("after")]) == [NEW]
        await queue.close()

    @pytest.mark.faults
    async def test_a_torn_tail_loses_only_what_was_torn(self, settings, tmp_path):
        rng = random.Random(7)
        queue = await open_queue(settings)
        tail = settings.directory / "queue.db-wal"
        ends = []  # how long the tail was when each put had been acknowledged
        for number in range(40):
            await queue.put([feedback(f"{number}-{part}") for part in range(rng.randint(1, 15))])
            ends.append(tail.stat().st_size)
        assert ends == sorted(set(ends))
        for round_ in range(25):
            torn = QueueSettings(tmp_path / f"torn-{round_}")
            torn.directory.mkdir()
            shutil.copy(settings.file, torn.file)
            cut = rng.randint(0, ends[-1])
            rubbish = rng.randbytes(rng.choice([0, 0, 100, 9_000]))
            (torn.directory / tail.name).write_bytes(tail.read_bytes()[:cut] + rubbish)
            await self.check_torn(torn, whole_puts=sum(end <= cut for end in ends))
        await queue.close()

    async def check_torn(self, settings: QueueSettings, whole_puts: int) -> None:
        queue = await open_queue(settings)
        found = Counter(entry.key.split("-")[1] for entry in await entries_of(queue))
        assert list(found) == [str(number) for number in range(whole_puts)]
        assert await queue.put([feedback("after")]) == [NEW]
        await queue.close()


async def test_an_entry_counts_for_about_what_it_takes_on_disk(queue, settings):
    queue_bytes = 0
    for start in range(0, 4_000, 500):
        batch = [feedback(f"{number:032x}") for number in range(start, start + 500)]
        queue_bytes += sum(entry.stored_bytes for entry in batch)
        await queue.put(batch)
    connection = sqlite3.connect(settings.file)
    [(pages, page_bytes)] = connection.execute(
        "SELECT page_count, page_size FROM pragma_page_count(), pragma_page_size()"
    )
    connection.close()
    assert 0.5 < queue_bytes / (pages * page_bytes) < 2


def test_exposures_that_an_earlier_release_stored_know_how_many_events_were_shown():
    stored = msgspec.to_builtins(exposure(event_ids=["e1", "e2"]))
    del stored["num_recommendations"]

    [read] = unpack_exposures(msgspec.json.encode([stored]).decode())

    assert (bytes(read.event_ids), read.n_shown) == (b'["e1","e2"]', 2)

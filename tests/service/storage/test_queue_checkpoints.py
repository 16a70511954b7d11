import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.storage.file_lock import FileLock
from service.storage.queue import QueueSettings, open_queue
from service.storage.queue_checkpoints import Checkpointer
from service.storage.queue_schema import open_for_checkpoints, open_for_writing
from service.storage.queue_writer import CHECKPOINT_EVERY
from service.storage.queue_writes import QueueWrites
from tests.service.storage.queue_fakes import feedback


@pytest.fixture
def writes(tmp_path: Path) -> Iterator[QueueWrites]:
    turn = FileLock(tmp_path / "turn")
    writes = QueueWrites(open_for_writing(tmp_path / "queue.db", turn, 1.0), turn, 2**26)
    yield writes
    writes.close()


def checkpointer(directory: Path) -> Checkpointer:
    return Checkpointer(open_for_checkpoints(directory / "queue.db", 1.0), FileLock(directory / "turn"))


def rows_without_the_log(directory: Path) -> int:
    """How many rows of feedback are in the file itself."""
    alone = directory / "alone" / "queue.db"
    alone.parent.mkdir(exist_ok=True)
    shutil.copy(directory / "queue.db", alone)
    with closing(sqlite3.connect(alone)) as file:
        if not file.execute("SELECT 1 FROM sqlite_schema WHERE name = 'feedback'").fetchone():
            return 0
        return int(file.execute("SELECT count(*) FROM feedback").fetchone()[0])


def put(writes: QueueWrites, name: str, count: int) -> None:
    writes.put_group([[feedback(f"{name}-{number}") for number in range(count)]])


def test_what_was_committed_gets_into_the_file(writes: QueueWrites, tmp_path: Path):
    put(writes, "a", 100)
    checkpoints = checkpointer(tmp_path)
    assert rows_without_the_log(tmp_path) == 0
    checkpoints.begin()
    checkpoints.close()
    assert rows_without_the_log(tmp_path) == 100


def test_the_log_begins_anew_in_its_place(writes: QueueWrites, tmp_path: Path):
    sizes = []
    for name in "abcdef":
        put(writes, name, 200)
        checkpoints = checkpointer(tmp_path)
        checkpoints.begin()
        checkpoints.close()
        sizes.append((tmp_path / "queue.db-wal").stat().st_size)
    assert sizes[-1] < 2 * sizes[0]


def test_a_checkpoint_that_fails_keeps_nobody_from_writing(
    writes: QueueWrites, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    connection = open_for_checkpoints(tmp_path / "queue.db", 1.0)
    checkpoints = Checkpointer(connection, FileLock(tmp_path / "turn"))
    connection.close()
    checkpoints.begin()
    checkpoints.close()
    assert "cannot be moved" in caplog.text
    put(writes, "a", 1)


async def test_a_queue_moves_its_log_whenever_that_has_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    begun: list[Checkpointer] = []
    monkeypatch.setattr(Checkpointer, "begin", lambda self: begun.append(self))
    queue = await open_queue(QueueSettings(tmp_path))
    await queue.put([feedback(number) for number in range(CHECKPOINT_EVERY - 100)])
    await queue.flush()
    assert len(begun) == 0
    await queue.put([feedback(f"more-{number}") for number in range(100)])
    await queue.flush()  # the writing thread has looked by then
    assert len(begun) == 1
    await queue.close()

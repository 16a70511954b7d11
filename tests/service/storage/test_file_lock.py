import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.storage.file_lock import FileLock

# Holds the lock of a file until it is killed.
_HOLDER = """
import sys
from pathlib import Path
from service.storage.file_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_holder_at_a_time(tmp_path):
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.try_acquire()
    assert first.try_acquire()
    assert not second.try_acquire()
    first.close()
    assert second.try_acquire()
    second.close()


def test_who_waits_gets_it_when_it_is_let_go(tmp_path):
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    order: list[str] = []

    def wait_for_it() -> None:
        with second.hold():
            order.append("second")

    thread = threading.Thread(target=wait_for_it)
    with first.hold():
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    first.close()
    second.close()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    lock = FileLock(tmp_path / "lock")
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / "lock")]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not lock.try_acquire()
        holder.kill()
    assert lock.try_acquire()
    lock.close()


def test_a_place_where_no_file_can_be_is_an_error(tmp_path):
    with pytest.raises(OSError, match="missing"):
        FileLock(tmp_path / "missing" / "lock")

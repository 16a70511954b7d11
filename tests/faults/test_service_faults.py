"""The service is killed in the middle of its work, and its queue's file torn: what it acknowledged is there, once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from bench.faults import kill_service
from bench.mysql_site import MySQLSite
from bench.servers import free_port, running_service
from tests.faults.asking import ask, click, recommend, stored_keys, wait_until

pytestmark = pytest.mark.faults

#: Bytes. The queue's log gets longer than this with the first few entries.
_SMALL_FILE = 16_384


def test_a_service_killed_under_load_loses_nothing_and_counts_nothing_twice(small_site: MySQLSite):
    small_site.server.run_sql("DELETE FROM ml_feedback", "gigsdb")

    found = kill_service(small_site, rounds=3)

    assert (found.lost, found.counted_twice, found.never_sent, found.failed_before_a_kill) == (0, 0, 0, 0)
    assert found.acknowledged > 0
    assert found.recommendations > 0


def test_a_worker_that_is_killed_is_replaced_while_the_other_goes_on(small_site: MySQLSite):
    with running_service(small_site.home, None, small_site.settings, ["--workers", "2"]) as server:
        workers = wait_until(lambda: _all_of_them(server.process, 2))
        keys = [f"worker-{number}" for number in range(40)]
        for key in keys[:20]:
            assert click(server.port, key).status == 200
        os.kill(workers[0].pid, signal.SIGKILL)
        wait_until(lambda: workers[0] not in server.process.children())
        for key in keys[20:]:
            wait_until(lambda key=key: _taken(server.port, key))
        replaced = wait_until(lambda: _all_of_them(server.process, 2))
        assert workers[0].pid not in [worker.pid for worker in replaced]
        wait_until(lambda: sorted(stored_keys(small_site, "worker-")) == sorted(keys))
    assert not any(worker.is_running() for worker in replaced)


def test_a_torn_tail_of_the_queue_s_log_costs_nothing_that_was_acknowledged(small_site: MySQLSite):
    away = small_site.settings | {"DB_PORT": str(free_port())}
    keys = [f"torn-{number}" for number in range(20)]
    with running_service(small_site.home, None, small_site.settings):
        pass  # leaves a snapshot to start from
    with running_service(small_site.home, None, away) as server:
        for key in keys[:-1]:
            assert click(server.port, key).status == 200
        server.process.kill()
        server.process.wait()
    _tear(small_site.home / "queue.db-wal")

    with running_service(small_site.home, None, small_site.settings) as server:
        assert click(server.port, keys[0]).status == 200  # a retry
        assert click(server.port, keys[0], event_id=2).status == 409
        assert click(server.port, keys[-1]).status == 200
        wait_until(lambda: len(stored_keys(small_site, "torn-")) >= len(keys))
    assert stored_keys(small_site, "torn-") == keys


def test_a_disk_that_is_full_refuses_feedback_alone_and_goes_on_when_there_is_room(small_site: MySQLSite):
    with running_service(small_site.home, None, small_site.settings) as server:
        acknowledged = [key for key in (f"room-{number}" for number in range(10)) if _taken(server.port, key)]
        with _no_room(server.process):
            refused = wait_until(lambda: _refusal(server.port, acknowledged))
            assert refused.status == 503
            assert int(refused.retry_after) > 0
            assert "stored" in refused.body["detail"]
            assert recommend(server.port).status == 200
            assert ask(server.port, "/ready").status == 200
            assert not _taken(server.port, "refused")
        assert _taken(server.port, "refused")  # the retry that the caller was asked for
        acknowledged.append("refused")
        wait_until(lambda: set(acknowledged) <= set(_all_keys(small_site)))
    stored = [key for key in _all_keys(small_site) if key.startswith(("room-", "refused"))]
    assert sorted(stored) == sorted(acknowledged)


@contextmanager
def _no_room(process: psutil.Process) -> Iterator[None]:
    """No file of a process may grow, which stands for a full disk and needs no rights."""
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (_SMALL_FILE, before[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, before)


def _all_of_them(process: psutil.Process, count: int) -> list[psutil.Process]:
    children = [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]
    return children if len(children) == count else []


def _taken(port: int, key: str) -> bool:
    """Whether feedback is acknowledged; a connection to a worker that is gone is none."""
    try:
        return click(port, key).status == 200
    except OSError:
        return False


def _refusal(port: int, acknowledged: list[str]):
    """Feedback that is refused, if this one is; else it is noted."""
    key = f"room-{len(acknowledged)}"
    answer = click(port, key)
    if answer.status == 200:
        acknowledged.append(key)
        return None
    return answer


def _all_keys(site: MySQLSite) -> list[str]:
    return stored_keys(site, "")


def _tear(log: Path) -> None:
    """Leave half of another frame at the end, as a power cut in the middle of a write does."""
    content = log.read_bytes()
    assert len(content) > 4_096, "nothing is in the log: this tears nothing"
    log.write_bytes(content + content[-2_000:])

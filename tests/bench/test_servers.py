"""Servers under measurement start on their core and are gone afterwards, whatever happened."""

import os
from pathlib import Path

import psutil
import pytest

from bench import bare
from bench.servers import (
    Cores,
    Server,
    ServerFailedError,
    pinned,
    running_bare,
    running_service,
    service_environment,
)
from service import server


def test_only_the_home_of_the_service_is_set_whatever_the_caller_has_set(tmp_path: Path) -> None:
    environment = service_environment(
        tmp_path, {"PATH": "/bin", "DB_HOST": "db", "JWT_SECRET": "s", "CRAIC_HOME": "/else"}
    )
    assert environment == {"PATH": "/bin", "CRAIC_HOME": str(tmp_path)}


def test_the_bare_handler_keeps_connections_open_as_long_as_the_service() -> None:
    assert bare.KEEPALIVE_SECONDS == server.KEEPALIVE_SECONDS


def test_figures_taken_on_one_core_say_so() -> None:
    assert "one core only" in Cores(0, 0).told
    assert "pins no process" in Cores(None, None).told
    assert Cores(0, 3).told == "server on core 0, load from core 3"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_a_pinned_thread_gets_its_cores_back() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with pinned(core):
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_a_server_runs_on_the_core_it_was_given(answers: Path) -> None:
    core = min(os.sched_getaffinity(0))
    with running_bare(answers, core) as running:
        assert running.process.cpu_affinity() == [core]


def test_a_server_is_gone_after_a_failure_of_the_measuring(answers: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupted(answers, started := [])
    assert not psutil.pid_exists(started[0].process.pid)


def test_a_server_that_ends_at_once_fails_with_what_it_said(tmp_path: Path) -> None:
    failing = pytest.raises(ServerFailedError, match=r"No such file or directory: .*absent")
    with failing, running_bare(tmp_path / "absent.jsonl", core=None):
        pytest.fail("nothing can be measured")


def test_the_service_that_has_no_model_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.servers.READY_WITHIN_SECONDS", 0.0)
    failing = pytest.raises(ServerFailedError, match="service serve is not ready")
    with failing, running_service(tmp_path, core=None):
        pytest.fail("nothing can be measured")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """A file of answers for the bare server."""
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b"{}")
    return path


def _interrupted(answers: Path, started: list[Server]) -> None:
    with running_bare(answers, core=None) as running:
        started.append(running)
        raise KeyboardInterrupt

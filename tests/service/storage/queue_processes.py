"""Starts `queue_child.py` as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHILD = Path(__file__).with_name("queue_child.py")
_ROOT = _CHILD.parents[3]


@contextmanager
def child(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """A running child, killed at the end of the block if it still runs; its errors go to the test's output."""
    process = subprocess.Popen(
        [sys.executable, str(_CHILD), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_after_kill(process: "subprocess.Popen[str]", lines: int) -> list[str]:
    """Read so many lines, kill the process with SIGKILL, and return all whole lines that it had printed."""
    assert process.stdout is not None
    printed = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    printed += process.stdout.readlines()
    return [line.strip() for line in printed if line.endswith("\n")]


def start_together(processes: "list[subprocess.Popen[str]]") -> list[str]:
    """Give processes that wait for a line that line at the same moment; returns the next line of each."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.stdout.readline().strip() for process in processes if process.stdout is not None]

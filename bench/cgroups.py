"""A smaller machine inside this one: Linux control groups, version 1 or 2, that bound memory and processor time.

https://docs.kernel.org/admin-guide/cgroup-v1/ and https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

#: The kernel's usual period, over which a group may use its share of processor time, µs.
PERIOD_US = 100_000
_MOUNTS = Path("/proc/self/mounts")
_OWN = Path("/proc/self/cgroup")
#: What ends a process comes a little before it has left its group.
_EMPTY_WITHIN_SECONDS = 5.0


class NoGroupsError(Exception):
    """Control groups cannot be had here; the message says why."""


class Limits(NamedTuple):
    """What a group may use, all its processes together."""

    memory_bytes: int  #: page cache included, which the kernel gives up first
    cores: float  #: of processor time; 0.2 is a fifth of one core


class Group(Protocol):
    """A group of processes with bounds, of either version."""

    def wrapping(self) -> list[str]:
        """What goes before a command for it to run in the group."""

    def used_mb(self) -> float:
        """What its processes have in memory and no file has unless mapped, MB of 10⁶ bytes: what cannot be given up."""

    def killed(self) -> int:
        """How many processes ended because there was no memory left."""

    def throttled_seconds(self) -> float:
        """How long it has had to wait for the next period."""


@dataclass(frozen=True, slots=True)
class GroupV1:
    """Two directories, one under each controller."""

    memory: Path
    processor: Path

    def limit(self, limits: Limits) -> None:
        """Set the bounds, and keep it from swapping. Raises OSError."""
        (self.memory / "memory.limit_in_bytes").write_text(str(limits.memory_bytes), "ascii")
        (self.memory / "memory.swappiness").write_text("0", "ascii")
        (self.processor / "cpu.cfs_period_us").write_text(str(PERIOD_US), "ascii")
        # Beside others a group weighs as much as one process, whatever the priorities inside: as much as this one.
        weight = 1_024 * 1.25 ** -os.getpriority(os.PRIO_PROCESS, 0)
        (self.processor / "cpu.shares").write_text(str(round(weight)), "ascii")
        (self.processor / "cpu.cfs_quota_us").write_text(str(round(PERIOD_US * limits.cores)), "ascii")

    def wrapping(self) -> list[str]:
        """As `Group`."""
        return _entering(self.memory, self.processor)

    def used_mb(self) -> float:
        """As `Group`."""
        kinds = _numbers(self.memory / "memory.stat")
        return sum(kinds[kind] for kind in ("total_rss", "total_mapped_file", "total_shmem")) / 1e6

    def killed(self) -> int:
        """As `Group`."""
        return _numbers(self.memory / "memory.oom_control").get("oom_kill", 0)

    def throttled_seconds(self) -> float:
        """As `Group`."""
        return _numbers(self.processor / "cpu.stat")["throttled_time"] / 1e9


@dataclass(frozen=True, slots=True)
class GroupV2:
    """One directory."""

    directory: Path

    def limit(self, limits: Limits) -> None:
        """Set the bounds, and keep it from swapping. Raises OSError."""
        (self.directory / "memory.max").write_text(str(limits.memory_bytes), "ascii")
        with suppress(FileNotFoundError):  # a kernel without swap
            (self.directory / "memory.swap.max").write_text("0", "ascii")
        priority = os.getpriority(os.PRIO_PROCESS, 0)
        (self.directory / "cpu.weight.nice").write_text(str(priority), "ascii")
        (self.directory / "cpu.max").write_text(f"{round(PERIOD_US * limits.cores)} {PERIOD_US}", "ascii")

    def wrapping(self) -> list[str]:
        """As `Group`."""
        return _entering(self.directory)

    def used_mb(self) -> float:
        """As `Group`."""
        kinds = _numbers(self.directory / "memory.stat")
        return sum(kinds[kind] for kind in ("anon", "file_mapped", "shmem")) / 1e6

    def killed(self) -> int:
        """As `Group`."""
        return _numbers(self.directory / "memory.events")["oom_kill"]

    def throttled_seconds(self) -> float:
        """As `Group`."""
        return _numbers(self.directory / "cpu.stat")["throttled_usec"] / 1e6


@contextmanager
def limited_group(name: str, limits: Limits) -> Iterator[Group]:
    """A group of its own until the end of the block, when its processes must have ended. Raises NoGroupsError."""
    group, directories = _new_group(name)
    try:
        try:
            for directory in directories:
                directory.mkdir()
            group.limit(limits)
        except OSError as error:
            raise NoGroupsError(f"no control group can be made here: {error}") from error
        yield group
    finally:
        for directory in directories:
            _remove(directory)


def _new_group(name: str) -> tuple[GroupV1 | GroupV2, list[Path]]:
    """A group below this process's own, and the directories that it takes; version 2 where it has what is needed."""
    if not _MOUNTS.exists():
        raise NoGroupsError("this system has no control groups")
    mounts, own = _MOUNTS.read_text("utf-8"), _OWN.read_text("utf-8")
    parent = _place(mounts, own, "cgroup2", "")
    if parent is not None and _offers(parent):
        directory = parent / f"{name}-{os.getpid()}"
        return GroupV2(directory), [directory]
    parents = [_place(mounts, own, "cgroup", controller) for controller in ("memory", "cpu")]
    if parents[0] is None or parents[1] is None:
        raise NoGroupsError("no control groups for memory and processor time are mounted")
    memory, processor = (parent / f"{name}-{os.getpid()}" for parent in parents if parent is not None)
    return GroupV1(memory, processor), [memory, processor]


def _place(mounts: str, own: str, kind: str, controller: str) -> Path | None:
    """The directory of this process's group in the hierarchy of a controller ("" for version 2), None without one."""
    for line in mounts.splitlines():
        _, mounted, found, options, *_ = line.split(" ")
        if found == kind and (not controller or controller in options.split(",")):
            break
    else:
        return None
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            inside = Path(mounted) / path.lstrip("/")
            # In a container the path may be that of the outer system, which is not there.
            return inside if inside.is_dir() else Path(mounted)
    return None


def _offers(parent: Path) -> bool:
    """Whether groups below a group of version 2 can have both bounds, which is asked for where it can be."""
    needed = {"memory", "cpu"}
    if not needed <= set((parent / "cgroup.controllers").read_text("ascii").split()):
        return False
    with suppress(OSError):  # refused to a group that has processes of its own, unless it is the root
        (parent / "cgroup.subtree_control").write_text("+memory +cpu", "ascii")
    return needed <= set((parent / "cgroup.subtree_control").read_text("ascii").split())


def _entering(*directories: Path) -> list[str]:
    """A shell that puts itself into groups and becomes the command."""
    files = " ".join(f"'{directory / 'cgroup.procs'}'" for directory in directories)
    return ["sh", "-c", f'for file in {files}; do echo $$ >"$file" || exit 71; done; exec "$@"', "sh"]


def _numbers(file: Path) -> Mapping[str, int]:
    """The lines "name 12" of a file."""
    return {
        name: int(value)
        for name, value in re.findall(r"^(\w+) (\d+)$", file.read_text("ascii"), re.MULTILINE)
    }


def _remove(directory: Path) -> None:
    """Remove a group as soon as its last process has left it. Raises OSError when one stays."""
    deadline = time.monotonic() + _EMPTY_WITHIN_SECONDS
    while directory.is_dir():
        try:
            directory.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)

import subprocess
import sys
from pathlib import Path

import pytest

from bench import cgroups
from bench.cgroups import GroupV1, GroupV2, Limits, NoGroupsError, limited_group

LIMITS = Limits(memory_bytes=64 << 20, cores=0.2)
V1 = """\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup {top}/cpu cgroup rw,cpu 0 0
cgroup {top}/memory cgroup rw,memory 0 0
"""
OWN_V1 = "4:memory:/jobs/7\n2:cpu,cpuacct:/\n0::/\n"


def files(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def a_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, own: str) -> None:
    """Let the module see these mounts and this group of its own process."""
    for name, text in (("_MOUNTS", mounts), ("_OWN", own)):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(cgroups, name, tmp_path / name)


@pytest.fixture(autouse=True)
def _ordinary_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpriority", lambda *_: 0)


def test_a_group_weighs_as_much_as_a_process_of_the_priority_of_whoever_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getpriority", lambda *_: 5)

    GroupV1(tmp_path, tmp_path).limit(LIMITS)
    GroupV2(tmp_path).limit(LIMITS)

    # 1024 / 1.25⁵, the weight of that priority in the kernel's own table being 335.
    assert files(tmp_path)["cpu.shares"] == "336"
    assert files(tmp_path)["cpu.weight.nice"] == "5"


def test_a_group_of_version_1_bounds_memory_and_processor_time_under_two_controllers(tmp_path: Path) -> None:
    GroupV1(tmp_path, tmp_path).limit(LIMITS)

    assert files(tmp_path) == {
        "memory.limit_in_bytes": "67108864",
        "memory.swappiness": "0",
        "cpu.shares": "1024",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "20000",
    }


def test_a_group_of_version_2_has_all_bounds_in_one_directory(tmp_path: Path) -> None:
    GroupV2(tmp_path).limit(LIMITS)

    assert files(tmp_path) == {
        "memory.max": "67108864",
        "memory.swap.max": "0",
        "cpu.weight.nice": "0",
        "cpu.max": "20000 100000",
    }


def test_figures_of_version_1_are_read(tmp_path: Path) -> None:
    (tmp_path / "memory.stat").write_text(
        "cache 9\nrss 1\ntotal_rss 3000000\ntotal_mapped_file 2000000\ntotal_shmem 1000000\n"
    )
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (tmp_path / "cpu.stat").write_text("nr_periods 5\nnr_throttled 3\nthrottled_time 1500000000\n")
    group = GroupV1(tmp_path, tmp_path)

    assert (group.used_mb(), group.killed(), group.throttled_seconds()) == (6.0, 2, 1.5)


def test_figures_of_version_2_are_read(tmp_path: Path) -> None:
    (tmp_path / "memory.stat").write_text("anon 3000000\nfile 9\nshmem 1000000\nfile_mapped 2000000\n")
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 5\nthrottled_usec 1500000\n")
    group = GroupV2(tmp_path)

    assert (group.used_mb(), group.killed(), group.throttled_seconds()) == (6.0, 2, 1.5)


def test_a_command_is_in_its_group_before_it_runs(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo $$; cat cgroup.procs"]

    done = subprocess.run(
        [*GroupV2(tmp_path).wrapping(), *command], cwd=tmp_path, check=True, capture_output=True, text=True
    )

    own, noted = done.stdout.split()
    assert own == noted


def test_a_command_does_not_run_outside_of_its_group(tmp_path: Path) -> None:
    wrapping = GroupV2(tmp_path / "nowhere").wrapping()

    done = subprocess.run([*wrapping, "echo", "ran"], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (71, "")


def test_groups_are_made_below_the_own_one_where_that_can_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory" / "jobs" / "7").mkdir(parents=True)
    (tmp_path / "cpu").mkdir()
    a_system(tmp_path, monkeypatch, V1.format(top=tmp_path), OWN_V1)

    _, (memory, processor) = cgroups._new_group("bench")

    assert (memory.parent, processor.parent) == (tmp_path / "memory" / "jobs" / "7", tmp_path / "cpu")


@pytest.mark.parametrize(("offered", "version"), [("cpu memory pids", GroupV2), ("hugetlb", GroupV1)])
def test_version_2_is_taken_where_it_has_both_controllers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offered: str, version: type
) -> None:
    for name in ("memory", "cpu", "unified"):
        (tmp_path / name).mkdir()
    (tmp_path / "unified" / "cgroup.controllers").write_text(f"{offered}\n")
    # What the kernel answers once it was asked with "+memory +cpu".
    monkeypatch.setattr(
        Path, "write_text", lambda path, text, *_: path.write_bytes(text.replace("+", "").encode())
    )
    mounts = V1 + "cgroup2 {top}/unified cgroup2 rw 0 0\n"
    a_system(tmp_path, monkeypatch, mounts.format(top=tmp_path), OWN_V1)

    assert isinstance(cgroups._new_group("bench")[0], version)


def test_a_system_without_groups_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_system(tmp_path, monkeypatch, "proc /proc proc rw 0 0\n", "")

    with pytest.raises(NoGroupsError, match="no control groups for memory and processor time"):
        cgroups._new_group("bench")


def test_a_group_that_may_not_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("memory", "cpu"):
        (tmp_path / name).write_text("in the way of a directory")
    a_system(tmp_path, monkeypatch, V1.format(top=tmp_path), OWN_V1)

    with (
        pytest.raises(NoGroupsError, match="no control group can be made here"),
        limited_group("bench", LIMITS),
    ):
        pytest.fail("there is no group")


def test_a_process_that_takes_more_memory_than_its_group_has_is_ended_and_counted() -> None:
    try:
        with limited_group("craic-test", LIMITS) as group:
            taking = [sys.executable, "-c", "b'x' * (200 << 20); print('took it')"]
            done = subprocess.run([*group.wrapping(), *taking], check=False, capture_output=True, text=True)
            assert (done.stdout, group.killed()) == ("", 1)
    except NoGroupsError as error:
        pytest.skip(str(error))

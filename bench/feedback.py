"""What feedback costs, against a MariaDB: `python -m bench.feedback [--seconds S] [--json]`.

How many a second are acknowledged when many callers always have one under way, and how many a second are in the
table; and how long an acknowledgement takes at a steady 200 a second (open loop, `bench.paced`). An acknowledgement
means that the feedback is on disk, fsynced; so beside the steady load it is measured what syncing a few kilobytes
takes on the same disk, which no acknowledgement can be faster than.

Promised: at least 1,000 acknowledged a second, all of which reach the table, and a p99 of at most 50 ms at 200 a
second. Exit codes: 0 kept, 1 broken, 2 not measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.load import LoadError, drive, percentile
from bench.mysql_site import MissingServerError, MySQLSite, running_mysql_site
from bench.paced import Pacing, steadily
from bench.requests import feedback
from bench.servers import Server, ServerFailedError, available_cores, end_in_order, pinned, running_service
from bench.sites import load_site

KEPT, BROKEN, NOT_MEASURED = 0, 1, 2
LEAST_PER_SECOND, MOST_P99_MS = 1_000.0, 50.0

#: Callers at once: a page's clicks come from as many people.
CALLERS = 64
STEADY_PER_SECOND, STEADY_CONNECTIONS = 200.0, 32
WARM_UP_SECONDS = 2.0
SYNCED_BYTES, BETWEEN_SYNCS_SECONDS = 4_096, 0.02
DRAINED_WITHIN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class FeedbackFigures:
    """What was measured; rates are per second."""

    acknowledged: int
    acknowledged_per_second: float
    in_the_table_per_second: float  #: until the last of them was there
    steady_rate: float
    steady_p50_ms: float
    steady_p99_ms: float
    steady_failed: int
    disk_p50_ms: float  #: of a sync in a file of its own, meanwhile
    disk_p99_ms: float
    lost: int
    cpu_ms_each: float  #: of the service, at full speed

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        promises = {
            f"at least {LEAST_PER_SECOND:g} a second": self.acknowledged_per_second >= LEAST_PER_SECOND,
            f"p99 at most {MOST_P99_MS:g} ms at {STEADY_PER_SECOND:g}/s": self.steady_p99_ms <= MOST_P99_MS,
            "nothing fails or is lost": self.steady_failed == 0 and self.lost == 0,
        }
        return [promise for promise, is_kept in promises.items() if not is_kept]


def main(arguments: list[str] | None = None) -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.feedback",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of either load")
    parser.add_argument("--json", action="store_true", help="a JSON line instead of a table")
    options = parser.parse_args(arguments)
    end_in_order()
    cores = available_cores()
    print(cores.told, file=sys.stderr)
    try:
        with running_mysql_site(load_site(None)) as site, pinned(cores.load):
            figures = measure_feedback(site, options.seconds, cores.server)
    except (
        MissingServerError,
        ServerFailedError,
        LoadError,
        OSError,
        subprocess.CalledProcessError,
    ) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED
    _tell(figures, options.json)
    return BROKEN if figures.broken() else KEPT


def measure_feedback(site: MySQLSite, seconds: float, core: int | None = None) -> FeedbackFigures:
    """Load a service of its own for so many seconds steadily, and as long again at full speed."""
    with running_service(site.home, core, site.settings) as server:
        requests = feedback(site, "steady", 1)
        with Pacing(server.port, requests, steadily(STEADY_PER_SECOND), STEADY_CONNECTIONS) as steady:
            steady.run_for(WARM_UP_SECONDS)
            warm_at = time.perf_counter()
            disk = sync_latencies_ms(site.home / "synced", seconds)
        seen = steady.stop()
        before = _settled_rows(site, len(seen.answered))
        latencies = seen.latencies_ms(warm_at)
        acknowledged, per_second, cpu_ms, started = _full_speed(site, server, seconds)
        rows = _settled_rows(site, before + acknowledged) - before
        until_drained = time.perf_counter() - started
    return FeedbackFigures(
        acknowledged=acknowledged,
        acknowledged_per_second=per_second,
        in_the_table_per_second=rows / until_drained,
        steady_rate=latencies.size / seconds,
        steady_p50_ms=percentile(latencies, 50),
        steady_p99_ms=percentile(latencies, 99),
        steady_failed=len(seen.failed),
        disk_p50_ms=percentile(disk, 50),
        disk_p99_ms=percentile(disk, 99),
        lost=acknowledged - rows,
        cpu_ms_each=cpu_ms,
    )


def sync_latencies_ms(path: Path, seconds: float) -> NDArray[np.float64]:
    """What it takes to sync a page that is written again and again in its place, now and then for so many seconds."""
    latencies = []
    deadline = time.perf_counter() + seconds
    with path.open("wb", buffering=0) as file:
        while (started := time.perf_counter()) < deadline:
            file.seek(0)
            file.write(bytes(SYNCED_BYTES))
            os.fdatasync(file.fileno())
            latencies.append(1000.0 * (time.perf_counter() - started))
            time.sleep(BETWEEN_SYNCS_SECONDS)
    path.unlink()
    return np.array(latencies)


def _full_speed(site: MySQLSite, server: Server, seconds: float) -> tuple[int, float, float, float]:
    """How many were acknowledged, how many a second, the processor's ms for each, and when it began."""
    requests = (request.content for request in feedback(site, "full", 2))
    cpu_before, started = server.cpu_seconds(), time.perf_counter()
    load = drive(server.port, requests, CALLERS, seconds)
    cpu = server.cpu_seconds() - cpu_before
    return load.answers, load.requests_per_second, 1000.0 * cpu / load.answers, started


def _settled_rows(site: MySQLSite, expected: int) -> int:
    """The rows in the table, once there are as many as expected or it took too long."""
    deadline = time.perf_counter() + DRAINED_WITHIN_SECONDS
    while (found := _rows(site)) < expected and time.perf_counter() < deadline:
        time.sleep(0.05)
    return found


def _rows(site: MySQLSite) -> int:
    [[count]] = site.rows("SELECT COUNT(*) FROM ml_feedback")
    return int(count)


def _tell(figures: FeedbackFigures, as_json: bool) -> None:
    named = {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in asdict(figures).items()
    }
    print(
        json.dumps(named) if as_json else "\n".join(f"{name:<28}{value:>12}" for name, value in named.items())
    )
    for promise in figures.broken():
        print(f"BROKEN  {promise}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

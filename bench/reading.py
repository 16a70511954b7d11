"""What reading a site for a training costs: `python -m bench.reading [--interactions N] [--json]`.

So many saves are put into the embedded database, as feedback, and into a MariaDB, where there is one, as rows of the
site's own table; then a process of its own (`bench.reader`) reads all of it as a training does and tells how long that
took and how much memory it ever had.

Promised for a million interactions: at most 15 seconds, and 150 MB of memory, the interpreter and its libraries
included. Exit codes: 0 kept, 1 broken, 2 not measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.homes import RESULTS, fill_home
from bench.mysql_site import MissingServerError, running_mysql_site
from bench.servers import end_in_order, service_environment
from bench.sites import Site, synthetic_site
from core.sparse import no_pairs

KEPT, BROKEN, NOT_MEASURED = 0, 1, 2
MOST_SECONDS, MOST_MB = 15.0, 150.0
N_USERS, N_EVENTS, N_INTERACTIONS = 30_000, 40_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading took; memory in MB of 10⁶ bytes."""

    database: str
    interactions: int
    seconds: float
    peak_mb: float
    before_mb: float  #: with everything imported and nothing read

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        promises = {
            f"at most {MOST_SECONDS:g} s": self.seconds <= MOST_SECONDS,
            f"at most {MOST_MB:g} MB": self.peak_mb <= MOST_MB,
        }
        return [f"{self.database}: {promise}" for promise, is_kept in promises.items() if not is_kept]


def main(arguments: list[str] | None = None) -> int:
    """Fill the databases, read each in a process of its own, judge."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.reading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--interactions", type=int, default=N_INTERACTIONS)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    options = parser.parse_args(arguments)
    end_in_order()
    broken = []
    try:
        for reading in measure_readings(options.interactions):
            _tell(reading, options.json)
            broken += reading.broken()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED
    for promise in broken:
        print(f"BROKEN  {promise}", file=sys.stderr)
    return BROKEN if broken else KEPT


def measure_readings(interactions: int) -> Iterator[Reading]:
    """Read a synthetic site of so many saves from each kind of database that there is on this machine."""
    saves = synthetic_site(N_USERS, N_EVENTS, interactions, seed=0)
    site = Site(N_EVENTS, saves, no_pairs(N_USERS))
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="reading-") as scratch:
        home = Path(scratch) / "home"
        fill_home(home, site, Path(scratch))
        yield _read_elsewhere("SQLite", home, {})
    try:
        with running_mysql_site(site, is_trained=False) as server:
            yield _read_elsewhere("MariaDB", server.home, server.settings)
    except MissingServerError as error:
        print(error, file=sys.stderr)


def _read_elsewhere(database: str, home: Path, settings: Mapping[str, str]) -> Reading:
    command = [sys.executable, "-m", "bench.reader"]
    environment = service_environment(home, os.environ) | dict(settings)
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return Reading(database, **json.loads(done.stdout))


def _tell(reading: Reading, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(reading)), flush=True)
        return
    print(
        f"{reading.database:<10}{reading.interactions:>12,} interactions{reading.seconds:>8.2f} s"
        f"{reading.peak_mb:>8.0f} MB, {reading.before_mb:.0f} of them before",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())

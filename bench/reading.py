"""What reading a site for a training costs: `python -m bench.reading [--interactions N] [--json]`.

A MariaDB is filled with so many saves; then a process of its own (`bench.reader`) reads all of it as a training
does and tells how long that took and how much memory it ever had.

Promised for a million interactions: at most 15 seconds, and 150 MB of memory, the interpreter and its libraries
included. Exit codes: 0 kept, 1 broken, 2 not measured.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass

from bench.mysql_site import MissingServerError, MySQLSite, running_mysql_site
from bench.servers import end_in_order, service_environment
from bench.sites import Site, synthetic_site
from core.sparse import no_pairs

KEPT, BROKEN, NOT_MEASURED = 0, 1, 2
MOST_SECONDS, MOST_MB = 15.0, 150.0
N_USERS, N_EVENTS, N_INTERACTIONS = 30_000, 40_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading took; memory in MB of 10⁶ bytes."""

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
        return [promise for promise, is_kept in promises.items() if not is_kept]


def main(arguments: list[str] | None = None) -> int:
    """Fill a server, read it in a process of its own, judge."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.reading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--interactions", type=int, default=N_INTERACTIONS)
    parser.add_argument("--json", action="store_true", help="a JSON line instead of a table")
    options = parser.parse_args(arguments)
    end_in_order()
    try:
        reading = measure_reading(options.interactions)
    except (MissingServerError, RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED
    _tell(reading, options.json)
    return BROKEN if reading.broken() else KEPT


def measure_reading(interactions: int) -> Reading:
    """Read a synthetic site of so many saves."""
    saves = synthetic_site(N_USERS, N_EVENTS, interactions, seed=0)
    with running_mysql_site(Site(N_EVENTS, saves, no_pairs(N_USERS)), is_trained=False) as site:
        return _read_elsewhere(site)


def _read_elsewhere(site: MySQLSite) -> Reading:
    command = [sys.executable, "-m", "bench.reader"]
    environment = service_environment(site.home, os.environ) | site.settings
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return Reading(**json.loads(done.stdout))


def _tell(reading: Reading, as_json: bool) -> None:
    named = {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in asdict(reading).items()
    }
    print(
        json.dumps(named) if as_json else "\n".join(f"{name:<16}{value:>12}" for name, value in named.items())
    )
    for promise in reading.broken():
        print(f"BROKEN  {promise}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

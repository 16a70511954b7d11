"""What a new model does to those who ask meanwhile: `python -m bench.reload [FILE.npz] [--times N] [--json]`.

The service answers requests for random people at a steady rate, of every arm in turn, and says a hundred times a second
which model serves. For a while it is left alone, once before and once after, so that what else the machine does slows
both down alike. Between the two another of two models is published again and again, by the pointer on disk as a
training does it and by `POST /v1/model/rollback` in turn, each time until it serves. The models hold the same, so that
a difference is the reload's. Latencies count from the moment a request was due.

Memory is in MB of 10⁶ bytes, of each two reloads the least that was resident: then the model before has gone and the
next one has not come. A line through those after the first few reloads (Theil and Sen: the median of the slopes between
any two, which no single one moves) says what it was and what became of it.

Promised: no request fails, p99 at most 1.5 times that when left alone, memory flat after, a rollback within a second.
Exit codes: 0 kept, 1 broken, 2 not measured.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import cycle, pairwise

import numpy as np
import orjson

from bench.homes import Home, HomeError, prepare_home, working_copy
from bench.load import Connection, LoadError, percentile, post
from bench.memory_curves import MemoryWatch
from bench.paced import Pacing, steadily
from bench.requests import Crowd, of_every_arm
from bench.servers import Server, ServerFailedError, end_in_order, running_service
from core.bundle import write_bundle
from service.models import ModelRegistry

KEPT, BROKEN, NOT_MEASURED = 0, 1, 2
TIMES = 50
REQUESTS_PER_SECOND = 200.0
CONNECTIONS = 8
WARM_UP_SECONDS, ALONE_SECONDS = 3.0, 10.0
#: Reloads after which whatever is kept for the next one is there: buffers, pools, fragments.
SETTLED_AFTER = 10
MOST_RATIO, MOST_GROWTH, MOST_ROLLBACK_SECONDS = 1.5, 1.05, 1.0

_LOOK_SECONDS = 0.01
_HEALTH = b"GET /health HTTP/1.1\r\nHost: bench\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reloads:
    """What became of the load, of the reloads and of the memory."""

    times: int
    requests: int  #: meanwhile
    failed: int
    p50_alone_ms: float
    p50_meanwhile_ms: float
    p99_alone_ms: float
    p99_meanwhile_ms: float
    max_meanwhile_ms: float
    reload_seconds: float  #: from the pointer to the first answer with the new model, median
    rollback_seconds: float  #: from the request to its answer, the slowest
    rolled_back_seconds: float  #: from the request to the first answer with that model, the slowest
    settled_mb: float  #: the service after the first few, by the line
    after_mb: float  #: after the last, by the line

    @property
    def ratio(self) -> float:
        """How much slower the slowest hundredth was than before."""
        return self.p99_meanwhile_ms / self.p99_alone_ms

    @property
    def mb_per_reload(self) -> float:
        """By how much each reload makes the service grow."""
        return (self.after_mb - self.settled_mb) / max(1, self.times - SETTLED_AFTER)

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        promises = {
            "no request fails": self.failed == 0,
            f"p99 at most {MOST_RATIO:g} times that when left alone": self.ratio <= MOST_RATIO,
            f"memory at most {MOST_GROWTH:g} times": self.after_mb <= MOST_GROWTH * self.settled_mb,
            f"a rollback within {MOST_ROLLBACK_SECONDS:g} s": self.rolled_back_seconds
            <= MOST_ROLLBACK_SECONDS,
        }
        return [promise for promise, is_kept in promises.items() if not is_kept]


def main(arguments: list[str] | None = None) -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.reload",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", help="an .npz with a training split")
    parser.add_argument("--times", type=int, default=TIMES, help="how often another model is taken over")
    parser.add_argument("--json", action="store_true", help="a JSON line instead of a table")
    options = parser.parse_args(arguments)
    end_in_order()
    try:
        reloads = measure_reloads(prepare_home(options.file), options.times)
    except (HomeError, ServerFailedError, LoadError, OSError, subprocess.CalledProcessError) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED
    _tell(reloads, options.json)
    for promise in reloads.broken():
        print(f"BROKEN  {promise}", file=sys.stderr)
    return BROKEN if reloads.broken() else KEPT


def measure_reloads(home: Home, times: int = TIMES, alone_seconds: float = ALONE_SECONDS) -> Reloads:
    """Reload a server of a copy of this home so many times under load."""
    with working_copy(home) as copy:
        registry = ModelRegistry(copy / "models")
        models = cycle([second_model(registry), registry.versions()[0]])
        with running_service(copy, None, {"POLL_SECONDS": "0.5"}) as server:
            return _measure(server, registry, models, home, times, alone_seconds)


def second_model(registry: ModelRegistry) -> str:
    """Put the published model on disk a second time; its version."""
    model, facts = registry.load()
    version = f"{model.version}-2"
    write_bundle(
        registry.path(version), replace(model, version=version).arrays(), facts | {"version": version}
    )
    return version


def _measure(
    server: Server,
    registry: ModelRegistry,
    models: Iterator[str],
    crowd: Crowd,
    times: int,
    alone_seconds: float,
) -> Reloads:
    by_pointer: list[float] = []
    by_request: list[float] = []
    answered: list[float] = []
    begins: list[float] = []
    with (
        MemoryWatch(server) as watch,
        Pacing(server.port, of_every_arm(crowd), steadily(REQUESTS_PER_SECOND), CONNECTIONS) as load,
    ):
        load.run_for(WARM_UP_SECONDS)
        started = time.perf_counter()
        _look_for(server.port, alone_seconds)
        changed = time.perf_counter()
        for number in range(times):
            version = next(models)
            begun = time.perf_counter()
            begins.append(begun)
            if number % 2:
                _roll_back(server.port, version)
                answered.append(time.perf_counter() - begun)
            else:
                registry.publish(version)
            wait_for_model(server.port, version)
            (by_request if number % 2 else by_pointer).append(time.perf_counter() - begun)
        ended = time.perf_counter()
        _look_for(server.port, alone_seconds)
        stopped = time.perf_counter()
    seen = load.seen
    at_rest = [watch.least_mb(*span) for span in pairwise([*begins[::2], ended])]
    settled_mb, after_mb = trend(at_rest[SETTLED_AFTER // 2 :] or at_rest)
    alone = np.concatenate([seen.latencies_ms(started, changed), seen.latencies_ms(ended, stopped)])
    meanwhile = seen.latencies_ms(changed, ended)
    return Reloads(
        times=times,
        requests=meanwhile.size,
        failed=len(seen.failed),
        p50_alone_ms=percentile(alone, 50),
        p50_meanwhile_ms=percentile(meanwhile, 50),
        p99_alone_ms=percentile(alone, 99),
        p99_meanwhile_ms=percentile(meanwhile, 99),
        max_meanwhile_ms=float(meanwhile.max()),
        reload_seconds=float(np.median(by_pointer)),
        rollback_seconds=max(answered, default=0.0),
        rolled_back_seconds=max(by_request, default=0.0),
        settled_mb=settled_mb,
        after_mb=after_mb,
    )


def trend(values: Sequence[float]) -> tuple[float, float]:
    """Where a line through values at even distances begins and ends (Theil 1950, Sen 1968). At least one is needed."""
    heights, places = np.asarray(values, np.float64), np.arange(len(values))
    earlier, later = np.triu_indices(len(values), 1)
    slopes = (heights[later] - heights[earlier]) / (later - earlier)
    slope = float(np.median(slopes)) if slopes.size else 0.0
    first = float(np.median(heights - slope * places))
    return first, first + slope * (len(values) - 1)


def wait_for_model(port: int, version: str | None, within: float = 60.0) -> None:
    """Wait until a model serves. Raises LoadError when it does not in time."""
    deadline = time.monotonic() + within
    with closing(Connection(port)) as connection:
        while time.monotonic() < deadline:
            if _serving(connection) == version:
                return
            time.sleep(_LOOK_SECONDS)
    raise LoadError(f"model {version} did not serve within {within:g} s")


def _look_for(port: int, seconds: float) -> None:
    """Ask as `wait_for_model` does for so long, so that this slows requests down alike before and meanwhile."""
    deadline = time.monotonic() + seconds
    with closing(Connection(port)) as connection:
        while time.monotonic() < deadline:
            _serving(connection)
            time.sleep(_LOOK_SECONDS)


def _serving(connection: Connection) -> str | None:
    """The model that serves."""
    connection.send(_HEALTH)
    connection.receive()
    version: str | None = orjson.loads(connection.body)["model_version"]
    return version


def _roll_back(port: int, version: str) -> None:
    with closing(Connection(port)) as connection:
        connection.send(post("/v1/model/rollback", orjson.dumps({"model_version": version})))
        connection.receive()


def _tell(reloads: Reloads, as_json: bool) -> None:
    found = asdict(reloads) | {"ratio": reloads.ratio, "mb_per_reload": reloads.mb_per_reload}
    named = {
        name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in found.items()
    }
    lines = (f"{name:<22}{value:>12}" for name, value in named.items())
    print(json.dumps(named) if as_json else "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())

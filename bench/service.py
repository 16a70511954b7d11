"""What a request costs on one core: `python -m bench.service [FILE.npz] [--json]`.

The real service, pinned to one core, answers requests for random people of FILE from the other core; in the same run a
bare aiohttp handler answers with the same bytes (`bench.bare`). Ours and bare take turns in short rounds, so that
whatever else the machine does falls on both; the ratio is the median of the rounds' ratios.

One JSON line an arm (`Measurement`). Times are in milliseconds, memory is in MB of 10⁶ bytes, percentiles are recorded
samples.

Exit codes: 0 measured, 2 not measured.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import orjson

from bench.answers import LIMIT, WrongAnswerError, check_answer
from bench.homes import RESULTS, Home, HomeError, prepare_home, working_copy
from bench.load import Load, LoadError, drive, percentile, post
from bench.servers import (
    Cores,
    Server,
    ServerFailedError,
    available_cores,
    end_in_order,
    pinned,
    running_bare,
    running_service,
)

ARMS = ("collaborative_filtering", "control")
#: As many requests at once as keep a single-threaded server from ever waiting.
CONNECTIONS = 8
ROUNDS = 12
SEED = 20

#: A server under full load that had less of its core than this was kept from it by something else.
UNDISTURBED = 0.9

#: Why there may be no figures: what these say is for people, everything else is a defect of the bench.
UNMEASURED = (HomeError, ServerFailedError, LoadError, WrongAnswerError, OSError)
NOT_MEASURED = 2  #: the exit code then

_WARM_UP_SECONDS = 2.0
#: Short, so that what disturbs one side of a ratio for a second disturbs the other as well.
_LOADED_SECONDS, _BARE_SECONDS, _ALONE_SECONDS = 0.8, 0.4, 0.8


@dataclass(frozen=True, slots=True)
class Measurement:
    """One arm. `loaded` means eight connections at once, everything else about latency is one connection."""

    arm: str
    requests_per_second: float  #: eight connections, median of the rounds
    requests_per_second_alone: float  #: one connection
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    loaded_p95_ms: float
    cpu_ms_per_request: float  #: eight connections
    core_share: float  #: of its core that the server had meanwhile
    resident_mb: float  #: after all of the load
    ready_seconds: float
    bytes_per_answer: float
    bare_requests_per_second: float
    bare_cpu_ms_per_request: float
    bare_core_share: float
    ratio_to_bare: float

    def as_line(self) -> dict[str, Any]:
        """The figures, rounded to what they are worth."""
        return {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


class _Turn(NamedTuple):
    """One server's stretch of full load, and the processor time it took, seconds."""

    load: Load
    cpu_seconds: float


class _Round(NamedTuple):
    """A turn for either server, and a stretch of one connection at a time to ours."""

    ours: _Turn
    bare: _Turn
    alone: Load


def main(arguments: list[str] | None = None) -> int:
    """Measure every arm and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.service", description=__doc__.split("\n")[0])
    parser.add_argument(
        "file", nargs="?", help="an .npz with a training split; BENCH_DATA, or a synthetic site, without"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--arm", choices=ARMS, action="append", help="this arm only")
    options = parser.parse_args(arguments)
    end_in_order()
    try:
        return _print(options.file, tuple(options.arm or ARMS), options.json)
    except UNMEASURED as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED


def _print(file: str | None, arms: tuple[str, ...], as_json: bool) -> int:
    cores = available_cores()
    print(cores.told, file=sys.stderr)
    measured = []
    for measurement in measure_arms(prepare_home(file), cores, arms):
        measured.append(measurement)
        if as_json:
            print(json.dumps(measurement.as_line()), flush=True)
    if not as_json:
        print(table(measured))
    return 0


def measure_arms(
    home: Home, cores: Cores, arms: tuple[str, ...] = ARMS, rounds: int = ROUNDS
) -> Iterator[Measurement]:
    """Measure some arms one after the other, each with a server of its own.

    Raises one of UNMEASURED when a server does not do what it should.
    """
    with working_copy(home) as copy, running_service(copy, cores.server):
        pass  # whatever kernel has changed is compiled now, so that the starts that count find a warm cache
    with pinned(cores.load):
        for arm in arms:
            yield _measure(home, cores, arm, rounds)


def _measure(home: Home, cores: Cores, arm: str, rounds: int) -> Measurement:
    requests = cycle(encode_requests(arm, home.n_users))
    with working_copy(home) as copy, running_service(copy, cores.server) as ours:
        answers = _warm_up(ours, requests)
        with running_bare(answers, cores.server) as bare:
            drive(bare.port, requests, CONNECTIONS, _WARM_UP_SECONDS / 2)
            seen = [_round(ours, bare, requests, bare_first=number % 2 == 1) for number in range(rounds)]
        return _summarise(arm, seen, ours)


def _warm_up(ours: Server, requests: Iterator[bytes]) -> Path:
    """Load our server for a while; leave a sample of its answers in a file, one a line, for the bare one."""
    warm = drive(ours.port, requests, CONNECTIONS, _WARM_UP_SECONDS)
    _check_samples(warm)
    path = RESULTS / "answers.jsonl"
    path.write_bytes(b"\n".join(warm.samples))
    return path


def _round(ours: Server, bare: Server, requests: Iterator[bytes], bare_first: bool) -> _Round:
    """Which of the two comes first alternates, so that drift favours neither."""
    first = _turn(bare, requests, _BARE_SECONDS) if bare_first else None
    loaded = _turn(ours, requests, _LOADED_SECONDS)
    of_bare = first or _turn(bare, requests, _BARE_SECONDS)
    alone = drive(ours.port, requests, 1, _ALONE_SECONDS)
    _check_samples(loaded.load)
    _check_samples(alone)
    return _Round(loaded, of_bare, alone)


def _turn(server: Server, requests: Iterator[bytes], seconds: float) -> _Turn:
    before = server.cpu_seconds()
    load = drive(server.port, requests, CONNECTIONS, seconds)
    return _Turn(load, server.cpu_seconds() - before)


def _summarise(arm: str, rounds: list[_Round], ours: Server) -> Measurement:
    """One line from all rounds: throughput and ratio are medians of rounds, percentiles are of all samples."""
    alone = np.concatenate([turn.alone.latencies_ms for turn in rounds])
    loaded = np.concatenate([turn.ours.load.latencies_ms for turn in rounds])
    throughputs = [
        (turn.ours.load.requests_per_second, turn.bare.load.requests_per_second) for turn in rounds
    ]
    return Measurement(
        arm=arm,
        requests_per_second=median(of_ours for of_ours, _ in throughputs),
        requests_per_second_alone=median(turn.alone.requests_per_second for turn in rounds),
        p50_ms=percentile(alone, 50),
        p90_ms=percentile(alone, 90),
        p95_ms=percentile(alone, 95),
        p99_ms=percentile(alone, 99),
        max_ms=float(alone.max()),
        loaded_p95_ms=percentile(loaded, 95),
        cpu_ms_per_request=_cpu_ms([turn.ours for turn in rounds]),
        core_share=_core_share([turn.ours for turn in rounds]),
        resident_mb=ours.resident_mb(),
        ready_seconds=ours.ready_seconds,
        bytes_per_answer=sum(turn.ours.load.body_bytes for turn in rounds) / loaded.size,
        bare_requests_per_second=median(of_bare for _, of_bare in throughputs),
        bare_cpu_ms_per_request=_cpu_ms([turn.bare for turn in rounds]),
        bare_core_share=_core_share([turn.bare for turn in rounds]),
        ratio_to_bare=median(of_ours / of_bare for of_ours, of_bare in throughputs),
    )


def _cpu_ms(turns: list[_Turn]) -> float:
    return 1000.0 * sum(turn.cpu_seconds for turn in turns) / sum(turn.load.answers for turn in turns)


def _core_share(turns: list[_Turn]) -> float:
    return sum(turn.cpu_seconds for turn in turns) / sum(turn.load.seconds for turn in turns)


def encode_requests(arm: str, n_users: int, seed: int = SEED) -> list[bytes]:
    """A request for each user, in random order."""
    users = np.random.default_rng(seed).permutation(n_users).tolist()
    return [
        post("/v1/recommendations", orjson.dumps({"user_id": str(user), "limit": LIMIT, "variant": arm}))
        for user in users
    ]


def _check_samples(load: Load) -> None:
    for body in load.samples:
        check_answer(body)


def table(measurements: list[Measurement]) -> str:
    """The figures as rows, the arms as columns; and a warning where they are of a busy machine."""
    lines = [measurement.as_line() for measurement in measurements]
    rows = [f"{name:<26}" + "".join(f"{line[name]:>26}" for line in lines) for name in lines[0]]
    least = min(min(measured.core_share, measured.bare_core_share) for measured in measurements)
    if least < UNDISTURBED:
        rows.append(
            f"\nThe machine was busy: a server had only {least:.0%} of its core. Throughput, percentiles and the ratio"
            " say little; processor time per request says more."
        )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())

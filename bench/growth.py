"""The part `growth`: what a larger site costs, in time for a request, in memory, and in recall by the cap on postings.

Synthetic sites (`bench.sites`) of ten thousand to a million people with 50 to 100 saves each, all of 40,000 events
still open. The service runs on each as an operator starts it, with one worker and with two; a process of its own
computes answers (`bench.growing`). Trainings are measured by size of site through the doors that users have.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil  # type: ignore[import-untyped]

from bench.figures import Curve, Findings, Plot
from bench.homes import RESULTS, Home, fill_home, say
from bench.load import drive, percentile
from bench.requests import encoded, of_every_arm
from bench.servers import Cores, ServerFailedError, pinned, running_service, service_environment
from bench.sites import Site, synthetic_site
from bench.training import train_alone
from core.sparse import no_pairs
from service.recommending.arms import ARMS

PART = "growth"
N_EVENTS = 40_000
#: Beside the service and a training on a machine of 1 GiB: the database and the system, MB.
OTHERS_MB, MACHINE_MB = 250.0, 1_073.7
_REQUESTS, _CONNECTIONS = 4_000, 8
#: A worker of several listens on a port of its own for nobody; what they share is told by /proc.
_WORKERS = 2


class Size(NamedTuple):
    """A size of site."""

    users: int
    interactions: int

    def __str__(self) -> str:
        return f"{self.users:,} users, {self.interactions:,} saves"


class Plan(NamedTuple):
    """How much is measured; the last two sizes served are those between which a request's cost may grow little."""

    served: tuple[Size, ...]
    trained: tuple[Size, ...]
    people: int  #: asked for of each arm
    judged: int  #: whose recall is measured


FULL = Plan(
    served=(Size(10_000, 1_000_000), Size(100_000, 5_000_000), Size(1_000_000, 50_000_000)),
    trained=(Size(3_000, 100_000), Size(10_000, 300_000), Size(30_000, 1_000_000)),
    people=3_000,
    judged=3_000,
)


def measure_growth(cores: Cores, findings: Findings, plan: Plan) -> None:
    """All sizes. Raises ServerFailedError when a process of one fails, LoadError when the service gives up."""
    answered = [_served(findings, cores, size, plan) for size in plan.served]
    for arm in ARMS:
        before, after = (sum(times[arm]) / len(times[arm]) for times in answered[-2:])
        findings.add(PART, arm, {"cost_growth": after / before})
    findings.plots.append(_plot(plan.served, answered))
    trained = [_trained(findings, size) for size in plan.trained]
    _add_largest(findings, plan, trained)


def _served(findings: Findings, cores: Cores, size: Size, plan: Plan) -> dict[str, list[float]]:
    """Everything about one size; returns µs of every answer by arm."""
    say(f"measuring: {size}")
    with _home(size) as home:
        with pinned(cores.server):
            answered: dict[str, list[float]] = _growing("ask", str(home), plan.people)
        times = np.concatenate([answered[arm] for arm in ARMS])
        findings.add(PART, str(size), {"p50_ms": percentile(times, 50) / 1e3})
        for arm in ARMS:
            p50, p99 = (percentile(np.array(answered[arm]), percent) / 1e3 for percent in (50, 99))
            findings.add(PART, str(size), {f"{arm}_p50_ms": p50, f"{arm}_p99_ms": p99})
        findings.add(PART, str(size), {"p99_ms": percentile(times, 99) / 1e3})
        findings.add(PART, str(size), _memory(home, cores, size))
    findings.add(PART, str(size), _growing("recall", *size[:1], N_EVENTS, *size[1:], plan.judged))
    return answered


@contextmanager
def _home(size: Size) -> Iterator[Path]:
    """A home of this size until the end of the block."""
    RESULTS.mkdir(exist_ok=True)
    kernels = RESULTS / "kernels"
    kernels.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="growth-") as scratch:
        home = Path(scratch) / "home"
        home.mkdir()
        (home / "cache").symlink_to(kernels)
        _growing("make", str(home), size.users, N_EVENTS, size.interactions)
        yield home


def _growing(what: str, *arguments: str | int) -> Any:
    command = [sys.executable, "-m", "bench.growing", what, *map(str, arguments)]
    environment = service_environment(RESULTS, os.environ)
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise ServerFailedError(f"bench.growing ended with status {done.returncode}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout) if done.stdout.startswith("{") else None


def _memory(home: Path, cores: Cores, size: Size) -> dict[str, float]:
    """Of the service, after it has answered many people; and of one with two workers."""
    crowd = Home(home, "synthetic", size.users, N_EVENTS)
    requests = [one.content for one in encoded(of_every_arm(crowd), _REQUESTS)]
    found: dict[str, float] = {}
    with running_service(home, cores.server) as server:
        drive(server.port, cycle(requests), _CONNECTIONS, 60.0, _REQUESTS)
        found |= {"ready_seconds": server.ready_seconds, **server.memory_mb()}
    with running_service(home, None, arguments=("--workers", str(_WORKERS))) as server:
        drive(server.port, cycle(requests), _CONNECTIONS, 60.0, _REQUESTS)
        found["workers_mb"] = _shared_out_mb(server.process)
    return found


def _shared_out_mb(process: psutil.Process) -> float:
    """What a process and those it started have resident, pages of several shared out among them (PSS), MB."""
    together = [process, *process.children(recursive=True)]
    return float(sum(one.memory_full_info().pss for one in together)) / 1e6


def _trained(findings: Findings, size: Size) -> float:
    """The most memory of a training, MB."""
    say(f"measuring: a training of {size}")
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="growth-") as scratch:
        home = Path(scratch) / "home"
        home.mkdir()
        (home / "cache").symlink_to(RESULTS / "kernels")
        saves = synthetic_site(size.users, N_EVENTS, size.interactions, seed=0)
        fill_home(home, Site(N_EVENTS, saves, no_pairs(size.users)), Path(scratch))
        cost = train_alone(home, str(size))
    findings.add(PART, str(size), {"training_seconds": cost.seconds, "training_peak_mb": cost.peak_mb})
    return cost.peak_mb


def _add_largest(findings: Findings, plan: Plan, trained: Sequence[float]) -> None:
    """How many saves fit, by straight lines through what was measured: service and training beside everything else."""
    resident = [
        figure.value for figure in findings.figures if figure.part == PART and figure.name == "resident_mb"
    ]
    service = np.polyfit([size.interactions for size in plan.served], resident, 1)
    training = np.polyfit([size.interactions for size in plan.trained], trained, 1)
    room = MACHINE_MB - OTHERS_MB
    findings.add(
        PART,
        "1 GiB",
        {
            "largest_served": (room - service[1]) / service[0],
            "largest_trained_beside": (room - service[1] - training[1]) / (service[0] + training[0]),
        },
    )


def _plot(sizes: Sequence[Size], answered: Sequence[dict[str, list[float]]]) -> Plot:
    curves = tuple(
        Curve(
            f"{arm} p99",
            tuple(float(size.users) for size in sizes),
            tuple(float(np.percentile(times[arm], 99)) / 1e3 for times in answered),
        )
        for arm in ARMS
    )
    return Plot("Compute of a request by size of site", "people", "milliseconds", curves, is_logarithmic=True)

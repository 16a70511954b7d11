"""What a training takes, alone and beside the service: `python -m bench.training [FILE.npz] [--json]`.

FILE.npz, or BENCH_DATA, or a synthetic site of the same size (`bench.sites`) is imported and trained once. Then
`craic train`, validation included, runs again on two cores at most: first with the settings of the model that serves,
then with others, so that the live model's have to be validated as well; last through the service
(`POST /v1/model/retrain`) while that serves, until the new model has taken over. Memory is in MB of 10⁶ bytes;
the service's and the training's are added up page for page, those that both map counted twice.

Promised: at most 60 seconds and 400 MB for a training, 700 MB together. Exit codes: 0 kept, 1 broken, 2 not measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.asking import ask_for_training
from bench.homes import Home, HomeError, prepare_home, working_copy
from bench.load import LoadError
from bench.memory import high_water_mb
from bench.paced import Pacing, steadily
from bench.reload import wait_for_model
from bench.requests import Crowd, of_every_arm
from bench.servers import Server, ServerFailedError, end_in_order, running_service, service_environment
from bench.watching import PeakWatch, tree_mb
from service.models import ModelRegistry
from training.chosen import ChosenSettings, read_chosen, store_chosen

KEPT, BROKEN, NOT_MEASURED = 0, 1, 2
MOST_SECONDS, MOST_MB, MOST_TOGETHER_MB = 60.0, 400.0, 700.0
MOST_CORES = 2
#: So that the service has its arms compiled and its pages in use before a training begins.
WARM_UP_SECONDS = 3.0
REQUESTS_PER_SECOND = 50.0
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One training."""

    what: str
    seconds: float  #: from the start of its process to its end
    peak_mb: float  #: of its process; of it and the service together where that served
    most_mb: float  #: what was promised

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        promises = {
            f"at most {MOST_SECONDS:g} s": self.seconds <= MOST_SECONDS,
            f"at most {self.most_mb:g} MB": self.peak_mb <= self.most_mb,
        }
        return [f"{self.what}: {promise}" for promise, is_kept in promises.items() if not is_kept]


def main(arguments: list[str] | None = None) -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", help="an .npz with a training split")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    options = parser.parse_args(arguments)
    end_in_order()
    broken = []
    try:
        for cost in measure_trainings(prepare_home(options.file)):
            broken += cost.broken()
            _tell(cost, options.json)
    except (HomeError, ServerFailedError, LoadError, OSError, subprocess.CalledProcessError) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED
    for promise in broken:
        print(f"BROKEN  {promise}", file=sys.stderr)
    return BROKEN if broken else KEPT


def measure_trainings(home: Home) -> Iterator[Cost]:
    """The three trainings, each on what the one before has left."""
    with working_copy(home) as copy, _two_cores():
        yield train_alone(copy, "the live model's settings")
        _choose_others(copy / "models")
        yield train_alone(copy, "other settings")
        with running_service(copy, None) as server:
            yield train_beside(server, copy / "models", home)


def train_alone(home: Path, what: str) -> Cost:
    """`craic train` on a home, which must publish."""
    command = [sys.executable, "-m", "training", "train", "--json", "--force"]
    environment = service_environment(home, os.environ)
    started = time.perf_counter()
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process,
        PeakWatch(lambda: high_water_mb(process.pid)) as watch,
    ):
        code = process.wait()
    if code != 0:
        raise subprocess.CalledProcessError(code, command)
    return Cost(what, time.perf_counter() - started, watch.peak, MOST_MB)


def train_beside(server: Server, models: Path, crowd: Crowd) -> Cost:
    """A training that the service is asked for while it answers, until its model has taken over."""
    with Pacing(server.port, of_every_arm(crowd), steadily(REQUESTS_PER_SECOND), connections=2) as load:
        load.run_for(WARM_UP_SECONDS)
        with PeakWatch(lambda: tree_mb(server.process)) as watch:
            started = time.perf_counter()
            ask_for_training(server.port, PATIENCE_SECONDS)
            seconds = time.perf_counter() - started
            wait_for_model(server.port, ModelRegistry(models).current())
            load.run_for(1.0)
    if load.seen.failed:
        raise LoadError(f"{len(load.seen.failed)} requests failed: {load.seen.failed[0].why}")
    return Cost("beside the service", seconds, watch.peak, MOST_TOGETHER_MB)


def _choose_others(models: Path) -> None:
    """Let the next training use settings that the live model does not have."""
    settings = read_chosen(models).settings
    others = replace(settings.collaborative, neighbours=settings.collaborative.neighbours + 1)
    store_chosen(models, ChosenSettings(replace(settings, collaborative=others)))


@contextmanager
def _two_cores() -> Iterator[None]:
    """Keep this process and those it starts on as many cores as the promise is for, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:MOST_CORES])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _tell(cost: Cost, as_json: bool) -> None:
    named = {
        "training": cost.what,
        "seconds": float(f"{cost.seconds:.4g}"),
        "peak_mb": float(f"{cost.peak_mb:.4g}"),
        "most_mb": cost.most_mb,
    }
    if as_json:
        print(json.dumps(named), flush=True)
    else:
        print(
            f"{cost.what:<28}{cost.seconds:>8.1f} s{cost.peak_mb:>8.0f} of {cost.most_mb:.0f} MB", flush=True
        )


if __name__ == "__main__":
    sys.exit(main())

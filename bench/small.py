"""The part `small`: the service, its trainings and a MariaDB on a machine of 1 GiB that has a fifth of one core.

That is what is left of a t4g.micro when it has used up its credits. Control groups (`bench.cgroups`) make this machine
so small; where they cannot be had, the part says so and is left out. MariaDB has a buffer pool of 64 MB. The load comes
from outside of the bounds: an open loop, feedback in it, an answer's time from when its request was due.

Asked for are recommendations as the service gives them without an experiment, by its default arm; the mix of the four
arms of the standing experiment is told apart. Kernels were compiled before, as an image brings them along.

A training takes the time that requests leave (`service.priority`): at the promised rate next to nothing, so that it is
watched there for a while, and at half that rate to its end.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import NamedTuple

from bench.asking import ask_for_training, start_mix
from bench.cgroups import Group, Limits, NoGroupsError, limited_group
from bench.figures import Curve, Findings, Plot
from bench.histograms import histogram_of, milliseconds, percentiles
from bench.load import LoadError
from bench.mysql_site import MissingServerError, MySQLSite, running_mysql_site
from bench.paced import Pacing, Request, at_random
from bench.rates import CONNECTIONS, AtRate, at_rate
from bench.requests import RECOMMENDATION, as_a_site_does, encoded
from bench.servers import Cores, Server, pinned, running_service
from bench.sites import Site
from bench.watching import PeakWatch
from service.experiments.definition import ARMS_OF_CONTRACT

PART = "small"
#: The machine.
LIMITS = Limits(memory_bytes=1 << 30, cores=0.2)
#: What is promised: so many requests a second, and that 95 of 100 answers come within so many milliseconds.
PROMISED_RATE, FAST_MS = 500.0, 200.0
#: Requests a second of which each is tried, until one is too many.
RATES = (100.0, 250.0, 500.0, 600.0, 700.0, 850.0, 1_000.0, 1_250.0)
#: Until a training ends, once it was watched at the promised rate.
TRAINING_RATE = 250.0
#: Of the mix of four arms.
MIX_RATE = 250.0

_N_REQUESTS = 20_000
_WARM_UP_RATE, _WARM_UP_SECONDS = 100.0, 5.0


class Plan(NamedTuple):
    """How much is measured."""

    rate_seconds: float  #: of each rate
    promised_seconds: float  #: of a training at the promised rate
    training_seconds: float  #: the longest that a training may take


FULL = Plan(10.0, 60.0, 1_500.0)


def measure_small(site: Site, cores: Cores, findings: Findings, plan: Plan) -> None:
    """All of it, or a note that says why not. Raises ServerFailedError or LoadError when the service gives up."""
    try:
        with (
            limited_group("craic-bench", LIMITS) as group,
            running_mysql_site(site) as found,
            _compiled(found),
            _within(group, found, cores),
            running_service(found.home, cores.server, found.settings, wrapping=group.wrapping()) as server,
            pinned(cores.load),
        ):
            _measure(findings, group, found, server, plan)
    except (NoGroupsError, MissingServerError) as error:
        findings.leave_out(PART, str(error))


@contextmanager
def _compiled(found: MySQLSite) -> Iterator[None]:
    """Start the service once outside of the bounds, where its kernels take seconds to compile instead of minutes."""
    with running_service(found.home, None, found.settings):
        pass
    yield


@contextmanager
def _within(group: Group, found: MySQLSite, cores: Cores) -> Iterator[None]:
    """Start the database again within the bounds; it was filled outside of them."""
    found.server.stop()
    found.server.wrapping = group.wrapping()
    with pinned(cores.server):
        found.server.start()
    try:
        yield
    finally:
        found.server.stop()


def _measure(findings: Findings, group: Group, found: MySQLSite, server: Server, plan: Plan) -> None:
    findings.add(PART, "machine", {"ready_seconds": server.ready_seconds})
    requests = cycle(encoded(as_a_site_does(found, seed=1), _N_REQUESTS))
    with PeakWatch(group.used_mb) as watch:
        at_rate(server, requests, _WARM_UP_RATE, _WARM_UP_SECONDS)
        seen = _rates(server, requests, plan.rate_seconds)
        for one in seen:
            _add(findings, f"{one.rate:g}/s", one)
        findings.add(PART, "machine", {"fast_per_second": _greatest(seen), "served_mb": watch.peak})
        findings.plots.append(_plot(seen))
        _train(findings, server, requests, plan)
        start_mix(server.port, dict.fromkeys(ARMS_OF_CONTRACT, 1.0))
        mixed = at_rate(server, requests, MIX_RATE, plan.rate_seconds)
        _add(findings, f"{MIX_RATE:g}/s, four arms", mixed)
        findings.add(PART, "machine", {"used_mb": watch.peak, **server.memory_mb()})
    findings.add(PART, "machine", {"killed": group.killed(), "throttled_seconds": group.throttled_seconds()})


def _add(findings: Findings, subject: str, one: AtRate) -> None:
    values = percentiles(one.histogram) | {"cpu_ms": one.cpu_ms, "failed": one.failed}
    findings.add(PART, subject, values)


def _rates(server: Server, requests: Iterator[Request], seconds: float) -> list[AtRate]:
    """What arrivals at each rate saw, up to the first that is too many."""
    seen: list[AtRate] = []
    for rate in RATES:
        seen.append(at_rate(server, requests, rate, seconds))
        if not _is_fast(seen[-1]) and rate >= PROMISED_RATE:
            break
    return seen


def _is_fast(one: AtRate) -> bool:
    return one.failed == 0 and milliseconds(one.histogram, 95.0) < FAST_MS


def _greatest(seen: list[AtRate]) -> float:
    """The greatest rate that is fast with everything below it."""
    greatest = 0.0
    for one in seen:
        if not _is_fast(one):
            break
        greatest = one.rate
    return greatest


def _train(findings: Findings, server: Server, requests: Iterator[Request], plan: Plan) -> None:
    """A training that the service is asked for under load, until it has ended; and what the answers' times were.

    Raises LoadError when it fails or does not end in time.
    """
    ended: list[str] = []
    training = threading.Thread(
        target=lambda: ended.append(_trained(server.port, plan.training_seconds)), daemon=True
    )
    began = time.perf_counter()
    training.start()
    rest = plan.training_seconds - plan.promised_seconds
    for rate, seconds in ((PROMISED_RATE, plan.promised_seconds), (TRAINING_RATE, rest)):
        if training.is_alive():
            _beside(findings, server, requests, training, rate, seconds)
    if not ended or ended[0]:
        raise LoadError(f"the training under load: {ended[0] if ended else 'did not end in time'}")
    findings.add(PART, "machine", {"training_seconds": time.perf_counter() - began})


def _beside(
    findings: Findings,
    server: Server,
    requests: Iterator[Request],
    training: threading.Thread,
    rate: float,
    seconds: float,
) -> None:
    """Load at a rate for so long, at most until the training has ended."""
    with Pacing(server.port, requests, at_random(rate, seconds, seed=5), CONNECTIONS) as load:
        started = time.perf_counter()
        while training.is_alive() and load.is_sending:
            load.run_for(0.2)
        stopped = time.perf_counter()
        seen = load.stop()
    histogram = histogram_of(seen.latencies_ms(started, stopped, RECOMMENDATION))
    values = percentiles(histogram) | {"failed": len(seen.failed), "seconds": stopped - started}
    findings.add(PART, f"{rate:g}/s and a training", values)


def _trained(port: int, within: float) -> str:
    """Nothing when a training through the service has ended well, else what happened."""
    try:
        ask_for_training(port, within)
    except (LoadError, OSError) as error:
        return str(error) or type(error).__name__
    return ""


def _plot(seen: list[AtRate]) -> Plot:
    rates = tuple(one.rate for one in seen)
    curves = tuple(
        Curve(f"p{percent:g}", rates, tuple(milliseconds(one.histogram, percent) for one in seen))
        for percent in (50.0, 95.0, 99.0)
    )
    return Plot(
        "Latency against rate, 1 GiB and a fifth of a core", "requests a second", "milliseconds", curves
    )

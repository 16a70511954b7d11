"""How long answers take at given rates of arrival, and the greatest rate at which they are still fast.

Arrivals are those of a Poisson process, fixed beforehand; an answer's time runs from when its request was due
(`bench.paced`). Among the requests is the feedback that a site would send.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from hdrh.histogram import HdrHistogram

from bench.answers import check_answer
from bench.figures import Curve, Findings, Plot
from bench.histograms import distribution, histogram_of, milliseconds, percentiles
from bench.load import LoadError
from bench.paced import Pacing, Request, at_random
from bench.requests import FEEDBACK, RECOMMENDATION, Crowd, as_a_site_does, encoded, recommendations
from bench.servers import Server
from service.recommending.arms import ARMS

PART = "rates"
#: Requests a second whatever the machine, and shares of what it can do under full load.
RATES = (500.0, 1_000.0, 2_000.0)
SHARES = (0.3, 0.5, 0.7, 0.85)
#: What counts as fast, and how closely the greatest rate is looked for.
FAST_MS = 10.0
_HALVINGS = 4
#: Of the arms by name.
ARM_RATE = 500.0
CONNECTIONS = 64
_N_REQUESTS = 20_000


@dataclass(frozen=True, slots=True)
class AtRate:
    """What arrivals at one rate saw."""

    rate: float
    histogram: HdrHistogram  #: of recommendations
    feedback: HdrHistogram
    cpu_ms: float  #: of the server's processor, a request
    failed: int

    @property
    def is_fast(self) -> bool:
        """Whether 99 of 100 recommendations came within ten milliseconds and nothing failed."""
        return self.failed == 0 and milliseconds(self.histogram, 99.0) <= FAST_MS


def measure_rates(
    findings: Findings, server: Server, bare: Server, crowd: Crowd, saturated: float, seconds: float
) -> None:
    """Every rate, each arm by name, and the search. `saturated` are the requests a second under full load.

    What the bare handler takes at a rate is what the machine and the load generator take of any answer's time.
    """
    mixed = cycle(encoded(as_a_site_does(crowd, seed=1), _N_REQUESTS))
    fixed = [rate for rate in RATES if rate == RATES[0] or rate < 0.9 * saturated]
    seen = [at_rate(server, mixed, rate, seconds) for rate in (*fixed, *(saturated * one for one in SHARES))]
    best = _search(server, mixed, seen, saturated, seconds)
    for one in seen[: len(fixed)]:
        _add(findings, f"{one.rate:g}/s", one)
    floor = at_rate(bare, cycle(encoded(recommendations(crowd, 0), _N_REQUESTS // 4)), ARM_RATE, seconds)
    findings.add(
        PART, f"bare aiohttp, {ARM_RATE:g}/s", percentiles(floor.histogram) | {"cpu_ms": floor.cpu_ms}
    )
    findings.add(PART, "mix", {"fast_per_second": best})
    by_arm = _by_arm(findings, server, crowd, seconds)
    findings.plots += [
        _cdf("Latency of the mix by rate of arrival", {f"{one.rate:g}/s": one for one in seen[: len(fixed)]}),
        _cdf(f"Latency of each arm at {ARM_RATE:g}/s", by_arm),
        _against_rate(seen),
    ]


def at_rate(
    server: Server, requests: Iterable[Request], rate: float, seconds: float, connections: int = CONNECTIONS
) -> AtRate:
    """Load at one rate. Raises LoadError when hardly anything was answered, WrongAnswerError for a wrong answer."""
    dues = at_random(rate, seconds, seed=int(rate))
    before = server.cpu_seconds()
    with Pacing(server.port, requests, dues, connections) as pacing:
        seen = pacing.finish()
    cpu_seconds = server.cpu_seconds() - before
    if len(seen.failed) > len(seen.answered):
        raise LoadError(f"{len(seen.failed)} of {len(dues)} requests failed: {seen.failed[0].why}")
    for body in seen.samples.get(RECOMMENDATION, []):
        check_answer(body)
    return AtRate(
        rate,
        histogram_of(seen.latencies_ms(name=RECOMMENDATION)),
        histogram_of(seen.latencies_ms(name=FEEDBACK)),
        1000.0 * cpu_seconds / len(seen.answered),
        len(seen.failed),
    )


def _search(
    server: Server, requests: Iterator[Request], seen: list[AtRate], saturated: float, seconds: float
) -> float:
    """The greatest rate found to be fast with everything below it, by halving; what was tried is added to `seen`."""
    tried = sorted(seen, key=lambda one: one.rate)
    slow = next((one.rate for one in tried if not one.is_fast), 1.1 * saturated)
    fast = max((one.rate for one in tried if one.is_fast and one.rate < slow), default=0.0)
    for _ in range(_HALVINGS):
        middle = at_rate(server, requests, (fast + slow) / 2.0, seconds)
        seen.append(middle)
        fast, slow = (middle.rate, slow) if middle.is_fast else (fast, middle.rate)
    return fast


def _by_arm(findings: Findings, server: Server, crowd: Crowd, seconds: float) -> dict[str, AtRate]:
    found = {}
    for number, arm in enumerate(ARMS):
        requests = cycle(encoded(recommendations(crowd, number, arm), _N_REQUESTS // 4))
        found[arm] = at_rate(server, requests, ARM_RATE, seconds)
        findings.add(PART, f"{arm}, {ARM_RATE:g}/s", percentiles(found[arm].histogram))
    return found


def _add(findings: Findings, subject: str, one: AtRate) -> None:
    findings.add(PART, subject, percentiles(one.histogram) | {"cpu_ms": one.cpu_ms, "failed": one.failed})
    findings.add(PART, subject, {"feedback_p99_ms": milliseconds(one.feedback, 99.0)})


def _cdf(title: str, found: dict[str, AtRate]) -> Plot:
    curves = tuple(distribution(label, one.histogram) for label, one in found.items())
    return Plot(title, "milliseconds from when it was due", "percent of answers", curves, is_logarithmic=True)


def _against_rate(seen: Sequence[AtRate]) -> Plot:
    ordered = sorted(seen, key=lambda one: one.rate)
    rates = tuple(one.rate for one in ordered)
    curves = tuple(
        Curve(
            f"p{percent:g}", rates, tuple(min(milliseconds(one.histogram, percent), 50.0) for one in ordered)
        )
        for percent in (50.0, 95.0, 99.0)
    )
    return Plot(
        "Latency against rate, the mix with feedback",
        "requests a second",
        "milliseconds (50 and more: 50)",
        curves,
    )

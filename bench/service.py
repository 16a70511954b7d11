"""The part `service`: what a request costs, how long answers take at given rates of arrival, a reload, a start.

The real service, all settings at their defaults and the standing experiment running, is pinned to one core and answers
requests for random people from the other core. Beside it bare aiohttp handlers return the bytes of its answers
(`bench.bare`). They take turns in short rounds, one turn for each arm by name and one for the mix that the experiment
makes, each followed by one of the bare handler with the same answers, so that whatever else the machine does falls on
all of them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import NamedTuple

import orjson

from bench.answers import check_answer
from bench.asking import start_mix
from bench.figures import Findings
from bench.histograms import histogram_of, percentiles
from bench.homes import RESULTS, Home, working_copy
from bench.load import Load, drive
from bench.paced import Request
from bench.rates import measure_rates
from bench.reloading import measure_reload
from bench.requests import encoded, recommendations
from bench.servers import Cores, Server, pinned, running_bare, running_service
from service.experiments.definition import ARMS_OF_CONTRACT
from service.recommending.arms import ARMS

PART = "service"
#: What is asked for without naming an arm: the experiment decides, the answer counts as an exposure.
MIX = "mix"
BARE = "bare aiohttp"
#: The four arms of the site's standing experiment, in equal parts.
WEIGHTS = dict.fromkeys(ARMS_OF_CONTRACT, 1.0)

#: As many requests at once as keep a single-threaded server from ever waiting.
CONNECTIONS = 8
#: Requests of each kind made beforehand; they are sent over and over.
N_REQUESTS = 20_000
COLD_ANSWERS = 200
#: A server under full load that had less of its core than this was kept from it by something else.
UNDISTURBED = 0.9

_WARM_UP_SECONDS, _TURN_SECONDS, _BARE_SECONDS = 0.4, 0.15, 0.1
#: Of the answers that the bare handler returns.
_KEEP_EVERY = 5
#: One body in so many of a turn is looked at.
_LOOK_EVERY = 50


class Plan(NamedTuple):
    """How much is measured."""

    starts: int
    rounds: int  #: of each start
    rate_seconds: float  #: of each rate of arrival


QUICK, FULL = Plan(4, 8, 1.5), Plan(6, 16, 4.0)


class Turn(NamedTuple):
    """A stretch of full load on one server, and the processor time that took it, seconds."""

    load: Load
    cpu_seconds: float

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of the processor for each answer."""
        return 1000.0 * self.cpu_seconds / self.load.answers


@dataclass(slots=True)
class Rounds:
    """The turns of every subject, by start and round, and those of the bare handler with its answers (`bare_of`)."""

    turns: dict[str, list[list[Turn]]] = field(default_factory=dict)

    def add_start(self, subjects: list[str]) -> None:
        for subject in subjects:
            self.turns.setdefault(subject, []).append([])

    def blocks(self, subject: str, name: str, against: str | None = None) -> list[list[float]]:
        """`cpu_ms` or `per_second` of each round, divided by that of another subject in the same round."""
        values = [[_value(turn, name) for turn in block] for block in self.turns[subject]]
        if against is None:
            return values
        others = self.blocks(against, name)
        return [
            [one / other for one, other in zip(mine, theirs, strict=True)]
            for mine, theirs in zip(values, others, strict=True)
        ]


def bare_of(subject: str) -> str:
    """What the bare handler is called that returns a subject's answers."""
    return f"{BARE}, {subject}"


def _value(turn: Turn, name: str) -> float:
    return turn.cpu_ms if name == "cpu_ms" else turn.load.requests_per_second


def measure_service(home: Home, cores: Cores, findings: Findings, plan: Plan) -> None:
    """Measure all of it. Raises ServerFailedError, LoadError or WrongAnswerError when a server does not do its part."""
    with working_copy(home) as copy, running_service(copy, cores.server):
        pass  # whatever kernel has changed is compiled now, so that the starts that count find a warm cache
    requests = requests_of(home)
    rounds, starts, colds = Rounds(), [], []
    with pinned(cores.load):
        for number in range(plan.starts):
            with working_copy(home) as copy, running_service(copy, cores.server) as ours:
                starts.append(ours.ready_seconds)
                start_mix(ours.port, WEIGHTS)
                colds.append(_cold(ours, requests[MIX]))
                with _bare_beside(ours, requests, cores) as bares:
                    _play(rounds, ours, bares, requests, plan.rounds)
                    if number == plan.starts - 1:
                        _add_rounds(findings, rounds, list(requests))
                        measure_rates(
                            findings, ours, bares[MIX], home, _saturated(findings), plan.rate_seconds
                        )
                        measure_reload(findings, ours, copy, home)
                        findings.add(PART, "process", ours.memory_mb())
    findings.add(PART, "process", {"ready_seconds": sorted(starts)[len(starts) // 2]})
    findings.add(PART, "process", {"first_answer_ms": max(cold.latencies_ms[0] for cold in colds)})
    cold = histogram_of(colds[-1].latencies_ms)
    findings.add(PART, "cold", percentiles(cold))


def requests_of(home: Home) -> dict[str, list[Request]]:
    """Requests for every arm by name, and for the mix."""
    kinds = {arm: recommendations(home, number, arm) for number, arm in enumerate(ARMS)}
    kinds[MIX] = recommendations(home, len(ARMS))
    return {kind: encoded(made, N_REQUESTS) for kind, made in kinds.items()}


def _saturated(findings: Findings) -> float:
    """The mix's requests a second under full load."""
    return next(
        figure.value
        for figure in findings.figures
        if figure.subject == MIX and figure.name == "requests_per_second"
    )


def _cold(ours: Server, requests: list[Request]) -> Load:
    """The first answers after a start, one connection."""
    load = drive(ours.port, (one.content for one in requests), 1, seconds=60.0, most=COLD_ANSWERS)
    _check(load)
    return load


@contextmanager
def _bare_beside(
    ours: Server, requests: dict[str, list[Request]], cores: Cores
) -> Iterator[dict[str, Server]]:
    """A bare handler for each kind of request, with our answers to it, once all are warm."""
    with ExitStack() as running:
        bares = {}
        for kind, made in requests.items():
            sending = cycle([one.content for one in made])
            warm = drive(ours.port, sending, CONNECTIONS, _WARM_UP_SECONDS, sample_every=_KEEP_EVERY)
            _check(warm)
            path = RESULTS / f"answers-{kind}.jsonl"
            path.write_bytes(b"\n".join(warm.samples))
            bares[kind] = running.enter_context(running_bare(path, cores.server))
            drive(bares[kind].port, sending, CONNECTIONS, _WARM_UP_SECONDS)
        yield bares


def _play(
    rounds: Rounds, ours: Server, bares: dict[str, Server], requests: dict[str, list[Request]], count: int
) -> None:
    """Some rounds of one start; each begins with another subject, so that drift favours none."""
    sending = {kind: cycle([one.content for one in made]) for kind, made in requests.items()}
    order = [*requests]
    rounds.add_start([*order, *map(bare_of, order)])
    for _ in range(count):
        for kind in order:
            turn = _turn(ours, sending[kind], _TURN_SECONDS)
            rounds.turns[kind][-1].append(turn)
            _check(turn.load)
            rounds.turns[bare_of(kind)][-1].append(_turn(bares[kind], sending[kind], _BARE_SECONDS))
        order.append(order.pop(0))


def _turn(server: Server, requests: Iterator[bytes], seconds: float) -> Turn:
    before = server.cpu_seconds()
    load = drive(server.port, requests, CONNECTIONS, seconds, sample_every=_LOOK_EVERY)
    return Turn(load, server.cpu_seconds() - before)


def _add_rounds(findings: Findings, rounds: Rounds, kinds: Sequence[str]) -> None:
    for subject, blocks in rounds.turns.items():
        turns = [turn for block in blocks for turn in block]
        findings.add_rounds(PART, subject, "requests_per_second", rounds.blocks(subject, "per_second"))
        findings.add_rounds(PART, subject, "cpu_ms", rounds.blocks(subject, "cpu_ms"))
        share = sum(turn.cpu_seconds for turn in turns) / sum(turn.load.seconds for turn in turns)
        size = sum(turn.load.body_bytes for turn in turns) / sum(turn.load.answers for turn in turns)
        findings.add(PART, subject, {"bytes_per_answer": size, "core_share": share})
        if subject == MIX:
            findings.notes.append(f"The mix was {_arms_told(turns)}.")
        if share < UNDISTURBED:
            findings.notes.append(
                f"The machine was busy: {subject} had only {share:.0%} of its core under full load. Throughput and "
                "percentiles say little; processor time and costs say more."
            )
    for kind in kinds:
        bare = bare_of(kind)
        findings.add_rounds(PART, kind, "cost_to_bare", rounds.blocks(kind, "cpu_ms", bare))
        findings.add_rounds(PART, kind, "ratio_to_bare", rounds.blocks(kind, "per_second", bare))


def _arms_told(turns: list[Turn]) -> str:
    """Which arms answered what was asked without naming one, by a sample."""
    bodies = [orjson.loads(body) for turn in turns for body in turn.load.samples]
    counts = Counter(body["variant"] for body in bodies)
    return ", ".join(f"{variant} {count / len(bodies):.0%}" for variant, count in sorted(counts.items()))


def _check(load: Load) -> None:
    for body in load.samples:
        check_answer(body)

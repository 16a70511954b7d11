"""The part `peers`: ours beside the two services of `bench.peers`, all three with the same people, events and saves.

They run on one core and take turns under full load from another. The peers read a MariaDB, which runs beside the load;
ours has no database on a request's way, so it takes the prepared home.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import cycle
from typing import NamedTuple

import orjson

from bench.answers import LIMIT, WrongAnswerError, check_answer
from bench.asking import start_mix
from bench.figures import Findings
from bench.homes import Home, working_copy
from bench.load import drive, percentile
from bench.mysql_site import MySQLSite, running_mysql_site
from bench.requests import Crowd, encoded, recommendations
from bench.servers import Cores, Server, pinned, running_module, running_service
from bench.service import CONNECTIONS, WEIGHTS
from bench.sites import Site

PART = "peers"
OURS, IN_MEMORY, REPLACED = "ours", "in_memory", "replaced"
ROUNDS = 5
_N_REQUESTS = 5_000
_WARM_UP_SECONDS = 2.0
#: What is slow gets longer turns, so that each has some dozens of answers.
_TURN_SECONDS = {OURS: 1.0, IN_MEMORY: 1.0, REPLACED: 4.0}


class Contestant(NamedTuple):
    """A service that is ready, and requests for it without end."""

    server: Server
    requests: Iterator[bytes]


def measure_peers(home: Home, site: Site, cores: Cores, findings: Findings) -> None:
    """All three by turns. Raises MissingServerError without MariaDB, ServerFailedError, LoadError, WrongAnswerError."""
    with pinned(cores.load), running_mysql_site(site, is_trained=False) as tables, ExitStack() as running:
        copy = running.enter_context(working_copy(home))
        ours = running.enter_context(running_service(copy, cores.server))
        start_mix(ours.port, WEIGHTS)
        contestants = {OURS: Contestant(ours, _requests(home))} | {
            name: Contestant(running.enter_context(_running(name, tables, cores)), _requests(tables))
            for name in (IN_MEMORY, REPLACED)
        }
        for name, one in contestants.items():
            _warm_up(name, one)
        _play(contestants, findings)


def _running(name: str, tables: MySQLSite, cores: Cores) -> AbstractContextManager[Server]:
    log = tables.home / f"{name}.log"
    return running_module(f"bench.peers.{name}", cores.server, log, tables.settings)


def _requests(crowd: Crowd) -> Iterator[bytes]:
    return cycle([request.content for request in encoded(recommendations(crowd, 0), _N_REQUESTS)])


def _warm_up(name: str, one: Contestant) -> None:
    load = drive(one.server.port, one.requests, 1, _WARM_UP_SECONDS, sample_every=1)
    for body in load.samples:
        if name == OURS:
            check_answer(body)
        elif len(orjson.loads(body)["recommendations"]) != LIMIT:
            raise WrongAnswerError(f"{name}: not {LIMIT} recommendations: {body[:500]!r}")


def _play(contestants: dict[str, Contestant], findings: Findings) -> None:
    per_second: dict[str, list[float]] = {name: [] for name in contestants}
    cpu_ms: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, (server, requests) in contestants.items():
            before = server.cpu_seconds()
            load = drive(server.port, requests, CONNECTIONS, _TURN_SECONDS[name])
            cpu_ms[name].append(1000.0 * (server.cpu_seconds() - before) / load.answers)
            per_second[name].append(load.requests_per_second)
    memory = {name: one.server.memory_mb() for name, one in contestants.items()}
    for name, one in contestants.items():
        findings.add_rounds(PART, name, "requests_per_second", [per_second[name]])
        findings.add_rounds(PART, name, "cpu_ms", [cpu_ms[name]])
        alone = drive(one.server.port, one.requests, 1, _TURN_SECONDS[name]).latencies_ms
        findings.add(PART, name, {f"p{percent}_ms_alone": percentile(alone, percent) for percent in (50, 99)})
        findings.add(PART, name, memory[name] | {"ready_seconds": one.server.ready_seconds})
        if name != OURS:
            ratios = [ours / theirs for ours, theirs in zip(per_second[OURS], per_second[name], strict=True)]
            findings.add_rounds(PART, name, "throughput_of_ours", [ratios])
            findings.add(
                PART, name, {"memory_of_ours": memory[OURS]["resident_mb"] / memory[name]["resident_mb"]}
            )

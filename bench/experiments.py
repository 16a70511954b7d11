"""What experiments cost a request, and what it notices when DynamoDB is away: `python -m bench.experiments`.

1. Finding a person's variant, as the service does it for each request: at most 20 µs for 99 of 100 people
   (`bench.assigning`).
2. The service keeps its experiments in a DynamoDB endpoint (`--endpoint`: moto or dynalite) behind a line
   (`bench.line`) that then accepts and never answers, breaks every connection, or does not accept any more. Meanwhile
   no recommendation fails, their p99 is at most 1.2 times what it was in the seconds before, and what is counted is
   all in the results, and in DynamoDB once it is back and the counts that were held are sent. A fifth of the buckets
   has moved, so that some requests do ask the store; and each trouble meets people of its own beside those who were
   there before, so that it has somebody to be asked for and something to be sent. What came before is measured on
   people who were sent and looked up already: nothing slows it down.

Latencies count from the moment when a request was due. Exit codes: 0 kept, 1 broken, 2 not measured.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import orjson

from bench.answers import LIMIT
from bench.asking import ask
from bench.assigning import STANDING, Assigning, measure_assigning, reweighted, running
from bench.homes import HomeError, prepare_home, working_copy
from bench.line import HOST, MODES, Line, running_line
from bench.load import LoadError, percentile, post
from bench.paced import Paced, Pacing, Request, steadily
from bench.servers import ServerFailedError, available_cores, end_in_order, pinned, running_service
from service.experiments.revisions import Revision
from service.experiments.stores.dynamodb import DynamoDBStore, open_dynamodb
from service.experiments.stores.dynamodb_client import DynamoDBSettings
from tests.dynamodb_servers import dynalite_server, moto_server

KEPT, BROKEN, NOT_MEASURED = 0, 1, 2
TROUBLES = MODES[1:]
MOST_RATIO = 1.2

CONNECTIONS = 16
#: How often the service looks and sends; by default it is more patient.
DYNAMODB_SECONDS = 1.0
WARM_UP_SECONDS = 3.0
ARRIVED_WITHIN_SECONDS = 60.0

_ENDPOINTS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "moto": moto_server,
    "dynalite": dynalite_server,
}


class Plan(NamedTuple):
    """How much is measured. So many people are there from the beginning, and as many come with each trouble."""

    seconds: float  #: of each trouble, and as long before
    per_second: float = 200.0
    people: int = 500
    recovery_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a store that fails in one way did to recommendations."""

    kind: str
    requests: int  #: meanwhile
    failed: int
    p50_before_ms: float
    p50_meanwhile_ms: float
    p99_before_ms: float
    p99_meanwhile_ms: float
    max_meanwhile_ms: float

    @property
    def ratio(self) -> float:
        """How much slower the slowest hundredth was than before."""
        return self.p99_meanwhile_ms / self.p99_before_ms

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        promises = {
            "no recommendation fails": self.failed == 0,
            f"p99 at most {MOST_RATIO:g} times that of before": self.ratio <= MOST_RATIO,
        }
        return [f"{self.kind}: {promise}" for promise, is_kept in promises.items() if not is_kept]


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of the counts of all those answers."""

    answers: int
    in_the_results: int  #: when all was over, what was held included
    people: int
    people_in_dynamodb: int  #: then: who is new is sent at once
    in_dynamodb: int  #: after a start that holds nothing
    in_several_variants: int
    arrived_after_seconds: float  #: from that start on

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        promises = {
            "the results have every answer": self.in_the_results == self.answers,
            "DynamoDB knows everyone": self.people_in_dynamodb == self.people,
            "every count arrives, once": self.in_dynamodb == self.answers,
        }
        return [promise for promise, is_kept in promises.items() if not is_kept]


def main(arguments: list[str] | None = None) -> int:
    """Measure both and judge."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of each trouble, and as long before")
    parser.add_argument("--endpoint", choices=[*_ENDPOINTS], default="dynalite")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    options = parser.parse_args(arguments)
    end_in_order()
    cores = available_cores()
    found: list[Assigning | Trouble | Counted] = []
    try:
        home = prepare_home(None)
        with pinned(cores.server):
            found += measure_assigning()
        with pinned(cores.load), _ENDPOINTS[options.endpoint]() as url:
            print(cores.told, file=sys.stderr)
            with working_copy(home) as copy:
                found += measure_troubles(copy, url, TROUBLES, Plan(options.seconds), cores.server)
    except (HomeError, ServerFailedError, LoadError, OSError, subprocess.CalledProcessError) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED
    for one in found:
        _tell(one, options.json)
    broken = [promise for one in found for promise in one.broken()]
    for promise in broken:
        print(f"BROKEN  {promise}", file=sys.stderr)
    return BROKEN if broken else KEPT


def measure_troubles(
    home: Path,
    url: str,
    troubles: Sequence[str],
    plan: Plan,
    core: int | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> list[Trouble | Counted]:
    """Each trouble in turn on one service, which writes to `home` (a CRAIC_HOME); then what became of the counts."""
    tables = f"bench-{uuid4().hex}"
    revision = asyncio.run(_prepare(_settings(url, tables)))
    with running_line(urlsplit(url).port or 0) as line:
        environment = {**settings, **_environment(f"http://{HOST}:{line.port}", tables)}
        with running_service(home, core, environment) as server:
            crowd = _People(plan.people, len(troubles))
            sent = [_warm_up(server.port, crowd, plan)]
            found: list[Trouble | Counted] = []
            for place, trouble in enumerate(troubles):
                seen, one = _measure(server.port, line, crowd, place, trouble, plan)
                sent.append(seen)
                found.append(one)
            asked = {one.name for seen in sent for one in seen.answered}
            answers = sum(len(seen.answered) for seen in sent)
            path = f"/v1/experiments/{revision.experiment_id}/results"
            in_results = _settled(answers, lambda: _exposures(server.port, path))
            known = _settled(len(asked), lambda: asyncio.run(_stored(_settings(url, tables), revision))[0])
        with running_service(home, core, environment | {"DYNAMODB_HOLD_SECONDS": "0"}):
            started = time.perf_counter()
            _settled(answers, lambda: asyncio.run(_stored(_settings(url, tables), revision))[1])
            arrived = time.perf_counter() - started
            _, exposures, crossed = asyncio.run(_stored(_settings(url, tables), revision))
    return [*found, Counted(answers, in_results, len(asked), known, exposures, crossed, arrived)]


class _People:
    """Those who are there from the beginning, and those who come anew with each trouble, called 1, 2, …"""

    def __init__(self, count: int, troubles: int) -> None:
        starts = range(1, 1 + count * (troubles + 1), count)
        self._groups = [[str(number) for number in range(start, start + count)] for start in starts]

    @property
    def known(self) -> list[str]:
        return self._groups[0]

    def with_trouble(self, place: int) -> list[str]:
        """One by one somebody known and somebody new."""
        pairs = zip(self._groups[0], self._groups[place + 1], strict=True)
        return [user_id for pair in pairs for user_id in pair]


def _requests(people: Sequence[str]) -> list[Request]:
    """One for each, called by the person's id."""
    return [
        Request(user_id, post("/v1/recommendations", orjson.dumps({"user_id": user_id, "limit": LIMIT})))
        for user_id in people
    ]


def _warm_up(port: int, crowd: _People, plan: Plan) -> Paced:
    """Until everyone there from the beginning has been looked up and sent."""
    requests = cycle(_requests(crowd.known))
    with Pacing(port, requests, steadily(plan.per_second), CONNECTIONS) as pacing:
        pacing.run_for(max(WARM_UP_SECONDS, 2.0 * plan.people / plan.per_second))
    time.sleep(plan.recovery_seconds)
    return pacing.stop()


def _measure(
    port: int, line: Line, crowd: _People, place: int, trouble: str, plan: Plan
) -> tuple[Paced, Trouble]:
    """As long without the trouble as with it; then time to recover, under load as well."""
    changed = False

    def people() -> Iterator[Request]:
        before, meanwhile = cycle(_requests(crowd.known)), cycle(_requests(crowd.with_trouble(place)))
        while True:
            yield next(meanwhile if changed else before)

    with Pacing(port, people(), steadily(plan.per_second), CONNECTIONS) as pacing:
        pacing.run_for(WARM_UP_SECONDS)
        started = time.perf_counter()
        pacing.run_for(plan.seconds)
        line.turn(trouble)
        changed = True
        begun = time.perf_counter()
        pacing.run_for(plan.seconds)
        ended = time.perf_counter()
        line.turn("pass")
        pacing.run_for(plan.recovery_seconds)
    seen = pacing.stop()
    before, meanwhile = seen.latencies_ms(started, begun), seen.latencies_ms(begun, ended)
    if not before.size or not meanwhile.size:
        raise LoadError(f"{trouble}: no answer at all; the machine is too busy for {plan.per_second:g}/s")
    return seen, Trouble(
        kind=trouble,
        requests=meanwhile.size,
        failed=len(seen.failed),
        p50_before_ms=percentile(before, 50),
        p50_meanwhile_ms=percentile(meanwhile, 50),
        p99_before_ms=percentile(before, 99),
        p99_meanwhile_ms=percentile(meanwhile, 99),
        max_meanwhile_ms=float(meanwhile.max()),
    )


def _exposures(port: int, path: str) -> int:
    """What the results have; nothing as long as they cannot be read, as when a busy endpoint answers too late."""
    try:
        return sum(one["exposures"] for one in ask(port, "GET", path)["variants"])
    except LoadError:
        return 0


def _settled(expected: int, look: Callable[[], int]) -> int:
    """What `look` sees once that is what is expected, or when it took too long."""
    deadline = time.perf_counter() + ARRIVED_WITHIN_SECONDS
    while (found := look()) != expected and time.perf_counter() < deadline:
        time.sleep(0.2)
    return found


def _settings(url: str, tables: str) -> DynamoDBSettings:
    """For this process, past the line."""
    return DynamoDBSettings(
        region="eu-west-1",
        access_key_id="a",
        secret_access_key="b",  # noqa: S106 - the endpoints take any
        endpoint=url,
        experiments_table=f"{tables}-experiments",
        assignments_table=f"{tables}-assignments",
        connect_timeout=10.0,
        read_timeout=20.0,
    )


def _environment(url: str, tables: str) -> dict[str, str]:
    """For the service, by the line; the SDK's own variable names the endpoint."""
    return {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_ENDPOINT_URL_DYNAMODB": url,
        "DYNAMODB_TABLE_EXPERIMENTS": f"{tables}-experiments",
        "DYNAMODB_TABLE_ASSIGNMENTS": f"{tables}-assignments",
        "DYNAMODB_SECONDS": f"{DYNAMODB_SECONDS:g}",
    }


async def _prepare(settings: DynamoDBSettings) -> Revision:
    """The standing experiment, which runs, and a fifth of whose buckets have moved."""
    at = time.time() - 3_600.0
    first = running(STANDING, at)
    second = reweighted(first, (0.05, 0.25, 0.25, 0.45), at + 60.0)
    store = await open_dynamodb(settings)
    try:
        await store.prepare()
        await store.add_revision(first)
        await store.add_revision(second)
    finally:
        await store.close()
    return second


async def _stored(settings: DynamoDBSettings, revision: Revision) -> tuple[int, int, int]:
    """How many people DynamoDB has with an answer, how many answers, and how many people in several variants."""
    store: DynamoDBStore = await open_dynamodb(settings)
    try:
        people = [one async for page in store.people(revision.experiment_id) for one in page if one.exposures]
    finally:
        await store.close()
    return len(people), sum(one.exposures for one in people), sum(one.other_exposures > 0 for one in people)


def _tell(found: Assigning | Trouble | Counted, as_json: bool) -> None:
    figures: dict[str, Any] = asdict(found)
    if isinstance(found, Trouble):
        figures["ratio"] = found.ratio
    named = {
        name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in figures.items()
    }
    lines = "\n".join(f"  {name:<24}{value:>32}" for name, value in named.items())
    print(json.dumps(named) if as_json else f"{type(found).__name__.lower()}\n{lines}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

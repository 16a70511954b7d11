"""What experiments cost in DynamoDB: `python -m bench.costs [--write-price USD] [--read-price USD] [--json]`.

Days of a site are played with a clock of their own: people come, are shown answers and click; what experiments count
of that goes through the queue, the shipper and the store of the service to dynalite, over a line (`bench.line`) that
counts every call. Units are reckoned from what the calls wrote and read by DynamoDB's rules, the index's share
included. Of the larger sites a part of the people is played; what depends on people is multiplied, the rest is not.

A month is the first day, on which everybody is new, and 29 of the days after it. Exit codes: 0 done, 2 not measured.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from bench.assigning import STANDING, running
from bench.line import HOST, Line, running_line
from bench.servers import end_in_order
from service.experiments.counted import CountedPeople
from service.experiments.increments import Increment
from service.experiments.people import gather_people
from service.experiments.shipping import Shipper
from service.experiments.stores.dynamodb import DynamoDBStore
from service.experiments.stores.dynamodb_client import DynamoDBClient, DynamoDBSettings, Item, open_client
from service.storage.queue import DurableQueue, QueueSettings, open_queue
from tests.dynamodb_servers import dynalite_server

DONE, NOT_MEASURED = 0, 2
#: US dollars for a million units on demand, eu-west-1; a gigabyte and month.
WRITE_PRICE, READ_PRICE = 0.7068, 0.1415
DAYS_OF_MONTH = 30
_DAY, _START = 86_400, 1_800_000_000
#: What people do of an answer, and how many of a day's people were never there before.
CLICKS, NEW = 0.1, 0.05
_MINUTE = 60.0
#: A unit writes a kilobyte of an item, or reads four, half of one where it need not be consistent.
WRITE_BYTES, READ_BYTES = 1_024, 4_096


class CostError(Exception):
    """What is reckoned with does not hold; the message says what."""


@dataclass(frozen=True, slots=True)
class Site:
    """`part` of its people is played. Each comes `visits` times on a day, at any time, and asks once a minute or so."""

    name: str
    requests: int  #: a day
    people: int  #: on a day
    part: float
    visits: int = 2
    hold_seconds: float = DynamoDBSettings.hold_seconds
    days: int = 3


SITES = (
    Site("1,000 a day", 1_000, 100, 1.0),
    Site("1,000,000 a day of 30,000 people", 1_000_000, 30_000, 0.004, visits=3),
    Site("1,000,000 a day of 100,000 people", 1_000_000, 100_000, 0.002),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Calls and units of a month; `played` are the requests that this was measured on."""

    site: str
    hold_hours: float
    played: int
    calls: dict[str, int]
    write_units: int
    read_units: int
    usd: float


class _MeteredClient(DynamoDBClient):
    """Reckons what each call takes by DynamoDB's rules; the endpoint does not for consistent scans and indexes."""

    def meter(self) -> None:
        """Start from nothing."""
        self.units: Counter[str] = Counter()
        self._known: set[str] = getattr(self, "_known", set())

    async def call(self, operation: str, arguments: Item) -> Item:
        answer = await super().call(operation, arguments)
        self.units[operation] += self._units(operation, arguments, answer)  # type: ignore[assignment]
        return answer

    def _units(self, operation: str, arguments: Item, answer: Item) -> float:
        match operation:
            case "update_item":
                key = str(arguments["Key"])
                is_new = key not in self._known
                self._known.add(key)
                return 2.0 if is_new else 1.0  # a new person is an entry of the index as well
            case "scan":
                return _blocks(sum(map(size_of, answer["Items"])), READ_BYTES) * (
                    1.0 if arguments["ConsistentRead"] else 0.5
                )
            case "query":
                return 0.5 * _blocks(sum(map(size_of, answer["Items"])), READ_BYTES)
            case "batch_get_item":
                items = [item for found in answer["Responses"].values() for item in found]
                if max(map(size_of, items), default=0) > WRITE_BYTES:
                    raise CostError("an item of a person takes more than one write unit")
                return 0.5 * len(items)
        return 0.0


def size_of(item: Item) -> int:
    """Bytes of an item as DynamoDB counts them, numbers at their largest: names and values."""
    return sum(
        len(name.encode()) + (len(value["S"].encode()) if "S" in value else 21)
        for name, value in item.items()
    )


def _blocks(size: int, block: int) -> int:
    return max(1, -(-size // block))


@dataclass(slots=True)
class _Day:
    """Of one day: calls by name and units by operation, each apart for what recurs whoever comes."""

    calls: Counter[str]
    units: Counter[str]
    polls: Counter[str]
    poll_units: Counter[str]


def main(arguments: list[str] | None = None) -> int:
    """Play the sites, and the last two without holding anything."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.costs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--write-price", type=float, default=WRITE_PRICE, help="USD for a million write units"
    )
    parser.add_argument("--read-price", type=float, default=READ_PRICE, help="USD for a million read units")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    options = parser.parse_args(arguments)
    end_in_order()
    sites = [one for site in SITES for one in (site, replace(site, hold_seconds=1.0))]
    try:
        with dynalite_server() as url:
            for site in sites:
                _tell(measure_cost(site, url, options.write_price, options.read_price), options.json)
    except (OSError, CostError) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED
    return DONE


def measure_cost(
    site: Site, url: str, write_price: float = WRITE_PRICE, read_price: float = READ_PRICE
) -> Cost:
    """The cost of a month."""
    with running_line(urlsplit(url).port or 0) as line, tempfile.TemporaryDirectory() as directory:
        days, played = asyncio.run(_play(site, line, Path(directory)))
    first, later = days[0], days[1:]
    calls, units = Counter[str](), Counter[str]()
    for day, times in ((first, 1.0), *((day, (DAYS_OF_MONTH - 1) / len(later)) for day in later)):
        for found, ours, polls in ((calls, day.calls, day.polls), (units, day.units, day.poll_units)):
            for name, count in ours.items():
                found[name] += count * times / site.part  # type: ignore[assignment]
            for name, count in polls.items():
                found[name] += count * times  # type: ignore[assignment]
    writes = units["update_item"]
    reads = sum(units.values()) - writes
    return Cost(
        site=site.name,
        hold_hours=site.hold_seconds / 3_600.0,
        played=played,
        calls={name: round(count) for name, count in sorted(calls.items())},
        write_units=round(writes),
        read_units=round(reads),
        usd=(writes * write_price + reads * read_price) / 1e6,
    )


async def _play(site: Site, line: Line, directory: Path) -> tuple[list[_Day], int]:
    tables = f"cost-{uuid4().hex}"
    settings = DynamoDBSettings(
        region="eu-west-1",
        access_key_id="a",
        secret_access_key="b",  # noqa: S106 - the endpoint takes any
        endpoint=f"http://{HOST}:{line.port}",
        experiments_table=f"{tables}-experiments",
        assignments_table=f"{tables}-assignments",
        connect_timeout=10.0,
        read_timeout=20.0,
        hold_seconds=site.hold_seconds,
    )
    clock = [float(_START)]
    plain = await open_client(settings, lambda operation: None)
    client = _MeteredClient(plain._client, plain._stack, lambda operation: None)
    client.meter()
    store = DynamoDBStore(settings, client)
    queue = await open_queue(QueueSettings(directory), lambda: clock[0])
    try:
        await store.prepare()
        await store.add_revision(running(STANDING, _START - _DAY))
        days, played = [], 0
        for number, visitors in enumerate(_visitors(site)):
            requests = _requests(site, visitors, number)
            day, count = await _play_day(store, client, queue, line, clock, requests, number)
            days.append(day)
            played += count
        return days, played
    finally:
        await queue.close()
        await store.close()


def _visitors(site: Site) -> Iterator[list[str]]:
    """Who comes on each day."""
    count = round(site.people * site.part)
    present = [f"{100_000 + number}" for number in range(count)]
    for day in range(site.days):
        fresh = 0 if day == 0 else round(NEW * count)
        present = [f"{day}{100_000 + number}" for number in range(fresh)] + present[: count - fresh]
        yield present


def _requests(site: Site, visitors: Sequence[str], day: int) -> dict[int, list[tuple[str, float]]]:
    """By the half minute of the day: who asks, and when, seconds since 1970."""
    dice = random.Random(day)
    each = site.requests / site.people
    by_tick: defaultdict[int, list[tuple[str, float]]] = defaultdict(list)
    for user_id in visitors:
        for visit in range(site.visits):
            asked = round(each * (visit + 1) / site.visits) - round(each * visit / site.visits)
            begun = dice.uniform(0.0, _DAY - asked * 2 * _MINUTE)
            for _ in range(asked):
                begun += dice.uniform(0.0, 2.0 * _MINUTE)
                tick = int(begun // DynamoDBSettings.ship_seconds)
                by_tick[tick].append((user_id, _START + day * _DAY + begun))
    return by_tick


async def _play_day(
    store: DynamoDBStore,
    client: _MeteredClient,
    queue: DurableQueue,
    line: Line,
    clock: list[float],
    requests: dict[int, list[tuple[str, float]]],
    number: int,
) -> tuple[_Day, int]:
    """A day of the service: every half minute it sends what is due; once somebody looks at the results."""
    dice = random.Random(-number)
    shipper = Shipper(queue, store)
    client.meter()
    before = line.counted()
    for tick in range(int(_DAY / store.ship_seconds)):
        clock[0] = _START + number * _DAY + (tick + 1) * store.ship_seconds
        increments = [
            _increment(user_id, at, dice.random() < CLICKS) for user_id, at in requests.get(tick, ())
        ]
        if increments:
            await queue.settle_counted(0, increments)
        while await shipper.ship_once():
            pass
    await gather_people(CountedPeople(store, queue), STANDING.experiment_id, STANDING.variant_ids)
    calls, units = line.counted() - before, Counter(client.units)
    client.meter()
    before = line.counted()
    await store.revisions()
    looks = int(_DAY / store.poll_seconds)
    polls = Counter({name: count * looks for name, count in (line.counted() - before).items()})
    poll_units = Counter({name: count * looks for name, count in client.units.items()})
    return _Day(calls, units, polls, poll_units), sum(map(len, requests.values()))


def _increment(user_id: str, at: float, clicks: bool) -> Increment:
    return Increment(
        STANDING.experiment_id,
        user_id,
        "hybrid",
        1,
        at,
        at,
        pre_activity=12,
        shown={"hybrid": 1},
        clicks=int(clicks),
        latency_ms=1.234,
    )


def _tell(cost: Cost, as_json: bool) -> None:
    figures: dict[str, Any] = asdict(cost)
    if as_json:
        print(json.dumps(figures), flush=True)
        return
    calls = ", ".join(f"{name} {count:,}" for name, count in cost.calls.items())
    print(
        f"{cost.site}, held for {cost.hold_hours:g} h ({cost.played:,} requests played)\n  {calls}\n"
        f"  {cost.write_units:,} write units, {cost.read_units:,} read units: {cost.usd:.2f} USD a month",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())

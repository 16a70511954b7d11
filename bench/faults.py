"""What the service promises when its surroundings fail, in full: `python -m bench.faults [--seconds S] [--rounds N]`.

1. MariaDB is stopped dead (SIGSTOP) for a minute under load: no recommendation fails, their p99 is at most 1.2 times
   what it was the minute before, and all feedback acknowledged meanwhile is in the table afterwards, in order.
2. The service is killed (kill -9) a hundred times under load: all feedback it acknowledged is in the table, once, and
   it is ready again within three seconds.

Both run on a MariaDB of their own with a synthetic site, or that of BENCH_DATA (`bench.sites`), under feedback and
recommendations at a steady rate. The test suite runs the same shorter (tests/faults).

Exit codes: 0 every promise kept, 1 one broken, 2 not measured.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.load import Connection, LoadError, percentile
from bench.mysql_site import MissingServerError, MySQLSite, running_mysql_site
from bench.paced import Answered, Paced, Pacing, Request, steadily
from bench.requests import feedback, recommendations
from bench.servers import Server, ServerFailedError, available_cores, end_in_order, pinned, running_service
from bench.sites import load_site

KEPT, BROKEN, NOT_MEASURED = 0, 1, 2

RECOMMENDATIONS_PER_SECOND = 200.0
FEEDBACK_PER_SECOND = 100.0
CONNECTIONS = 8
WARM_UP_SECONDS = 3.0
#: A kill comes at a random moment of the load, within these bounds.
LOADED_SECONDS = (0.2, 1.0)
DRAINED_WITHIN_SECONDS = 180.0

MOST_RATIO, MOST_READY_SECONDS = 1.2, 3.0


@dataclass(frozen=True, slots=True)
class StoppedDatabase:
    """What a database that stopped for a while did to the service."""

    seconds: float
    recommendations: int  #: answered meanwhile
    failed_recommendations: int
    p99_before_ms: float
    p99_meanwhile_ms: float
    acknowledged: int  #: feedback, meanwhile
    failed_feedback: int
    lost: int  #: acknowledged, and not in the table
    out_of_order: int
    drained_after_seconds: float  #: after the database went on, until everything was in the table

    @property
    def ratio(self) -> float:
        """How much slower the slowest hundredth was than before."""
        return self.p99_meanwhile_ms / self.p99_before_ms

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        promises = {
            "no recommendation fails": self.failed_recommendations == 0,
            "no feedback is refused": self.failed_feedback == 0,
            f"p99 at most {MOST_RATIO:g} times that of before": self.ratio <= MOST_RATIO,
            "nothing acknowledged is lost": self.lost == 0,
            "everything is drained in order": self.out_of_order == 0,
        }
        return [promise for promise, is_kept in promises.items() if not is_kept]


@dataclass(frozen=True, slots=True)
class Kills:
    """What killing the service again and again came to."""

    rounds: int
    recommendations: int
    acknowledged: int  #: feedback, retries of what got no answer included
    unanswered: int  #: feedback whose fate only a retry could tell
    failed_before_a_kill: int
    lost: int
    counted_twice: int  #: rows beyond one for each key
    never_sent: int  #: rows that nobody asked for
    ready_seconds: list[float] = field(repr=False)  #: of each start after a kill

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        promises = {
            "nothing fails while the service lives": self.failed_before_a_kill == 0,
            "nothing acknowledged is lost": self.lost == 0,
            "nothing is counted twice": self.counted_twice == 0 and self.never_sent == 0,
            f"ready again within {MOST_READY_SECONDS:g} s": max(self.ready_seconds) <= MOST_READY_SECONDS,
        }
        return [promise for promise, is_kept in promises.items() if not is_kept]


def main(arguments: list[str] | None = None) -> int:
    """Measure both and judge."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the database stands still")
    parser.add_argument("--rounds", type=int, default=100, help="how often the service is killed")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    options = parser.parse_args(arguments)
    end_in_order()
    try:
        return _run(options.seconds, options.rounds, options.json)
    except (
        MissingServerError,
        ServerFailedError,
        LoadError,
        OSError,
        subprocess.CalledProcessError,
    ) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED


def _run(seconds: float, rounds: int, as_json: bool) -> int:
    cores = available_cores()
    with running_mysql_site(load_site(None)) as site, pinned(cores.load):
        print(cores.told, file=sys.stderr)
        stopped = stop_database(site, seconds, cores.server)
        _tell("database stopped", stopped, as_json)
        killed = kill_service(site, rounds, cores.server)
        _tell("service killed", killed, as_json)
    broken = stopped.broken() + killed.broken()
    for promise in broken:
        print(f"BROKEN  {promise}", file=sys.stderr)
    return BROKEN if broken else KEPT


def stop_database(site: MySQLSite, seconds: float, core: int | None = None) -> StoppedDatabase:
    """Load the service for some seconds with its database, and as long again without."""
    with running_service(site.home, core, site.settings) as server:
        _warm_up(site, server)
        asked = Pacing(
            server.port, recommendations(site, 1), steadily(RECOMMENDATIONS_PER_SECOND), CONNECTIONS
        )
        given = Pacing(server.port, feedback(site, "stopped", 2), steadily(FEEDBACK_PER_SECOND), CONNECTIONS)
        with asked, given:
            asked.run_for(seconds)
            site.server.pause()
            paused_at = time.perf_counter()
            try:
                asked.run_for(seconds)
            finally:
                site.server.resume()
            resumed_at = time.perf_counter()
        answers, acknowledged = asked.stop(), given.stop()
        drained = _wait_until_drained(site, {one.name for one in acknowledged.answered})
    meanwhile = answers.latencies_ms(paused_at, resumed_at)
    return StoppedDatabase(
        seconds=seconds,
        recommendations=meanwhile.size,
        failed_recommendations=len(answers.failed),
        p99_before_ms=percentile(answers.latencies_ms(stop=paused_at), 99),
        p99_meanwhile_ms=percentile(meanwhile, 99),
        acknowledged=acknowledged.latencies_ms(paused_at, resumed_at).size,
        failed_feedback=len(acknowledged.failed),
        lost=len({one.name for one in acknowledged.answered} - set(_keys(site))),
        out_of_order=_out_of_order(acknowledged.answered, _keys(site)),
        drained_after_seconds=drained - resumed_at,
    )


def kill_service(
    site: MySQLSite, rounds: int, core: int | None = None, settings: Mapping[str, str] | None = None
) -> Kills:
    """Kill the service under load so many times, and retry after each start what had got no answer."""
    settings = site.settings | dict(settings or {})
    ready, acknowledged, unanswered = [], set[str](), 0
    answers, failed_early = 0, 0
    retries: list[Request] = []
    dice = random.Random(0)
    for number in range(rounds):
        with running_service(site.home, core, settings) as server:
            ready.append(server.ready_seconds)
            acknowledged |= _retry(server, retries)
            asked, given, sent, killed_at = _load_and_kill(
                site, server, number, dice.uniform(*LOADED_SECONDS)
            )
        answers += len(asked.answered)
        acknowledged |= {one.name for one in given.answered}
        failed_early += sum(one.at < killed_at for one in (*asked.failed, *given.failed))
        retries = [sent[one.name] for one in given.failed]
        unanswered += len(retries)
    with running_service(site.home, core, settings) as server:
        ready.append(server.ready_seconds)
        acknowledged |= _retry(server, retries)
        _wait_until_drained(site, acknowledged)
    keys = _keys(site, "killed")
    return Kills(
        rounds=rounds,
        recommendations=answers,
        acknowledged=len(acknowledged),
        unanswered=unanswered,
        failed_before_a_kill=failed_early,
        lost=len(acknowledged - set(keys)),
        counted_twice=len(keys) - len(set(keys)),
        never_sent=len(set(keys) - acknowledged) + len(_keyless(site)),
        ready_seconds=ready[1:],
    )


def _load_and_kill(
    site: MySQLSite, server: Server, number: int, seconds: float
) -> tuple[Paced, Paced, dict[str, Request], float]:
    """The recommendations and the feedback of a round, all feedback sent by its key, and when the kill was."""
    sent: dict[str, Request] = {}

    def noted(requests: Iterable[Request]) -> Iterable[Request]:
        for request in requests:
            sent[request.name] = request
            yield request

    entries = noted(feedback(site, f"killed-{number}", number))
    asked = Pacing(
        server.port, recommendations(site, number), steadily(RECOMMENDATIONS_PER_SECOND), CONNECTIONS
    )
    given = Pacing(server.port, entries, steadily(FEEDBACK_PER_SECOND), CONNECTIONS)
    with asked, given:
        asked.run_for(seconds)
        killed_at = time.perf_counter()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        return asked.stop(), given.stop(), sent, killed_at


def _retry(server: Server, requests: Iterable[Request]) -> set[str]:
    """Send again what had got no answer; the names, all of which are acknowledged now."""
    connection = Connection(server.port)
    try:
        for request in requests:
            connection.send(request.content)
            connection.receive()
    finally:
        connection.close()
    return {request.name for request in requests}


def _warm_up(site: MySQLSite, server: Server) -> None:
    with Pacing(
        server.port, recommendations(site, 0), steadily(RECOMMENDATIONS_PER_SECOND), CONNECTIONS
    ) as asked:
        asked.run_for(WARM_UP_SECONDS)


def _wait_until_drained(site: MySQLSite, expected: set[str]) -> float:
    """The reading of perf_counter when all of these keys are in the table, or when that took too long."""
    deadline = time.perf_counter() + DRAINED_WITHIN_SECONDS
    while (present := time.perf_counter()) < deadline and not expected <= set(_keys(site)):
        time.sleep(0.1)
    return present


def _keys(site: MySQLSite, prefix: str = "") -> list[str]:
    """The idempotency keys in the table, in the order in which they came."""
    rows = site.rows("SELECT idempotency_key FROM ml_feedback WHERE idempotency_key IS NOT NULL ORDER BY id")
    return [key for (key,) in rows if key.startswith(prefix)]


def _keyless(site: MySQLSite) -> list[list[str]]:
    return site.rows("SELECT id FROM ml_feedback WHERE idempotency_key IS NULL")


def _out_of_order(answered: Iterable[Answered], keys: Iterable[str]) -> int:
    """How many rows stand behind one that was not sent before they had been acknowledged."""
    known = {one.name: one for one in answered}
    latest_sent, wrong = float("-inf"), 0
    for key in keys:
        if (one := known.get(key)) is None:
            continue
        wrong += one.done < latest_sent
        latest_sent = max(latest_sent, one.sent)
    return wrong


def _tell(name: str, found: StoppedDatabase | Kills, as_json: bool) -> None:
    figures = _figures(found)
    print(json.dumps({"fault": name, **figures}) if as_json else _table(name, figures), flush=True)


def _figures(found: StoppedDatabase | Kills) -> dict[str, Any]:
    """The figures, rounded to what they are worth."""
    figures = asdict(found)
    if isinstance(found, StoppedDatabase):
        figures["ratio"] = found.ratio
    else:
        seconds = sorted(figures.pop("ready_seconds"))
        figures |= {"ready_median_seconds": seconds[len(seconds) // 2], "ready_max_seconds": seconds[-1]}
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in figures.items()
    }


def _table(name: str, figures: Mapping[str, Any]) -> str:
    return "\n".join([name, *(f"  {figure:<26}{value:>12}" for figure, value in figures.items())])


if __name__ == "__main__":
    sys.exit(main())

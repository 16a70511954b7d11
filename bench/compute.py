"""What a request's compute takes, without a socket: `python -m bench.compute HOME ROUNDS`, a process for each start.

Prints JSON: by arm, µs from a profile to the bytes of an answer (`answer_us`), how long many rankings without reasons
take (`ranking_us` a person), each round of both beside `bench.calibration.recommend_plainly` for the same people, and
postings a second beside the machine's random additions.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.answers import LIMIT
from bench.calibration import (
    PlainScratch,
    PlainSite,
    add_at_random,
    add_rows,
    plain_scratch,
    plain_site,
    recommend_plainly,
    walk_postings,
    without_additions,
)
from bench.servers import service_environment
from core.model import Model
from service.database import open_configured_database
from service.live.standalone import load_state
from service.live.state import LiveState
from service.models import ModelRegistry
from service.recommending.asking import Question, answer_question
from service.recommending.encoding import Encoder
from service.settings import Settings
from training.ranking import ARMS as RANKINGS

#: People of a round.
PEOPLE = 250
#: Random additions to compare with, of a round.
_ADDITIONS = 2_000_000
_PLAIN_K = 200


def main() -> int:
    """Measure one start."""
    home, rounds = Path(sys.argv[1]), int(sys.argv[2])
    print(json.dumps(measure(asyncio.run(state_of(home)), rounds)))
    return 0


async def state_of(home: Path) -> LiveState:
    """The published model of a home with its events, as the service has it."""
    settings = Settings.from_environment(service_environment(home, os.environ))
    database = await open_configured_database(settings)
    try:
        return await load_state(ModelRegistry(settings.models_directory), database, time.time)
    finally:
        await database.close()


def measure(state: LiveState, rounds: int) -> dict[str, Any]:
    """Everything, one arm after the other."""
    return {
        "arms": {arm: _measure_arm(state, arm, rank, rounds) for arm, rank in RANKINGS.items()},
        "postings": measure_postings(state.model, rounds),
    }


class Plainly:
    """The calibration for some people of a model."""

    def __init__(self, model: Model) -> None:
        self._site: PlainSite = plain_site(model.preferences.liked, model.neighbourhood.savers)
        self._scratch: PlainScratch = plain_scratch(self._site)
        self._ranked = np.empty((PEOPLE, LIMIT), np.int32)

    def seconds(self, people: NDArray[np.int32]) -> float:
        """How long it takes for them."""
        return _timed(lambda: recommend_plainly(people, self._site, self._scratch, _PLAIN_K, self._ranked))


def _measure_arm(
    state: LiveState, arm: str, rank: Callable[..., Any], rounds: int
) -> Mapping[str, list[float]]:
    """Rounds of both ways to ask an arm, each after the calibration for the same people."""
    plainly, encoder, rng = Plainly(state.model), Encoder(), np.random.default_rng(0)
    found: dict[str, list[float]] = {name: [] for name in ("answer_us", "cost_of_answer", "cost_of_ranking")}
    n_users = len(state.model.users)
    open_events = np.ones(len(state.model.events), np.uint8)
    now = time.time()
    for number in range(rounds + 1):
        people = rng.choice(n_users, min(PEOPLE, n_users), replace=False).astype(np.int32)
        base = plainly.seconds(people)
        singles = [
            _answer_seconds(state, encoder, arm, str(state.model.users.id_at(int(one))), now)
            for one in people
        ]
        ranked = _timed(lambda people=people: rank(state.model, people, open_events, LIMIT))  # type: ignore[misc]
        again = plainly.seconds(people)
        if number > 0:  # the first round compiles and warms up
            found["answer_us"] += [seconds * 1e6 for seconds in singles]
            found["cost_of_answer"].append(2.0 * sum(singles) / (base + again))
            found["cost_of_ranking"].append(2.0 * ranked / (base + again))
    return found


def _answer_seconds(state: LiveState, encoder: Encoder, arm: str, user_id: str, now: float) -> float:
    question = Question(user_id, None, LIMIT, arm)
    started = time.perf_counter()
    answer_question(state, encoder, question, "bench", now, started)
    return time.perf_counter() - started


def measure_postings(model: Model, rounds: int) -> dict[str, list[float]]:
    """Postings a second of the walk that a request makes, and two limits of the machine's, by turns.

    `additions`: to as many sums, at places drawn beforehand and read in order; `rows`: the same rows of postings in the
    same order, with nothing but an addition for each.
    """
    n_users, rng = len(model.users), np.random.default_rng(1)
    liked, savers = (
        without_additions(rows) for rows in (model.preferences.liked, model.neighbourhood.savers)
    )
    sums, touched = np.zeros(n_users, np.float32), np.empty(n_users + 1, np.int32)
    factors = np.ones(len(model.events), np.float32)
    places = rng.integers(0, n_users, _ADDITIONS).astype(np.int32)
    people = rng.permutation(n_users).astype(np.int32)[:20_000]
    walk_postings(people[:1], liked, savers, factors, sums, touched)
    add_at_random(places[:1], sums)
    add_rows(people[:1], liked, savers, sums)
    names = ("postings_per_second", "rows_per_second", "additions_per_second")
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        at = [time.perf_counter()]
        walked = walk_postings(people, liked, savers, factors, sums, touched)
        at.append(time.perf_counter())
        add_rows(people, liked, savers, sums)
        at.append(time.perf_counter())
        add_at_random(places, sums)
        at.append(time.perf_counter())
        sums[:] = 0.0
        for name, count, taken in zip(names, (walked, walked, _ADDITIONS), np.diff(at), strict=True):
            found[name].append(float(count / taken))
    return found


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())

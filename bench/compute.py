"""What a request's compute takes, without a socket: `python -m bench.compute HOME ROUNDS`, a process for each start.

Prints JSON: by arm, µs from a profile to the bytes of an answer (`answer_us`), that and many rankings without reasons
as ratios to `bench.calibration.recommend_plainly` for the same people, round by round (`cost_of_…`), and postings a
second beside the machine's random additions. All times are the processor's for this thread: on a busy machine the clock
on the wall counts what others do as well. Caches and memory are shared with them all the same, so ours and the
calibration take turns every few milliseconds.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
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
from core.kernels.held import Held
from core.model import Model
from service.database import open_configured_database
from service.live.standalone import load_state
from service.live.state import LiveState
from service.models import ModelRegistry
from service.recommending.arms import ARMS
from service.recommending.asking import Question, answer_question
from service.recommending.encoding import Encoder
from service.settings import Settings
from training.ranking import ARMS as RANKINGS
from training.ranking import RankMany

#: People of a round.
PEOPLE = 250
#: They are answered in so many pieces, each beside its calibration.
PIECES = 10
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
        "arms": {
            arm: _answer_rounds(state, arm, rounds)
            | (_ranking_rounds(state, RANKINGS[arm], rounds) if arm in RANKINGS else {})
            for arm in ARMS
        },
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
        return _seconds(lambda: recommend_plainly(people, self._site, self._scratch, _PLAIN_K, self._ranked))


def _answer_rounds(state: LiveState, arm: str, rounds: int) -> dict[str, list[float]]:
    """Answers of an arm one by one, and what each round of them costs."""
    plainly, encoder = Plainly(state.model), Encoder()
    found: dict[str, list[float]] = {"answer_us": [], "cost_of_answer": []}
    for people in _people_of(state, rounds + 1):
        base, seconds = 0.0, []
        for some in np.array_split(people, PIECES):
            base += plainly.seconds(some)
            ids = [str(state.model.users.id_at(row)) for row in some.tolist()]
            seconds += [_answer_seconds(state, encoder, arm, user_id) for user_id in ids]
        found["answer_us"] += [one * 1e6 for one in seconds]
        found["cost_of_answer"].append(sum(seconds) / base)
    return _without_first(found, rounds)


def _ranking_rounds(state: LiveState, rank: RankMany, rounds: int) -> dict[str, list[float]]:
    """What it costs to rank for many people at once."""
    plainly, found = Plainly(state.model), []
    open_events = np.ones(len(state.model.events), np.uint8)
    for people in _people_of(state, rounds + 1):
        base = plainly.seconds(people)
        ranked = _seconds(lambda people=people: rank(state.model, people, open_events, LIMIT))  # type: ignore[misc]
        found.append(2.0 * ranked / (base + plainly.seconds(people)))
    return _without_first({"cost_of_ranking": found}, rounds)


def _people_of(state: LiveState, rounds: int) -> Iterator[NDArray[np.int32]]:
    """Some people for each round, always the same ones."""
    n_users, rng = len(state.model.users), np.random.default_rng(0)
    for _ in range(rounds):
        yield rng.choice(n_users, min(PEOPLE, n_users), replace=False).astype(np.int32)


def _without_first(found: dict[str, list[float]], rounds: int) -> dict[str, list[float]]:
    """Without the first round, which compiles and warms up."""
    return {name: values[len(values) // (rounds + 1) :] for name, values in found.items()}


def _answer_seconds(state: LiveState, encoder: Encoder, arm: str, user_id: str) -> float:
    question, now = Question(user_id, None, LIMIT, arm), time.time()
    started = time.thread_time()
    answer_question(state, encoder, question, "bench", now, time.perf_counter())
    return time.thread_time() - started


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
    walk = Held((liked, savers, factors, sums, touched))
    walk_postings(people[:1], walk, 1)
    add_at_random(places[:1], sums)
    add_rows(people[:1], liked, savers, sums)
    names = ("postings_per_second", "rows_per_second", "additions_per_second")
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        at = [time.thread_time()]
        walked = walk_postings(people, walk, 1)
        at.append(time.thread_time())
        walk_postings(people, walk, 2)
        at.append(time.thread_time())
        add_rows(people, liked, savers, sums)
        at.append(time.thread_time())
        add_at_random(places, sums)
        at.append(time.thread_time())
        sums[:] = 0.0
        once, twice, through_rows, adding = np.diff(at)
        taken_by = (2.0 * once - twice, through_rows, adding)
        for name, count, taken in zip(names, (walked, walked, _ADDITIONS), taken_by, strict=True):
            found[name].append(float(count / taken))
    return found


def _seconds(work: Callable[[], Any]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


if __name__ == "__main__":
    sys.exit(main())

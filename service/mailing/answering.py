"""The live state without a server: a published model, brought up to date from the database, asked for many people."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import perf_counter
from typing import Any

import orjson

from service.live.follower import Follower
from service.live.last_known import LastKnown
from service.live.state import LiveState
from service.models import ModelRegistry
from service.recommending.asking import Question, answer_question
from service.recommending.encoding import Encoder
from service.storage.database import Database


async def load_state(registry: ModelRegistry, database: Database, clock: Callable[[], float]) -> LiveState:
    """The published model with everything that happened since, as far as the database has it.

    Raises NoModelError, BundleError, StorageError.
    """
    model, facts = registry.load(registry.current())
    state = LiveState(model)
    follower = Follower(state, facts, database, None, LastKnown(None), clock, removals_seconds=0.0)
    await follower.follow_site()
    return state


def answers(
    state: LiveState, people: Iterable[str], ask: Callable[[str], Question], now: float
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each person with their decoded answer."""
    encoder = Encoder()
    for user_id in people:
        reply = answer_question(state, encoder, ask(user_id), "", now, perf_counter())
        yield user_id, orjson.loads(reply.body)

"""Asking for many people, one after the other."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import perf_counter
from typing import Any

import orjson

from service.live.state import LiveState
from service.recommending.asking import Question, answer_question
from service.recommending.encoding import Encoder


def answers(
    state: LiveState, people: Iterable[str], ask: Callable[[str], Question], now: float
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each person with their decoded answer."""
    encoder = Encoder()
    for user_id in people:
        reply = answer_question(state, encoder, ask(user_id), "", now, perf_counter())
        yield user_id, orjson.loads(reply.body)

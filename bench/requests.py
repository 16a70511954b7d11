"""Requests of random people of a site, without end, and what is asked of an answer."""

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

import numpy as np
import orjson

from bench.answers import LIMIT
from bench.load import post
from bench.paced import Request
from service.recommending.arms import ARMS

ACTIONS = ("save", "click", "hide", "skip", "thumbs_up", "thumbs_down")
RECOMMENDATION, FEEDBACK = "recommendation", "feedback"
#: Of the requests of a site: what people do with what they are shown.
FEEDBACK_SHARE = 0.05

_DRAWN_AT_ONCE = 1_000


class Crowd(Protocol):
    """Whose people and events are called `first_id`, `first_id` + 1, …"""

    @property
    def first_id(self) -> int: ...
    @property
    def n_users(self) -> int: ...
    @property
    def n_events(self) -> int: ...


def recommendations(crowd: Crowd, seed: int, arm: str | None = None) -> Iterator[Request]:
    """Requests for 20 recommendations of an arm, by default of whichever the service chooses."""
    named = {} if arm is None else {"variant": arm}
    for user, _ in _people_and_events(crowd, np.random.default_rng(seed)):
        body = orjson.dumps({"user_id": str(user), "limit": LIMIT, **named})
        yield Request(RECOMMENDATION, post("/v1/recommendations", body))


def of_every_arm(crowd: Crowd) -> Iterator[Request]:
    """Requests for 20 recommendations, of every arm in turn."""
    for requests in zip(
        *(recommendations(crowd, number, arm) for number, arm in enumerate(ARMS)), strict=True
    ):
        yield from requests


def feedback(crowd: Crowd, prefix: str, seed: int) -> Iterator[Request]:
    """Feedback of all actions in turn, each named by its idempotency key: the prefix and a number."""
    pairs = _people_and_events(crowd, np.random.default_rng(seed))
    for number, (user, event) in enumerate(pairs):
        key = f"{prefix}-{number:07}"
        said = {"user_id": user, "event_id": event, "action": ACTIONS[number % len(ACTIONS)]}
        yield Request(key, post("/v1/feedback", orjson.dumps(said), {"Idempotency-Key": key}))


def as_a_site_does(crowd: Crowd, seed: int) -> Iterator[Request]:
    """Recommendations as experiments choose them, with some feedback among them at random."""
    asked, given = recommendations(crowd, seed), feedback(crowd, f"mixed-{seed}", seed)
    rng = np.random.default_rng(seed)
    while True:
        for is_feedback in (rng.random(_DRAWN_AT_ONCE) < FEEDBACK_SHARE).tolist():
            yield Request(FEEDBACK, next(given).content) if is_feedback else next(asked)


def encoded(requests: Iterator[Request], count: int) -> list[Request]:
    """So many of them, made beforehand, so that making them takes no time from the load."""
    return list(islice(requests, count))


def _people_and_events(crowd: Crowd, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    first = crowd.first_id
    while True:
        users = rng.integers(first, first + crowd.n_users, _DRAWN_AT_ONCE)
        events = rng.integers(first, first + crowd.n_events, _DRAWN_AT_ONCE)
        yield from zip(users.tolist(), events.tolist(), strict=True)

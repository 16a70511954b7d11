"""Requests of random people of a site, without end."""

from collections.abc import Iterator

import numpy as np
import orjson

from bench.load import post
from bench.mysql_site import MySQLSite
from bench.paced import Request

LIMIT = 20
ACTIONS = ("save", "click", "hide", "skip", "thumbs_up", "thumbs_down")

_DRAWN_AT_ONCE = 1_000


def recommendations(site: MySQLSite, seed: int) -> Iterator[Request]:
    """Requests for recommendations of the default arm."""
    for user, _ in _people_and_events(site, np.random.default_rng(seed)):
        body = orjson.dumps({"user_id": user, "limit": LIMIT})
        yield Request("recommendation", post("/v1/recommendations", body))


def feedback(site: MySQLSite, prefix: str, seed: int) -> Iterator[Request]:
    """Feedback of all actions in turn, each named by its idempotency key: the prefix and a number."""
    pairs = _people_and_events(site, np.random.default_rng(seed))
    for number, (user, event) in enumerate(pairs):
        key = f"{prefix}-{number:07}"
        said = {"user_id": user, "event_id": event, "action": ACTIONS[number % len(ACTIONS)]}
        yield Request(key, post("/v1/feedback", orjson.dumps(said), {"Idempotency-Key": key}))


def _people_and_events(site: MySQLSite, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    while True:
        users = rng.integers(1, site.n_users, _DRAWN_AT_ONCE, endpoint=True)
        events = rng.integers(1, site.n_events, _DRAWN_AT_ONCE, endpoint=True)
        yield from zip(users.tolist(), events.tolist(), strict=True)

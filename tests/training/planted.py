"""A site where people like what their kind likes, so that a recommender has something to find."""

import numpy as np

from core.actions import Action
from core.sparse import no_pairs
from core.vocabulary import Vocabulary
from service.storage.queries.recording import Feedback
from tests.sites import DAY, NOW
from tests.strategies import log_of
from training.snapshot import Snapshot

KINDS, PEOPLE_OF_A_KIND, EVENTS_OF_A_KIND, LIKES = 3, 20, 10, 6


def planted_rows(seed: int = 1) -> list[tuple[int, int, int, float]]:
    """(user, event, action, time) in the order of time, one an hour: saves by kind, and a hide of another kind's."""
    rng = np.random.default_rng(seed)
    pairs = []
    for user in range(KINDS * PEOPLE_OF_A_KIND):
        own = user % KINDS + KINDS * rng.permutation(EVENTS_OF_A_KIND)[:LIKES]
        other = (user + 1) % KINDS + KINDS * rng.integers(EVENTS_OF_A_KIND)
        pairs += [(user, int(event), Action.SAVE) for event in own] + [(user, int(other), Action.HIDE)]
    order = rng.permutation(len(pairs))
    start = NOW - 3_600 * len(pairs)
    return [(*pairs[which], float(start + 3_600 * place)) for place, which in enumerate(order)]


def planted_feedback() -> list[Feedback]:
    """The same as rows of the database."""
    return [
        Feedback(f"user{user}", f"event{event}", Action(action).label, int(at))
        for user, event, action, at in planted_rows()
    ]


def planted_snapshot(
    *, timed: bool = True, seed: int = 1, event_starts: np.ndarray | None = None
) -> Snapshot:
    """All of it up to now. Nothing has started, unless `event_starts` says so."""
    n_users, n_events = KINDS * PEOPLE_OF_A_KIND, KINDS * EVENTS_OF_A_KIND
    rows = planted_rows(seed)
    return Snapshot(
        cutoff=float(NOW),
        users=Vocabulary.from_ids(f"user{n}" for n in range(n_users)),
        events=Vocabulary.from_ids(f"event{n}" for n in range(n_events)),
        log=log_of(rows if timed else [(*row[:3], np.nan) for row in rows]),
        saved=no_pairs(n_users),
        hidden=no_pairs(n_users),
        fingerprints={},
        last_feedback_id=0,
        event_city=np.arange(n_events, dtype=np.int32) % 2,
        event_created=np.full(n_events, np.nan),
        event_starts=np.full(n_events, float(NOW + DAY)) if event_starts is None else event_starts,
    )

"""One size of site, in a process of its own, so that its memory goes back: `python -m bench.growing WHAT …`.

    make HOME USERS EVENTS INTERACTIONS   a CRAIC_HOME with the events in its database, and a model published
    ask HOME PEOPLE                       what a request's compute takes by arm: JSON, µs of the processor
    recall USERS EVENTS INTERACTIONS PEOPLE   what the cap on postings costs in recall: JSON

The interactions of a large site come into the model directly, not by way of a database and a training. Its factors are
random numbers: what they say is nothing, and what they cost is the same.
"""

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.answers import LIMIT
from bench.compute import state_of
from bench.homes import fill_events
from bench.sites import HELD_OUT, synthetic_site
from core.als import Factors, event_confidences, quantise_factors
from core.bundle import write_bundle
from core.collaborative import CollaborativeSettings, Neighbourhood, fit_neighbourhood
from core.evaluation import per_user
from core.interactions import Preferences
from core.kernels.held import Held
from core.kernels.neighbourhood import recommend_many
from core.kernels.workspace import answer, neighbours, workspace
from core.live_site import LiveSite
from core.model import Model, ModelSettings
from core.sparse import Pairs, Rows, no_pairs
from core.splits import holdout_per_user
from core.vocabulary import Vocabulary
from service.live.state import LiveState
from service.models import ModelRegistry
from service.recommending.arms import ARMS
from service.recommending.asking import Question, answer_question
from service.recommending.encoding import Encoder

VERSION = "20990101T000000Z"
_K = 20


def main() -> int:
    """Do one of the three."""
    what, *arguments = sys.argv[1:]
    if what == "make":
        make_home(Path(arguments[0]), *map(int, arguments[1:]))
    elif what == "ask":
        home, people = Path(arguments[0]), int(arguments[1])
        print(json.dumps(ask(asyncio.run(state_of(home)), people)))
    else:
        print(json.dumps(recall_lost(*map(int, arguments))))
    return 0


def make_home(home: Path, n_users: int, n_events: int, n_interactions: int) -> None:
    """Events in the embedded database, and the model of a synthetic site of that size."""
    fill_events(home, n_events)
    model = model_of(synthetic_site(n_users, n_events, n_interactions, seed=0), n_events)
    now = time.time()
    facts: dict[str, Any] = {
        "version": model.version,
        "settings": model.settings.as_dict(),
        "trained_at": now,
        "cutoff": now,
        "training_samples": n_interactions,
        "validation_metrics": {},
        "last_feedback_id": 0,
        "fingerprints": {},
    }
    registry = ModelRegistry(home / "models")
    write_bundle(registry.path(VERSION), model.arrays(), facts)
    registry.publish(VERSION)


def model_of(liked: Rows, n_events: int) -> Model:
    """The model of these interactions, its people and events called "0", "1", …"""
    settings = ModelSettings()
    neighbourhood = fit_neighbourhood(liked, n_events, settings.collaborative)
    _, user_masses, event_masses = neighbourhood
    rng = np.random.default_rng(0)
    values, steps = quantise_factors(rng.standard_normal((n_events, settings.als.factors), np.float32))
    return Model(
        version=VERSION,
        settings=settings,
        users=Vocabulary.from_ids(map(str, range(liked.n_rows))),
        events=Vocabulary.from_ids(map(str, range(n_events))),
        preferences=Preferences(liked, no_pairs(liked.n_rows)),
        neighbourhood=neighbourhood,
        popularity=(event_masses / event_masses.max()).astype(np.float32),
        saved=no_pairs(liked.n_rows),
        hidden=no_pairs(liked.n_rows),
        factors=Factors(values, steps, event_confidences(user_masses, event_masses, settings.als)),
    )


def ask(state: LiveState, people: int) -> dict[str, list[float]]:
    """By arm, µs of this thread's processor time from a profile to the bytes of an answer, for random people.

    Each is asked once, so that nobody's row is in the cache of the processor.
    """
    encoder, rng = Encoder(), np.random.default_rng(0)
    n_users = len(state.model.users)
    found: dict[str, list[float]] = {}
    for arm in ARMS:
        chosen = [str(one) for one in rng.choice(n_users, min(people, n_users), replace=False)]
        for user in chosen[:50]:
            _answer_us(state, encoder, arm, user)
        found[arm] = [_answer_us(state, encoder, arm, user) for user in chosen]
    return found


def _answer_us(state: LiveState, encoder: Encoder, arm: str, user: str) -> float:
    question = Question(user, None, LIMIT, arm)
    now = time.time()
    started = time.thread_time_ns()
    answer_question(state, encoder, question, "bench", now, time.perf_counter())
    return (time.thread_time_ns() - started) / 1_000.0


def recall_lost(n_users: int, n_events: int, n_interactions: int, people: int) -> dict[str, float]:
    """Recall@20 of the neighbourhood with the default cap and without one, for random people."""
    train, test = holdout_per_user(synthetic_site(n_users, n_events, n_interactions, seed=0), HELD_OUT, 0)
    users = np.random.default_rng(1).choice(n_users, min(people, n_users), replace=False).astype(np.int32)
    wanted = _rows_of(Pairs(test.indptr, test.indices), users)
    del test
    capped = CollaborativeSettings()
    found = {}
    for name, settings in (("capped", capped), ("uncapped", replace(capped, posting_cap=None))):
        neighbourhood = fit_neighbourhood(train, n_events, settings)
        ranked = _ranked(train, neighbourhood, n_events, settings, users)
        found[name] = per_user(ranked, wanted, _K).recall
    before, after = found["uncapped"].mean(), found["capped"].mean()
    # Of people drawn again and again: how far the loss may be off.
    rng = np.random.default_rng(2)
    drawn = rng.integers(0, found["capped"].size, (1_000, found["capped"].size), np.int32)
    losses = 1.0 - found["capped"][drawn].mean(axis=1) / found["uncapped"][drawn].mean(axis=1)
    low, high = np.percentile(losses, (2.5, 97.5))
    return {
        "recall_at_20": float(after),
        "uncapped_recall_at_20": float(before),
        "recall_lost": float(1.0 - after / before),
        "recall_lost_low": float(low),
        "recall_lost_high": float(high),
    }


def _ranked(
    train: Rows,
    neighbourhood: Neighbourhood,
    n_events: int,
    settings: CollaborativeSettings,
    users: np.ndarray,
) -> np.ndarray:
    """int32[users, k]: what the neighbourhood ranks first."""
    live = LiveSite(train, neighbourhood, n_events, settings)
    space = Held(workspace(live.user_room, live.event_room))
    marks = np.zeros(live.event_room, np.uint8)
    marks[:n_events] = 1
    ranked = np.empty((users.size, _K), np.int32)
    recommend_many(
        *(users, live.held, settings.half_powers, marks, space),
        *(Held(neighbours(settings.neighbours)), Held(answer(_K)), ranked),
    )
    return ranked


def _rows_of(pairs: Pairs, rows: np.ndarray) -> Pairs:
    """Some of the rows, in their order."""
    parts = [pairs.indices[pairs.indptr[row] : pairs.indptr[row + 1]] for row in rows]
    indptr = np.zeros(rows.size + 1, np.int64)
    np.cumsum([part.size for part in parts], out=indptr[1:])
    return Pairs(indptr, np.concatenate(parts))


if __name__ == "__main__":
    sys.exit(main())

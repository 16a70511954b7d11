"""How good a model of this data is: each arm fitted on the past, judged by what people liked next."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation import Metrics, summarise
from core.model import ModelSettings
from core.sparse import Pairs
from core.splits import split
from training.fitting import fit_model
from training.ranking import ARMS, rows_of
from training.snapshot import Snapshot

#: The share of the interactions that judges.
HELD_OUT = 0.2
#: More people would take time and change the figures by less than their error.
MOST_PEOPLE = 5_000
K = 10


@dataclass(frozen=True, slots=True)
class Validation:
    """The measures of each arm on the same people, and how the data was split."""

    method: str  #: "time" or "holdout"
    cutoff: float  #: unix seconds, the end of what the arms were fitted on
    arms: Mapping[str, Metrics]


def validate(snapshot: Snapshot, settings: ModelSettings, seed: int, k: int = K) -> Validation | None:
    """Fit on a part of a snapshot and judge every arm on the rest; None when nobody is left to judge by.

    In a time split the candidates are the events that had not started at the cut, as at serving.
    """
    parts = split(
        snapshot.log,
        len(snapshot.users),
        len(snapshot.events),
        settings.preferences,
        snapshot.cutoff,
        HELD_OUT,
        seed,
    )
    started = snapshot.event_starts <= parts.cutoff if parts.method == "time" else np.False_
    open_events = np.where(started, 0, np.ones(len(snapshot.events))).astype(np.uint8)
    relevant = _only_open(
        rows_of(parts.held_out, np.arange(len(snapshot.users), dtype=np.int32)), open_events
    )
    people = _sample(np.flatnonzero(np.diff(relevant.indptr)).astype(np.int32), seed)
    if not people.size:
        return None
    model, _ = fit_model(
        "validation",
        snapshot.users,
        snapshot.events,
        parts.train,
        snapshot.event_city,
        snapshot.event_created,
        settings,
        parts.cutoff,
    )
    counts = np.bincount(model.preferences.liked.indices, minlength=len(snapshot.events))
    arms = {
        name: summarise(
            rank(model, people, open_events, k), rows_of(relevant, people), k, counts, len(snapshot.users)
        )
        for name, rank in ARMS.items()
    }
    return Validation(parts.method, parts.cutoff, arms)


def _only_open(relevant: Pairs, open_events: NDArray[np.uint8]) -> Pairs:
    """What of the relevant events could have been recommended at all."""
    kept = open_events[relevant.indices] != 0
    running = np.concatenate(([0], np.cumsum(kept)))
    return Pairs(running[relevant.indptr].astype(np.int64), relevant.indices[kept])


def _sample(people: NDArray[np.int32], seed: int) -> NDArray[np.int32]:
    if people.size <= MOST_PEOPLE:
        return people
    return np.sort(np.random.default_rng(seed).choice(people, MOST_PEOPLE, replace=False))

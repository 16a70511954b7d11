"""Small sites for the tests: events as rows, what people did, and models trained on that."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.actions import Action
from core.bundle import write_bundle
from core.collaborative import CollaborativeSettings
from core.model import Model, ModelSettings
from core.vocabulary import Vocabulary
from service.live.state import LiveState
from service.models import ModelRegistry
from service.storage.queries.events import EventRow
from tests.strategies import log_of
from training.fitting import fit_model

NOW = 1_800_000_000  #: seconds since 1970, in January 2027
HOUR, DAY = 3_600, 86_400
VERSION = "20270115T080000Z"

#: Nothing sampled away and no event discounted, so that what a test expects can be worked out by hand.
PLAIN = ModelSettings(collaborative=CollaborativeSettings(posting_cap=None))


#: Who did what with which event: user, event, action.
Act = tuple[str, str, Action]


def an_event(event_id: str, **values: Any) -> EventRow:
    """An event tomorrow, with as little said about it as the table allows."""
    unknown = dict.fromkeys(
        [
            *("end_time", "city", "latitude", "longitude", "venue_name", "ticket_url", "age_restriction"),
            *("price_min", "price_max", "currency"),
        ]
    )
    nothing: dict[str, Any] = {"genres": (), "tags": (), "images": (), "created_at": 0, "updated_at": 0}
    named = {"event_id": event_id, "title": f"Event {event_id}", "start_time": NOW + DAY}
    return EventRow(**{**unknown, **nothing, **named, **values})


def a_model(
    likes: Mapping[str, Iterable[str]],
    hides: Mapping[str, Iterable[str]] | None = None,
    events: Sequence[str] = (),
    settings: ModelSettings = PLAIN,
    version: str = VERSION,
) -> Model:
    """A model of saves and hides by person."""
    acts = [(user, event, Action.SAVE) for user in likes for event in likes[user]]
    acts += [(user, event, Action.HIDE) for user, hidden in (hides or {}).items() for event in hidden]
    return model_of(acts, events, settings, version)


def model_of(
    acts: Sequence[Act], events: Sequence[str] = (), settings: ModelSettings = PLAIN, version: str = VERSION
) -> Model:
    """A model of what people did, in this order and a second apart. `events` come first in the vocabulary."""
    users = list(dict.fromkeys(user for user, _, _ in acts))
    all_events = list(dict.fromkeys([*events, *(event for _, event, _ in acts)]))
    start = NOW - len(acts)
    rows = [
        (users.index(user), all_events.index(event), action, start + second)
        for second, (user, event, action) in enumerate(acts)
    ]
    model, _ = fit_model(
        version,
        Vocabulary.from_ids(users),
        Vocabulary.from_ids(all_events),
        log_of(rows),
        np.full(len(all_events), -1, np.int32),
        np.full(len(all_events), np.nan),
        settings,
        float(NOW),
    )
    return model


def live_state(model: Model, events: Iterable[EventRow]) -> LiveState:
    """The model live, with a catalogue of these events."""
    state = LiveState(model)
    state.put_events(list(events))
    state.settle_events()
    state.build_content()
    return state


def write_model(registry: ModelRegistry, model: Model) -> None:
    """Put a model on disk as a training does, without publishing it."""
    facts = {
        "version": model.version,
        "settings": model.settings.as_dict(),
        "trained_at": float(NOW),
        "cutoff": float(NOW),
        "training_samples": int(model.preferences.liked.indices.size),
        "validation_metrics": {},
        "last_feedback_id": 0,
        "fingerprints": {},
    }
    write_bundle(registry.path(model.version), model.arrays(), facts)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """A file to import."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path

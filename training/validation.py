"""How good a model of this data is: each arm fitted on the past, judged by what people liked next.

The live model is judged beside the new one: its settings, fitted on the same past, on the same people. Its own arrays
would not do. They have learned from most of what is held out here; and the service counts every action since in them,
so that keeping a live model means to go on with its settings on today's data, which is what this measures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from core.content import index_content
from core.evaluation import Metrics
from core.model import Model, ModelSettings
from core.sparse import Pairs, rows_of
from core.splits import Split, split
from core.tastes import ContentSettings, Taste
from service.live.features import kind_of_key
from service.live.statements import as_taste
from service.memory import give_memory_back
from training.als import FactorsFit, KeptFactors, fit_factors
from training.fitting import fit_model
from training.measuring import Difference, Intervals, Judged, differences, intervals, judge, metrics_of
from training.ranking import Known
from training.snapshot import Snapshot

#: The share of the interactions that judges.
HELD_OUT = 0.2
#: More people would take time and change the figures by less than their error.
MOST_PEOPLE = 5_000
K = 10
#: The arms that rank by one group of the settings beside the preferences, and by which.
_OWN_GROUP = MappingProxyType({"control": "popularity", "content_based": "content", "als": "als"})


@dataclass(frozen=True, slots=True)
class LiveMeasures:
    """The live model's settings on the people of a validation, and how much better the new ones are for them."""

    same_settings: bool  #: as those of the new model, whose figures these are then
    arms: Mapping[str, Metrics]
    intervals: Mapping[str, Intervals]
    differences: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class Validation:
    """The measures of each arm on the same people, and how the data was split."""

    method: str  #: "time" or "holdout"
    cutoff: float  #: unix seconds, the end of what the arms were fitted on
    people: int
    arms: Mapping[str, Metrics]
    intervals: Mapping[str, Intervals]
    live: LiveMeasures | None = None


@dataclass(frozen=True, slots=True)
class Jury:
    """Who judges, by which events, among which candidates."""

    people: NDArray[np.int32]
    relevant: Pairs  #: rows the people
    open_events: NDArray[np.uint8]
    stated_until: float  #: unix seconds


def validate(
    snapshot: Snapshot, settings: ModelSettings, seed: int, k: int = K, live: ModelSettings | None = None
) -> Validation | None:
    """Fit on a part of a snapshot and judge every arm on the rest; None when nobody is left to judge by.

    In a time split the candidates are the events that had not started at the cut, as at serving. `live` are the
    settings of the model that serves.
    """
    parts = split_of(snapshot, settings, seed)
    jury = jury_of(snapshot, parts, seed, MOST_PEOPLE)
    if not jury.people.size:
        return None
    # What both sets of settings fit alike is fitted once; what only one fits is not kept.
    fit: FactorsFit = (
        KeptFactors() if live not in (None, settings) and live.als == settings.als else fit_factors
    )
    judged = _judge(snapshot, parts, settings, jury, k, fit)
    return Validation(
        parts.method,
        parts.cutoff,
        jury.people.size,
        metrics_of(judged),
        intervals(judged, seed),
        None if live is None else _compare(snapshot, parts, jury, settings, live, judged, seed, fit),
    )


def split_of(snapshot: Snapshot, settings: ModelSettings, seed: int) -> Split:
    """What a validation fits on, and what it judges by."""
    return split(
        snapshot.log,
        len(snapshot.users),
        len(snapshot.events),
        settings.preferences,
        snapshot.cutoff,
        HELD_OUT,
        seed,
    )


def known_by(snapshot: Snapshot, until: float, settings: ContentSettings) -> Known:
    """What is known of events and people beside what these did, stated by the second `until`."""
    numbers, rows = snapshot.features
    kinds = np.array([kind_of_key(key) for key in numbers], np.uint8)
    content = index_content(rows, kinds, np.ones(rows.n_rows, np.uint8), settings)

    def stated(user_id: str) -> Taste:
        statements = snapshot.stated.of_before(user_id, until)
        return as_taste(statements, lambda key: numbers.get(key, -1), settings.statement)

    return Known(content, stated)


def _compare(
    snapshot: Snapshot,
    parts: Split,
    jury: Jury,
    settings: ModelSettings,
    live: ModelSettings,
    judged: Mapping[str, Judged],
    seed: int,
    fit: FactorsFit,
) -> LiveMeasures:
    k = next(iter(judged.values())).metrics.k
    same = live == settings
    alike = {name: judged[name] for name in _alike_arms(settings, live)}
    others = judged if same else _judge(snapshot, parts, live, jury, k, fit, alike)
    return LiveMeasures(same, metrics_of(others), intervals(others, seed), differences(judged, others, seed))


def jury_of(snapshot: Snapshot, parts: Split, seed: int, most: int) -> Jury:
    """Who judges a split, at most `most` of those who can."""
    everyone = np.arange(len(snapshot.users), dtype=np.int32)
    started = snapshot.event_starts <= parts.cutoff if parts.method == "time" else np.False_
    open_events = np.where(started, 0, np.ones(len(snapshot.events))).astype(np.uint8)
    relevant = _only_open(rows_of(parts.held_out, everyone), open_events)
    people = _sample(np.flatnonzero(np.diff(relevant.indptr)).astype(np.int32), seed, most)
    # What was stated after the cut may come from what was liked then.
    stated_until = parts.cutoff if parts.method == "time" else np.inf
    return Jury(people, rows_of(relevant, people), open_events, stated_until)


def _judge(
    snapshot: Snapshot,
    parts: Split,
    settings: ModelSettings,
    jury: Jury,
    k: int,
    fit: FactorsFit,
    judged_before: Mapping[str, Judged] = MappingProxyType({}),
) -> Mapping[str, Judged]:
    model = _fit(snapshot, parts, settings, fit)
    known = known_by(snapshot, jury.stated_until, settings.content)
    return judge(model, jury.people, jury.relevant, jury.open_events, k, known, judged_before)


def _alike_arms(one: ModelSettings, other: ModelSettings) -> set[str]:
    """The arms that rank alike with either settings, fitted on the same interactions."""
    if one.preferences != other.preferences:
        return set()
    return {name for name, group in _OWN_GROUP.items() if getattr(one, group) == getattr(other, group)}


def _fit(snapshot: Snapshot, parts: Split, settings: ModelSettings, fit: FactorsFit) -> Model:
    give_memory_back()
    model, _ = fit_model(
        "validation",
        snapshot.users,
        snapshot.events,
        parts.train,
        snapshot.event_city,
        snapshot.event_created,
        settings,
        parts.cutoff,
        fit,
    )
    return model


def _only_open(relevant: Pairs, open_events: NDArray[np.uint8]) -> Pairs:
    """What of the relevant events could have been recommended at all."""
    kept = open_events[relevant.indices] != 0
    running = np.concatenate(([0], np.cumsum(kept)))
    return Pairs(running[relevant.indptr].astype(np.int64), relevant.indices[kept])


def _sample(people: NDArray[np.int32], seed: int, most: int) -> NDArray[np.int32]:
    if people.size <= most:
        return people
    return np.sort(np.random.default_rng(seed).choice(people, most, replace=False))

"""What a new model has to pass before it serves: it must be usable, whole, and not worse than the live one."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from core.model import Model
from core.vocabulary import Vocabulary
from training.validation import Validation

#: Fewer people than this prove nothing, neither for an arm nor against it.
LEAST_JUDGES = 20
#: Of the live model's people, events and likes, so many must still be there.
LEAST_KEPT = 0.5
#: Of the NDCG that an arm of the live model had when that was trained, its settings must still reach so much.
LEAST_REACHED = 0.5
#: What other arms than the headline may lose of their NDCG before they speak against a model: settings that are
#: better for most may cost a little in an arm that few get.
OTHERS_MAY_LOSE = 0.1

#: The arm that stands in wherever another ends; with it empty, nobody would get anything.
_FALLBACK = "control"


def unusable(model: Model) -> list[str]:
    """Why no service could take the model: arrays with NaN or infinity in them."""
    return [
        f"{name} holds NaN or infinity"
        for name, array in model.arrays().items()
        if array.dtype.kind == "f" and not np.isfinite(array).all()
    ]


def objections(
    model: Model,
    live: Model | None,
    validation: Validation | None,
    headline: str,
    recorded: Mapping[str, Any] | None = None,
) -> list[str]:
    """What speaks against publishing a usable model instead of `live`, the one that serves; nothing if all is well.

    `headline` is the arm that people get by default, `recorded` the validation in the manifest of `live`.
    """
    found = [] if live is None else list(_collapsed(model, live))
    if validation is not None and validation.people >= LEAST_JUDGES:
        found += [*_empty(validation, headline), *_worse(validation, headline)]
        found += _fallen(validation, recorded)
    return found


def _collapsed(model: Model, live: Model) -> Iterator[str]:
    """Data that went missing: people, events or likes of the live model that the new one does not know."""
    kept = {
        "people": (_known(live.users, model.users), len(live.users)),
        "events": (_known(live.events, model.events), len(live.events)),
        "likes": (model.preferences.liked.indices.size, live.preferences.liked.indices.size),
    }
    for what, (now, before) in kept.items():
        if now < LEAST_KEPT * before:
            yield f"only {now:,} of the {before:,} {what} of model {live.version} are left"


def _known(ids: Vocabulary, vocabulary: Vocabulary) -> int:
    return sum(vocabulary.index_of(one) >= 0 for one in ids)


def _empty(validation: Validation, headline: str) -> Iterator[str]:
    """Arms that rank nothing for anybody; but one that has nothing to go by, and had not before, does no harm."""
    live = {} if validation.live is None else validation.live.arms
    for name, metrics in validation.arms.items():
        had_something = name in live and live[name].coverage > 0
        if metrics.coverage == 0 and (had_something or name in (headline, _FALLBACK)):
            yield f"{name} ranks nothing for any of {validation.people:,} people"


def _fallen(validation: Validation, recorded: Mapping[str, Any] | None) -> Iterator[str]:
    """Arms that have collapsed on today's data with the settings that served them well: the data must have gone bad.

    Only what was judged in the same way can be compared.
    """
    if validation.live is None or recorded is None or recorded["method"] != validation.method:
        return
    for name, metrics in validation.live.arms.items():
        measure = f"ndcg_at_{metrics.k}"
        before = recorded["arms"].get(name, {}).get(measure, 0.0)
        high = validation.live.intervals[name][measure].high
        if high < LEAST_REACHED * before:
            yield (
                f"{name} has collapsed: NDCG@{metrics.k} {metrics.ndcg:.4f}, at best {high:.4f}, on this data with the"
                f" settings of the live model, which reached {before:.4f} when that was trained"
            )


def _worse(validation: Validation, headline: str) -> Iterator[str]:
    if validation.live is None:
        return
    for name, (mean, (_, high)) in validation.live.differences.items():
        before = validation.live.arms[name].ndcg
        allowed = 0.0 if name == headline else OTHERS_MAY_LOSE * before
        if high < -allowed:
            yield (
                f"{name} is worse than with the settings of the live model: NDCG@{validation.arms[name].k}"
                f" {validation.arms[name].ndcg:.4f} instead of {before:.4f}, a difference of {mean:+.4f} and at"
                f" best {high:+.4f} (95 %, {validation.people:,} people)"
            )

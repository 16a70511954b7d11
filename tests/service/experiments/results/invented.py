"""Invented experiments: all versions, and people whose truth is known."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from service.experiments.definition import Experiment, Variant
from service.experiments.people import VariantPeople
from service.experiments.revisions import Revision, changed, created, moved_to

ARMS = ("control", "als", "hybrid")


def history_of(*weights: Mapping[str, float], status: str = "running", **values: Any) -> list[Revision]:
    """An experiment that was started, and then had one set of weights after the other."""
    variants = tuple([Variant(name, weight, name) for name, weight in weights[0].items()])
    experiment = Experiment(experiment_id="exp", name="A test", variants=variants, **values)
    found = [created(experiment, ARMS, 0.0)]
    found.append(moved_to(found[-1], "running", ARMS, 1.0))
    for later in weights[1:]:
        variants = tuple([Variant(name, weight, name) for name, weight in later.items()])
        another = msgspec.structs.replace(found[-1].experiment, variants=variants)
        found.append(changed(found[-1], another, ARMS, 2.0, 0.0))
    if status == "completed":
        found.append(moved_to(found[-1], "completed", ARMS, 3.0))
    return found


def people_of(
    variant: str,
    n: int,
    lift: float = 0.0,
    seed: int = 0,
    map_version: int = 1,
    **values: Sequence[Any] | Any,
) -> VariantPeople:
    """n people of whose answers a tenth, times 1 + `lift`, is clicked; who did much before clicks more."""
    rng = np.random.default_rng([seed, *variant.encode(), map_version])
    pre_activity = rng.poisson(5.0, n)
    exposures = rng.poisson(4.0, n) + 1
    whole: dict[str, Any] = {
        "map_version": np.full(n, map_version),
        "exposures": exposures,
        "clicks": rng.binomial(exposures, np.minimum(1.0, 0.02 * pre_activity * (1.0 + lift))),
        "saves": rng.binomial(exposures, 0.04, n),
        "hides": rng.binomial(exposures, 0.02, n),
        "errors": rng.binomial(exposures, 0.01, n),
        "pre_activity": pre_activity,
        "is_crossed": np.zeros(n, int),
        **values,
    }
    latency_ms = whole.pop("latency_ms", exposures * rng.gamma(4.0, 0.5, n))
    arrays = {name: np.broadcast_to(np.asarray(column, np.int64), n) for name, column in whole.items()}
    return VariantPeople(variant, latency_ms=np.asarray(latency_ms, np.float64), **arrays)


def joined(*parts: VariantPeople) -> VariantPeople:
    """The people of several."""
    names = [name for name in vars(parts[0]) if name != "variant"]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return VariantPeople(parts[0].variant, **arrays)

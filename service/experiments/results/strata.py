"""People as sufficient statistics, apart for each version of the map that assigned them.

Versions differ in weights and in when they held; what is compared over all of them at once would take a change of
habits over time for an effect of the variant (Simpson's paradox).
"""

from collections.abc import Mapping
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from service.experiments.people import VariantPeople
from service.experiments.statistics.metrics import COLUMNS
from service.experiments.statistics.moments import Moments

#: The people of one variant by version of the map.
Strata = Mapping[int, Moments]
NOBODY = Moments.none(len(COLUMNS))
#: So many people at a time: their figures take a few megabytes.
_CHUNK = 65_536


def strata_of(people: VariantPeople) -> Strata:
    """The moments of `statistics.metrics.COLUMNS`, by version, ascending."""
    return {
        int(version): _moments(people, np.flatnonzero(people.map_version == version))
        for version in np.unique(people.map_version)
    }


def together(strata: Strata) -> Moments:
    """Everyone."""
    return reduce(add, strata.values(), NOBODY)


def _moments(people: VariantPeople, rows: NDArray[np.int64]) -> Moments:
    chunks = (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
    return reduce(add, (Moments.of(figures_of(people, chunk)) for chunk in chunks), NOBODY)


def figures_of(people: VariantPeople, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """What was counted of some people, float64[n, k], in the order of COLUMNS."""
    exposures, clicks, saves, hides, errors, latency_ms, pre_activity = (
        getattr(people, name)[rows]
        for name in ("exposures", "clicks", "saves", "hides", "errors", "latency_ms", "pre_activity")
    )
    figures = {
        "exposures": exposures,
        "clicks": clicks,
        "saves": saves,
        "hides": hides,
        "errors": errors,
        "latency_ms": latency_ms,
        "conversions": clicks + saves > 0,
        "requests": exposures + errors,
        "before": np.log1p(pre_activity),
    }
    return np.column_stack([figures[name] for name in COLUMNS]).astype(np.float64)

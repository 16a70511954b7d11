"""Whether people were spread as each version of the map says."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from service.experiments.buckets import BUCKETS
from service.experiments.people import VariantPeople
from service.experiments.results.answers import SampleRatioAnswer
from service.experiments.revisions import Revision
from service.experiments.statistics.errors import NotComputableError
from service.experiments.statistics.mismatch import ALARM, Spread, mismatch_p_value

#: By version of the map, the part of the people that each variant is to have.
Shares = Mapping[int, Mapping[str, float]]


def shares_of(history: Sequence[Revision]) -> Shares:
    """From the buckets that each variant owns, which is what people are assigned by."""
    return {
        revision.map_version: {
            variant: revision.buckets.owners.count(place) / BUCKETS
            for place, variant in enumerate(revision.experiment.variant_ids)
        }
        for revision in history
    }


def sample_ratio(shares: Shares, people: Mapping[str, VariantPeople]) -> SampleRatioAnswer:
    """The test over all versions, with what it was expected to see."""
    spreads = _spreads(shares, people)
    expected: Counter[str] = Counter()
    for spread in spreads:
        expected.update(spread.expected)
    p, note = None, None
    try:
        p = mismatch_p_value(spreads)
    except NotComputableError as error:
        note = str(error)
    return SampleRatioAnswer(
        p_value=p,
        is_mismatch=p is not None and p < ALARM,
        observed={variant: len(one) for variant, one in people.items()},
        expected={variant: float(expected[variant]) for variant in people},
        unexpected=sum(spread.unexpected for spread in spreads),
        note=note,
    )


def _spreads(shares: Shares, people: Mapping[str, VariantPeople]) -> list[Spread]:
    observed: dict[int, dict[str, int]] = {}
    for variant, one in people.items():
        versions, counts = np.unique(one.map_version, return_counts=True)
        for version, count in zip(versions.tolist(), counts.tolist(), strict=True):
            observed.setdefault(version, {})[variant] = count
    return [Spread(observed[version], shares[version]) for version in sorted(observed.keys() & shares.keys())]

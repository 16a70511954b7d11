"""Everyone in an experiment as arrays, one set for each variant: what its results are computed from."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.experiments.stores import PeopleReader, Person

_WHOLE = ("map_version", "exposures", "clicks", "saves", "hides", "errors", "pre_activity", "is_crossed")


@dataclass(frozen=True, eq=False)
class VariantPeople:
    """The people who were assigned one variant and asked for an answer; all arrays are of n people in the same order.

    Whole numbers are int64[n]: the version of the map that assigned them, their answers, what they did, their requests
    that failed, how many events they had liked before. `latency_ms` float64[n] is the sum over their answers.
    `is_crossed` is 1 for those of whose answers some showed another variant.
    """

    variant: str
    map_version: NDArray[np.int64]
    exposures: NDArray[np.int64]
    clicks: NDArray[np.int64]
    saves: NDArray[np.int64]
    hides: NDArray[np.int64]
    errors: NDArray[np.int64]
    pre_activity: NDArray[np.int64]
    is_crossed: NDArray[np.int64]
    latency_ms: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.exposures)


class _Columns:
    """Compact while it grows: a million people take about 65 MB."""

    def __init__(self) -> None:
        self.whole = {name: array("q") for name in _WHOLE}
        self.latency_ms = array("d")

    def add(self, person: Person) -> None:
        for name in _WHOLE[:-1]:
            self.whole[name].append(getattr(person, name))
        self.whole["is_crossed"].append(person.other_exposures > 0)
        self.latency_ms.append(person.latency_ms)

    def of(self, variant: str) -> VariantPeople:
        whole = {name: np.frombuffer(column, np.int64) for name, column in self.whole.items()}
        return VariantPeople(variant, latency_ms=np.frombuffer(self.latency_ms, np.float64), **whole)


async def gather_people(
    reader: PeopleReader, experiment_id: str, variants: tuple[str, ...]
) -> Mapping[str, VariantPeople]:
    """The people of each variant, in the order of `variants`; one without people has empty arrays.

    Who was assigned and has neither been shown an answer nor had a request fail is left out. Raises StorageError.
    """
    columns = {variant: _Columns() for variant in variants}
    async for page in reader.people(experiment_id):
        for person in page:
            if person.exposures + person.errors > 0 and person.variant in columns:
                columns[person.variant].add(person)
    return {variant: column.of(variant) for variant, column in columns.items()}

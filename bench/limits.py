"""What limits cost a request: candidates that are kept already, and those worked out for the first time.

A line of JSON for each kind of limit: microseconds for a question asked before, and for a new one.
"""

import json
from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np

from service.live.catalogue import Catalogue
from service.live.description import describe
from service.live.filters import NO_LIMITS, Limits, Near
from service.storage.queries.events import EventRow

#: As many events as Gowalla has places, half of them still to come.
EVENTS = 40_981
_NOW = 1_800_000_000
_GENRES = [f"genre {number}" for number in range(40)]
_CITIES = ["Dublin", "Cork", "Galway", "Limerick", "Sligo"]


def main() -> None:
    """Measure every kind of limit by itself, and all at once."""
    catalogue = a_catalogue(np.random.default_rng(1))
    kinds: dict[str, Callable[[int], Limits]] = {
        "none": lambda turn: NO_LIMITS,
        "genres": lambda turn: Limits(genres=(_GENRES[turn % 40], _GENRES[turn // 40 % 40])),
        "dates": lambda turn: Limits(date_from=_NOW + turn + 1.0, date_to=_NOW + 1e6 + turn),
        "price_max": lambda turn: Limits(price_max=turn / 100),
        "near": lambda turn: Limits(near=Near(53.0 + turn / 1e4, -8.0, 30.0)),
        "all": lambda turn: Limits(
            (_GENRES[turn % 40],), _NOW + turn + 1.0, _NOW + 1e6, 20.0 + turn / 100, Near(53.0, -8.0, 100.0)
        ),
    }
    for name, limits_of in kinds.items():
        figures = measure(catalogue, limits_of)
        print(json.dumps({"limits": name, **figures}))


def measure(catalogue: Catalogue, limits_of: Callable[[int], Limits]) -> dict[str, float]:
    """Microseconds of a question asked before, and of one never asked; `limits_of` makes the n-th."""
    numbers = count()
    return {
        "kept_us": microseconds(lambda: catalogue.candidates("Cork", _NOW, limits_of(7))),
        "new_us": microseconds(lambda: catalogue.candidates("Cork", _NOW, limits_of(next(numbers)))),
    }


def a_catalogue(rng: np.random.Generator) -> Catalogue:
    """Events with two genres, a price and a place each."""
    catalogue = Catalogue(EVENTS)
    catalogue.put(range(EVENTS), describe([_event(number, rng) for number in range(EVENTS)]))
    return catalogue


def microseconds(work: Callable[[], object], calls: int = 300, rounds: int = 7) -> float:
    """The median over rounds of the mean time of a call."""
    times = []
    for _ in range(rounds):
        started = perf_counter()
        for _ in range(calls):
            work()
        times.append((perf_counter() - started) / calls * 1e6)
    return round(float(np.median(times)), 2)


def _event(number: int, rng: np.random.Generator) -> EventRow:
    unknown: dict[str, Any] = dict.fromkeys(EventRow.__struct_fields__)
    first, second = rng.integers(0, len(_GENRES), 2)
    known: dict[str, Any] = {
        "event_id": str(number),
        "title": f"Event {number}",
        "start_time": int(_NOW + rng.integers(-2_000_000, 2_000_000)),
        "city": _CITIES[number % len(_CITIES)],
        "latitude": float(rng.uniform(51.5, 55.0)),
        "longitude": float(rng.uniform(-10.0, -6.0)),
        "price_min": float(rng.uniform(0.0, 60.0)),
        "genres": (_GENRES[first], _GENRES[second]),
        "tags": (),
        "images": (),
        "created_at": 0,
        "updated_at": 0,
    }
    return EventRow(**{**unknown, **known})


if __name__ == "__main__":
    main()

"""A year of invented Irish gigs and of the people who go to them: the data that the demo runs on.

Everything is drawn from one seed, so a day gives the same site on every machine. Artists, venues and people are
invented, and every event carries the tag ``demo``. What people do follows from tastes that the data do not tell:
which genres and artists they like, how far they travel and what they pay. That makes it a fair, if easy, task
for a recommender.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from service.demo_site.people import InteractionRow, make_interactions, make_people
from service.demo_site.programme import EventRow, make_artists, make_programme, make_venues
from service.demo_site.tastes import make_tastes
from service.importing.tastes import TasteRow

__all__ = ["DemoSite", "EventRow", "InteractionRow", "generate_demo_site", "write_files"]

SEED = 2_004


class DemoSite(NamedTuple):
    """Events by id, interactions in the order in which they happened, and what people say of their tastes."""

    events: list[EventRow]
    interactions: list[InteractionRow]
    tastes: list[TasteRow]


def generate_demo_site(now: datetime, seed: int = SEED) -> DemoSite:
    """Draw the site as it stands on the day of ``now``: the year's gigs until then and those still to come.

    Only the day counts, in UTC, so that all calls of a day agree; nothing has happened after its midnight.
    ValueError when ``now`` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("now: a time zone is needed")
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rng = np.random.Generator(np.random.PCG64(seed))
    artists, venues = make_artists(rng), make_venues(rng)
    programme = make_programme(rng, midnight, artists, venues)
    people = make_people(rng)
    return DemoSite(
        programme.rows,
        make_interactions(rng, midnight, people, programme, artists),
        make_tastes(np.random.Generator(np.random.PCG64([seed, 1])), people, artists),
    )


def write_files(directory: Path, site: DemoSite) -> tuple[Path, Path]:
    """Write a site as interactions.csv and events.csv, ready to be imported.

    Makes ``directory`` when it is missing. Returns the two paths, interactions first.
    """
    directory.mkdir(parents=True, exist_ok=True)
    interactions, events = directory / "interactions.csv", directory / "events.csv"
    _write(interactions, InteractionRow._fields, site.interactions)
    _write(events, EventRow._fields, site.events)
    return interactions, events


def _write(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_as_text(value) for value in row] for row in rows)


def _as_text(value: Any) -> Any:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat()
        case tuple():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return value

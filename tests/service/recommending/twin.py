"""The readable twin of the encoder: the same answer from dictionaries and a JSON library.

Numbers with a point are decimals, so that a test compares what is printed, digit by digit.
"""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from core.recommender import Ranking
from service.storage.queries.events import EventRow

UNLISTED = "an event that is no longer listed"


def parsed(text: bytes | str) -> Any:
    """JSON with every digit of its numbers."""
    return json.loads(text, parse_float=Decimal)


def units_of(value: float, decimals: int) -> int:
    """A number in units of 10^-decimals, halves upwards."""
    return math.floor(float(value) * 10.0**decimals + 0.5)


def printed(value: float, decimals: int) -> Decimal:
    """A number as it is printed with so many decimals."""
    return Decimal(units_of(value, decimals)).scaleb(-decimals)


def card(event: EventRow) -> dict[str, Any]:
    """What every answer says about an event."""
    price = event.price_max if event.price_min is None else event.price_min
    start = f"{np.datetime64(event.start_time, 's')}Z"
    genre = event.genres[0] if event.genres else None
    members = {
        "event_id": event.event_id,
        "id": event.event_id,
        "title": event.title,
        "event_name": event.title,
        "start_time": start,
        "date": start,
        "end_time": None if event.end_time is None else f"{np.datetime64(event.end_time, 's')}Z",
        "venue_name": event.venue_name,
        "city": event.city,
        "ticket_url": event.ticket_url,
        "images": list(event.images),
        "genre": genre,
        "genres": list(event.genres),
        "price": price,
        "metadata": {
            "event_name": event.title,
            "venue": event.venue_name,
            "date": start,
            "genre": genre,
        },
    }
    as_read: dict[str, Any] = parsed(json.dumps(members))
    return as_read


def recommendations(
    ranking: Ranking,
    liked: Sequence[int],
    events: Mapping[int, EventRow | str],
    masses: np.ndarray,
    city: str | None,
) -> list[dict[str, Any]]:
    """The recommendations of a ranking; `events` has a row, or only an id, for each index."""
    personal = [_personal(ranking, rank, liked, events) for rank in range(ranking.n_personal)]
    where = f"in {city}" if city else "right now"
    popular = [
        _popular(ranking, rank, events, masses, where) for rank in range(ranking.n_personal, ranking.n)
    ]
    return personal + popular


def _personal(
    ranking: Ranking, rank: int, liked: Sequence[int], events: Mapping[int, EventRow | str]
) -> dict[str, Any]:
    answer = ranking.answer
    people = int(answer.supporters[rank])
    named = [position for position in answer.reasons[rank].tolist() if position >= 0]
    causes = [events[liked[position]] for position in named]
    score = _score(ranking, rank)
    weights = _weights(
        score, answer.contributions[rank].tolist()[: len(named)], int(answer.contributors[rank])
    )
    others = int(answer.contributors[rank]) - len(named)
    return {
        **_common(ranking, rank, events, people),
        "reason": f"{people if people >= 3 else 'A few'} people with your taste like this, above all those who"
        f" also liked “{'” and “'.join(map(_title, causes[:2]))}”",
        "rank_reasons": [{"type": "collaborative", "weight": printed(score, 8)}],
        "algorithm": "collaborative_filtering",
        "because": [
            {"event_id": _id(cause), "title": _title(cause), **_part(weight, score)}
            for cause, weight in zip(causes, weights, strict=False)
        ],
        "because_other": {"events": others, **_part(weights[-1], score)} if others else None,
        "neighbours": people if people >= 3 else None,
    }


def _popular(
    ranking: Ranking, rank: int, events: Mapping[int, EventRow | str], masses: np.ndarray, where: str
) -> dict[str, Any]:
    people = float(masses[ranking.answer.events[rank]])
    return {
        **_common(ranking, rank, events, people),
        "reason": f"{'Popular' if people >= 1 else 'Newly listed'} {where}",
        "rank_reasons": [{"type": "popularity", "weight": printed(_score(ranking, rank), 8)}],
        "algorithm": "popularity",
        "because": [],
        "because_other": None,
        "neighbours": None,
    }


def _common(
    ranking: Ranking, rank: int, events: Mapping[int, EventRow | str], people: float
) -> dict[str, Any]:
    event = events[int(ranking.answer.events[rank])]
    assert isinstance(event, EventRow), "only a listed event is recommended"
    score, best = _score(ranking, rank), _score(ranking, 0)
    return {
        **card(event),
        "score": printed(score, 8),
        "rank_score": printed(np.float32(score) / np.float32(best) if best else 0.0, 4),
        "confidence": printed(_confidence(people), 3),
    }


def _confidence(people: float) -> float:
    """Fewer than three count as one, and less than one as nobody."""
    counted = people if people >= 3 else min(1, math.floor(people))
    return counted / (counted + 5.0)


def _score(ranking: Ranking, rank: int) -> float:
    """Sums of float32 can come out a little above what they are in exact arithmetic, at most 1."""
    return min(float(ranking.answer.scores[rank]), 1.0)


def _weights(score: float, contributions: Sequence[float], contributors: int) -> list[int]:
    """The units of the named causes and, last, of all others; they add up to those of the score."""
    left = units_of(score, 8)
    weights = []
    for place, contribution in enumerate(contributions):
        is_last = place == contributors - 1
        weights.append(left if is_last else min(left, units_of(contribution, 8)))
        left -= weights[-1]
    return [*weights, left]


def _part(units: int, score: float) -> dict[str, Decimal]:
    total = units_of(score, 8)
    return {
        "weight": Decimal(units).scaleb(-8),
        "share": printed(units / total if total else 0.0, 4),
    }


def _id(event: EventRow | str) -> str:
    return event if isinstance(event, str) else event.event_id


def _title(event: EventRow | str) -> str:
    return UNLISTED if isinstance(event, str) else event.title

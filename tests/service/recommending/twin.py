"""The readable twin of the encoder: the same answer from dictionaries and a JSON library.

Numbers with a point are decimals, so that a test compares what is printed, digit by digit.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from core.reasons import Part
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


#: The sentence about each part of content: with the name of a feature, and without.
SENTENCES = {
    Part.GENRE_MATCH: ("Because you like {}", "Of a genre you like"),
    Part.TAG_MATCH: ("Because you like {}", "Like what you went for before"),
    Part.ARTIST_MATCH: ("Because you like {}", "With an artist you like"),
    Part.VENUE_MATCH: ("More at {}", "At a venue you like"),
    Part.SERIES_MATCH: ("More of {}", "Of a series you like"),
    Part.SPOTIFY_GENRE: ("Because you listen to {} on Spotify", "Of a genre you listen to on Spotify"),
    Part.SPOTIFY_ARTIST: ("Because you listen to {} on Spotify", "With an artist of your Spotify"),
    Part.SOUNDCLOUD_GENRE: (
        "Because you listen to {} on SoundCloud",
        "Of a genre you listen to on SoundCloud",
    ),
    Part.SOUNDCLOUD_ARTIST: ("Because you listen to {} on SoundCloud", "With an artist of your SoundCloud"),
    Part.YOUTUBE_GENRE: ("Because you watch {} on YouTube", "Of a genre you watch on YouTube"),
    Part.YOUTUBE_ARTIST: ("Because you watch {} on YouTube", "With an artist of your YouTube"),
    Part.CITY_MATCH: ("More in {}", "In a city you go out in"),
    Part.DAY_MATCH: ("Because you go out on {}", "At a time you like to go out"),
    Part.BUDGET_MATCH: ("Within your budget: {}", "Within your budget"),
    Part.DISTANCE_MATCH: ("{}", "Close to where you go out"),
    Part.RECENCY: ("On soon: {}", "On soon"),
}


@dataclass(frozen=True)
class Known:
    """What an answer is about, beside its ranking."""

    algorithm: str
    liked: Sequence[int]  #: the events of the profile
    events: Mapping[int, EventRow | str]  #: a row, or only an id, for each index
    labels: Sequence[str]  #: of the features
    masses: np.ndarray
    city: str | None


def recommendations(ranking: Ranking, known: Known) -> list[dict[str, Any]]:
    """The recommendations of a ranking."""
    return [_recommendation(ranking, rank, known) for rank in range(ranking.n)]


def _recommendation(ranking: Ranking, rank: int, known: Known) -> dict[str, Any]:
    answer = ranking.answer
    event = known.events[int(answer.events[rank])]
    assert isinstance(event, EventRow), "only a listed event is recommended"
    is_personal = rank < ranking.n_personal
    people = int(answer.supporters[rank]) if is_personal else 0
    mass = float(known.masses[answer.events[rank]])
    score, best = _score(ranking, rank), _score(ranking, 0)
    parts = _parts(score, answer.parts[rank].tolist())
    greatest = max(Part, key=lambda part: (answer.parts[rank, part], -part))
    causes = _named(ranking, rank, known) if is_personal and parts[Part.COLLABORATIVE] else []
    evidence = (people or max(1, len(known.liked))) if is_personal else mass
    return {
        **card(event),
        "score": printed(score, 8),
        "rank_score": printed(np.float32(score) / np.float32(best) if best else 0.0, 4),
        "confidence": printed(_confidence(evidence), 3),
        "reason": _reason(ranking, rank, greatest, people, causes, known),
        "rank_reasons": [
            {"type": part.name.lower(), "weight": Decimal(units).scaleb(-8)}
            for part, units in parts.items()
            if units or part == greatest
        ],
        "algorithm": known.algorithm if is_personal else "popularity",
        **_because(ranking, rank, causes, parts[Part.COLLABORATIVE] if is_personal else 0, score),
        "neighbours": people if people >= 3 else None,
    }


def _parts(score: float, parts: Sequence[float]) -> dict[Part, int]:
    """The parts in units that add up to the score's: the greatest takes what the others, rounded, leave."""
    greatest = max(Part, key=lambda part: (parts[part], -part))
    left = units_of(score, 8)
    units = {}
    for part in Part:
        if part != greatest:
            units[part] = min(left, units_of(max(parts[part], 0.0), 8))
            left -= units[part]
    units[greatest] = left
    return {part: units[part] for part in Part}


def _named(ranking: Ranking, rank: int, known: Known) -> list[EventRow | str]:
    positions = ranking.answer.reasons[rank].tolist()
    return [known.events[known.liked[position]] for position in positions if position >= 0]


def _reason(
    ranking: Ranking,
    rank: int,
    greatest: Part,
    people: int,
    causes: Sequence[EventRow | str],
    known: Known,
) -> str:
    if greatest == Part.POPULARITY:
        mass = known.masses[ranking.answer.events[rank]]
        where = f"in {known.city}" if known.city else "right now"
        return f"{'Popular' if mass >= 1 else 'Newly listed'} {where}"
    if greatest != Part.COLLABORATIVE:
        feature = int(ranking.answer.subjects[rank, greatest])
        label = known.labels[feature] if 0 <= feature < len(known.labels) else ""
        named, unnamed = SENTENCES[greatest]
        return named.format(label) if label else unnamed
    titles = "” and “".join(map(_title, causes[:2]))
    if not people:
        return f"Because you liked “{titles}”" if causes else "Fits what you liked before"
    above_all = f", above all those who also liked “{titles}”" if causes else ""
    return f"{people if people >= 3 else 'A few'} people with your taste like this{above_all}"


def _because(
    ranking: Ranking, rank: int, causes: Sequence[EventRow | str], part: int, score: float
) -> dict[str, Any]:
    """The collaborative part, in units, split among the events of the profile."""
    if not part:
        return {"because": [], "because_other": None}
    others = int(ranking.answer.contributors[rank]) - len(causes)
    weights, rest = _weights(part, ranking.answer.contributions[rank].tolist()[: len(causes)], others)
    return {
        "because": [
            {"event_id": _id(cause), "title": _title(cause), **_part(weight, score)}
            for cause, weight in zip(causes, weights, strict=True)
        ],
        "because_other": {"events": others, **_part(rest, score)} if others > 0 else None,
    }


def _confidence(evidence: float) -> float:
    """Fewer than three count as one, and less than one as nobody."""
    counted = evidence if evidence >= 3 else min(1, math.floor(evidence))
    return counted / (counted + 5.0)


def _score(ranking: Ranking, rank: int) -> float:
    """Sums of float32 can come out a little above what they are in exact arithmetic, at most 1."""
    return min(float(ranking.answer.scores[rank]), 1.0)


def _weights(total: int, contributions: Sequence[float], others: int) -> tuple[list[int], int]:
    """The units of the named causes, and of all others; together they are `total`.

    Where there are no others, or the rest is below 0 by no more than float32 sums are wrong by, it belongs to the last
    cause that it does not bring below 0.
    """
    weights = [units_of(contribution, 8) for contribution in contributions]
    rest = total - sum(weights)
    if weights and (others <= 0 or -3 - total // 100_000 <= rest < 0):
        able = [place for place, weight in enumerate(weights) if weight + rest >= 0]
        weights[max(able, default=0)] += rest
        rest = 0
    return weights, rest


def _part(units: int, score: float) -> dict[str, Decimal]:
    total = units_of(score, 8)
    share = printed(abs(units) / total if total else 0.0, 4)
    return {"weight": Decimal(units).scaleb(-8), "share": share if units >= 0 else -share}


def _id(event: EventRow | str) -> str:
    return event if isinstance(event, str) else event.event_id


def _title(event: EventRow | str) -> str:
    return UNLISTED if isinstance(event, str) else event.title

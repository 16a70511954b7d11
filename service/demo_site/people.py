"""The people: what they like, and what they therefore do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.demo_site.places import CITIES, GENRES, RELATED, shares
from service.demo_site.programme import DAYS_BEFORE, HIDDEN_TASTES, Artists, Programme

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PEOPLE = 2_000
MOST_EVENTS = 120  # that one person reacts to
DAY = 86_400
BUZZ_DAYS = 8.0  # how fast the talk about a new event dies down
BUZZ_SHARE = 0.6  # of all reactions; the others come evenly until it starts

# How much each thing matters for what people come to look at.
TASTE, CHARACTER, FAME, THRIFT = 1.4, 1.0, 0.9, 0.04
SAVED_BY_HALF = 2.3  # an event with minus this liking is saved by half of those whom it reaches


class InteractionRow(NamedTuple):
    """One thing that a person did: the columns of interactions.csv. The time is UTC."""

    user_id: int
    event_id: int
    action: str
    created_at: datetime


@dataclass(frozen=True)
class People:
    """Arrays by person.

    ``genres`` (people × genres) are shares of taste, ``character`` (people × HIDDEN_TASTES) says which artists
    of a genre suit them, ``reach`` is in km, ``thrift`` is about 1, ``joined`` in days from the site's day, and
    ``reactions`` is how many events they react to, if so many come their way.
    """

    city: Ints
    genres: Floats
    character: Floats
    reach: Floats
    thrift: Floats
    joined: Floats
    reactions: Ints


def make_people(rng: np.random.Generator) -> People:
    """Draw the people: half were there from the start, the others joined during the year."""
    joined = np.where(rng.random(PEOPLE) < 0.5, -DAYS_BEFORE, rng.uniform(-DAYS_BEFORE, -1.0, PEOPLE))
    reactions = rng.lognormal(np.log(20.0), 0.9, PEOPLE) * np.sqrt(-joined / DAYS_BEFORE)
    return People(
        city=rng.choice(len(CITIES), PEOPLE, p=shares(CITIES)),
        genres=_genre_tastes(rng),
        character=rng.standard_normal((PEOPLE, HIDDEN_TASTES)),
        reach=rng.lognormal(np.log(30.0), 0.7, PEOPLE),
        thrift=rng.exponential(1.0, PEOPLE),
        joined=joined,
        reactions=np.clip(reactions, 1, MOST_EVENTS).astype(np.int64),
    )


def _genre_tastes(rng: np.random.Generator) -> Floats:
    """A favourite genre for everyone, a second one that is often related, and a little of everything."""
    everyone = np.arange(PEOPLE)
    first = rng.choice(len(GENRES), PEOPLE, p=shares(GENRES))
    second = np.where(rng.random(PEOPLE) < 0.6, RELATED[first], rng.integers(len(GENRES), size=PEOPLE))
    tastes = rng.exponential(0.03, (PEOPLE, len(GENRES)))
    tastes[everyone, second] += rng.uniform(0.2, 0.8, PEOPLE)
    tastes[everyone, first] += 1.0
    tastes /= tastes.sum(axis=1, keepdims=True)
    return tastes


@dataclass(frozen=True)
class _Scene:
    """What is the same for everyone; arrays by event, times in seconds since 1970."""

    now: int
    genre: Ints
    character: Floats
    distance: Floats  # cities × events, km
    announced: Ints
    start: Ints
    fame: Floats
    price: Floats


def make_interactions(
    rng: np.random.Generator, midnight: datetime, people: People, programme: Programme, artists: Artists
) -> list[InteractionRow]:
    """Let everyone react to the events that they come to look at, before ``midnight`` and before each starts.

    Which events reach a person depends on taste, distance, price and fame; what they do with them on taste alone.
    """
    scene = _Scene(
        now=int(midnight.timestamp()),
        genre=artists.genre[programme.artist],
        character=artists.character[programme.artist],
        distance=_distances()[:, programme.city],
        announced=programme.announced,
        start=programme.start,
        fame=programme.fame,
        price=programme.price,
    )
    rows = [row for person in range(PEOPLE) for row in _interactions_of(rng, person, people, scene)]
    rows.sort(key=lambda row: (row.created_at, row.user_id, row.event_id, row.action))
    return rows


def _interactions_of(
    rng: np.random.Generator, person: int, people: People, scene: _Scene
) -> Iterator[InteractionRow]:
    joined = scene.now + int(people.joined[person] * DAY)
    opened = np.maximum(scene.announced, joined)
    closed = np.minimum(scene.start, scene.now) - 60  # the last minute is for second thoughts
    liking = _liking(person, people, scene)
    attention = (
        liking
        + FAME * scene.fame
        - scene.distance[people.city[person]] / people.reach[person]
        - THRIFT * people.thrift[person] * scene.price
    )
    with np.errstate(divide="ignore"):
        attention += np.log(_talk(scene, opened, closed))
    events = _drawn(rng, attention, int(people.reactions[person]))
    rolls = rng.random((events.size, 5))
    chosen = (events, liking[events], opened[events], closed[events], rolls)
    for event, likes, since, until, luck in zip(*(array.tolist() for array in chosen), strict=True):
        for action, at in _reaction(likes, since, until, luck):
            yield InteractionRow(person + 1, event + 1, action, datetime.fromtimestamp(at, UTC))


def _liking(person: int, people: People, scene: _Scene) -> Floats:
    """How well each event suits the person: their share for its genre, and its artist's character."""
    by_genre = np.log(people.genres[person] + 0.02)[scene.genre]
    by_artist = scene.character @ people.character[person] / np.sqrt(HIDDEN_TASTES)
    liking: Floats = TASTE * by_genre + CHARACTER * by_artist
    return liking


def _talk(scene: _Scene, opened: Ints, closed: Ints) -> Floats:
    """The share of all talk about each event that falls between ``opened`` and ``closed``; 0 when that is empty."""
    since, until = (opened - scene.announced) / DAY, (closed - scene.announced) / DAY
    buzz = np.exp(-since / BUZZ_DAYS) - np.exp(-until / BUZZ_DAYS)
    even = (until - since) / ((scene.start - scene.announced) / DAY)
    return np.maximum(0.0, BUZZ_SHARE * buzz + (1.0 - BUZZ_SHARE) * even)


def _drawn(rng: np.random.Generator, attention: Floats, count: int) -> Ints:
    """Draw up to ``count`` different events with odds exp(attention), by the Gumbel trick; in order of index."""
    possible = np.flatnonzero(np.isfinite(attention))
    keys = attention[possible] + rng.gumbel(size=possible.size)
    count = min(count, possible.size)
    return np.sort(possible[np.argpartition(-keys, count - 1)[:count]]) if count else possible


def _reaction(liking: float, opened: int, closed: int, luck: list[float]) -> list[tuple[str, int]]:
    """What a person does with an event, and when (seconds since 1970): one to three actions in order.

    ``luck`` holds five numbers in 0…1.
    """
    fresh, moment, decides, looks, thinks_again = luck
    first = opened + int(_passed(fresh, moment, (closed - opened) / DAY) * DAY)
    later = first + int(looks * (closed - first))
    if decides > 1.0 / (1.0 + math.exp(-1.5 * (liking + SAVED_BY_HALF))):
        return [(_coolness(looks), first)]
    actions = [("click", first), ("save", first + 30)] if looks < 0.3 else [("save", first)]
    if thinks_again < 0.10:
        actions.append(("thumbs_up", later + 60))
    elif thinks_again > 0.98:
        actions.append(("hide", later + 60))
    return actions


def _passed(fresh: float, moment: float, span: float) -> float:
    """After how many of ``span`` days an event is noticed: while the talk is fresh, or at any time until it starts."""
    if fresh > BUZZ_SHARE:
        return moment * span
    return -BUZZ_DAYS * math.log1p(-moment * (1.0 - math.exp(-span / BUZZ_DAYS)))


def _coolness(chance: float) -> str:
    """What someone does with an event that they do not save."""
    return (
        "click" if chance < 0.5 else "skip" if chance < 0.75 else "hide" if chance < 0.92 else "thumbs_down"
    )


def _distances() -> Floats:
    """Kilometres between the cities as the crow flies (haversine)."""
    north = np.radians([city.latitude for city in CITIES])
    east = np.radians([city.longitude for city in CITIES])
    half = np.sin((north[:, None] - north) / 2) ** 2
    half += np.cos(north[:, None]) * np.cos(north) * np.sin((east[:, None] - east) / 2) ** 2
    kilometres: Floats = 2 * 6371.0 * np.arcsin(np.sqrt(half))
    return kilometres

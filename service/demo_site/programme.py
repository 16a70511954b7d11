"""The artists, the venues, and the year's programme of events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.demo_site.places import CITIES, GENRES, Genre, artist_names, shares, venue_names

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EVENTS = 3_000
ARTISTS = 260
VENUES = 80
WEEKLY_SERIES, MONTHLY_SERIES = 22, 24
DAYS_BEFORE, DAYS_AFTER = 300, 65  # the year, around the day it is drawn for
HIDDEN_TASTES = 4  # dimensions of what makes people like one artist of a genre and not another
WEEKDAY_SHARES = (0.05, 0.07, 0.10, 0.16, 0.25, 0.25, 0.12)  # of one-off gigs, Monday first
#: Where the demo's tickets would be sold; no other site has such links.
TICKETS = "https://tickets.example/demo/"
FAME_HALF_LIFE_DAYS = 90.0  # after an artist's best day


class EventRow(NamedTuple):
    """One event: the columns of events.csv. Times in UTC, prices in euro, None where nothing is known."""

    event_id: int
    title: str
    city: str
    start_time: datetime
    end_time: datetime | None
    venue_name: str
    genres: tuple[str, ...]
    tags: tuple[str, ...]
    price_min: float | None
    price_max: float | None
    latitude: float
    longitude: float
    ticket_url: str | None


@dataclass(frozen=True)
class Artists:
    """Arrays by artist: genre (index), hidden character (artists × HIDDEN_TASTES), log of fame, best day."""

    names: list[str]
    genre: Ints
    character: Floats
    fame: Floats
    best_day: Floats


class Venue(NamedTuple):
    name: str
    city: int
    latitude: float
    longitude: float
    genres: tuple[int, ...]  # that it puts on
    price_factor: float


class Booking(NamedTuple):
    """An evening that an artist plays at a venue; ``series`` is "weekly", "monthly", or "" for a one-off."""

    announced: datetime
    start: datetime
    artist: int
    venue: int
    series: str


@dataclass(frozen=True)
class Programme:
    """The events, and arrays by event of what people go by; times in seconds since 1970, prices in euro."""

    rows: list[EventRow]
    artist: Ints
    city: Ints
    announced: Ints
    start: Ints
    price: Floats
    fame: Floats


def make_artists(rng: np.random.Generator) -> Artists:
    """Draw the artists: at least four of each genre, their fame falling off with rank as in Zipf's law."""
    certain = np.tile(np.arange(len(GENRES)), 4)
    drawn = rng.choice(len(GENRES), ARTISTS - certain.size, p=shares(GENRES))
    return Artists(
        names=artist_names(rng, ARTISTS),
        genre=np.concatenate([certain, drawn]),
        character=rng.standard_normal((ARTISTS, HIDDEN_TASTES)),
        fame=-0.6 * np.log1p(rng.permutation(ARTISTS)),
        best_day=rng.uniform(-DAYS_BEFORE, DAYS_AFTER, ARTISTS),
    )


def make_venues(rng: np.random.Generator) -> list[Venue]:
    """Draw the venues: at least two for each city, each putting on five genres."""
    certain = np.tile(np.arange(len(CITIES)), 2)
    drawn = rng.choice(len(CITIES), VENUES - certain.size, p=shares(CITIES))
    cities = np.concatenate([certain, drawn]).tolist()
    return [_venue(rng, name, city) for name, city in zip(venue_names(rng, VENUES), cities, strict=True)]


def _venue(rng: np.random.Generator, name: str, city: int) -> Venue:
    north, east = rng.normal(0.0, 0.008, 2).tolist()  # degrees: about a kilometre from the middle of the city
    return Venue(
        name=name,
        city=city,
        latitude=round(CITIES[city].latitude + north, 6),
        longitude=round(CITIES[city].longitude + east, 6),
        genres=tuple(rng.choice(len(GENRES), 5, replace=False, p=shares(GENRES)).tolist()),
        price_factor=float(rng.choice((0.8, 1.0, 1.0, 1.3, 1.7))),
    )


def make_programme(
    rng: np.random.Generator, midnight: datetime, artists: Artists, venues: list[Venue]
) -> Programme:
    """Book the year around ``midnight`` (UTC): weekly and monthly series first, one-off gigs for the rest."""
    office = _Office(rng, midnight, artists, venues)
    bookings = [*office.series(WEEKLY_SERIES, "weekly"), *office.series(MONTHLY_SERIES, "monthly")]
    bookings += [office.one_off() for _ in range(EVENTS - len(bookings))]
    bookings.sort()  # ids grow in the order in which events are announced
    prices = [office.price(booking) for booking in bookings]
    artist = np.array([booking.artist for booking in bookings])
    days = np.array([(booking.start - midnight).days for booking in bookings])
    past_best = np.maximum(0.0, days - artists.best_day[artist])
    return Programme(
        rows=[office.row(i + 1, *booked) for i, booked in enumerate(zip(bookings, prices, strict=True))],
        artist=artist,
        city=np.array([venues[booking.venue].city for booking in bookings]),
        announced=np.array([int(booking.announced.timestamp()) for booking in bookings]),
        start=np.array([int(booking.start.timestamp()) for booking in bookings]),
        price=np.array(prices),
        fame=artists.fame[artist] - np.log(2.0) * past_best / FAME_HALF_LIFE_DAYS,
    )


@dataclass(frozen=True)
class _Office:
    """Books evenings, and writes down what was booked."""

    rng: np.random.Generator
    midnight: datetime
    artists: Artists
    venues: list[Venue]

    @cached_property
    def _demand(self) -> Floats:
        odds: Floats = np.exp(0.7 * self.artists.fame)
        odds /= odds.sum()
        return odds

    @cached_property
    def _stages(self) -> list[list[int]]:
        """The venues that put on each genre; all of them for a genre that none does."""
        everywhere = list(range(len(self.venues)))
        return [
            [i for i in everywhere if genre in self.venues[i].genres] or everywhere
            for genre in range(len(GENRES))
        ]

    def series(self, count: int, series: str) -> Iterator[Booking]:
        """Book series, each at one venue, on one weekday, with up to four residents of one genre."""
        step = 7 if series == "weekly" else 28
        for venue in self.rng.permutation(len(self.venues))[:count].tolist():
            genre = self.rng.choice(self.venues[venue].genres)
            residents = self.rng.permutation(np.flatnonzero(self.artists.genre == genre))[:4]
            for day in range(int(self.rng.integers(step)) - DAYS_BEFORE, DAYS_AFTER, step):
                yield self._booking(day, int(self.rng.choice(residents)), venue, series)

    def one_off(self) -> Booking:
        """Book one gig: the famous play more often, where their genre is put on, and mostly at weekends."""
        artist = int(self.rng.choice(ARTISTS, p=self._demand))
        venue = int(self.rng.choice(self._stages[self.artists.genre[artist]]))
        day = int(self.rng.integers(-DAYS_BEFORE, DAYS_AFTER - 6))
        weekday = int(self.rng.choice(7, p=WEEKDAY_SHARES))
        day += (weekday - self.midnight.weekday() - day) % 7
        return self._booking(day, artist, venue, "")

    def _booking(self, day: int, artist: int, venue: int, series: str) -> Booking:
        hour = self._genre(artist).hour + float(self.rng.choice((-0.5, 0.0, 0.0, 0.5)))
        start = to_utc(self.midnight.replace(tzinfo=None) + timedelta(days=day, hours=hour))
        lead_days = float(self.rng.uniform(45, 80) if series else self.rng.uniform(30, 120))
        announced = (start - timedelta(days=lead_days)).replace(minute=0, second=0, microsecond=0)
        return Booking(min(announced, self.midnight), start, artist, venue, series)

    def price(self, booking: Booking) -> float:
        """Euro, in steps of 50 cent: by genre, venue and fame; series are cheaper, trad sessions free."""
        base = self._genre(booking.artist).price
        base = base * 0.6 if booking.series else base or 12.0
        fame = 1.0 + 0.8 * float(np.exp(self.artists.fame[booking.artist]))
        chance = float(self.rng.uniform(0.9, 1.1))
        return round(2 * base * self.venues[booking.venue].price_factor * fame * chance) / 2

    def row(self, event_id: int, booking: Booking, price: float) -> EventRow:
        """The event as its site would list it, with some things left unsaid."""
        genre, venue = self._genre(booking.artist), self.venues[booking.venue]
        name = self.artists.names[booking.artist]
        end_known, price_known, crosses_over = self.rng.random(3) < (0.95, 0.96, 0.4)
        at_the_door = price + float(self.rng.choice((0.0, 2.5, 5.0))) if price else 0.0
        return EventRow(
            event_id=event_id,
            title=f"{booking.series.title()} {genre.name}: {name}" if booking.series else name,
            city=CITIES[venue.city].name,
            start_time=booking.start,
            end_time=booking.start + timedelta(hours=genre.hours) if end_known else None,
            venue_name=venue.name,
            genres=(genre.name, genre.related) if crosses_over else (genre.name,),
            tags=("demo", booking.series) if booking.series else ("demo",),
            price_min=price if price_known else None,
            price_max=at_the_door if price_known else None,
            latitude=venue.latitude,
            longitude=venue.longitude,
            ticket_url=f"{TICKETS}{event_id}" if price else None,
        )

    def _genre(self, artist: int) -> Genre:
        return GENRES[self.artists.genre[artist]]


def to_utc(local: datetime) -> datetime:
    """An evening's local time in Dublin as UTC: summer time runs between the last Sundays of March and October.

    Written out because a bare machine may have no time zone database.
    """
    begins, ends = (_last_sunday(local.year, month) for month in (3, 10))
    is_summer = begins <= local.date() < ends
    return (local - timedelta(hours=int(is_summer))).replace(tzinfo=UTC)


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)

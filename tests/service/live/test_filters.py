import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.live.catalogue import MOST_KEPT, Catalogue
from service.live.description import describe
from service.live.filters import EARTH_RADIUS_KM, NO_LIMITS, Limits, Near
from service.storage.queries.events import EventRow
from tests.sites import DAY, HOUR, NOW, an_event

EYRE_SQUARE = (53.2744, -9.0490)
SPANISH_ARCH = (53.2698, -9.0536)  # 0.60 km from there
CORK = (51.8979, -8.4706)  # 158 km from there


def a_catalogue(*events: EventRow) -> Catalogue:
    catalogue = Catalogue(len(events) + 2)
    catalogue.put(range(len(events)), describe(events))
    return catalogue


def found(catalogue: Catalogue, city: str | None = None, now: float = NOW, **limits: Any) -> list[int]:
    candidates = catalogue.candidates(city, now, Limits(**limits))
    assert np.flatnonzero(candidates.mask).tolist() == candidates.events.tolist()
    assert (candidates.mask.dtype, candidates.events.dtype) == (np.uint8, np.int32)
    return candidates.events.tolist()


def at(place: tuple[float, float], event_id: str = "a") -> EventRow:
    return an_event(event_id, latitude=place[0], longitude=place[1])


def test_no_price_above_the_limit_and_none_that_nobody_knows():
    catalogue = a_catalogue(
        an_event("free", price_min=0.0),
        an_event("from ten", price_min=10.0, price_max=40.0),
        an_event("up to fifteen", price_max=15.1),
        an_event("unknown"),
    )

    assert found(catalogue, price_max=0.0) == [0]
    assert found(catalogue, price_max=10.0) == [0, 1]
    assert found(catalogue, price_max=15.1) == [0, 1, 2]
    assert found(catalogue) == [0, 1, 2, 3]


def test_starts_from_the_first_second_to_the_last_one():
    catalogue = a_catalogue(*(an_event(str(hour), start_time=NOW + hour * HOUR) for hour in range(1, 5)))

    assert found(catalogue, date_from=NOW + 2 * HOUR, date_to=NOW + 3 * HOUR) == [1, 2]
    assert found(catalogue, date_from=NOW + 2 * HOUR + 1) == [2, 3]
    assert found(catalogue, date_to=NOW + 3 * HOUR - 1) == [0, 1]
    assert found(catalogue, date_from=NOW - DAY) == [0, 1, 2, 3]
    assert found(catalogue, date_to=NOW) == []


def test_what_has_started_stays_out_whatever_the_dates():
    catalogue = a_catalogue(an_event("a", start_time=NOW - HOUR), an_event("b", start_time=NOW + HOUR))

    assert found(catalogue, date_from=NOW - DAY) == [1]
    assert found(catalogue, date_from=NOW - DAY, now=NOW + HOUR) == []


def test_places_within_the_radius_and_none_that_nobody_knows():
    catalogue = a_catalogue(at(EYRE_SQUARE), at(SPANISH_ARCH), at(CORK), an_event("somewhere"))

    assert found(catalogue, near=Near(*EYRE_SQUARE, 0.01)) == [0]
    assert found(catalogue, near=Near(*EYRE_SQUARE, 0.58)) == [0]
    assert found(catalogue, near=Near(*EYRE_SQUARE, 0.61)) == [0, 1]
    assert found(catalogue, near=Near(*EYRE_SQUARE, 156.0)) == [0, 1]
    assert found(catalogue, near=Near(*EYRE_SQUARE, 160.0)) == [0, 1, 2]
    assert found(catalogue, near=Near(0.0, 0.0, 20_037.6)) == [0, 1, 2]


def test_a_circle_may_cross_the_date_line_and_the_pole():
    catalogue = a_catalogue(at((0.0, 179.9)), at((0.0, -179.9)), at((89.9, 10.0)), at((89.9, -170.0)))

    assert found(catalogue, near=Near(0.0, -180.0, 12.0)) == [0, 1]
    assert found(catalogue, near=Near(90.0, 0.0, 12.0)) == [2, 3]


def test_any_of_the_genres_will_do_and_a_genre_of_no_event_finds_nothing():
    catalogue = a_catalogue(
        an_event("a", genres=("Trad", "Folk")), an_event("b", genres=("Techno",)), an_event("c")
    )

    assert found(catalogue, genres=("TRAD",)) == [0]
    assert found(catalogue, genres=("folk", "techno", "polka")) == [0, 1]
    assert found(catalogue, genres=("polka",)) == []


def test_limits_that_say_the_same_are_looked_up_once():
    catalogue = a_catalogue(an_event("a", genres=("Hip Hop", "soul"), city="Cork"))
    first = catalogue.candidates("Cork", NOW, Limits(genres=("hip-hop", "Soul"), date_from=NOW - 1))

    again = catalogue.candidates("CORK", NOW + 5, Limits(genres=("soul", "HIP HOP", "soul"), date_from=NOW))

    assert again.mask is first.mask


def test_what_is_kept_is_dropped_when_an_event_changes_or_starts():
    catalogue = a_catalogue(an_event("a", price_min=5.0, start_time=NOW + 60), an_event("b", price_min=50.0))
    assert found(catalogue, price_max=10.0) == [0]
    assert found(catalogue, price_max=10.0, now=NOW + 60) == []

    catalogue.put([1], describe([an_event("b", price_min=8.0)]))

    assert found(catalogue, price_max=10.0) == [0, 1]


def test_strange_limits_do_not_fill_the_memory():
    catalogue = a_catalogue(an_event("a", price_min=5.0))
    usual = catalogue.candidates(None, NOW, Limits(date_to=NOW + DAY))
    for cents in range(3 * MOST_KEPT):
        catalogue.candidates(None, NOW, Limits(price_max=cents / 100))
        again = catalogue.candidates(None, NOW, Limits(date_to=NOW + DAY))
        assert again.mask is usual.mask  # what is asked for often stays

    assert len(catalogue._limited_candidates) <= MOST_KEPT


def test_more_room_keeps_prices_places_and_genres():
    catalogue = a_catalogue(
        an_event("a", price_min=5.0, latitude=CORK[0], longitude=CORK[1], genres=("trad",), created_at=NOW)
    )
    catalogue.ensure_room(9)
    catalogue.put([8], describe([an_event("b", price_min=5.0, genres=("trad",))]))

    assert found(catalogue, price_max=5.0, genres=("trad",)) == [0, 8]
    assert found(catalogue, near=Near(*CORK, 1.0)) == [0]
    assert catalogue.latest_first()[0] == 0


def test_events_are_ordered_by_start_and_by_when_they_were_listed():
    catalogue = a_catalogue(
        an_event("a", start_time=NOW + DAY, created_at=NOW - 5),
        an_event("b", start_time=NOW + HOUR, created_at=0),
        an_event("c", start_time=NOW + HOUR, created_at=NOW - 1),
        an_event("d", start_time=NOW + 2, tags=("cancelled",), created_at=NOW - 1),
    )

    assert catalogue.soonest_first()[:3].tolist() == [1, 2, 0]
    assert catalogue.latest_first()[:3].tolist() == [2, 3, 0]

    catalogue.put([0], describe([an_event("a", start_time=NOW + 60, created_at=NOW)]))

    assert catalogue.soonest_first()[0] == catalogue.latest_first()[0] == 0


# --- against a twin that looks at one event after the other ---

_prices = st.none() | st.integers(0, 4).map(float)
_places = st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180))
_genres = st.lists(st.sampled_from(["folk", "Trad", "hip-hop"]), max_size=2, unique=True).map(tuple)


@st.composite
def some_events(draw: st.DrawFn) -> EventRow:
    place = draw(_places) or (None, None)
    return an_event(
        "any",
        city=draw(st.sampled_from([None, "Cork", "Sligo"])),
        start_time=NOW + draw(st.integers(-1, 5)),
        price_min=draw(_prices),
        price_max=draw(_prices),
        latitude=place[0],
        longitude=place[1],
        genres=draw(_genres),
    )


_limits = st.builds(
    Limits,
    genres=_genres,
    date_from=st.none() | st.integers(-1, 5).map(lambda second: float(NOW + second)),
    date_to=st.none() | st.integers(-1, 5).map(lambda second: float(NOW + second)),
    price_max=_prices,
    near=st.none() | st.builds(Near, st.floats(-90, 90), st.floats(-180, 180), st.floats(0.1, 20_000)),
)


def keeps_to(event: EventRow, city: str | None, limits: Limits) -> bool:
    price = event.price_max if event.price_min is None else event.price_min
    return (
        event.start_time > NOW
        and city in (None, event.city)
        and (not limits.genres or bool(set(limits.genres) & set(event.genres)))
        and (limits.date_from is None or event.start_time >= limits.date_from)
        and (limits.date_to is None or event.start_time <= limits.date_to)
        and (limits.price_max is None or (price is not None and price <= limits.price_max))
        and (limits.near is None or (event.latitude is not None and kilometres(event, limits.near) <= 0.0))
    )


def kilometres(event: EventRow, near: Near) -> float:
    """How far outside of the circle an event is; the haversine formula (Sinnott, 1984)."""
    north, south = math.radians(event.latitude), math.radians(near.latitude)
    east = math.radians(event.longitude - near.longitude)
    half = math.sin((north - south) / 2) ** 2 + math.cos(north) * math.cos(south) * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half))) - near.radius_km


@given(
    events=st.lists(some_events(), min_size=1, max_size=8),
    city=st.sampled_from([None, "Cork", "Sligo"]),
    limits=_limits,
)
def test_candidates_are_those_that_keep_to_every_limit(events, city, limits):
    near = limits.near
    if near is not None:  # on the edge, within the precision of a float32, either is right
        far_side = near.radius_km > 15_000
        margin = near.radius_km * 0.02 if far_side else 0.05
        events = [one for one in events if one.latitude is None or abs(kilometres(one, near)) > margin]
        if not events:
            return
    expected = [index for index, event in enumerate(events) if keeps_to(event, city, limits)]

    assert found(a_catalogue(*events), city, **limits._asdict()) == expected


@pytest.mark.parametrize("city", [None, "Cork"])
def test_no_limits_change_nothing(city):
    catalogue = a_catalogue(an_event("a", city="Cork"), an_event("b"))

    assert catalogue.candidates(city, NOW).mask is catalogue.candidates(city, NOW, NO_LIMITS).mask

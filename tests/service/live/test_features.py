from datetime import UTC, datetime

import numpy as np
import pytest

from core.tastes import Kind
from service.live.features import feature_key, feature_label, features_of
from service.live.moments import hour_band_of, local_time, weekday_of
from service.live.titles import artists_in, series_of
from tests.sites import an_event


def night(*fields: int) -> datetime:
    """A moment of an Irish winter, when clocks show UTC."""
    return local_time(utc(*fields))


def utc(*fields: int) -> float:
    return datetime(*fields, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Lankum", ["Lankum"]),
        ("Weekly trad: The Soggy Otters", ["Weekly trad", "The Soggy Otters"]),
        ("Lankum + Ye Vagabonds (SOLD OUT)", ["Lankum", "Ye Vagabonds"]),
        ("Kneecap feat. Fontaines D.C. live at Vicar Street", ["Kneecap", "Fontaines D.C.", "Vicar Street"]),
        ("District 8 presents Bicep – DJ set", ["District 8", "Bicep", "DJ set"]),
        ("The Mary Wallopers live", ["The Mary Wallopers"]),
        ("Jape, Jape", ["Jape"]),
        ("2026", []),
        ("", []),
    ],
)
def test_the_artists_are_the_names_that_a_title_sets_apart(title, names):
    assert list(artists_in(title)) == names


@pytest.mark.parametrize(
    ("title", "series"),
    [
        ("Trad Tuesday #12: The Otters", "Trad"),
        ("trad tuesday 13 - The Gannets", "trad"),
        ("Jazz Club, 3rd edition", "Jazz Club,"),
        ("Weekly techno: Bucket", "Weekly techno"),
        ("21", None),
    ],
)
def test_the_titles_of_one_series_share_what_is_left_without_numbers_and_dates(title, series):
    assert series_of(title) == series


@pytest.mark.parametrize(
    ("at", "hour"),
    [
        (utc(2026, 1, 15, 20), 20),
        (utc(2026, 7, 15, 20), 21),
        (utc(2026, 3, 29, 0, 59), 0),
        (utc(2026, 3, 29, 1), 2),
        (utc(2026, 10, 25, 0, 59), 1),
        (utc(2026, 10, 25, 1), 1),
    ],
)
def test_irish_clocks_go_forward_in_march_and_back_in_october(at, hour):
    assert local_time(at).hour == hour


def test_a_night_out_lasts_until_the_morning():
    assert weekday_of(night(2026, 1, 17, 2, 30)) == weekday_of(night(2026, 1, 16, 21)) == "Fridays"
    assert weekday_of(night(2026, 1, 17, 6)) == "Saturdays"
    assert [hour_band_of(night(2026, 1, 17, hour)) for hour in (2, 6, 17, 20, 22)] == [
        *("late", "daytime", "early evening", "evening", "late")
    ]


def test_an_event_has_the_features_that_its_row_tells():
    event = an_event(
        "a",
        title="Trad Tuesday #3: The Otters",
        genres=("trad",),
        tags=("seated",),
        venue_name="Whelan's",
        city="Dublin",
        price_min=12.5,
        start_time=utc(2026, 1, 13, 20),
    )

    assert list(features_of(event)) == [
        (Kind.GENRE, "trad"),
        (Kind.TAG, "seated"),
        (Kind.ARTIST, "Trad Tuesday #3"),
        (Kind.ARTIST, "The Otters"),
        (Kind.VENUE, "Whelan's"),
        (Kind.SERIES, "Trad @ Whelan's"),
        (Kind.CITY, "Dublin"),
        (Kind.WEEKDAY, "Tuesdays"),
        (Kind.HOUR, "evening"),
        (Kind.PRICE, "up to 20"),
    ]
    assert feature_label(Kind.SERIES, "Trad @ Whelan's") == "Trad"
    assert feature_label(Kind.HOUR, "evening") == ""


def cells(latitude: float, longitude: float) -> list[tuple[int, str]]:
    told = features_of(an_event("a", latitude=latitude, longitude=longitude))
    return [feature for feature in told if feature[0] in (Kind.NEAR, Kind.AREA)]


def shared(distance_km: float, latitude: float = 53.35) -> float:
    """How many cells places in all directions share, of two, with those so far away, at the mean."""
    rng = np.random.default_rng(0)
    found = []
    for turn in rng.uniform(0.0, 2.0 * np.pi, 300):
        north, east = latitude + rng.uniform(-1.0, 1.0), rng.uniform(-180.0, 180.0)
        there = north + distance_km * np.cos(turn) / 111.2
        beside = distance_km * np.sin(turn) / (111.2 * np.cos(np.radians(north)))
        found.append(len({*cells(north, east)} & {*cells(there, (east + beside + 180.0) % 360.0 - 180.0)}))
    return float(np.mean(found))


@pytest.mark.parametrize("latitude", [0.0, 53.35, -34.9])
def test_the_closer_two_places_are_the_more_cells_they_share(latitude):
    by_distance = [shared(km, latitude) for km in (0.0, 0.3, 1.0, 3.0, 8.0, 25.0)]

    assert by_distance == sorted(by_distance, reverse=True)
    assert by_distance[0] == 2.0 and by_distance[1] > 1.7 and by_distance[-1] == 0.0


@pytest.mark.parametrize("place", [(90.0, 0.0), (-90.0, 180.0), (0.0, -180.0), (89.99, 12.0)])
def test_every_place_of_the_earth_has_a_cell_of_each_size(place):
    told = cells(*place)
    assert [kind for kind, _ in told] == [Kind.NEAR, Kind.AREA]
    assert all(feature_label(*feature) == "" for feature in told)
    assert len({feature_key(*feature) for feature in told}) == 2


def test_without_coordinates_there_is_no_place():
    assert not [f for f in features_of(an_event("a", latitude=53.3)) if f[0] in (Kind.NEAR, Kind.AREA)]


def test_spellings_of_one_name_are_one_feature_and_names_of_two_kinds_are_two():
    assert feature_key(Kind.GENRE, "Drum & Bass") == feature_key(Kind.GENRE, "drum  bass")
    assert feature_key(Kind.GENRE, "trad") != feature_key(Kind.TAG, "trad")

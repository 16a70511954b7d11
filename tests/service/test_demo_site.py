import csv
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from service.demo_site import SEED, DemoSite, EventRow, generate_demo_site
from service.demo_site.places import CITIES, GENRES
from service.demo_site.programme import make_artists, make_programme, make_venues, to_utc

NOW = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
MIDNIGHT = NOW.replace(hour=0, minute=0)


@pytest.fixture(scope="module")
def site() -> DemoSite:
    return generate_demo_site(NOW)


@pytest.fixture(scope="module")
def announced() -> list[datetime]:
    """When each event was announced, which the rows do not tell: drawn again, up to there."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    artists, venues = make_artists(rng), make_venues(rng)
    programme = make_programme(rng, MIDNIGHT, artists, venues)
    return [datetime.fromtimestamp(at, UTC) for at in programme.announced.tolist()]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """The folder that another process wrote, with other hashes of strings than this one."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    script = (
        "import datetime, pathlib, sys; from service.demo_site import *;"
        "site = generate_demo_site(datetime.datetime.fromisoformat(sys.argv[2]));"
        "print(*write_files(pathlib.Path(sys.argv[1]), site))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), NOW.isoformat()],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == [str(folder / "interactions.csv"), str(folder / "events.csv")]
    return folder


def upcoming(site: DemoSite) -> list[EventRow]:
    return [event for event in site.events if event.start_time > NOW]


def test_the_site_has_the_promised_size(site):
    assert len(site.events) == 3_000
    assert len({row.user_id for row in site.interactions}) == 2_000
    assert 45_000 < len(site.interactions) < 70_000
    assert 300 < len(upcoming(site)) < 800


def test_all_hours_of_a_day_give_the_same_site_in_any_time_zone(site):
    tokyo = timezone(timedelta(hours=9))

    assert generate_demo_site(NOW.replace(hour=2).astimezone(tokyo)) == site


def test_another_seed_gives_another_site(site):
    assert generate_demo_site(NOW, seed=SEED + 1).interactions != site.interactions


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="now: a time zone is needed"):
        generate_demo_site(NOW.replace(tzinfo=None))


def test_every_event_is_labelled_as_invented(site):
    assert all("demo" in event.tags for event in site.events)
    assert all(event.ticket_url is None or ".example/" in event.ticket_url for event in site.events)


def test_events_are_numbered_from_one_in_the_order_of_their_announcement(site, announced):
    assert [event.event_id for event in site.events] == list(range(1, 3_001))
    assert announced == sorted(announced)


def test_events_are_in_all_the_cities_and_of_all_the_genres(site):
    assert {event.city for event in site.events} == {city.name for city in CITIES}
    assert "Dún Laoghaire" in {event.city for event in site.events}
    assert {event.genres[0] for event in site.events} == {genre.name for genre in GENRES}


def test_a_venue_stands_at_one_place_in_its_city(site):
    places = defaultdict(set)
    for event in site.events:
        places[event.venue_name].add((event.city, event.latitude, event.longitude))

    assert len(places) > 60
    for ((city, latitude, longitude),) in places.values():
        middle = next(known for known in CITIES if known.name == city)
        assert abs(latitude - middle.latitude) < 0.05
        assert abs(longitude - middle.longitude) < 0.05


def test_events_start_in_the_evening_in_local_time(site):
    local_hours = {local_hour(event.start_time) for event in site.events}

    assert min(local_hours) == 19.0
    assert max(local_hours) == 23.5


def local_hour(at: datetime) -> float:
    for offset in (0, 1):
        local = (at + timedelta(hours=offset)).replace(tzinfo=None)
        if to_utc(local) == at:
            return local.hour + local.minute / 60
    raise AssertionError(at)


@pytest.mark.parametrize(
    ("local", "utc_hour"),
    [
        ("2026-03-28T20:00", 20),
        ("2026-03-29T20:00", 19),
        ("2026-10-24T20:00", 19),
        ("2026-10-25T20:00", 20),
        ("2027-03-28T20:00", 19),
        ("2024-10-27T20:00", 20),
    ],
)
def test_local_time_is_summer_time_between_the_last_sundays_of_march_and_october(local, utc_hour):
    at = datetime.fromisoformat(local)

    assert to_utc(at) == at.replace(hour=utc_hour, tzinfo=UTC)


def test_most_events_end_a_few_hours_later_and_some_do_not_say(site):
    lengths = Counter(event.end_time and event.end_time - event.start_time for event in site.events)

    assert 50 < lengths.pop(None) < 300
    assert timedelta(hours=2) <= min(lengths) <= max(lengths) <= timedelta(hours=4)


def test_prices_are_in_order_and_free_events_need_no_ticket(site):
    priced = [event for event in site.events if event.price_min is not None]

    assert 50 < len(site.events) - len(priced) < 300
    assert all(0 <= event.price_min <= event.price_max <= 100 for event in priced)
    assert all((event.ticket_url is None) == (event.price_min == 0) for event in priced)
    assert sum(event.price_min == 0 for event in priced) > 50


def test_a_weekly_series_is_at_one_venue_on_one_weekday(site):
    series = defaultdict(list)
    for event in site.events:
        if "weekly" in event.tags:
            series[event.venue_name, event.title.split(":")[0]].append(event.start_time)

    assert len(series) == 22
    for starts in series.values():
        days = sorted(start.date() for start in starts)
        assert len(days) >= 51
        assert {later - earlier for earlier, later in pairwise(days)} == {timedelta(days=7)}


def test_there_are_monthly_series_and_many_one_offs(site):
    kinds = Counter(event.tags[1:] for event in site.events)

    assert kinds["monthly",] >= 24 * 12
    assert kinds[()] > 1_000


def test_nothing_happens_before_an_announcement_after_the_start_or_in_the_future(site, announced):
    events = {event.event_id: event for event in site.events}

    for row in site.interactions:
        assert announced[row.event_id - 1] <= row.created_at < events[row.event_id].start_time
        assert row.created_at < MIDNIGHT


def test_interactions_are_in_the_order_in_which_they_happened(site):
    times = [row.created_at for row in site.interactions]

    assert times == sorted(times)


def test_all_six_actions_occur_and_saves_are_the_most_frequent(site):
    actions = Counter(row.action for row in site.interactions)

    assert set(actions) == {"save", "click", "hide", "skip", "thumbs_up", "thumbs_down"}
    assert actions.most_common(1)[0][0] == "save"
    assert min(actions.values()) > 500


def test_a_thumb_up_and_a_change_of_mind_come_after_the_save(site):
    first_save: dict[tuple[int, int], datetime] = {}
    changed = 0
    for row in site.interactions:
        pair = (row.user_id, row.event_id)
        if row.action == "save":
            first_save.setdefault(pair, row.created_at)
        elif row.action == "thumbs_up":
            assert first_save[pair] < row.created_at
        elif row.action == "hide" and pair in first_save:
            changed += 1

    assert changed > 100


def test_most_upcoming_events_have_saves_and_some_are_too_new_for_any(site):
    saved = Counter(row.event_id for row in site.interactions if row.action == "save")
    touched = {row.event_id for row in site.interactions}
    coming = upcoming(site)

    assert sum(saved[event.event_id] >= 3 for event in coming) > len(coming) / 2
    assert sum(event.event_id not in touched for event in coming) >= 10


def test_the_talk_about_an_event_dies_down(site, announced):
    days = [
        (row.created_at - announced[row.event_id - 1]).days
        for row in site.interactions
        if row.action == "save"
    ]
    first_week, fourth_week = sum(day < 7 for day in days), sum(21 <= day < 28 for day in days)

    assert first_week > 2 * fourth_week


def test_people_have_much_or_little_history(site):
    saves = sorted(Counter(row.user_id for row in site.interactions if row.action == "save").values())

    assert saves[len(saves) // 10] <= 4
    assert saves[-len(saves) // 10] >= 25


def test_people_save_what_is_near_and_of_their_genres_more_than_what_they_hide(site):
    events = {event.event_id: event for event in site.events}
    saved, disliked = defaultdict(list), defaultdict(list)
    for row in site.interactions:
        if row.action in ("save", "hide", "thumbs_down"):
            (saved if row.action == "save" else disliked)[row.user_id].append(events[row.event_id])
    people = [user for user in saved if len(saved[user]) >= 10 and disliked[user]]

    assert len(people) > 500
    at_home, loved, hated = [], [], []
    for user in people:
        home = Counter(event.city for event in saved[user]).most_common(1)[0][0]
        favourites = {name for name, _ in Counter(e.genres[0] for e in saved[user]).most_common(2)}
        at_home.append(np.mean([event.city == home for event in saved[user]]))
        loved.append(np.mean([event.genres[0] in favourites for event in saved[user]]))
        hated.append(np.mean([event.genres[0] in favourites for event in disliked[user]]))
    assert np.mean(at_home) > 0.5
    assert np.mean(loved) > np.mean(hated) + 0.2


def test_neighbours_foretell_saves_better_than_what_is_popular_in_town(site):
    """The site must be learnable: plain cosine neighbours against each city's most saved, on the last weeks."""
    cut = NOW - timedelta(days=21)
    known, later = np.zeros((2, 2_000, 3_000), np.float32)
    for row in site.interactions:
        if row.action == "save":
            (known if row.created_at < cut else later)[row.user_id - 1, row.event_id - 1] = 1.0
    is_open = np.array([event.start_time > cut for event in site.events])
    later *= is_open
    people = np.flatnonzero((known.sum(axis=1) >= 5) & (later.sum(axis=1) > 0))[:300]

    norms = np.sqrt(known.sum(axis=1)) + 1e-9
    cosine = known[people] @ known.T / (norms[people, None] * norms)
    cosine[np.arange(people.size), people] = 0.0
    neighbours = cosine @ known
    city = np.array([event.city for event in site.events])
    home = [Counter(city[known[person] > 0]).most_common(1)[0][0] for person in people]
    popular = known.sum(axis=0) * (city == np.array(home)[:, None])

    assert people.size == 300
    assert recall_at_20(neighbours, known, later, people, is_open) > 1.2 * recall_at_20(
        popular, known, later, people, is_open
    )


def recall_at_20(scores, known, later, people, is_open) -> float:
    allowed = is_open & (known[people] == 0)
    top = np.argsort(np.where(allowed, -scores, np.inf), axis=1, kind="stable")[:, :20]
    hits = np.take_along_axis(later[people], top, axis=1).sum(axis=1)
    return float((hits / later[people].sum(axis=1)).mean())


@pytest.mark.parametrize("day", [(2028, 2, 29), (2027, 3, 28)])
def test_any_day_gives_a_sound_site(day):
    now = datetime(*day, 0, 0, 1, tzinfo=UTC)
    site = generate_demo_site(now)
    starts = {event.event_id: event.start_time for event in site.events}

    assert len(starts) == 3_000
    assert len(site.interactions) > 45_000
    assert sum(start > now for start in starts.values()) > 300
    assert all(row.created_at < min(starts[row.event_id], now) for row in site.interactions)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_another_process_writes_the_same_interactions_in_the_format_of_an_import(site, files):
    rows = read(files / "interactions.csv")

    assert list(rows[0]) == ["user_id", "event_id", "action", "created_at"]
    assert [
        (int(row["user_id"]), int(row["event_id"]), row["action"], datetime.fromisoformat(row["created_at"]))
        for row in rows
    ] == site.interactions


def test_another_process_writes_the_same_events_in_the_format_of_an_import(site, files):
    rows = read(files / "events.csv")

    assert ",".join(rows[0]) == (
        "event_id,title,city,start_time,end_time,venue_name,genres,tags,"
        "price_min,price_max,latitude,longitude,ticket_url"
    )
    assert [
        (
            int(row["event_id"]),
            row["title"],
            row["city"],
            datetime.fromisoformat(row["start_time"]),
            datetime.fromisoformat(row["end_time"]) if row["end_time"] else None,
            row["venue_name"],
            tuple(json.loads(row["genres"])),
            tuple(json.loads(row["tags"])),
            float(row["price_min"]) if row["price_min"] else None,
            float(row["price_max"]) if row["price_max"] else None,
            float(row["latitude"]),
            float(row["longitude"]),
            row["ticket_url"] or None,
        )
        for row in rows
    ] == site.events


def test_newcomers_have_done_nothing_but_say_what_they_like(site):
    known = {row.user_id for row in site.interactions}
    newcomers = [row for row in site.tastes if row.user_id > 2_000]

    assert len(newcomers) == 200
    assert not known & {row.user_id for row in newcomers}
    assert all(row.preferences for row in newcomers)
    assert sum(row.listening is not None for row in newcomers) == 100


def test_what_people_say_they_like_is_what_they_save(site):
    genre_of = {event.event_id: event.genres[0] for event in site.events}
    told = {row.user_id: set(row.preferences[0]) for row in site.tastes if row.preferences}
    saves = [row for row in site.interactions if row.action == "save" and row.user_id in told]

    share = np.mean([genre_of[row.event_id] in told[row.user_id] for row in saves])

    assert len(told) > 700
    assert share > 0.5

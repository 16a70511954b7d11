"""What is known of a person's taste, from where it is stated to what they are recommended."""

import numpy as np
import pytest

from core.reasons import Part
from core.recommender import Ranking
from core.tastes import NO_TASTE
from service.live.intake import Intake
from service.live.state import LiveState
from service.live.stated import StatedTastes
from service.live.statements import Stated, as_taste, of_preferences, of_signal
from service.live.tastes_follower import TastesFollower
from service.recommending.arms import ARMS, asker_for
from service.storage.database import Database
from service.storage.queries.people import Listening, Preferences
from tests.site import START, Site
from tests.sites import DAY, NOW, a_model, an_event, live_state

EVENTS = [
    an_event("techno night", title="Bucket", genres=("techno",), city="Cork", price_min=15),
    an_event("folk night", title="Lankum", genres=("folk",), city="Dublin", price_min=45),
    an_event("trad session", title="The Otters", genres=("trad",), city="Cork", price_min=0),
    an_event("jazz brunch", title="The Gannets", tags=("jazz",), city="Dublin", venue_name="Whelan's"),
]
NOTHING = Preferences("ann", (), (), (), (), (), (), None, None, 0)


@pytest.fixture
def state() -> LiveState:
    return live_state(a_model({"bob": ["trad session", "folk night"]}), EVENTS)


def ask(state: LiveState, user: str | None, *statements: Stated) -> Ranking:
    asker = asker_for(state, "content_based", user, state.profile(user), statements)
    return ARMS["content_based"](state, asker, state.catalogue.candidates(None, NOW), 4)


def personal(state: LiveState, user: str | None, *statements: Stated) -> list[str]:
    ranking = ask(state, user, *statements)
    return [state.event_ids[event] for event in ranking.events[: ranking.n_personal]]


def label_of(state: LiveState, ranking: Ranking, part: Part) -> str:
    feature = ranking.answer.subjects[0, part]
    start, stop = state.labels.bounds[feature : feature + 2]
    return state.labels.blob[start:stop].tobytes().decode()


def test_of_events_that_are_alike_the_closer_one_to_where_a_person_goes_out_comes_first():
    places = {"went to": (53.3441, -6.2675), "far": (51.8985, -8.4756), "close": (53.3446, -6.2669)}
    events = [an_event(name, latitude=north, longitude=east) for name, (north, east) in places.items()]
    events += [an_event("nowhere"), an_event("across town", latitude=53.3700, longitude=-6.3300)]
    state = live_state(a_model({"ann": ["went to"]}), events)

    ranking = ask(state, "ann")

    shown = [state.event_ids[event] for event in ranking.events]
    assert shown.index("close") < shown.index("across town")
    scores, parts = dict(zip(shown, ranking.answer.scores, strict=False)), ranking.answer.parts
    assert scores["far"] == scores["nowhere"]  # by what they share besides: a weekday and an hour
    for rank in range(ranking.n_personal):
        assert parts[rank].sum() == pytest.approx(ranking.answer.scores[rank], abs=1e-6)
    assert (
        parts[shown.index("close"), Part.DISTANCE_MATCH] > parts[shown.index("far"), Part.DISTANCE_MATCH] == 0
    )


@pytest.mark.parametrize(
    ("field", "names", "found", "part"),
    [
        ("spotify_genres", ["Techno"], ["techno night"], Part.SPOTIFY_GENRE),
        ("youtube_genres", ["irish folk"], ["folk night"], Part.YOUTUBE_GENRE),
        ("top_genres", ["jazz"], ["jazz brunch"], Part.GENRE_MATCH),
        ("soundcloud_artists", ["lankum"], ["folk night"], Part.SOUNDCLOUD_ARTIST),
        ("preferred_artists", ["Nobody"], [], Part.ARTIST_MATCH),
    ],
)
def test_a_guest_is_shown_what_the_context_says_they_like(state, field, names, found, part):
    statements = tuple(of_signal(field, names))

    assert personal(state, None, *statements) == found
    if found:
        parts = ask(state, None, *statements).answer.parts[0]
        assert np.flatnonzero(parts).tolist() == [part]


@pytest.mark.parametrize(
    ("told", "first", "part", "label"),
    [
        ({"genres": ("trad",)}, "trad session", Part.GENRE_MATCH, "trad"),
        ({"djs": ("Bucket",)}, "techno night", Part.ARTIST_MATCH, "Bucket"),
        ({"venues": ("whelans", "Whelan’s")}, "jazz brunch", Part.VENUE_MATCH, "Whelan's"),
        ({"cities": ("dublin",)}, "folk night", Part.CITY_MATCH, "Dublin"),
        ({"budget_max": 0.0}, "trad session", Part.BUDGET_MATCH, "free"),
    ],
)
def test_someone_who_has_done_nothing_yet_is_shown_what_they_told_the_site(state, told, first, part, label):
    state.stated.prefer(Preferences(**{**{f: getattr(NOTHING, f) for f in NOTHING.__slots__}, **told}))

    assert personal(state, "ann")[0] == first
    assert label_of(state, ask(state, "ann"), part) == label


def test_a_budget_speaks_for_every_band_of_prices_within_it(state):
    budget = of_preferences(Preferences("ann", (), (), (), (), (), (), 15.0, None, 0))

    assert sorted(personal(state, None, *budget)) == ["techno night", "trad session"]


@pytest.mark.parametrize(
    ("night", "days"), [("Friday nights", 1), ("weekend", 2), ("weeknights", 4), ("thu", 1), ("any", 0)]
)
def test_nights_are_understood_as_people_write_them(night, days):
    assert len(list(of_preferences(Preferences("ann", (), (), (), (), (), (night,), None, None, 0)))) == days


def test_an_event_that_nobody_has_saved_is_found_by_what_someone_saved_before(state):
    state.put_events([an_event("new session", title="Otters again", genres=("trad",), city="Cork")])
    state.settle_events()
    state.build_content()

    assert personal(state, "bob")[0] == "new session"
    assert label_of(state, ask(state, "bob"), Part.GENRE_MATCH) == "trad"


def test_what_no_event_has_yet_counts_as_soon_as_one_does(state):
    polka = tuple(of_signal("preferred_genres", ["polka"]))
    assert personal(state, None, *polka) == []

    state.put_events([an_event("polka night", genres=("Polka",), start_time=NOW + 2 * DAY)])
    state.settle_events()
    state.build_content()

    assert personal(state, None, *polka) == ["polka night"]


def test_an_event_that_changed_is_what_it_is_now(state):
    state.put_events([an_event("techno night", genres=("polka",))])
    state.settle_events()
    state.build_content()

    assert personal(state, None, *of_signal("preferred_genres", ["techno"])) == []
    assert personal(state, None, *of_signal("preferred_genres", ["polka"])) == ["techno night"]


def test_what_stands_first_in_a_list_counts_most(state):
    statements = tuple(of_signal("spotify_genres", ["x"] * 20 + ["folk"]))
    taste = as_taste(statements, lambda key: 7 if key.endswith("folk") else -1, 3.0)

    assert (taste.features.tolist(), taste.weights.tolist()) == ([7], [1.5])
    assert as_taste((), lambda key: 1, 3.0) is NO_TASTE


def test_the_follower_keeps_up_with_both_tables_and_with_erasures():
    stated = StatedTastes()
    stated.prefer(Preferences("ann", ("trad",), (), (), (), (), (), None, None, 5))
    stated.listen(Listening("ann", ("Lankum",), ("folk",), 9))
    assert [one.part for one in stated.of("ann")] == [
        *(Part.GENRE_MATCH, Part.SPOTIFY_GENRE, Part.SPOTIFY_ARTIST)
    ]

    stated.forget("ann", 5)
    assert {one.part for one in stated.of("ann")} == {Part.SPOTIFY_GENRE, Part.SPOTIFY_ARTIST}

    stated.keep_only(set(), set())
    assert stated.of("ann") == ()


async def test_rows_of_the_site_are_followed_as_they_come_change_and_go(
    db: Database, site: Site, state: LiveState
):
    await site.add_users(1, 2)
    await site.prefer(1, "preferred_genres", '["trad"]', START)
    await site.listen(2, '[{"name": "Lankum"}]', None, START)
    follower = TastesFollower(state.stated, Intake(state), db)

    await follower.follow({})
    assert personal(state, "1") == ["trad session"]
    assert personal(state, "2") == ["folk night"]

    await follower.follow_removals()
    await site.stop_listening(2)
    await site.prefer(2, "preferred_genres", '["techno"]', START + 5)
    await follower.follow({})
    await follower.follow_removals()
    assert personal(state, "2") == ["techno night"]

    erased = TastesFollower(StatedTastes(), Intake(state), db)
    await erased.follow({"1": START})
    assert erased._stated.of("1") == ()

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.workspace import REASONS, Answer, answer
from core.recommender import Ranking
from service.answers import (
    Because,
    BecauseOther,
    EventMetadata,
    RankReason,
    Recommendation,
    RecommendationAnswer,
)
from service.live.catalogue import Catalogue
from service.recommending.encoding import Encoder, Envelope, encode_answer
from service.storage.queries.events import EventRow
from tests.service.recommending import twin
from tests.sites import NOW, a_model, an_event, live_state

#: What a database's text column can hold; mostly the awkward.
AWKWARD = ['"', "\\", "/", "“Trad” 🎻", "Éire\u2028", "\x00\x1f\x7f", "", "plain"]
TEXT = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCORES = st.floats(width=32, min_value=2.0**-40, max_value=1.0)


@st.composite
def event_rows(draw: st.DrawFn, event_id: str) -> EventRow:
    """An event with all that the table may hold, or with as little."""
    title, start_time = draw(TEXT), draw(st.integers(0, 4_000_000_000))
    if draw(st.booleans()):
        return an_event(
            event_id, title=title, start_time=start_time, price_max=draw(st.none() | st.just(15.0))
        )
    place, name = draw(TEXT), draw(TEXT)
    return an_event(
        event_id,
        title=title,
        start_time=start_time,
        end_time=start_time + 9_000,
        city=place,
        venue_name=name,
        ticket_url=name,
        price_min=draw(st.sampled_from([0.0, 12.5, 99_999_999.99])),
        price_max=15.0,
        genres=(name, place),
        images=(name, {place: name, "width": 640}, [place]),
    )


@dataclass(frozen=True)
class Case:
    """A ranking with all that its encoding reads. The profile's events have the indices after the ranked ones."""

    ranking: Ranking
    liked: np.ndarray
    events: Mapping[int, EventRow | str]
    masses: np.ndarray
    city: str | None

    def catalogue(self) -> Catalogue:
        catalogue = Catalogue(len(self.events))
        listed = {index: event for index, event in self.events.items() if isinstance(event, EventRow)}
        catalogue.put(list(listed), list(listed.values()))
        catalogue.name_the_rest(
            [getattr(event, "event_id", event) for _, event in sorted(self.events.items())]
        )
        return catalogue

    def encoded(self, encoder: Encoder) -> bytes:
        return encoder.items(self.ranking, self.liked, self.catalogue().cards, self.masses, self.city)


@st.composite
def answers(draw: st.DrawFn, n: int, n_personal: int, n_liked: int) -> Answer:
    """Descending scores, the personal ones split at random among some of the liked events."""
    out = answer(n)
    popular = st.one_of(SCORES, st.just(0.0))
    personal_scores = draw(st.lists(SCORES, min_size=n_personal, max_size=n_personal))
    others = draw(st.lists(popular, min_size=n - n_personal, max_size=n - n_personal))
    out.scores[:n] = sorted(personal_scores, reverse=True) + sorted(others, reverse=True)
    out.events[:n] = draw(st.permutations(range(n)))
    out.reasons[:], out.contributions[:] = -1, 0.0
    for rank in range(n_personal):
        causes = draw(st.lists(st.integers(0, n_liked - 1), min_size=1, unique=True))
        raw = np.array(draw(st.lists(SCORES, min_size=len(causes), max_size=len(causes))), np.float64)
        parts = np.sort(raw / raw.sum() * out.scores[rank])[::-1]
        named = min(REASONS, len(causes))
        out.reasons[rank, :named], out.contributions[rank, :named] = causes[:named], parts[:named]
        out.contributors[rank], out.supporters[rank] = len(causes), draw(st.integers(1, 400))
    return out


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rankings of any length, personal down to any place, for profiles with listed and unlisted events."""
    n_liked = draw(st.integers(1, 5))
    n = draw(st.integers(0, 6))
    n_personal = draw(st.integers(0, n))
    out = draw(answers(max(n, 1), n_personal, n_liked))
    events: dict[int, EventRow | str] = {
        index: draw(event_rows(f"{index}-{draw(TEXT)}")) for index in range(n)
    }
    for index in range(n, n + n_liked):
        event_id = f"{index}-{draw(TEXT)}"
        events[index] = draw(st.just(event_id) | event_rows(event_id))
    masses = draw(st.lists(st.floats(0, 1000, width=32), min_size=len(events), max_size=len(events)))
    return Case(
        Ranking(out, n_personal, n),
        np.arange(n, n + n_liked, dtype=np.int32),
        events,
        np.array(masses, np.float32),
        draw(st.none() | TEXT),
    )


def simple_case(
    scores: list[float], n_personal: int, contributions: list[list[float]], **values: Any
) -> Case:
    """A case with ordinary events: every contribution comes from the liked event of its place."""
    n = len(scores)
    out = answer(n)
    out.scores[:], out.events[:], out.supporters[:] = scores, range(n), values.get("supporters", 7)
    out.reasons[:], out.contributions[:] = -1, 0.0
    for rank, parts in enumerate(contributions):
        named = min(REASONS, len(parts))
        out.reasons[rank, :named], out.contributions[rank, :named] = range(named), parts[:named]
        out.contributors[rank] = len(parts)
    n_liked = max(map(len, contributions), default=0)
    events = {index: an_event(f"e{index}") for index in range(n + n_liked)}
    masses = np.array(values.get("masses", [9.0] * len(events)), np.float32)
    liked = np.arange(n, n + n_liked, dtype=np.int32)
    return Case(Ranking(out, n_personal, n), liked, events, masses, values.get("city"))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


def whole(items: bytes, **values: Any) -> bytes:
    envelope = Envelope("0" * 32, "ann", "20270115T080000Z", "control", b"null", None)._replace(**values)
    return encode_answer(envelope, items, 0.25)


def items_of(body: bytes) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = twin.parsed(b"[" + body + b"]")
    return items


@given(cases())
def test_the_encoder_writes_what_its_twin_says(encoder, case):
    expected = twin.recommendations(case.ranking, case.liked.tolist(), case.events, case.masses, case.city)

    assert items_of(case.encoded(encoder)) == expected


@given(cases())
def test_an_answer_decodes_strictly_into_its_documented_type(encoder, case):
    body = whole(case.encoded(encoder))

    answer_ = msgspec.json.decode(body, type=RecommendationAnswer, strict=True)

    assert [item.event_id for item in answer_.recommendations] == [
        case.events[index].event_id for index in case.ranking.events
    ]
    assert_has_exactly_the_documented_keys(json.loads(body, object_pairs_hook=without_repeats))


def without_repeats(members: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in members}) == len(members)
    return dict(members)


def assert_has_exactly_the_documented_keys(body: dict[str, Any]) -> None:
    def check(found: dict[str, Any] | None, kind: type[msgspec.Struct]) -> None:
        assert found is None or set(found) == set(kind.__struct_fields__)

    check(body, RecommendationAnswer)
    for item in body["recommendations"]:
        check(item, Recommendation)
        check(item["metadata"], EventMetadata)
        check(item["because_other"], BecauseOther)
        for reason in item["rank_reasons"]:
            check(reason, RankReason)
        for because in item["because"]:
            check(because, Because)


@given(cases())
def test_the_parts_of_a_score_add_up_to_it_in_print(encoder, case):
    for item in items_of(case.encoded(encoder)):
        assert sum(reason["weight"] for reason in item["rank_reasons"]) == item["score"]
        if item["algorithm"] == "collaborative_filtering":
            parts = item["because"] + ([item["because_other"]] if item["because_other"] else [])
            assert sum(part["weight"] for part in parts) == item["score"]
            assert all(part["weight"] >= 0 for part in parts)
            assert all(0 <= part["share"] <= 1 for part in parts)
            if item["score"]:
                assert abs(sum(part["share"] for part in parts) - 1) <= Decimal("0.0002")


@given(TEXT, TEXT, TEXT)
def test_what_a_caller_or_the_site_wrote_comes_back_as_it_was(encoder, user_id, version, notice):
    body = whole(b"", user_id=user_id, model_version=version, notice=notice)

    answer_ = msgspec.json.decode(body, type=RecommendationAnswer)
    assert (answer_.user_id, answer_.model_version, answer_.notice) == (user_id, version, notice)


def test_a_city_is_named_as_the_caller_wrote_it(encoder):
    [item] = items_of(simple_case([0.5], 0, [], city='Baile "Átha" Cliath\\').encoded(encoder))

    assert item["reason"] == 'Popular in Baile "Átha" Cliath\\'


def test_an_empty_ranking_is_an_empty_list(encoder):
    case = simple_case([0.5], 0, [])
    nothing = Case(case.ranking._replace(n=0), case.liked, case.events, case.masses, None)

    assert nothing.encoded(encoder) == b""
    assert orjson.loads(whole(b""))["recommendations"] == []


def test_a_reason_names_the_people_and_the_two_events_that_say_most(encoder):
    [item] = items_of(simple_case([0.6], 1, [[0.3, 0.2, 0.1]], supporters=3).encoded(encoder))

    assert item["reason"] == (
        "3 people with your taste like this, above all those who also liked “Event e1” and “Event e2”"
    )
    assert [cause["event_id"] for cause in item["because"]] == ["e1", "e2", "e3"]
    assert item["neighbours"] == 3


@pytest.mark.parametrize("people", [1, 2])
def test_fewer_than_three_people_are_never_counted_in_an_answer(encoder, people):
    [item] = items_of(simple_case([0.6], 1, [[0.6]], supporters=people).encoded(encoder))

    assert item["neighbours"] is None
    assert (
        item["reason"] == "A few people with your taste like this, above all those who also liked “Event e1”"
    )


def test_the_confidence_does_not_tell_how_few_people_there_are(encoder):
    ones, twos, threes = (
        items_of(simple_case([0.6, 0.5], 1, [[0.6]], supporters=people, masses=[people] * 3).encoded(encoder))
        for people in (1, 2, 3)
    )

    assert [item["confidence"] for item in ones] == [item["confidence"] for item in twos]
    assert [str(item["confidence"]) for item in twos + threes] == ["0.167", "0.167", "0.375", "0.375"]


def test_an_event_nobody_likes_yet_is_called_new(encoder):
    known, new = items_of(simple_case([0.6, 0.5], 0, [], masses=[1.0, 0.3]).encoded(encoder))

    assert (known["reason"], new["reason"]) == ("Popular right now", "Newly listed right now")


def test_parts_that_round_up_do_not_take_more_than_there_is(encoder):
    third = 0.5 / 3 + 4e-9
    [item] = items_of(simple_case([0.5], 1, [[third, third, third]]).encoded(encoder))

    weights = [str(cause["weight"]) for cause in item["because"]]
    assert weights == ["0.16666667", "0.16666667", "0.16666666"]


def test_more_causes_than_are_named_are_summed_up(encoder):
    [item] = items_of(simple_case([0.5], 1, [[0.2, 0.1, 0.1, 0.06, 0.04]]).encoded(encoder))

    assert len(item["because"]) == REASONS
    assert item["because_other"] == {"events": 2, "weight": Decimal("0.10000000"), "share": Decimal("0.2000")}


def test_a_score_that_float32_made_a_little_more_than_one_is_printed_as_one(encoder):
    [item] = items_of(simple_case([1.0000006], 1, [[0.8, 0.2000006]]).encoded(encoder))

    assert str(item["score"]) == "1.00000000"
    assert sum(cause["weight"] for cause in item["because"]) == 1


def test_the_shares_of_a_score_of_a_single_unit_stay_within_one(encoder):
    [item] = items_of(simple_case([0.6e-8], 1, [[0.6e-8]]).encoded(encoder))

    assert item["because"][0]["share"] == 1


def test_the_buffer_grows_to_the_longest_answer_and_the_next_answers_are_right_as_well():
    encoder = Encoder()
    short = simple_case([0.5, 0.25], 1, [[0.5]])
    long = simple_case([0.9] * 200, 200, [[0.5, 0.3, 0.1]] * 200)
    for index, event in long.events.items():
        assert isinstance(event, EventRow)
        long.events[index] = an_event(event.event_id, title="\x01" * 2_000)
    before = short.encoded(encoder)

    items = items_of(long.encoded(encoder))

    assert len(items) == 200
    assert items == twin.recommendations(
        long.ranking, long.liked.tolist(), long.events, long.masses, long.city
    )
    assert short.encoded(encoder) == before


@pytest.mark.parametrize("size", [1, 100, 2_000, 5_000])
def test_a_buffer_of_any_size_grows_until_the_answer_fits(size):
    encoder = Encoder()
    case = simple_case([0.9, 0.8, 0.7], 2, [[0.5, 0.4], [0.8]])
    expected = case.encoded(encoder)
    encoder._out = np.empty(size, np.uint8)

    assert case.encoded(encoder) == expected


def test_a_live_site_explains_itself_exactly(encoder):
    rng = np.random.default_rng(5)
    likes = {f"user{n}": [f"e{event}" for event in rng.permutation(17)[:6]] for n in range(40)}
    events = [an_event(f"e{n}", city="Cork") for n in range(17)]
    state = live_state(a_model(likes), events)
    candidates = state.catalogue.candidates(None, NOW)
    rows = {state.event_index(event.event_id): event for event in events}

    for user_id in likes:
        profile = state.profile(user_id)
        ranking = state.recommender.collaborative(profile, candidates.mask, 20)
        body = encoder.items(ranking, profile.events, state.catalogue.cards, state.live.event_masses, "Cork")
        assert ranking.n_personal > 0
        assert items_of(body) == twin.recommendations(
            ranking, profile.events.tolist(), rows, state.live.event_masses, "Cork"
        )

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.held import Held
from core.kernels.workspace import REASONS, Answer, answer
from core.reasons import Part
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
from service.live.description import describe
from service.live.labels import make_labels
from service.live.telling import Telling
from service.recommending.encoding import Encoded, Encoder, Envelope, Told, encode_answer
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
    known: twin.Known

    def catalogue(self) -> Catalogue:
        events = self.known.events
        catalogue = Catalogue(len(events))
        listed = {index: event for index, event in events.items() if isinstance(event, EventRow)}
        catalogue.put(list(listed), describe(list(listed.values())))
        catalogue.name_the_rest([getattr(event, "event_id", event) for _, event in sorted(events.items())])
        return catalogue

    def encoded(self, encoder: Encoder) -> bytes:
        return self.encoded_with_ids(encoder).items

    def encoded_with_ids(self, encoder: Encoder) -> Encoded:
        known = self.known
        told = Told(known.algorithm, np.array(known.liked, np.int32), known.city)
        telling = Telling(self.catalogue().cards, make_labels(known.labels), known.masses)
        return encoder.encode(self.ranking, told, Held(telling))

    def expected(self) -> list[dict[str, Any]]:
        return twin.recommendations(self.ranking, self.known)


def split_at_random(draw: st.DrawFn, whole: np.float32, pieces: int) -> np.ndarray:
    """float64[pieces] that add up to `whole`."""
    raw = np.array(draw(st.lists(SCORES, min_size=pieces, max_size=pieces)), np.float64)
    return raw / raw.sum() * whole


def explain(draw: st.DrawFn, out: Answer, rank: int, n_liked: int) -> None:
    """Split the collaborative part among some of the liked events, some of which may speak against it."""
    part = out.parts[rank, Part.COLLABORATIVE]
    causes = draw(st.lists(st.integers(0, n_liked - 1), min_size=1, unique=True))
    against = draw(st.just(0) | st.integers(0, len(causes) - 1))
    extra = draw(SCORES) if against else 0.0
    shares = np.sort(split_at_random(draw, part + np.float32(extra), len(causes) - against))[::-1]
    named = min(REASONS, shares.size)
    out.reasons[rank, :named], out.contributions[rank, :named] = causes[:named], shares[:named]
    out.contributors[rank] = len(causes)
    out.supporters[rank] = draw(st.just(0) | st.integers(1, 400))


@st.composite
def answers(draw: st.DrawFn, n: int, n_personal: int, n_liked: int, n_features: int) -> Answer:
    """Descending scores; the personal ones are split among some parts and those among some of the liked events."""
    out = answer(n)
    popular = st.one_of(SCORES, st.just(0.0))
    personal_scores = draw(st.lists(SCORES, min_size=n_personal, max_size=n_personal))
    others = draw(st.lists(popular, min_size=n - n_personal, max_size=n - n_personal))
    out.scores[:n] = sorted(personal_scores, reverse=True) + sorted(others, reverse=True)
    out.events[:n] = draw(st.permutations(range(n)))
    out.reasons[:], out.contributions[:], out.contributors[:], out.supporters[:] = -1, 0.0, 0, 0
    out.parts[:, Part.POPULARITY] = out.scores
    for rank in range(n_personal):
        parts = draw(st.just([Part.COLLABORATIVE]) | st.lists(st.sampled_from(Part), min_size=1, unique=True))
        out.parts[rank] = 0.0
        out.parts[rank, parts] = split_at_random(draw, out.scores[rank], len(parts))
        out.subjects[rank] = draw(st.integers(-1, n_features - 1))
        if Part.COLLABORATIVE in parts:
            explain(draw, out, rank, n_liked)
    return out


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rankings of any length, personal down to any place, for profiles with listed and unlisted events."""
    n_liked = draw(st.integers(1, 5))
    n = draw(st.integers(0, 6))
    n_personal = draw(st.integers(0, n))
    labels = draw(st.lists(TEXT, max_size=3))
    out = draw(answers(max(n, 1), n_personal, n_liked, len(labels)))
    events: dict[int, EventRow | str] = {
        index: draw(event_rows(f"{index}-{draw(TEXT)}")) for index in range(n)
    }
    for index in range(n, n + n_liked):
        event_id = f"{index}-{draw(TEXT)}"
        events[index] = draw(st.just(event_id) | event_rows(event_id))
    masses = draw(st.lists(st.floats(0, 1000, width=32), min_size=len(events), max_size=len(events)))
    known = twin.Known(
        draw(TEXT),
        range(n, n + n_liked),
        events,
        labels,
        np.array(masses, np.float32),
        draw(st.none() | TEXT),
    )
    return Case(Ranking(Held(out), n_personal, n), known)


def simple_case(
    scores: list[float], n_personal: int, contributions: list[list[float]], **values: Any
) -> Case:
    """A case with ordinary events: every contribution comes from the liked event of its place.

    `parts` are those of each personal score, all of it collaborative by default.
    """
    n = len(scores)
    out = answer(n)
    out.scores[:], out.events[:], out.supporters[:] = scores, range(n), values.get("supporters", 7)
    out.reasons[:], out.contributions[:], out.contributors[:] = -1, 0.0, 0
    for rank, parts in enumerate(contributions):
        named = min(REASONS, sum(part > 0 for part in parts))
        out.reasons[rank, :named], out.contributions[rank, :named] = range(named), parts[:named]
        out.contributors[rank] = len(parts)
    for rank, score in enumerate(scores):
        personal = values.get("parts", {Part.COLLABORATIVE: score})
        for part, weight in (personal if rank < n_personal else {Part.POPULARITY: score}).items():
            out.parts[rank, part], out.subjects[rank, part] = weight, values.get("subject", -1)
    n_liked = values.get("n_liked", max(map(len, contributions), default=0))
    events: dict[int, EventRow | str] = {index: an_event(f"e{index}") for index in range(n + n_liked)}
    masses = np.array(values.get("masses", [9.0] * len(events)), np.float32)
    algorithm, labels = values.get("algorithm", "collaborative_filtering"), values.get("labels", [])
    known = twin.Known(algorithm, range(n, n + n_liked), events, labels, masses, values.get("city"))
    return Case(Ranking(Held(out), n_personal, n), known)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


def whole(items: bytes, **values: Any) -> bytes:
    envelope = Envelope("0" * 32, "ann", "20270115T080000Z", "control", b"null", None)._replace(**values)
    return b"".join(encode_answer(envelope, bytes(items), 0.25))


def items_of(body: bytes) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = twin.parsed(b"[" + body + b"]")
    return items


@given(cases())
def test_the_encoder_writes_what_its_twin_says(encoder, case):
    assert items_of(case.encoded(encoder)) == case.expected()


@given(cases())
def test_the_ids_of_what_is_recommended_are_listed_in_the_order_shown(encoder, case):
    encoded = case.encoded_with_ids(encoder)

    assert orjson.loads(encoded.event_ids) == [item["event_id"] for item in items_of(encoded.items)]


@given(cases())
def test_an_answer_decodes_strictly_into_its_documented_type(encoder, case):
    body = whole(case.encoded(encoder))

    answer_ = msgspec.json.decode(body, type=RecommendationAnswer, strict=True)

    assert [item.event_id for item in answer_.recommendations] == [
        case.known.events[index].event_id for index in case.ranking.events
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
        assert all(reason["weight"] >= 0 for reason in item["rank_reasons"])
        assert all(cause["weight"] >= 0 for cause in item["because"])
        collaborative = sum(
            reason["weight"] for reason in item["rank_reasons"] if reason["type"] == "collaborative"
        )
        causes = item["because"] + ([item["because_other"]] if item["because_other"] else [])
        assert sum(cause["weight"] for cause in causes) == collaborative
        for cause in causes:
            whole_ = item["score"] or 1
            assert abs(cause["share"] - cause["weight"] / whole_) <= Decimal("0.0001")


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
    nothing = Case(case.ranking._replace(n=0), case.known)

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
    named = {index: an_event(f"e{index}", title="\x01" * 2_000) for index in long.known.events}
    long = Case(long.ranking, replace(long.known, events=named))
    before = short.encoded(encoder)

    items = items_of(long.encoded(encoder))

    assert len(items) == 200
    assert items == long.expected()
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
        told = Told("collaborative_filtering", profile.events, "Cork")
        body = encoder.encode(ranking, told, state.telling).items
        known = twin.Known(*told[:1], profile.events.tolist(), rows, [], state.live.event_masses, "Cork")
        assert ranking.n_personal > 0
        assert items_of(body) == twin.recommendations(ranking, known)


@pytest.mark.parametrize("part", list(twin.SENTENCES))
def test_the_greatest_part_of_content_is_said_in_words_with_the_name_of_what_is_liked(encoder, part):
    parts = {Part.COLLABORATIVE: 0.2, part: 0.3}
    named = simple_case([0.5], 1, [[0.2]], parts=parts, labels=["x", "t€chno"], subject=1)
    unnamed = simple_case([0.5], 1, [[0.2]], parts=parts)

    [told], [not_told] = (items_of(case.encoded(encoder)) for case in (named, unnamed))

    assert told["reason"] == twin.SENTENCES[part][0].format("t€chno")
    assert not_told["reason"] == twin.SENTENCES[part][1]
    assert told["rank_reasons"] == [
        {"type": "collaborative", "weight": Decimal("0.20000000")},
        {"type": part.name.lower(), "weight": Decimal("0.30000000")},
    ]


def test_an_arm_without_neighbours_says_which_of_the_persons_own_events_it_goes_by(encoder):
    case = simple_case([0.5], 1, [[0.3, 0.2]], supporters=0, algorithm="als")

    [item] = items_of(case.encoded(encoder))

    assert item["reason"] == "Because you liked “Event e1” and “Event e2”"
    assert (item["algorithm"], item["neighbours"]) == ("als", None)


def test_events_that_speak_against_a_recommendation_are_not_named_and_the_sum_still_comes_out(encoder):
    [item] = items_of(simple_case([0.5], 1, [[0.5, 0.25, -0.25]], supporters=0).encoded(encoder))

    assert [cause["event_id"] for cause in item["because"]] == ["e1", "e2"]
    assert item["because_other"] == {"events": 1, "weight": Decimal("-0.25"), "share": Decimal("-0.5")}


def test_a_score_of_content_alone_names_no_events_and_nobody(encoder):
    case = simple_case([0.5], 1, [], supporters=0, parts={Part.GENRE_MATCH: 0.5}, algorithm="content_based")

    [item] = items_of(case.encoded(encoder))

    assert (item["because"], item["because_other"], item["neighbours"]) == ([], None, None)
    assert item["algorithm"] == "content_based"


@pytest.mark.parametrize(("n_liked", "confidence"), [(0, "0.167"), (2, "0.167"), (5, "0.500")])
def test_without_neighbours_the_confidence_follows_how_much_of_the_persons_own_is_known(
    encoder, n_liked, confidence
):
    case = simple_case([0.5], 1, [], supporters=0, parts={Part.GENRE_MATCH: 0.5}, n_liked=n_liked)

    assert str(items_of(case.encoded(encoder))[0]["confidence"]) == confidence

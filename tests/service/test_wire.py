import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from core.actions import PUBLIC_ACTIONS
from core.arranging import AS_RANKED, Arrangement
from service.errors import BadRequestError
from service.live.filters import NO_LIMITS, Limits, Near
from service.live.statements import SIGNAL_PARTS
from service.wire import (
    ACTIONS,
    MAX_BATCH,
    FeedbackBatchRequest,
    FeedbackRequest,
    RecommendationRequest,
    TasteSignals,
    decode,
    decode_query,
)


def recommendation(text: str | bytes) -> RecommendationRequest:
    return decode(RecommendationRequest, text.encode() if isinstance(text, str) else text)


def feedback(**fields) -> FeedbackRequest:
    return decode(FeedbackRequest, json.dumps({"event_id": 7, "action": "save", **fields}).encode())


def detail_of(kind, text: str | bytes) -> str:
    with pytest.raises(BadRequestError) as caught:
        decode(kind, text.encode() if isinstance(text, str) else text)
    return caught.value.detail


def test_an_empty_object_asks_for_everything_by_default():
    request = recommendation("{}")

    assert request == RecommendationRequest()
    assert (request.user_id, request.city, request.limit, request.context, request.variant) == (None,) * 5
    assert request.exclude_event_ids == []


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        ("42", "42"),
        ("-1", "-1"),
        ("9223372036854775807", "9223372036854775807"),
        ('"42"', "42"),
        ('"Ciarán 7"', "Ciarán 7"),
        (json.dumps("x" * 255), "x" * 255),
        ("null", None),
    ],
)
def test_a_user_id_becomes_a_string(sent, understood):
    assert recommendation(f'{{"user_id": {sent}}}').user_id == understood


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ("1.0", "user_id: expected int | str | null, got float"),
        ("true", "user_id: expected int | str | null, got bool"),
        ("[1]", "user_id: expected int | str | null, got array"),
        ('""', 'user_id: expected str of length >= 1, got ""'),
        (json.dumps("x" * 256), "user_id: expected str of length <= 255"),
        (r'"a\n"', r'user_id: expected str without control characters, got "a\n"'),
        (r'"\u0000"', r'user_id: expected str without control characters, got "\u0000"'),
        (r'"a\u0085b"', "user_id: expected str without control characters"),
        ("9223372036854775808", "user_id: expected int <= 9223372036854775807, got 9223372036854775808"),
    ],
)
def test_a_user_id_that_is_none_is_refused_with_its_field(sent, complaint):
    assert detail_of(RecommendationRequest, f'{{"user_id": {sent}}}').startswith(complaint)


def test_event_ids_to_exclude_become_strings_and_a_wrong_one_is_named_by_its_place():
    assert recommendation('{"exclude_event_ids": [1, "b"]}').exclude_event_ids == ["1", "b"]
    assert (
        detail_of(RecommendationRequest, '{"exclude_event_ids": ["a", ""]}')
        == 'exclude_event_ids[1]: expected str of length >= 1, got ""'
    )


@pytest.mark.parametrize("empty", ['""', '"   "', "null"])
def test_an_empty_city_is_no_city(empty):
    assert recommendation(f'{{"city": {empty}}}').city is None


def test_spaces_around_a_city_are_not_part_of_it():
    assert recommendation('{"city": " Dún Laoghaire "}').city == "Dún Laoghaire"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('{"limit": 0}', "limit: expected int >= 1, got 0"),
        ('{"limit": -3}', "limit: expected int >= 1, got -3"),
        ('{"limit": "20"}', "limit: expected int | null, got str"),
        ('{"limit": 20.5}', "limit: expected int | null, got float"),
        ('{"limit": ' + "9" * 5000 + "}", "limit: integer value out of range"),
        ('{"limit": 0, "rest": [}', "limit: expected int >= 1"),
        ('{"limt": 5}', "limt: unknown field"),
        ("[]", "body: expected object, got array"),
        ("null", "body: expected object, got null"),
        ('{"context": {"top_genres": 3}}', "context.top_genres: expected str | array | null, got int"),
        ('{"context": {"top_genres": ["a", 3]}}', "context.top_genres[1]: expected str | object, got int"),
        (
            '{"context": {"top_genres": [{"name": 3}]}}',
            "context.top_genres[0].name: expected str | null, got int",
        ),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected_and_what_came(body, complaint):
    assert detail_of(RecommendationRequest, body) == complaint


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "the body is empty, expected a JSON object"),
        (b" \n", "the body is empty, expected a JSON object"),
        (
            b'{"limit":\n  5,\n  "city" "Cork"}',
            "malformed JSON at line 3, column 10: Expecting ':' delimiter",
        ),
        (b'{"city": "Cork', "malformed JSON at line 1, column 10: Unterminated string starting at"),
        (b"{} {}", "malformed JSON at line 1, column 4: Extra data"),
        (b'{"limit": NaN}', "malformed JSON: invalid character (byte 10)"),
        (b'{"city": "\xff"}', "the body is not UTF-8 text"),
        (b'{"context": {"x": ' + b"[" * 60_000, "the JSON is nested too deeply"),
    ],
)
def test_malformed_json_is_placed_by_line_and_column(body, complaint):
    assert detail_of(RecommendationRequest, body) == complaint


def test_a_detail_stays_short_however_long_the_body():
    assert len(detail_of(RecommendationRequest, json.dumps({"x" * 60_000: 1}))) <= 400


def test_taste_signals_come_as_lists_strings_with_commas_or_objects():
    request = recommendation(
        json.dumps(
            {
                "context": {
                    "spotify_genres": ["techno", " house "],
                    "top_genres": "techno, folk,,",
                    "youtube_genres": [{"genre": "trad", "weight": 3}, {"name": "jazz"}, {"id": 1}],
                    "soundcloud_genres": None,
                    "preferred_artists": [{"name": "The Sideways Gannets"}],
                    "device_type": {"anything": ["else"]},
                }
            }
        )
    )

    assert request.context is not None
    assert dict(request.context.by_field()) == {
        "spotify_genres": ["techno", "house"],
        "youtube_genres": ["trad", "jazz"],
        "top_genres": ["techno", "folk"],
        "preferred_artists": ["The Sideways Gannets"],
    }


def test_there_are_five_sources_of_genres_and_five_of_artists():
    sources = ("spotify", "soundcloud", "youtube", "preferred", "top")
    signals = TasteSignals(
        **{f"{source}_genres": source for source in sources},
        **{f"{source}_artists": source.upper() for source in sources},
    )

    assert {field for field, _ in signals.by_field()} == set(SIGNAL_PARTS)
    assert sorted(name.lower() for _, names in signals.by_field() for name in names) == sorted(2 * sources)


def test_the_actions_are_those_that_the_core_lets_a_client_send():
    assert sorted(ACTIONS) == sorted(action.label for action in PUBLIC_ACTIONS)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_accepted(action):
    assert feedback(action=action, user_id=3) == FeedbackRequest(event_id="7", action=action, user_id="3")


def test_an_unknown_action_is_refused_with_the_known_ones():
    body = '{"event_id": "7", "action": "unsave"}'

    assert detail_of(FeedbackRequest, body) == (
        'action: expected one of save, click, hide, skip, thumbs_up, thumbs_down, got "unsave"'
    )


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('{"action": "save"}', "event_id: required"),
        ('{"event_id": null, "action": "save"}', "event_id: expected int | str, got null"),
        ('{"event_id": "", "action": "save"}', 'event_id: expected str of length >= 1, got ""'),
        ('{"event_id": 1, "action": "save", "rating": 5}', "rating: unknown field"),
        ('{"event_id": 1, "action": "save", "context": []}', "context: expected object | null, got array"),
        (
            '{"event_id": 1, "action": "save", "context": {"position": -1}}',
            "context.position: expected int >= 0, got -1",
        ),
        (
            '{"event_id": 1, "action": "save", "context": {"recommendation_id": 5}}',
            "context.recommendation_id: expected str | null, got int",
        ),
        (
            '{"event_id": 1, "action": "save", "context": {"x": %s}}' % ("1" * 30),
            "context: cannot be stored as JSON (Integer exceeds 64-bit range)",
        ),
        (
            '{"event_id": 1, "action": "save", "context": {"x": %s}}' % ("[" * 300 + "]" * 300),
            "context: cannot be stored as JSON (Recursion limit reached)",
        ),
    ],
)
def test_wrong_feedback_is_refused_by_field_alone_and_in_a_batch(body, complaint):
    assert detail_of(FeedbackRequest, body) == complaint
    batch = '{"feedback": [{"event_id": 1, "action": "hide"}, ' + body + "]}"
    assert detail_of(FeedbackBatchRequest, batch) == f"feedback[1].{complaint}"


def test_a_feedback_context_keeps_what_is_not_known_and_reads_what_is():
    request = feedback(context={"position": 4, "page": "home", "timestamp": "2026-11-22", "previous": None})

    assert request.context == {"position": 4, "page": "home", "timestamp": "2026-11-22", "previous": None}
    known = request.known_context()
    assert (known.position, known.page, known.timestamp, known.recommendation_id) == (
        4,
        "home",
        "2026-11-22",
        None,
    )


def test_feedback_without_context_has_an_empty_one():
    assert feedback().known_context().position is None


@pytest.mark.parametrize("rows", [0, MAX_BATCH + 1])
def test_a_batch_has_at_least_one_and_at_most_so_many_rows(rows):
    body = json.dumps({"feedback": [{"event_id": 1, "action": "save"}] * rows})

    assert detail_of(FeedbackBatchRequest, body).startswith("feedback: expected array of length")


def test_a_full_batch_is_accepted():
    body = json.dumps({"feedback": [{"event_id": 1, "action": "save"}] * MAX_BATCH})

    assert len(decode(FeedbackBatchRequest, body.encode()).feedback) == MAX_BATCH


TEXT = st.text('ab1 é😀\n\x00\x85"\\,', max_size=10)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["user_id", "event_id", "action", "context", "limit", "city", "exclude_event_ids", "x"]
)


@given(st.one_of(st.binary(max_size=60), st.dictionaries(FIELDS, JSON_VALUES, max_size=4)))
def test_whatever_arrives_is_either_understood_or_refused_as_a_bad_request(body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    for kind in (RecommendationRequest, FeedbackRequest):
        try:
            request = decode(kind, raw)
        except BadRequestError as error:
            assert error.detail
        else:
            assert request.user_id is None or type(request.user_id) is str


# --- limits ---


def test_a_question_without_limits_has_none():
    assert recommendation("{}").limits() is NO_LIMITS
    assert recommendation('{"genres": [" "]}').limits() == NO_LIMITS


def test_limits_come_out_in_unix_seconds_and_degrees():
    near = {"latitude": 53.27, "longitude": -9}
    fields = {"genres": ["trad", ""], "date_from": "2027-01-15T09:00:00+01:00", "price_max": 0, "near": near}

    assert recommendation(json.dumps(fields)).limits() == Limits(
        genres=("trad",), date_from=1_800_000_000.0, price_max=0.0, near=Near(53.27, -9.0, 25.0)
    )


@pytest.mark.parametrize(
    ("said", "first", "last"),
    [
        ("2027-01-15", 1_799_971_200, 1_800_057_599),
        ("20270115", 1_799_971_200, 1_800_057_599),
        ("2027-01-15T08:00", 1_800_000_000, 1_800_000_000),
        ("2027-01-15 08:00:00Z", 1_800_000_000, 1_800_000_000),
        ("1800000000", 1_800_000_000, 1_800_000_000),
        (1_800_000_000, 1_800_000_000, 1_800_000_000),
    ],
)
def test_a_day_is_all_of_it_in_utc_and_a_time_is_itself(said, first, last):
    limits = recommendation(json.dumps({"date_from": said, "date_to": said})).limits()

    assert (limits.date_from, limits.date_to) == (first, last)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"genres": "trad"}, "genres: expected array | null, got str"),
        ({"genres": [7]}, "genres[0]: expected str, got int"),
        ({"price_max": -1}, "price_max: expected float >= 0.0, got -1"),
        ({"near": {"latitude": 53}}, "near.longitude: required"),
        ({"near": {"latitude": 91, "longitude": 0}}, "near.latitude: expected float <= 90.0, got 91"),
        (
            {"near": {"latitude": 1, "longitude": 0, "radius_km": 0}},
            "near.radius_km: expected float > 0.0, got 0",
        ),
        ({"near": {"latitude": 1, "longitude": 0, "metres": 5}}, "near.metres: unknown field"),
        ({"offset": -1}, "offset: expected int >= 0, got -1"),
        ({"offset": 255}, "offset: expected int <= 254, got 255"),
        (
            {"date_from": "soon"},
            "date_from: expected an ISO 8601 day or time, or unix seconds, got 'soon'",
        ),
        (
            {"date_to": "0001-01-01T00:00+14:00x"},
            "date_to: expected an ISO 8601 day or time, or unix seconds, got '0001-01-01T00:00+14:00x'",
        ),
        (
            {"date_from": "2027-01-15", "date_to": "2027-01-14"},
            "date_to: expected a time that is not before date_from",
        ),
    ],
)
def test_a_limit_that_cannot_be_is_named(fields, complaint):
    with pytest.raises(BadRequestError) as caught:
        recommendation(json.dumps(fields)).limits()

    assert caught.value.detail == complaint


def test_a_query_says_the_same_as_a_body():
    query = MultiDict(
        [
            *(
                ("city", " Cork "),
                ("genres", "trad,folk"),
                ("genres", "rock"),
                ("limit", "5"),
                ("offset", "10"),
            ),
            *(("price_max", "12.5"), ("latitude", "53"), ("longitude", "-9"), ("radius_km", "3")),
            ("date_to", "1800000000"),
        ]
    )

    asked = decode_query(query)

    assert (asked.city, asked.limit, asked.offset) == ("Cork", 5, 10)
    assert asked.limits() == Limits(
        ("trad", "folk", "rock"), None, 1_800_000_000.0, 12.5, Near(53.0, -9.0, 3.0)
    )
    assert decode_query(MultiDict()).limits() is NO_LIMITS


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ([("limit", "0")], 'limit: expected int >= 1, got "0"'),
        ([("limit", "ten")], 'limit: expected int | null, got "ten"'),
        ([("limit", "5"), ("limit", "6")], "limit: given more than once"),
        ([("price_max", "nan")], "price_max: "),
        ([("price_max", "inf")], "price_max: "),
        ([("latitude", "53")], "longitude: required"),
        ([("latitude", "north"), ("longitude", "1")], "latitude: expected float, got "),
        ([("latitude", "nan"), ("longitude", "1")], "latitude: "),
        ([("page", "2")], "page: unknown field"),
    ],
)
def test_a_query_that_cannot_be_is_refused_by_name(query, complaint):
    with pytest.raises(BadRequestError) as caught:
        decode_query(MultiDict(query))

    assert caught.value.detail.startswith(complaint)


def test_what_a_request_does_not_say_of_an_arrangement_is_as_usual():
    usual = Arrangement(soon=0.1, most_per_venue=3)

    assert recommendation("{}").arrangement(AS_RANKED) is AS_RANKED
    assert recommendation("{}").arrangement(usual) is usual
    wanted = recommendation('{"soon_weight": 0, "max_per_series": 1}').arrangement(usual)
    assert wanted == Arrangement(0.0, 0.0, 3, 1)
    assert detail_of(RecommendationRequest, '{"soon_weight": 0.6}').startswith(
        "soon_weight: expected float <= 0.5"
    )

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.bundle import MANIFEST
from service.answers import HealthAnswer, ModelInfoAnswer, ReadyAnswer, Recommendation, RecommendationAnswer
from service.models import ModelRegistry
from service.recommending.arms import ARMS
from service.settings import LONGEST_ANSWER
from tests.apps import (
    OPEN_AT_NOW,
    RING,
    SPECIAL,
    Client,
    Clock,
    an_application,
    copy_home,
    make_home,
    retrain,
    settings_of,
)
from tests.sites import DAY, NOW, VERSION

PATH = "/v1/recommendations"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return make_home(tmp_path_factory.mktemp("site") / "home")


@pytest.fixture
def home(trained, tmp_path) -> Path:
    """A trained site to change before it is served."""
    return copy_home(trained, tmp_path / "home")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def serve(aiohttp_client, home, clock) -> AsyncIterator[Any]:
    """Start the application with these settings; gives a client."""
    async with AsyncExitStack() as stack:

        async def start(**values: str) -> Client:
            app = await stack.enter_async_context(an_application(settings_of(home, **values), clock))
            client: Client = await aiohttp_client(app)
            stack.push_async_callback(client.close)
            return client

        yield start


@pytest.fixture
async def client(serve) -> Client:
    running: Client = await serve()
    return running


async def ask(client: Client, **body: Any) -> RecommendationAnswer:
    """A question that is expected to be answered."""
    async with client.post(PATH, json=body) as response:
        raw = await response.read()
        assert response.status == 200, raw
        assert response.content_type == "application/json"
        return msgspec.json.decode(raw, type=RecommendationAnswer, strict=True)


async def refusal(client: Client, body: bytes | str, **options: Any) -> tuple[int, str]:
    """Status and detail of an answer that is an error."""
    async with client.post(PATH, data=body, **options) as response:
        answer = await response.json()
        assert set(answer) == {"detail"}
        return response.status, answer["detail"]


def ids(answer: RecommendationAnswer) -> list[str]:
    return [item.event_id for item in answer.recommendations]


def algorithms(answer: RecommendationAnswer) -> list[str]:
    return [item.algorithm for item in answer.recommendations]


def change(home: Path, statement: str, *values: Any) -> None:
    """What another program does to the site's table."""
    with closing(sqlite3.connect(home / "craic.db")) as connection, connection:
        connection.execute(statement, values)


# --- whom it is for ---


async def test_a_known_person_gets_explained_recommendations(client):
    answer = await ask(client, user_id="person1")

    assert (answer.user_id, answer.model_version, answer.variant) == (
        "person1",
        VERSION,
        "collaborative_filtering",
    )
    first = answer.recommendations[0]
    assert first.algorithm == "collaborative_filtering"
    assert first.rank_score == 1.0
    assert {cause.event_id for cause in first.because} <= set(RING[1:6])
    assert first.title == first.event_name == f"The {first.event_id}"


async def test_every_score_descends_and_splits_into_its_causes(client):
    answer = await ask(client, user_id="person1")

    scores = [item.score for item in answer.recommendations]
    assert scores == sorted(scores, reverse=True)
    for item in answer.recommendations:
        if item.algorithm == "collaborative_filtering":
            parts = [*item.because, *([item.because_other] if item.because_other else [])]
            assert sum(part.weight for part in parts) == pytest.approx(item.score, abs=1e-12)


async def test_the_fields_are_those_of_the_documentation_and_no_others(client):
    async with client.post(PATH, json={"user_id": "person1"}) as response:
        answer = await response.json()

    assert set(answer) == set(RecommendationAnswer.__struct_fields__)
    assert all(set(item) == set(Recommendation.__struct_fields__) for item in answer["recommendations"])


@pytest.mark.parametrize("body", [{"user_id": "who?"}, {"user_id": 4_000_000_000}, {"user_id": None}, {}])
async def test_a_stranger_and_a_guest_get_what_is_popular(client, body):
    answer = await ask(client, **body)

    assert answer.user_id == (None if body.get("user_id") is None else str(body["user_id"]))
    assert set(algorithms(answer)) == {"popularity"}
    assert set(ids(answer)) == OPEN_AT_NOW


async def test_a_number_and_its_text_are_the_same_person(serve, home):
    change(home, "UPDATE ml_feedback SET user_id = '7' WHERE user_id = 'person7'")
    client = await serve()
    await client.post("/v1/feedback", json={"user_id": 7, "event_id": "gig0", "action": "save"})

    assert ids(await ask(client, user_id=7)) == ids(await ask(client, user_id="7"))


# --- what may be in it ---


@pytest.mark.parametrize("variant", ARMS)
@pytest.mark.parametrize("user_id", ["person1", "person3", "who?", None])
async def test_nothing_that_is_over_cancelled_or_seen_is_ever_answered(client, variant, user_id):
    answer = await ask(client, user_id=user_id, variant=variant, limit=100)

    number = {"person1": 1, "person3": 3}.get(user_id)
    seen = set() if number is None else {RING[(number + step) % 12] for step in range(5)}
    hidden = {"gig8"} if user_id == "person1" else set()
    assert set(ids(answer)) == OPEN_AT_NOW - seen - hidden


async def test_a_deleted_event_is_not_answered_and_remains_a_reason(serve, home):
    change(home, "DELETE FROM events WHERE id IN ('gig7', 'gig3')")

    answer = await ask(await serve(), user_id="person1")

    assert "gig7" not in ids(answer)
    causes = {cause.event_id: cause.title for item in answer.recommendations for cause in item.because}
    assert causes["gig3"] == "an event that is no longer listed"


async def test_excluded_events_are_left_out_by_number_or_text(serve, home):
    change(home, "UPDATE events SET id = '99', dedupe_key = '99' WHERE id = 'nowhere'")
    client = await serve()

    answer = await ask(client, exclude_event_ids=["gig0", 99, "never heard of"])

    assert set(ids(answer)) == OPEN_AT_NOW - {"gig0", "nowhere"}


async def test_an_event_leaves_at_the_very_second_it_starts(client, clock):
    clock.now = NOW + 59.9
    assert all(["starting" in ids(await ask(client, user_id="person1", variant=variant)) for variant in ARMS])

    clock.now = NOW + 60.0
    assert not any(
        ["starting" in ids(await ask(client, user_id="person1", variant=variant)) for variant in ARMS]
    )


async def test_when_everything_is_over_the_answer_is_empty_and_says_so(client, clock):
    clock.now = float(NOW + 2 * DAY)

    answer = await ask(client, user_id="person1", city="Cork")

    assert (answer.recommendations, answer.notice) == ([], "No events are listed.")


# --- where ---


@pytest.mark.parametrize("city", ["Dún Laoghaire", "dun laoghaire", "DÚN-LAOGHAIRE", "  Dun   Laoghaire "])
async def test_a_city_is_found_in_any_case_and_without_its_accents(client, city):
    answer = await ask(client, city=city)

    assert (ids(answer), answer.notice) == (["seaside"], None)
    assert answer.recommendations[0].reason == f"Popular in {city.strip()}"


@pytest.mark.parametrize("city", ["Atlantis", "!!!", "Baile Átha “Cliath” 🎻"])
async def test_a_city_nobody_has_heard_of_gets_events_elsewhere_and_a_notice(client, city):
    answer = await ask(client, city=city)

    assert set(ids(answer)) == OPEN_AT_NOW
    assert answer.notice == f"Nothing is listed in {city}; these are events elsewhere."


@pytest.mark.parametrize("city", ["", "   ", None])
async def test_an_empty_city_is_no_city(client, city):
    answer = await ask(client, city=city)

    assert (set(ids(answer)), answer.notice) == (OPEN_AT_NOW, None)


# --- how many, and by what ---


async def test_the_limit_has_a_default_and_a_maximum(serve):
    client = await serve(DEFAULT_RECOMMENDATION_COUNT="3", MAX_RECOMMENDATION_COUNT="5")

    lengths = [len(ids(await ask(client, **body))) for body in ({}, {"limit": None}, {"limit": 2})]
    assert lengths == [3, 3, 2]
    for limit in (5, 6, 10_000, 10**30):
        assert len(ids(await ask(client, limit=limit))) == 5


async def test_the_longest_answer_that_can_be_set_can_be_given(serve):
    client = await serve(MAX_RECOMMENDATION_COUNT=str(LONGEST_ANSWER))

    assert set(ids(await ask(client, limit=LONGEST_ANSWER))) == OPEN_AT_NOW


async def test_a_request_may_name_its_variant_and_otherwise_the_setting_does(serve):
    client = await serve(DEFAULT_VARIANT="control")

    assert (await ask(client, user_id="person1")).variant == "control"
    assert set(algorithms(await ask(client, user_id="person1"))) == {"popularity"}
    named = await ask(client, user_id="person1", variant="collaborative_filtering")
    assert named.variant == "collaborative_filtering"
    assert algorithms(named)[0] == "collaborative_filtering"


async def test_taste_signals_are_taken_in_every_shape_that_clients_send(client):
    context = {
        "spotify_genres": ["trad", {"name": "folk", "id": 3}, {"genre": "rock"}],
        "top_artists": "Lankum, Ye Vagabonds",
        "youtube_genres": None,
        "page": "home",
    }

    assert ids(await ask(client, user_id="person1", context=context))


# --- what counts at once ---


async def test_a_save_counts_in_the_very_next_answer(client):
    async with client.post(
        "/v1/feedback", json={"user_id": "newcomer", "event_id": "gig0", "action": "save"}
    ) as response:
        assert response.status == 200

    first = (await ask(client, user_id="newcomer")).recommendations[0]
    assert first.algorithm == "collaborative_filtering"
    assert [(cause.event_id, cause.share) for cause in first.because] == [("gig0", 1.0)]


@pytest.mark.parametrize("action", ["hide", "thumbs_down", "skip"])
async def test_a_dismissal_counts_in_the_very_next_answer(client, action):
    shown = ids(await ask(client, user_id="person1"))[0]

    async with client.post(
        "/v1/feedback", json={"user_id": "person1", "event_id": shown, "action": action}
    ) as response:
        assert response.status == 200

    for variant in ARMS:
        assert shown not in ids(await ask(client, user_id="person1", variant=variant))


# --- what is refused ---


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ('{"limit": 0}', "limit: expected int >= 1, got 0"),
        ('{"limit": -5}', "limit: expected int >= 1, got -5"),
        ('{"limit": "20"}', "limit: expected int | null, got str"),
        ('{"limit": 2.5}', "limit: expected int | null, got float"),
        ('{"limit": true}', "limit: expected int | null, got bool"),
        ('{"variant": "none"}', "variant: expected one of control, "),
        ('{"variant": ""}', ", got ''"),
        ('{"variant": 3}', "variant: expected str | null, got int"),
        ('{"user_id": ["ann"]}', "user_id: expected int | str | null, got array"),
        ('{"user_id": ""}', "user_id: expected str of length >= 1"),
        ('{"user_id": 1.5}', "user_id: expected int | str | null, got float"),
        ('{"city": 7}', "city: expected str | null, got int"),
        ('{"city": "Cork\\u0000"}', "city: expected str without control characters"),
        ('{"exclude_event_ids": "gig1"}', "exclude_event_ids: expected array, got str"),
        ('{"exclude_event_ids": ["gig1", {}]}', "exclude_event_ids[1]: expected int | str, got object"),
        ('{"context": []}', "context: expected object | null, got array"),
        ('{"context": {"top_genres": 3}}', "context.top_genres: expected str | array | null, got int"),
        ('{"userid": "ann"}', "userid: unknown field"),
        ('{"limits": 3, "user_id": "ann"}', "limits: unknown field"),
        ("[]", "body: expected object, got array"),
        ("", "the body is empty, expected a JSON object"),
        ("{", "malformed JSON at line 1, column 2"),
        ('{"user_id": "ann",\n "limit": }', "malformed JSON at line 2, column 11"),
        (b'{"user_id": "\xff"}', "the body is not UTF-8 text"),
        ('{"context": {"x": ' + "[" * 5_000, "the JSON is nested too deeply"),
        ('{"user_id": "\\ud800"}', "malformed JSON"),
    ],
)
async def test_a_bad_body_is_refused_and_the_field_is_named(client, body, detail):
    status, told = await refusal(client, body)

    assert status == 400
    assert detail in told


async def test_a_body_larger_than_the_setting_is_refused_however_it_is_sent(serve):
    client = await serve(MAX_BODY_BYTES="1000")
    large = json.dumps({"city": "x" * 2_000}).encode()

    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 100):
            yield large[start : start + 100]

    assert await refusal(client, large) == (413, "The body is larger than 1000 bytes")
    assert await refusal(client, in_chunks()) == (413, "The body is larger than 1000 bytes")


async def test_a_compressed_body_is_measured_by_what_comes_out(serve):
    client = await serve(MAX_BODY_BYTES="1000")

    status, _ = await refusal(client, json.dumps({"city": "x" * 100_000}), compress="deflate")

    assert status == 413


async def test_unknown_paths_and_methods_are_refused_with_a_detail(client):
    async with client.get(PATH) as response:
        assert (response.status, await response.json()) == (
            405,
            {"detail": f"GET is not allowed for {PATH}, only POST"},
        )
    async with client.post("/v1/recommendation", json={}) as response:
        assert (response.status, await response.json()) == (
            404,
            {"detail": "There is nothing at /v1/recommendation"},
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
#: Bodies with the fields that there are, as they should be, as anything, or with anything besides.
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from(["person1", "who?", 7]) | JSON,
        "city": st.sampled_from(["Cork", "Atlantis"]) | st.text(max_size=8) | JSON,
        "limit": st.integers(-2, 300) | st.integers() | JSON,
        "variant": st.sampled_from([*ARMS, "als"]) | JSON,
        "context": st.dictionaries(st.sampled_from(["top_genres", "spotify_artists", "x"]), JSON) | JSON,
        "exclude_event_ids": st.lists(st.sampled_from(["gig1", 5]) | JSON, max_size=3) | JSON,
    },
)


async def check_status(client: Client, body: bytes | str) -> None:
    async with client.post(PATH, data=body) as response:
        answer = await response.json()
    assert response.status in (200, 400, 413), answer
    if response.status == 200:
        msgspec.convert(answer, RecommendationAnswer)
    else:
        assert set(answer) == {"detail"}


@given(BODIES | JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_json_is_answered_or_refused_and_never_breaks_the_service(client, body):
    await check_status(client, json.dumps(body))


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
async def test_any_bytes_are_answered_or_refused_and_never_break_the_service(client, body):
    await check_status(client, body)


# --- who asks ---


SECRET = "a secret of at least thirty-two bytes"


def bearer(secret: str = SECRET, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm='HS256')}"}


async def test_the_subject_of_a_verified_token_is_whom_it_is_for(serve):
    client = await serve(JWT_SECRET=SECRET)

    async with client.post(PATH, json={}, headers=bearer(user_id="person1")) as response:
        assert (await response.json())["user_id"] == "person1"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (bearer(user_id="person2"), 403),
        (bearer(user_id="person1", secret="another secret of thirty-two bytes"), 401),
        (bearer(user_id="person1", exp=timedelta(days=1).total_seconds()), 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        (bearer(user_id="person2", role="admin"), 200),
    ],
)
async def test_a_token_that_does_not_hold_or_does_not_fit_is_refused(serve, headers, status):
    client = await serve(JWT_SECRET=SECRET)

    async with client.post(PATH, json={"user_id": "person1"}, headers=headers) as response:
        answer = await response.json()

    assert response.status == status
    assert status == 200 or set(answer) == {"detail"}


async def test_a_token_whose_user_no_database_could_hold_is_no_internal_error(serve):
    client = await serve(JWT_SECRET=SECRET)

    async with client.post(PATH, json={}, headers=bearer(user_id="\ud800")) as response:
        assert response.status == 401
        assert set(await response.json()) == {"detail"}


# --- how it is ---


async def get(client: Client, path: str, kind: type[msgspec.Struct]) -> tuple[int, Any]:
    async with client.get(path) as response:
        return response.status, msgspec.json.decode(await response.read(), type=kind, strict=True)


async def test_health_readiness_and_model_are_told(client):
    await ask(client, user_id="person1")

    assert await get(client, "/health", HealthAnswer) == (
        200,
        HealthAnswer("healthy", "ml-service", VERSION, True, "2027-01-15T08:00:00Z"),
    )
    status, ready = await get(client, "/ready", ReadyAnswer)
    assert (status, ready.status, ready.database, ready.problems) == (200, "ready", "connected", [])
    status, model = await get(client, "/v1/model/info", ModelInfoAnswer)
    assert (status, model.model_version, model.prediction_count) == (200, VERSION, 1)
    assert model.last_trained == model.data_cutoff == "2027-01-15T08:00:00Z"
    assert model.validation_metrics["ndcg_at_10"] >= 0
    assert model.avg_latency_ms > 0
    assert model.training_samples == 30 * 5 + 15 * len(SPECIAL) + 1


async def test_answers_are_counted_by_model_variant_and_algorithm(client):
    await ask(client, user_id="person1", limit=2)
    await ask(client, limit=3, variant="control")
    await refusal(client, "{")

    async with client.get("/metrics") as response:
        lines = set((await response.text()).splitlines())

    answers, events = "ml_service_recommendation_answers_total", "ml_service_recommended_events_total"
    arm = f'model_version="{VERSION}",variant="collaborative_filtering"'
    assert f"{answers}{{{arm}}} 1.0" in lines
    assert f'{events}{{algorithm="collaborative_filtering",{arm}}} 2.0' in lines
    assert f'{answers}{{model_version="{VERSION}",variant="control"}} 1.0' in lines
    assert f'ml_service_requests_total{{endpoint="{PATH}",method="POST",status="400"}} 1.0' in lines


async def test_without_a_model_it_is_alive_and_not_ready(serve, home):
    (home / "models" / "current").unlink()
    client = await serve()

    status, health = await get(client, "/health", HealthAnswer)
    assert (status, health.model_loaded, health.model_version) == (200, False, None)
    status, ready = await get(client, "/ready", ReadyAnswer)
    assert (status, ready.status, ready.model_version) == (503, "not_ready", None)
    assert any("craic train" in problem for problem in ready.problems)
    async with client.post(PATH, json={"user_id": "person1"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "30")
        assert set(await response.json()) == {"detail"}
    async with client.get("/v1/model/info") as response:
        assert response.status == 503


@pytest.mark.parametrize("name", [MANIFEST, "popularity.npy", "liked_weights.npy"])
async def test_a_damaged_bundle_is_not_served_and_is_named(serve, home, name):
    file = home / "models" / VERSION / name
    file.write_bytes(file.read_bytes()[:-1])

    status, ready = await get(await serve(), "/ready", ReadyAnswer)

    assert (status, ready.status) == (503, "not_ready")
    assert any(f"bundle {VERSION}: {name}" in problem for problem in ready.problems)


async def test_a_damaged_new_model_leaves_the_old_one_serving(client, home):
    registry = ModelRegistry(home / "models")
    (registry.directory / "20270116T080000Z").mkdir()

    registry.publish("20270116T080000Z")

    async def is_named() -> bool:
        _, ready = await get(client, "/ready", ReadyAnswer)
        assert (ready.status, ready.model_version) == ("ready", VERSION)
        return any("bundle 20270116T080000Z: manifest.json" in problem for problem in ready.problems)

    await until(is_named)
    assert (await ask(client, user_id="person1")).model_version == VERSION


async def test_a_model_that_is_published_is_taken_over_without_a_failed_request(client, home):
    new = await retrain(home)

    async def is_taken_over() -> bool:
        return (await ask(client, user_id="person1")).model_version == new

    await until(is_taken_over)
    assert new == f"{VERSION}-2"
    _, health = await get(client, "/health", HealthAnswer)
    assert health.model_version == new


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what the service does in its own time."""
    async with asyncio.timeout(20):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)

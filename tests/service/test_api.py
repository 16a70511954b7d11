"""The whole application against its own OpenAPI document, and its lists and batches, on one running site."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from yarl import URL

from service.answers import BatchAnswer, EventsAnswer, RecommendationAnswer
from service.openapi import ROUTES, Route, build_openapi
from service.openapi_experiments import EXPERIMENT_ROUTES
from service.openapi_lists import LIST_ROUTES
from service.recommending.arms import ARMS
from service.wire import MAX_PEOPLE
from tests.apps import OPEN_AT_NOW, RING, Clock, an_application, make_home, settings_of
from tests.schemas import ANYTHING, values_of
from tests.sites import DAY, NOW

#: Those that do not start another process.
SAFE = [route for route in (*ROUTES, *LIST_ROUTES, *EXPERIMENT_ROUTES) if not route.path.endswith("/retrain")]
DOCUMENT = json.loads(json.dumps(build_openapi(SAFE, "1")))


@dataclass(frozen=True)
class Reply:
    status: int
    media: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Reply]


@pytest.fixture(scope="module")
def ask(tmp_path_factory) -> Iterator[Ask]:
    """A request to one running application, from this machine."""
    home = make_home(tmp_path_factory.mktemp("site") / "home")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> Any:
            app = await stack.enter_async_context(an_application(settings_of(home), Clock()))
            return await stack.enter_async_context(TestClient(TestServer(app)))

        client = runner.run(start())

        async def request(method: str, path: str, **options: Any) -> Reply:
            async with client.request(method, path, **options) as response:
                return Reply(response.status, response.content_type, await response.read())

        yield lambda method, path, **options: runner.run(request(method, path, **options))
        runner.run(stack.aclose())


def listed(ask: Ask, path: str, **query: Any) -> EventsAnswer:
    reply = ask("GET", path, params=query)
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body, type=EventsAnswer, strict=True)


def ids(answer: EventsAnswer) -> list[str]:
    return [event.event_id for event in answer.events]


# --- lists ---


def test_popular_events_are_those_that_control_recommends_to_a_guest(ask):
    answer = listed(ask, "/v1/events/popular", limit=100)

    guest = msgspec.json.decode(
        ask("POST", "/v1/recommendations", json={"variant": "control", "limit": 100}).body,
        type=RecommendationAnswer,
    )
    assert ids(answer) == [item.event_id for item in guest.recommendations]
    assert set(ids(answer)) == OPEN_AT_NOW
    assert (answer.count, answer.total, answer.offset) == (len(OPEN_AT_NOW), len(OPEN_AT_NOW), 0)
    scores = [event.score for event in answer.events]
    assert scores == sorted(scores, reverse=True)


def test_upcoming_events_come_in_the_order_of_their_start_page_by_page(ask):
    pages = [listed(ask, "/v1/events/upcoming", limit=4, offset=offset) for offset in range(0, 20, 4)]

    found = [event_id for page in pages for event_id in ids(page)]
    assert found[0] == "starting"
    assert set(found) == OPEN_AT_NOW
    assert len(found) == len(OPEN_AT_NOW)
    assert {page.total for page in pages} == {len(OPEN_AT_NOW)}
    assert {event.score for page in pages for event in page.events} == {None}


def test_a_list_keeps_to_the_limits_of_its_query(ask):
    soon = listed(ask, "/v1/events/upcoming", date_to=str(NOW + 60))
    late = listed(ask, "/v1/events/latest", date_from=str(NOW + DAY), city="cork", limit=100)
    none = listed(ask, "/v1/events/popular", genres="polka")
    elsewhere = listed(ask, "/v1/events/popular", city="Atlantis", limit=1)

    assert ids(soon) == ["starting"]
    assert set(ids(late)) == set(RING)
    assert (none.events, none.notice) == ([], "No event fits that.")
    assert elsewhere.notice == "Nothing is listed in Atlantis; these are events elsewhere."


def test_similar_events_are_those_that_the_same_people_saved(ask):
    answer = listed(ask, "/v1/events/gig3/similar", limit=100)

    found = ids(answer)
    assert "gig3" not in found
    assert set(found) <= OPEN_AT_NOW
    assert set(found[:2]) == {"gig2", "gig4"}  # neighbours in the ring have the most savers in common
    assert all(0.0 < event.score <= 1.0 for event in answer.events)
    assert ids(listed(ask, "/v1/events/gig3/similar", limit=2, offset=1)) == found[1:3]
    assert ids(listed(ask, "/v1/events/ended/similar"))  # what is over still says what is like it
    assert ask("GET", "/v1/events/never%20heard/similar").json == {
        "detail": "There is no event 'never heard'"
    }


@pytest.mark.parametrize("path", ["/v1/events/popular", "/v1/events/gig3/similar"])
def test_a_query_that_cannot_be_is_refused_by_name(ask, path):
    reply = ask("GET", path, params={"price_max": "cheap"})

    assert (reply.status, reply.json) == (
        400,
        {"detail": 'price_max: expected float | null, got "cheap"'},
    )


# --- many people ---


@pytest.mark.parametrize("variant", ARMS)
@pytest.mark.parametrize("arrangement", [{}, {"max_per_series": 1, "soon_weight": 0.5}])
def test_a_batch_answers_each_person_as_a_request_of_their_own_would(ask, variant, arrangement):
    people = ["person1", "person2", 7, "person1"]
    question = {"limit": 3, "variant": variant, "city": "Cork", "date_to": "2027-02-01", **arrangement}

    reply = ask("POST", "/v1/recommendations/batch", json={"user_ids": people, **question})

    answer = msgspec.json.decode(reply.body, type=BatchAnswer, strict=True)
    assert [result.user_id for result in answer.results] == ["person1", "person2", "7"]
    assert answer.count == 3
    for result in answer.results:
        alone = ask("POST", "/v1/recommendations", json={"user_id": result.user_id, **question})
        expected = msgspec.json.decode(alone.body, type=RecommendationAnswer)
        assert result.recommendations == expected.recommendations
        assert (result.variant, result.ab_experiment) == (variant, None)
        if arrangement:  # the gigs in Cork are one series, and so is the one that starts
            assert len(result.recommendations) <= 2


def test_a_batch_is_for_those_who_run_the_service_and_has_bounds(ask):
    path, through_proxy = "/v1/recommendations/batch", {"X-Forwarded-For": "1.2.3.4"}

    assert ask("POST", path, json={"user_ids": ["person1"]}, headers=through_proxy).status == 403
    too_many = ask("POST", path, json={"user_ids": list(range(MAX_PEOPLE + 1))})
    assert (too_many.status, too_many.json) == (
        400,
        {"detail": f"user_ids: expected array of length <= {MAX_PEOPLE}"},
    )
    assert ask("POST", path, json={"user_ids": [1], "variant": "best"}).json["detail"].startswith("variant: ")
    assert ask("POST", path, json={"user_ids": [1], "user_id": 1}).json == {
        "detail": "user_id: unknown field"
    }


def test_a_guest_is_recommended_what_fits_their_session_by_every_personal_arm(ask):
    for variant in set(ARMS) - {"control"}:
        question = {"liked_event_ids": ["gig1", "gig2", "gig3"], "variant": variant, "limit": 2}
        answer = ask("POST", "/v1/recommendations", json=question).json

        assert answer["user_id"] is None
        assert {item["algorithm"] for item in answer["recommendations"]} == {variant}
        assert not {item["event_id"] for item in answer["recommendations"]} & {"gig1", "gig2", "gig3"}


# --- the document ---


def test_the_document_that_is_served_is_the_one_these_tests_go_by(ask):
    served = ask("GET", "/openapi.json").json

    assert set(served["paths"]) == {*DOCUMENT["paths"], "/v1/model/retrain"}
    assert served["paths"]["/v1/events/popular"] == DOCUMENT["paths"]["/v1/events/popular"]


def closed(node: Any) -> Any:
    """The schema, with nothing allowed in an object that it does not name."""
    if isinstance(node, list):
        return [closed(child) for child in node]
    if not isinstance(node, dict):
        return node
    shut = {name: closed(child) for name, child in node.items()}
    if "properties" in shut and shut.get("type") == "object":
        shut.setdefault("additionalProperties", False)
    return shut


SCHEMAS = DOCUMENT["components"]["schemas"]
CLOSED_COMPONENTS = {"components": {"schemas": closed(SCHEMAS)}}
TEXTS = st.sampled_from(["", "nan", "-1", "1e999", "2026-12-04", "a,b", "gig3", "person1", "\u0130"])


def requests_of(route: Route) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Paths and options of requests that mostly fit the document, and now and then do not at all."""
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    parameters = operation.get("parameters", [])
    fitting = {one["name"]: values_of(one["schema"], SCHEMAS) for one in parameters}
    queries = st.fixed_dictionaries(
        {}, optional={one["name"]: fitting[one["name"]] | TEXTS for one in parameters if one["in"] == "query"}
    )
    names = st.sampled_from(["gig3", "person1", "rec_algorithm_v1", "nobody", "a b", "%", "\u00e9"])
    places = st.fixed_dictionaries(
        {one["name"]: names for one in parameters if one["in"] == "path"},
    )
    bodies: st.SearchStrategy[bytes | None] = st.none()
    if route.request is not None:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        valid = values_of(schema, SCHEMAS)
        bodies = (valid | valid | ANYTHING).map(lambda body: json.dumps(body).encode()) | st.binary(
            max_size=20
        )
    return st.tuples(places, queries, bodies).map(lambda parts: _as_request(route.path, *parts))


def _as_request(
    path: str, places: dict[str, str], query: dict[str, Any], body: bytes | None
) -> tuple[str, dict[str, Any]]:
    for name, value in places.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    path = f"{path}?{urlencode(query, errors='replace')}" if query else path
    return path, {} if body is None else {"data": body, "headers": {"Content-Type": "application/json"}}


@pytest.mark.parametrize("route", SAFE, ids=lambda route: f"{route.method} {route.path}")
def test_every_answer_is_one_that_the_document_promises(ask, route):
    responses = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(requests_of(route))
    def check(request: tuple[str, dict[str, Any]]) -> None:
        path, options = request
        reply = ask(route.method, URL(path, encoded=True), **options)
        assert reply.status < 500 or reply.status == 503, (path, options, reply)
        content = responses[str(reply.status)]["content"]
        assert reply.media in content, (path, options, reply)
        if reply.media == "application/json":
            schema = {**content[reply.media]["schema"], **CLOSED_COMPONENTS}
            Draft202012Validator(schema).validate(reply.json)

    check()

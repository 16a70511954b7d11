"""Experiments through the whole application, in the embedded database and in DynamoDB."""

import csv
import io
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.experiments.planning import PlanAnswer
from service.experiments.results.answers import ResultsAnswer
from service.experiments.sticky import Sticky
from service.experiments.stores import ExperimentStore
from service.experiments.stores.dynamodb import open_dynamodb
from service.experiments.wire import (
    ExperimentAnswer,
    ExperimentDetailAnswer,
    ExperimentsAnswer,
)
from tests.apps import Client, Clock, an_application, copy_home, make_home, settings_of
from tests.integration.running import eventually
from tests.service.experiments.stores.opening import Place

KEY = {"X-API-Key": "the key"}
VARIANTS = [
    {"variant_id": "control", "arm": "control", "weight": 1},
    {"variant_id": "taste", "arm": "collaborative_filtering", "weight": 1},
]
PEOPLE = [f"person{n}" for n in range(30)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("site") / "home")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["embedded", "moto", "dynalite"])
async def store(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ExperimentStore | None]:
    """Each place where experiments may be; None is the embedded database."""
    # What happens when an answer does not come in time is tested elsewhere; a busy machine must not decide it here.
    monkeypatch.setattr("service.experiments.live.Sticky", partial(Sticky, patience_seconds=20.0))
    if request.param == "embedded":
        yield None
        return
    place = Place.in_dynamodb(request.getfixturevalue(f"{request.param}_url"))
    store = await open_dynamodb(replace(place.dynamodb, poll_seconds=0.05, ship_seconds=0.05))
    yield store
    await store.close()


@pytest.fixture
async def client(
    aiohttp_client: Any, trained: Path, tmp_path: Path, clock: Clock, store: ExperimentStore | None
) -> AsyncIterator[Client]:
    home = copy_home(trained, tmp_path / "home")
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(
            an_application(settings_of(home, API_KEY=KEY["X-API-Key"]), clock, store)
        )
        client = await aiohttp_client(app)
        await eventually(lambda: _is_prepared(client))
        yield client


async def _is_prepared(client: Client) -> bool:
    """Whether there are tables, and the standing experiment in them; until then a store is as good as away."""
    response = await client.get("/v1/experiments")
    assert response.status in (200, 503), await response.text()
    return response.status == 200 and bool((await response.json())["count"])


async def ask(client: Client, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    response = await client.request(method, f"/v1/experiments{path}", json=body, headers=KEY)
    assert response.status == status, await response.text()
    return await response.json()


async def recommend(client: Client, user_id: str | None, **asked: Any) -> Any:
    response = await client.post("/v1/recommendations", json={"user_id": user_id, "limit": 3, **asked})
    assert response.status == 200, await response.text()
    return await response.json()


async def start(client: Client, experiment_id: str = "exp", **values: Any) -> None:
    asked = {"experiment_id": experiment_id, "name": "A test", "variants": VARIANTS, **values}
    await ask(client, "POST", "", asked, 201)
    await ask(client, "POST", f"/{experiment_id}/start")
    await eventually(lambda: _chooses(client, experiment_id))


async def _chooses(client: Client, experiment_id: str) -> bool:
    told = (await recommend(client, "nobody yet", internal=True))["ab_experiment"]
    return told is not None and told["experiment_id"] == experiment_id


async def results(client: Client, participants: int, **counts: int) -> Any:
    """The results once they have so many people and these sums over the variants."""

    async def reached() -> Any:
        found = await ask(client, "GET", "/exp/results")
        sums = {name: sum(one[name] for one in found["variants"]) for name in counts}
        return found if (found["participants"], sums) == (participants, counts) else None

    return await eventually(reached)


async def test_the_standing_experiment_is_there_as_a_draft_with_the_fields_of_the_contract(client: Client):
    listed = await ask(client, "GET", "")
    msgspec.convert(listed, ExperimentsAnswer)
    [one] = listed["experiments"]
    assert (one["experiment_id"], one["id"], one["status"]) == (
        "rec_algorithm_v1",
        "rec_algorithm_v1",
        "draft",
    )
    assert [variant["traffic_percentage"] for variant in one["variants"]] == [25.0] * 4
    assert (await recommend(client, "person1"))["ab_experiment"] is None


async def test_an_experiment_goes_through_its_life_and_every_change_is_told(client: Client, clock: Clock):
    await start(client)
    clock.now += 60
    changed = await ask(client, "PATCH", "/exp", {"name": "Another name"})
    msgspec.convert(changed, ExperimentAnswer)
    await ask(client, "POST", "/exp/pause")
    await ask(client, "POST", "/exp/complete")
    await ask(client, "POST", "/exp/start", status=409)
    told = await ask(client, "GET", "/exp")
    msgspec.convert(told, ExperimentDetailAnswer)
    assert [one["what"] for one in told["changes"]] == [
        "created",
        "running",
        "changed",
        "paused",
        "completed",
    ]
    assert (told["name"], told["version"], told["status"]) == ("Another name", 5, "completed")


async def test_what_is_asked_wrongly_is_refused_by_field(client: Client):
    magic = [*VARIANTS, {"variant_id": "x", "arm": "magic", "weight": 1}]
    answer = await ask(client, "POST", "", {"experiment_id": "exp", "name": "", "variants": magic}, 400)
    assert answer["detail"].startswith("variants[2].arm: expected one of")
    answer = await ask(
        client, "POST", "", {"experiment_id": "no spaces", "name": "", "variants": VARIANTS}, 400
    )
    assert answer["detail"].startswith("experiment_id: ")
    answer = await ask(client, "PATCH", "/rec_algorithm_v1", {"wieghts": []}, 400)
    assert answer["detail"] == "wieghts: unknown field"
    assert (await ask(client, "GET", "/nothing", status=404))["detail"] == "There is no experiment 'nothing'"
    await ask(client, "GET", "/nothing/results", status=404)
    for path in ("export", "results"):
        answer = await ask(client, "GET", f"/rec_algorithm_v1/{path}?format=xml", status=400)
        assert answer["detail"] == "format: expected csv or json, got 'xml'"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("PATCH", "/exp"),
        ("POST", "/exp/start"),
        ("POST", "/exp/complete"),
        ("GET", "/exp/export"),
    ],
)
async def test_only_admins_change_anything(client: Client, method: str, path: str):
    response = await client.request(
        method, f"/v1/experiments{path}", json={}, headers={"X-API-Key": "a guess"}
    )
    assert response.status == 401
    response = await client.request(
        method, f"/v1/experiments{path}", json={}, headers={"X-Forwarded-For": "1.2.3.4"}
    )
    assert response.status == 403


async def test_each_person_gets_one_variant_and_each_answer_counts_once_with_it(client: Client):
    await start(client)
    seen: dict[str, set[str]] = {}
    for _ in range(2):
        for user_id in PEOPLE:
            answer = await recommend(client, user_id)
            seen.setdefault(user_id, set()).add(answer["variant"])
            assert answer["ab_experiment"] == {
                "experiment_id": "exp",
                "variant": answer["variant"],
                "map_version": 1,
            }
            arm = {item["algorithm"] for item in answer["recommendations"]}
            assert answer["variant"] == "taste" or arm == {"popularity"}
    assert {len(variants) for variants in seen.values()} == {1}
    found = await results(client, participants=30, exposures=60)
    msgspec.convert(found, ResultsAnswer)
    expected = Counter(variant for variants in seen.values() for variant in variants)
    assert {one["variant_id"]: one["user_count"] for one in found["variants"]} == expected
    assert found["people_in_several_variants"] == 0
    assert found["verdict"] == "not enough data yet"
    assert found["sample_ratio"]["p_value"] > 0.001
    table = await client.get("/v1/experiments/exp/results?format=csv")
    assert table.content_type == "text/csv"
    rows = list(csv.DictReader(io.StringIO(await table.text())))
    assert {row["variant_id"]: int(row["participants"]) for row in rows} == expected


async def test_a_plan_says_how_many_people_it_takes(client: Client):
    asked = {"effect": 0.1, "baseline": 0.12, "people_a_day": 300}
    told = await ask(client, "POST", "/plan", asked)
    msgspec.convert(told, PlanAnswer)
    assert (told["people"], told["people_one_look"], told["days"]) == (45_962, 24_002, 154)
    answer = await ask(client, "POST", "/plan", {"effect": 0.1, "experiment_id": "rec_algorithm_v1"}, 400)
    assert answer["detail"].startswith("baseline: needed, because the control")
    await ask(client, "POST", "/plan", {"effect": 0.1, "experiment_id": "nothing"}, 404)
    answer = await ask(client, "POST", "/plan", {"effect": "much"}, 400)
    assert answer["detail"].startswith("effect: ")


async def test_tests_guests_and_looks_of_the_site_itself_are_no_exposures(client: Client):
    await start(client)
    await recommend(client, "person1", variant="control")
    await recommend(client, "person2", internal=True)
    await recommend(client, None)
    await recommend(client, "person3")
    await results(client, participants=1, exposures=1)


async def test_a_request_that_fails_counts_as_an_error_of_its_variant(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    await start(client)
    shown = await recommend(client, "person1")

    def fail(*arguments: Any) -> None:
        raise RuntimeError("the arm is broken")

    with monkeypatch.context() as broken:
        broken.setattr("service.routes.recommendations.answer_question", fail)
        for user_id in ("person1", "person2"):
            for asked in ({}, {"internal": True}, {"variant": "control"}):
                response = await client.post("/v1/recommendations", json={"user_id": user_id, **asked})
                assert response.status == 500
    await results(client, participants=2, exposures=1)
    rows = await ask(client, "GET", "/exp/export?format=json")
    assert sorted((row["exposures"], row["errors"]) for row in rows) == [(0, 1), (1, 1)]
    data = await (await client.get("/v1/users/person1/data", headers=KEY)).json()
    assert [(one["variant"], one["errors"]) for one in data["experiments"]] == [(shown["variant"], 1)]
    assert len(data["predictions"]) == 1, "a request that failed is no answer"


async def feedback(client: Client, user_id: str, event_id: str, action: str, answer: Any = None) -> None:
    context = {"recommendation_id": answer["recommendation_id"]} if answer else {}
    body = {"user_id": user_id, "event_id": event_id, "action": action, "context": context}
    response = await client.post("/v1/feedback", json=body)
    assert response.status == 200, await response.text()


async def test_feedback_counts_for_the_answer_that_it_followed(client: Client, clock: Clock):
    await start(client)
    answer = await recommend(client, "person1")
    shown = [item["event_id"] for item in answer["recommendations"]]
    debugged = await recommend(client, "person1", variant="control", exclude_event_ids=shown)
    aside = debugged["recommendations"][0]["event_id"]
    await results(client, participants=1, exposures=1)
    clock.now += 60
    await feedback(client, "person1", shown[0], "click", answer)
    await feedback(client, "person1", shown[0], "click", answer)  # a retry
    await feedback(client, "person1", shown[1], "save")  # names no answer; this one showed it last
    await feedback(client, "person1", shown[2], "thumbs_down", answer)
    await feedback(client, "person1", aside, "click", debugged)  # a test's answer
    await feedback(client, "person1", aside, "save")  # never shown in the experiment
    await feedback(client, "person2", shown[0], "click", answer)  # somebody else's answer
    await feedback(client, "person3", shown[0], "click")  # was shown nothing
    clock.now += 60
    found = await results(client, participants=1, exposures=1, clicks=1, saves=1, hides=1)
    [variant] = [one for one in found["variants"] if one["variant_id"] == answer["variant"]]
    assert variant["metrics"]["click_through_rate"] == 1.0
    assert variant["conversions"] == 1


async def test_feedback_that_comes_a_day_later_and_names_no_answer_does_not_count(
    client: Client, clock: Clock
):
    await start(client)
    answer = await recommend(client, "person1")
    shown = [item["event_id"] for item in answer["recommendations"]]
    await results(client, participants=1, exposures=1)
    clock.now += 24 * 3_600 + 1
    await feedback(client, "person1", shown[0], "click")
    await feedback(client, "person1", shown[1], "click", answer)
    clock.now += 60
    await results(client, participants=1, exposures=1, clicks=1)


async def test_after_a_change_of_weights_who_was_shown_a_variant_keeps_it(
    client: Client, clock: Clock, store: ExperimentStore | None
):
    await start(client)
    before = {user_id: (await recommend(client, user_id))["variant"] for user_id in PEOPLE}
    assert set(before.values()) == {"control", "taste"}
    await results(client, participants=30, exposures=30)
    if store is not None:
        await eventually(lambda: _has(store, "exp", 30))
    everything = [{**VARIANTS[0], "weight": 0}, VARIANTS[1]]
    changed = await ask(client, "PATCH", "/exp", {"variants": everything})
    assert changed["map_version"] == 2
    clock.now += 60
    await eventually(lambda: _is_assigned_by(client, 2))
    after = {user_id: (await recommend(client, user_id))["variant"] for user_id in PEOPLE}
    assert after == before
    fresh = {(await recommend(client, f"new{n}"))["variant"] for n in range(30)}
    assert fresh == {"taste"}
    found = await results(client, participants=60, exposures=90)
    assert found["people_in_several_variants"] == 0


async def _is_assigned_by(client: Client, map_version: int) -> bool:
    answer = await recommend(client, "nobody yet", internal=True)
    return bool(answer["ab_experiment"]["map_version"] == map_version)


async def test_a_variants_settings_stand_for_what_a_request_leaves_unsaid(client: Client):
    variants = [
        {"variant_id": "control", "weight": 1, "settings": {"limit": 2}},
        {"variant_id": "long", "weight": 1, "settings": {"limit": 4}},
    ]
    await start(client, variants=variants)
    for user_id in PEOPLE[:10]:
        answer = await recommend(client, user_id, limit=None)
        expected = {"control": 2, "long": 4}[answer["variant"]]
        assert len(answer["recommendations"]) == expected
        assert len((await recommend(client, user_id, limit=3))["recommendations"]) == 3


async def test_counts_of_each_person_can_be_taken_elsewhere_without_their_names(client: Client):
    await start(client)
    for user_id in PEOPLE[:5]:
        await recommend(client, user_id)
    await results(client, participants=5, exposures=5)
    rows = await ask(client, "GET", "/exp/export?format=json")
    text = await (await client.get("/v1/experiments/exp/export", headers=KEY)).text()
    table = list(csv.DictReader(io.StringIO(text)))
    assert by_person([{name: str(value) for name, value in row.items()} for row in rows]) == by_person(table)
    assert [row["exposures"] for row in rows] == [1] * 5
    assert min(row["pre_activity"] for row in rows) >= 5, "everyone had saved five gigs"
    assert "person" not in text


def by_person(rows: list[dict[str, str]]) -> list[list[tuple[str, str]]]:
    """In one order, whatever that was: people have no names here."""
    return sorted([sorted(row.items()) for row in rows])


async def test_who_is_erased_leaves_the_results_and_the_store(client: Client, store: ExperimentStore | None):
    await start(client)
    shown = {user_id: (await recommend(client, user_id))["variant"] for user_id in PEOPLE[:3]}
    await results(client, participants=3, exposures=3)
    if store is not None:
        await eventually(lambda: store.of_person("person1"))
    assert await part_taken(client, "person1") == [("exp", shown["person1"], 1)]
    response = await client.delete("/v1/users/person1", headers=KEY)
    assert response.status == 200, await response.text()
    await results(client, participants=2, exposures=2)
    assert await part_taken(client, "person1") == []
    assert await part_taken(client, "person2") == [("exp", shown["person2"], 1)]
    if store is not None:
        assert await store.of_person("person1") == []


async def _has(store: ExperimentStore, experiment_id: str, people: int) -> bool:
    return people == sum([len(page) async for page in store.people(experiment_id)])


async def part_taken(client: Client, user_id: str) -> list[tuple[str, str, int]]:
    """What a person is told of the experiments that they were in."""
    data = await (await client.get(f"/v1/users/{user_id}/data", headers=KEY)).json()
    return [(one["experiment_id"], one["variant"], one["exposures"]) for one in data["experiments"]]


async def test_als_can_be_added_to_the_standing_experiment_while_it_runs(
    client: Client, clock: Clock, store: ExperimentStore | None
):
    async def counted(participants: int) -> Any:
        found = await ask(client, "GET", "/rec_algorithm_v1/results")
        return found if found["participants"] == participants else None

    await ask(client, "POST", "/rec_algorithm_v1/start")
    await eventually(lambda: _chooses(client, "rec_algorithm_v1"))
    before = {user_id: (await recommend(client, user_id))["variant"] for user_id in PEOPLE}
    assert set(before.values()) == {"control", "collaborative_filtering", "content_based", "hybrid"}
    await eventually(lambda: counted(len(PEOPLE)))
    if store is not None:
        await eventually(lambda: _has(store, "rec_algorithm_v1", len(PEOPLE)))
    one = await ask(client, "GET", "/rec_algorithm_v1")
    kept = ("variant_id", "name", "arm", "weight", "settings")
    variants = [{name: variant[name] for name in kept} for variant in one["variants"]]
    variants.append({"variant_id": "als", "name": "Factors", "arm": "als", "weight": 0.25})
    changed = await ask(client, "PATCH", "/rec_algorithm_v1", {"variants": variants})
    assert [variant["traffic_percentage"] for variant in changed["variants"]] == [20.0] * 5
    clock.now += 60
    await eventually(lambda: _is_assigned_by(client, 2))
    assert {user_id: (await recommend(client, user_id))["variant"] for user_id in PEOPLE} == before
    answers = [await recommend(client, f"new{n}", liked_event_ids=["gig3", "gig4"]) for n in range(60)]
    with_factors = [answer for answer in answers if answer["variant"] == "als"]
    assert 3 <= len(with_factors) <= 30
    assert {item["algorithm"] for answer in with_factors for item in answer["recommendations"]} <= {
        "als",
        "popularity",
    }

    found = await eventually(lambda: counted(len(PEOPLE) + 60))
    people = {one["variant_id"]: one["participants"] for one in found["variants"]}
    assert people["als"] == len(with_factors)
    assert found["people_in_several_variants"] == 0
    assert {one["map_version"]: one["participants"] for one in found["by_map_version"]} == {1: 30, 2: 60}

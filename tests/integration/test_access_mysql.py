"""Whom the service believes, over HTTP: tokens, the service key, this machine; and which pages may ask."""

import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from service.storage.database import DatabaseSettings
from tests.integration.running import Service, running

SECRET = "a secret of at least thirty-two bytes"
KEY = "the service key"
#: What a proxy adds: without it these tests would be direct connections from this machine, which may do everything.
FROM_AFAR = {"X-Forwarded-For": "203.0.113.9"}


def token(secret: str = SECRET, **claims: Any) -> dict[str, str]:
    signed = jwt.encode({"exp": time.time() + 60, **claims}, secret, algorithm="HS256")
    return {"Authorization": f"Bearer {signed}", **FROM_AFAR}


def unsigned(**claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode(claims, None, algorithm='none')}", **FROM_AFAR}


@pytest.fixture
async def service(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db, jwt_secret=SECRET, api_key=KEY) as service:
        yield service


async def said_for(service: Service, headers: dict[str, str], **body: Any) -> tuple[int, str | None]:
    """The status, and for whom the recommendations are."""
    response = await service.client.post("/v1/recommendations", json=body, headers=headers)
    return response.status, (await response.json()).get("user_id")


async def feedback_for(service: Service, headers: dict[str, str], **body: Any) -> int:
    said = {"event_id": 12, "action": "click", **body}
    return (await service.client.post("/v1/feedback", json=said, headers=headers)).status


@pytest.mark.parametrize("claim", ["user_id", "id", "sub"])
async def test_without_a_user_in_the_body_the_token_says_who_asks(service: Service, claim: str):
    assert await said_for(service, token(**{claim: 4})) == (200, "4")
    assert await feedback_for(service, token(**{claim: "4"})) == 200


async def test_without_user_and_token_it_is_a_guest_who_can_give_no_feedback(service: Service):
    assert await said_for(service, {}) == (200, None)
    assert await feedback_for(service, {}) == 400
    assert await said_for(service, {"Authorization": ""}) == (200, None)


@pytest.mark.parametrize(
    "headers",
    [
        token(secret="another secret of thirty-two bytes", user_id=4),
        token(user_id=4, exp=time.time() - 3_600),
        token(user_id=4, nbf=time.time() + 3_600),
        unsigned(user_id=4),
        {"Authorization": "Bearer nonsense"},
        {"X-API-Key": "not the key"},
    ],
    ids=["another secret", "expired", "not yet", "no signature", "nonsense", "wrong key"],
)
async def test_what_does_not_hold_is_refused_and_nothing_is_recorded(
    service: Service, headers: dict[str, str]
):
    assert (await said_for(service, headers))[0] == 401
    assert await feedback_for(service, headers, user_id=4) == 401
    assert (await service.client.delete("/v1/users/4", headers={**headers, **FROM_AFAR})).status == 401
    assert "12" in await service.recommend(4)


async def test_a_token_just_expired_is_within_the_leeway(service: Service):
    assert await said_for(service, token(user_id=4, exp=time.time() - 5)) == (200, "4")


async def test_body_and_token_that_disagree_are_refused_unless_an_admin_or_the_key_asks(service: Service):
    assert (await said_for(service, token(user_id=4), user_id=5))[0] == 403
    assert await feedback_for(service, token(user_id=4), user_id=5) == 403
    assert await said_for(service, token(user_id=4), user_id="4") == (200, "4")
    assert await said_for(service, token(user_id=1, role="admin"), user_id=5) == (200, "5")
    assert await said_for(service, {**token(user_id=4), "X-API-Key": KEY}, user_id=5) == (200, "5")


async def test_one_entry_of_a_batch_for_somebody_else_refuses_all_of_it_by_place(service: Service):
    said = [{"user_id": user, "event_id": 12, "action": "hide"} for user in (4, 5)]
    response = await service.client.post(
        "/v1/feedback/batch", json={"feedback": said}, headers=token(user_id=4)
    )
    assert response.status == 403
    assert (await response.json())["detail"].startswith("feedback[1].user_id")
    assert "12" in await service.recommend(4)


async def test_a_person_s_data_is_for_themselves_admins_the_key_and_this_machine(service: Service):
    for headers, status in [
        (FROM_AFAR, 403),
        (token(user_id=5), 403),
        (token(user_id=4), 200),
        (token(user_id=1, role="admin"), 200),
        ({"X-API-Key": KEY, **FROM_AFAR}, 200),
        ({}, 200),
    ]:
        assert (await service.client.get("/v1/users/4/data", headers=headers)).status == status, headers
    for headers, status in [(token(user_id=5), 403), (FROM_AFAR, 403), (token(user_id=4), 200)]:
        assert (await service.client.delete("/v1/users/4", headers=headers)).status == status, headers


async def test_without_a_secret_no_token_is_believed(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db) as service:
        assert await said_for(service, token(user_id=4)) == (200, None)
        assert await feedback_for(service, token(user_id=4)) == 400
        assert (await service.client.get("/v1/users/4/data", headers=token(user_id=4))).status == 403
        assert await said_for(service, token(user_id=4), user_id=5) == (200, "5")


async def test_a_page_of_an_allowed_origin_may_ask_and_another_may_not(home: Path, site_db: DatabaseSettings):
    origins = ("https://whatsthecraic.ie", "http://localhost:3000")
    async with running(home, site_db, cors_origins=origins) as service:
        for origin, allowed in [(origins[0], True), (origins[1], True), ("https://evil.example", False)]:
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            preflight = await service.client.options("/v1/feedback", headers=asked)
            answer = await service.client.post(
                "/v1/recommendations", json={"user_id": 1}, headers={"Origin": origin}
            )
            expected = origin if allowed else None
            assert preflight.headers.get("Access-Control-Allow-Origin") == expected
            assert answer.headers.get("Access-Control-Allow-Origin") == expected
            assert answer.headers["Vary"] == "Origin"
            assert (preflight.status == 204) == allowed
        named = {
            name.strip() for name in preflight.headers.get("Access-Control-Allow-Headers", "").split(",")
        }
        assert named == {""}
        asked["Origin"] = origins[0]
        preflight = await service.client.options("/v1/feedback", headers=asked)
        named = {name.strip() for name in preflight.headers["Access-Control-Allow-Headers"].split(",")}
        assert named == {"Authorization", "Content-Type", "Idempotency-Key", "X-API-Key"}


async def test_errors_can_be_read_by_allowed_pages_as_well(home: Path, site_db: DatabaseSettings):
    async with running(home, site_db, cors_origins=("*",), has_queue=False) as service:
        headers = {"Origin": "https://anyone.example"}
        for said, status in [({}, 400), ({"user_id": 1, "event_id": 2, "action": "save"}, 503)]:
            response = await service.client.post("/v1/feedback", json=said, headers=headers)
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.headers["Access-Control-Expose-Headers"] == "Retry-After"

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from multidict import CIMultiDict

from service.errors import ForbiddenError, UnauthorisedError
from service.identity import (
    GUEST,
    Credentials,
    Identity,
    caller_of,
    require_admin,
    require_self_or_admin,
    subject_of,
)

SECRET = "a secret of the auth service, long enough"
KEY = "the key of the other services"
CREDENTIALS = Credentials(jwt_secret=SECRET, jwt_leeway_seconds=30, api_key=KEY)
OPEN = Credentials()


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def hand_made(header: bytes, payload: bytes, signature: bytes | None = None) -> str:
    """A token whose parts are any bytes; signed correctly with HMAC-SHA256 unless a signature is given."""
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload))
    if signature is None:
        signature = hmac.digest(SECRET.encode(), signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def headers(bearer: str | None = None, key: str | None = None, **others: str) -> CIMultiDict[str]:
    result = CIMultiDict({name.replace("_", "-"): value for name, value in others.items()})
    if bearer is not None:
        result["Authorization"] = f"Bearer {bearer}"
    if key is not None:
        result["X-API-Key"] = key
    return result


@pytest.mark.parametrize("claim", ["user_id", "id", "sub"])
@pytest.mark.parametrize(("value", "user_id"), [(42, "42"), ("42", "42"), ("ciarán", "ciarán")])
def test_the_user_is_any_of_three_claims_as_number_or_string(claim, value, user_id):
    assert caller_of(headers(token(**{claim: value})), CREDENTIALS) == Identity(user_id, False, "token")


def test_of_several_claims_user_id_comes_first_then_id():
    assert caller_of(headers(token(sub="c", id="b", user_id="a")), CREDENTIALS).user_id == "a"
    assert caller_of(headers(token(sub="c", id="b", user_id=None)), CREDENTIALS).user_id == "b"


def test_the_scheme_is_read_in_any_case():
    lower = CIMultiDict({"authorization": f"bearer  {token(id=1)} "})

    assert caller_of(lower, CREDENTIALS).user_id == "1"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "nonsense"])
def test_without_a_bearer_token_the_caller_is_a_guest(authorization):
    assert caller_of(headers(Authorization=authorization), CREDENTIALS) == GUEST
    assert caller_of(headers(), CREDENTIALS) == GUEST


def test_without_a_secret_no_token_is_believed():
    assert caller_of(headers(token(id=1, role="admin")), OPEN) == GUEST
    assert caller_of(headers("not even a token"), OPEN) == GUEST


def test_a_token_that_expired_within_the_leeway_still_holds():
    assert caller_of(headers(token(id=1, exp=time.time() - 5)), CREDENTIALS).user_id == "1"


def test_a_token_for_another_audience_or_with_an_odd_id_of_its_own_still_holds():
    assert caller_of(headers(token(id=1, aud="web", jti=7, iss="auth")), CREDENTIALS).user_id == "1"


NONE = b'{"alg":"none","typ":"JWT"}'
HS256 = b'{"alg":"HS256","typ":"JWT"}'
PAYLOAD = b'{"id":1}'


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(token(id=1, exp=1), "The token has expired", id="expired"),
        pytest.param(token(id=1, nbf=2**40), "The token is not valid yet", id="not yet valid"),
        pytest.param(token("another secret, also long enough"), "The token is not valid", id="wrong secret"),
        pytest.param(token(algorithm="HS512", secret=SECRET * 2), "The token is not valid", id="HS512"),
        pytest.param(token(algorithm="HS384", secret=SECRET * 2), "The token is not valid", id="HS384"),
        pytest.param(hand_made(NONE, PAYLOAD, b""), "The token is not valid", id="alg none"),
        pytest.param(hand_made(NONE, PAYLOAD), "The token is not valid", id="alg none, signed"),
        pytest.param(hand_made(b'{"alg":["HS256"]}', PAYLOAD), "The token is not valid", id="alg list"),
        pytest.param(hand_made(HS256, PAYLOAD, b"x" * 32), "The token is not valid", id="wrong signature"),
        pytest.param(hand_made(HS256, PAYLOAD, b""), "The token is not valid", id="no signature"),
        pytest.param(hand_made(HS256, b"[1]"), "The token is not valid", id="claims no object"),
        pytest.param(hand_made(HS256, b"[" * 5000), "The token is not valid", id="claims nested"),
        pytest.param(hand_made(b"[" * 5000, PAYLOAD), "The token is not valid", id="header nested"),
        pytest.param(hand_made(b"\xff", PAYLOAD), "The token is not valid", id="header no text"),
        pytest.param(token(id=1, exp="soon"), "The token is not valid", id="exp a string"),
        pytest.param(token(id=1, exp=[1]), "The token is not valid", id="exp a list"),
        pytest.param(token(id=1, exp=float("inf")), "The token is not valid", id="exp infinite"),
        pytest.param("a.b", "The token is not valid", id="two parts"),
        pytest.param("é.ü.ñ", "The token is not valid", id="not ASCII"),
        pytest.param("\udcff.\udcfe.\udcfd", "The token is not valid", id="bytes that are no text"),
        pytest.param(token(), "The token names no user", id="no claims"),
        pytest.param(token(id=None), "The token names no user", id="null"),
        pytest.param(token(id=True), "The token names its user by something", id="user a bool"),
        pytest.param(token(id=1.5), "The token names its user by something", id="user a float"),
        pytest.param(token(id=[1]), "The token names its user by something", id="user a list"),
        pytest.param(token(id={"a": 1}), "The token names its user by something", id="user an object"),
        pytest.param(token(id=""), "The token names its user by something", id="user empty"),
        pytest.param(token(id="a\nb"), "The token names its user by something", id="user with line break"),
        pytest.param(token(id="x" * 256), "The token names its user by something", id="user too long"),
    ],
)
def test_a_token_that_does_not_hold_is_refused_with_a_reason_that_leaks_nothing(bad, reason):
    with pytest.raises(UnauthorisedError) as caught:
        caller_of(headers(bad), CREDENTIALS)

    assert caught.value.detail.startswith(reason)
    assert len(caught.value.detail) < 70


def test_a_token_changed_after_signing_is_refused():
    head, payload, signature = token(id=1).split(".")
    forged = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged["role"] = "admin"
    payload = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()

    with pytest.raises(UnauthorisedError, match="not valid"):
        caller_of(headers(f"{head}.{payload}.{signature}"), CREDENTIALS)


@pytest.mark.parametrize("role", [["admin"], "Admin", "administrator", True, 1, {"admin": True}, None, ""])
def test_only_the_exact_role_makes_an_admin(role):
    assert caller_of(headers(token(id=1, role=role)), CREDENTIALS) == Identity("1", False, "token")


def test_an_admin_token_need_not_name_a_user():
    assert caller_of(headers(token(role="admin")), CREDENTIALS) == Identity(None, True, "token")


def test_the_service_key_gives_every_right_and_no_user():
    assert caller_of(headers(key=KEY), CREDENTIALS) == Identity(None, True, "key")


def test_key_and_token_together_give_the_tokens_user_and_the_keys_rights():
    assert caller_of(headers(token(id=5), key=KEY), CREDENTIALS) == Identity("5", True, "key")


@pytest.mark.parametrize("wrong", [KEY[:-1], KEY + " x", KEY.upper(), "clé", "\udcff"])
def test_a_wrong_key_is_refused(wrong):
    with pytest.raises(UnauthorisedError, match="The service key is not valid"):
        caller_of(headers(key=wrong), CREDENTIALS)


def test_an_empty_key_is_no_key_and_without_a_configured_key_none_is_believed():
    assert caller_of(headers(key=""), CREDENTIALS) == GUEST
    assert caller_of(headers(key=KEY), OPEN) == GUEST
    assert caller_of(headers(key=""), Credentials(api_key="")) == GUEST


def test_a_key_of_other_letters_than_ascii_works():
    credentials = Credentials(api_key="clé")

    assert caller_of(headers(key="clé"), credentials).is_admin


def test_a_bad_token_is_refused_even_with_the_key():
    with pytest.raises(UnauthorisedError):
        caller_of(headers("broken", key=KEY), CREDENTIALS)


def test_the_subject_is_the_user_of_the_body_when_there_is_no_token():
    assert subject_of(headers(), "42", CREDENTIALS) == Identity("42", False, "body")
    assert subject_of(headers(Authorization=""), "42", CREDENTIALS) == Identity("42", False, "body")


def test_the_subject_is_the_user_of_the_token_when_the_body_names_none():
    assert subject_of(headers(token(sub=7)), None, CREDENTIALS) == Identity("7", False, "token")


def test_body_and_token_may_name_the_same_user():
    assert subject_of(headers(token(sub=42)), "42", CREDENTIALS) == Identity("42", False, "token")


def test_body_and_token_that_disagree_are_refused():
    with pytest.raises(ForbiddenError, match="another user"):
        subject_of(headers(token(sub=7)), "42", CREDENTIALS)


def test_an_admin_and_a_holder_of_the_key_may_ask_for_someone_else():
    assert subject_of(headers(token(sub=7, role="admin")), "42", CREDENTIALS).user_id == "42"
    assert subject_of(headers(token(sub=7), key=KEY), "42", CREDENTIALS).user_id == "42"
    assert subject_of(headers(key=KEY), "42", CREDENTIALS) == Identity("42", True, "body")


def test_nobody_named_and_nobody_known_is_a_guest():
    assert subject_of(headers(), None, CREDENTIALS) == GUEST


def test_a_token_that_is_not_believed_cannot_contradict_the_body():
    assert subject_of(headers(token(sub=7)), "42", OPEN) == Identity("42", False, "body")


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_a_direct_connection_from_this_machine_is_an_admins(remote):
    assert require_admin(headers(), remote, CREDENTIALS) == Identity(None, True, "loopback")
    assert require_admin(headers(), remote, OPEN) == Identity(None, True, "loopback")


@pytest.mark.parametrize(
    "remote", ["10.0.0.5", "192.168.1.2", "::ffff:10.0.0.5", "2001:db8::1", "", "x", None]
)
def test_a_connection_from_elsewhere_is_not(remote):
    with pytest.raises(ForbiddenError):
        require_admin(headers(), remote, CREDENTIALS)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "X-Real-IP", "Via"])
@pytest.mark.parametrize("value", ["127.0.0.1", ""])
def test_a_request_that_came_through_a_proxy_is_not_from_this_machine(name, value):
    with pytest.raises(ForbiddenError):
        require_admin(CIMultiDict({name: value}), "127.0.0.1", CREDENTIALS)


def test_key_and_admin_token_open_admin_routes_from_anywhere():
    assert require_admin(headers(key=KEY), "203.0.113.9", CREDENTIALS).via == "key"
    assert require_admin(headers(token(id=1, role="admin")), "203.0.113.9", CREDENTIALS).via == "token"


def test_a_caller_who_shows_a_users_token_is_judged_by_it_even_on_this_machine():
    with pytest.raises(ForbiddenError):
        require_admin(headers(token(id=1)), "127.0.0.1", CREDENTIALS)


def test_a_person_may_see_their_own_data_and_no_one_elses():
    own = headers(token(id=42))

    assert require_self_or_admin(own, "203.0.113.9", "42", CREDENTIALS).user_id == "42"
    with pytest.raises(ForbiddenError):
        require_self_or_admin(own, "203.0.113.9", "43", CREDENTIALS)
    with pytest.raises(ForbiddenError):
        require_self_or_admin(headers(), "203.0.113.9", "42", CREDENTIALS)


def test_an_admin_may_see_anyones_data():
    assert require_self_or_admin(headers(key=KEY), "203.0.113.9", "42", CREDENTIALS).is_admin
    assert require_self_or_admin(headers(), "127.0.0.1", "42", CREDENTIALS).via == "loopback"


def test_credentials_keep_their_secrets_out_of_sight():
    assert SECRET not in repr(CREDENTIALS)
    assert KEY not in repr(CREDENTIALS)

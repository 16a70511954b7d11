"""Who is asking: verified tokens, the service key, and what each of them allows."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from msgspec import Struct

from service.errors import ForbiddenError, UnauthorisedError
from service.wire import Id

# Any of these shows that the request passed a proxy, so that its peer is not the one who asks.
_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


@dataclass(frozen=True)
class Credentials:
    """What is needed to believe anyone. Without a secret no token is believed, without a key no key."""

    jwt_secret: str | None = field(default=None, repr=False)
    jwt_leeway_seconds: int = 30
    api_key: str | None = field(default=None, repr=False)


class Identity(Struct, frozen=True):
    """Whom a request is for or from, and how that is known; ``user_id`` is None for a guest.

    ``is_admin`` is true for an admin's token, the service key and, on admin routes, the machine itself.
    """

    user_id: str | None
    is_admin: bool
    via: Literal["guest", "body", "token", "key", "loopback"]


GUEST = Identity(user_id=None, is_admin=False, via="guest")


def caller_of(headers: Mapping[str, str], credentials: Credentials) -> Identity:
    """The caller as the headers prove it: the service key, a token, or else a guest.

    An empty header counts as absent: the site's aggregator sends an empty Authorization for guests.

    Raises UnauthorisedError for a key that does not fit and for a token that does not hold, when there is
    a key or a secret to check them with. The reason tells the caller nothing that it did not send.
    """
    given_key, authorization = headers.get("X-API-Key", ""), headers.get("Authorization", "")
    if not (given_key or authorization):
        return GUEST
    holds_key = bool(given_key and credentials.api_key)
    if holds_key and not _same(given_key, credentials.api_key or ""):
        raise UnauthorisedError("The service key is not valid")
    token = _bearer(authorization)
    bearer = GUEST
    if token and credentials.jwt_secret:
        bearer = verify_token(token, credentials.jwt_secret, credentials.jwt_leeway_seconds)
    return Identity(bearer.user_id, is_admin=True, via="key") if holds_key else bearer


def subject_of(headers: Mapping[str, str], body_user_id: str | None, credentials: Credentials) -> Identity:
    """Whom a request is for: the body's user, else the token's, else a guest.

    A body's user without any token is accepted, because the callers are services behind the aggregator.

    Raises ForbiddenError when body and token name different users, unless the token is an admin's or the
    caller holds the key; and UnauthorisedError as `caller_of`.
    """
    caller = caller_of(headers, credentials)
    if body_user_id is None or body_user_id == caller.user_id:
        return caller
    if caller.via == "token" and not caller.is_admin:
        raise ForbiddenError("The token belongs to another user than the one named in the body")
    return Identity(body_user_id, caller.is_admin, via="body")


def require_admin(headers: Mapping[str, str], remote: str | None, credentials: Credentials) -> Identity:
    """Let pass an admin's token, the service key, or a direct connection from this machine.

    ``remote`` is the address of the peer. A caller that shows a token is judged by that token alone.

    Raises ForbiddenError for anyone else, and UnauthorisedError as `caller_of`.
    """
    caller = caller_of(headers, credentials)
    if caller.is_admin:
        return caller
    if caller.via == "guest" and _is_direct_loopback(headers, remote):
        return Identity(user_id=None, is_admin=True, via="loopback")
    raise ForbiddenError("This needs an admin's token, the service key, or a connection from this machine")


def require_self_or_admin(
    headers: Mapping[str, str], remote: str | None, user_id: str, credentials: Credentials
) -> Identity:
    """Let pass the person ``user_id`` with a token of their own, and whoever `require_admin` lets pass."""
    caller = caller_of(headers, credentials)
    if caller.via == "token" and caller.user_id == user_id:
        return caller
    return require_admin(headers, remote, credentials)


def verify_token(token: str, secret: str, leeway_seconds: int) -> Identity:
    """Verify a JSON Web Token: HS256 only (RFC 7515), its times with a leeway, its claims by type.

    Raises UnauthorisedError when anything about it does not hold.
    """
    import jwt  # here, since with the libraries behind it it takes 9 MB, which a site without tokens can spare

    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            leeway=leeway_seconds,
            # Not ours to check: the auth service may name an audience, and its `sub` may be a number.
            options={"verify_aud": False, "verify_sub": False, "verify_jti": False},
        )
    except jwt.ExpiredSignatureError:
        raise UnauthorisedError("The token has expired") from None
    except jwt.ImmatureSignatureError:
        raise UnauthorisedError("The token is not valid yet") from None
    except (jwt.PyJWTError, UnicodeError, RecursionError, TypeError, OverflowError):
        # All but the first come from tokens made to break a parser: odd bytes, deep nesting, endless numbers.
        raise UnauthorisedError("The token is not valid") from None
    is_admin = claims.get("role") == "admin"
    user_id = _user_id(claims)
    if user_id is None and not is_admin:
        raise UnauthorisedError("The token names no user")
    return Identity(user_id, is_admin, via="token")


def _user_id(claims: Mapping[str, Any]) -> str | None:
    value = next((claims[name] for name in ("user_id", "id", "sub") if claims.get(name) is not None), None)
    if value is None:
        return None
    try:
        user_id = str(msgspec.convert(value, Id))  # the rule for the ids of bodies holds here as well
        user_id.encode()  # half of a surrogate pair, which JSON can spell, is no text
        return user_id
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise UnauthorisedError("The token names its user by something that is no user id") from None


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _same(given: str, expected: str) -> bool:
    """Compare in constant time; as bytes, because a header may hold bytes that are no text."""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogateescape"), expected.encode("utf-8", "surrogateescape")
    )


def _is_direct_loopback(headers: Mapping[str, str], remote: str | None) -> bool:
    if remote is None or any(name in headers for name in _PROXY_HEADERS):
        return False
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # ::ffff:127.0.0.1 on a socket of both families
    return (mapped or address).is_loopback

"""The bodies of requests, and the one pass that decodes and checks them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

import msgspec
import orjson
from msgspec import Meta, Struct
from multidict import MultiMapping

from core.arranging import Arrangement
from service.errors import BadRequestError
from service.wire_limits import LimitFields

T = TypeVar("T", bound=Struct)

Action = Literal["save", "click", "hide", "skip", "thumbs_up", "thumbs_down"]
ACTIONS: tuple[str, ...] = get_args(Action)

MAX_BATCH = 500  # feedback entries in one request
MAX_PEOPLE = 100  # people in one batch of recommendations: with 20 events each an answer of 2 MB
LAST_OFFSET = 254  # as `core.kernels.workspace.MOST_ANSWERS` less one

# The look-ahead is the end of the text in Python and in ECMAScript alike; `$` would let a last newline pass.
_NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f]*(?![\s\S])"

_NOTHING_WANTED = (None, None, None, None)

if TYPE_CHECKING:
    Id = str
else:
    # A string or a number on the wire; every struct makes it a string as soon as it is decoded.
    Id = (
        Annotated[str, Meta(min_length=1, max_length=255, pattern=_NO_CONTROL)]
        | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    )

ShortText = Annotated[str, Meta(max_length=255, pattern=_NO_CONTROL)]


class NamedTaste(Struct):
    """An artist or genre as another service holds it; whatever else it carries is ignored."""

    name: str | None = None
    genre: str | None = None


TasteList = list[str | NamedTaste] | str | None


class TasteSignals(Struct):
    """What the caller knows of a person's taste: lists, or strings with commas. Other keys are ignored."""

    spotify_genres: TasteList = None
    soundcloud_genres: TasteList = None
    youtube_genres: TasteList = None
    preferred_genres: TasteList = None
    top_genres: TasteList = None
    spotify_artists: TasteList = None
    soundcloud_artists: TasteList = None
    youtube_artists: TasteList = None
    preferred_artists: TasteList = None
    top_artists: TasteList = None

    def by_field(self) -> Iterator[tuple[str, list[str]]]:
        """The names under each field that has any, each once, in their order."""
        for field in self.__struct_fields__:
            if names := list(dict.fromkeys(_split(getattr(self, field)))):
                yield field, names


def _split(source: TasteList) -> Iterator[str]:
    entries = source.split(",") if isinstance(source, str) else source or ()
    for entry in entries:
        text = entry if isinstance(entry, str) else entry.name or entry.genre or ""
        if text.strip():
            yield text.strip()


class ArrangementFields(LimitFields):
    """Limits, and what is wanted of an answer beside its arm's ranking; settings say it where a request does not.

    ``soon_weight`` and ``popularity_weight`` are the shares of a score that go by how soon an event is and how popular.
    """

    max_per_venue: Annotated[int, Meta(ge=1)] | None = None
    max_per_series: Annotated[int, Meta(ge=1)] | None = None
    soon_weight: Annotated[float, Meta(ge=0, le=0.5)] | None = None
    popularity_weight: Annotated[float, Meta(ge=0, le=0.5)] | None = None

    def arrangement(self, usual: Arrangement) -> Arrangement:
        """What is wanted, by `usual` where the request says nothing."""
        wanted = (self.soon_weight, self.popularity_weight, self.max_per_venue, self.max_per_series)
        if wanted == _NOTHING_WANTED:
            return usual
        return Arrangement._make(
            usually if said is None else said for said, usually in zip(wanted, usual, strict=True)
        )


class RecommendationRequest(ArrangementFields):
    """Whom to recommend to, and what to leave out. A ``limit`` above the maximum is served the maximum.

    ``offset`` skips so many of the best; nobody is ranked more than 255. ``liked_event_ids`` are events that a guest,
    or the person, liked in this session: they count as saved for this answer, and are not shown.
    A ``variant`` that is named makes it a test, and ``internal`` says that nobody will look at the answer (a preview, a
    monitor): neither counts in an experiment.
    """

    user_id: Id | None = None
    city: ShortText | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None
    context: TasteSignals | None = None
    variant: ShortText | None = None
    exclude_event_ids: list[Id] = msgspec.field(default_factory=list)
    internal: bool = False
    liked_event_ids: Annotated[list[Id], Meta(max_length=100)] = msgspec.field(default_factory=list)
    offset: Annotated[int, Meta(ge=0, le=LAST_OFFSET)] = 0

    def __post_init__(self) -> None:
        self.user_id = _as_text(self.user_id)
        if self.city is not None:
            self.city = self.city.strip() or None
        if self.exclude_event_ids:
            self.exclude_event_ids = [str(event_id) for event_id in self.exclude_event_ids]
        if self.liked_event_ids:
            self.liked_event_ids = [str(event_id) for event_id in self.liked_event_ids]


class BatchRequest(ArrangementFields, kw_only=True):
    """Whom to recommend to, all in the same way. Nothing of it is stored, or counted in an experiment."""

    user_ids: Annotated[list[Id], Meta(min_length=1, max_length=MAX_PEOPLE)]
    city: ShortText | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None
    variant: ShortText | None = None

    def __post_init__(self) -> None:
        self.user_ids = list(dict.fromkeys(str(user_id) for user_id in self.user_ids))
        self.city = (self.city or "").strip() or None


class EventsRequest(LimitFields):
    """Which events to list, as the query says it."""

    city: ShortText | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0

    def __post_init__(self) -> None:
        self.city = (self.city or "").strip() or None


class RollbackRequest(Struct, forbid_unknown_fields=True):
    """The body of POST /v1/model/rollback: to which version, by default to the one before the current one."""

    model_version: ShortText | None = None


class RetrainRequest(Struct, forbid_unknown_fields=True):
    """The body of POST /v1/model/retrain: whether to train even when there is nothing new."""

    force: bool = False


def decode_retrain(raw: bytes) -> RetrainRequest:
    """The body of a retraining; of one that an EventBridge rule sent, without a template of its own, the `detail`.

    Raises BadRequestError as `decode`.
    """
    body = _untyped(raw)
    if isinstance(body, dict) and "detail-type" in body:
        raw = msgspec.json.encode(body.get("detail"))
    return decode(RetrainRequest, raw or b"{}")


class FeedbackContext(Struct):
    """Where an action happened. Other keys are allowed, and kept."""

    recommendation_id: ShortText | None = None
    position: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    timestamp: str | float | None = None
    page: ShortText | int | None = None
    section: ShortText | None = None
    client: ShortText | None = None


_CONTEXT_SCHEMA = msgspec.json.schema_components([FeedbackContext])[1]["FeedbackContext"]


class FeedbackRequest(Struct, forbid_unknown_fields=True):
    """One thing that a person did with one event."""

    event_id: Id
    action: Action
    user_id: Id | None = None
    context: Annotated[dict[str, Any], Meta(extra_json_schema=_CONTEXT_SCHEMA)] | None = None

    def __post_init__(self) -> None:
        self.event_id = str(self.event_id)
        self.user_id = _as_text(self.user_id)
        if self.context is not None:
            _check_context(self.context)

    def known_context(self) -> FeedbackContext:
        """The keys of the context that this service understands."""
        return msgspec.convert(self.context or {}, FeedbackContext)


class FeedbackBatchRequest(Struct, forbid_unknown_fields=True):
    """Many actions at once; either all of them are recorded or none."""

    feedback: Annotated[list[FeedbackRequest], Meta(min_length=1, max_length=MAX_BATCH)]


def _as_text(identifier: str | int | None) -> str | None:
    return None if identifier is None else str(identifier)


def _check_context(context: dict[str, Any]) -> None:
    """Refuse wrong types, and what cannot be written again as JSON: deep nesting, huge numbers."""
    try:
        msgspec.convert(context, FeedbackContext)
        orjson.dumps(context)
    except msgspec.ValidationError as error:
        raise ValueError(_explain(str(error), {"context": context}, "context")) from None
    except TypeError as error:
        raise ValueError(f"context: cannot be stored as JSON ({error})") from None


def decode(kind: type[T], raw: bytes) -> T:
    """Decode a request's body, UTF-8 JSON, into ``kind``.

    Raises BadRequestError: its detail names the field and what is expected there, or line and column where
    the text stops being JSON.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        detail = _explain(str(error), _untyped(raw))
    except UnicodeDecodeError:
        detail = "the body is not UTF-8 text"
    except msgspec.DecodeError as error:
        detail = _malformed(raw, str(error))
    except RecursionError:
        detail = "the JSON is nested too deeply"
    raise BadRequestError(detail[:400])


_NEAR = ("latitude", "longitude", "radius_km")


def decode_query(query: MultiMapping[str]) -> EventsRequest:
    """Decode a query: `genres` may be repeated and hold commas, the circle is in fields of its own.

    Raises BadRequestError as `decode`; also for a field that is given twice.
    """
    values: dict[str, Any] = {}
    for name in dict.fromkeys(query):
        said = query.getall(name)
        if name == "genres":
            values[name] = [genre for text in said for genre in text.split(",")]
        elif len(said) > 1:
            raise BadRequestError(f"{name[:100]}: given more than once")
        elif name in _NEAR:
            values.setdefault("near", {})[name] = said[0]
        else:
            values[name] = said[0]
    try:
        return msgspec.convert(values, EventsRequest, strict=False)
    except msgspec.ValidationError as error:
        # Everything in a query is text, so the text tells more than its type.
        message = str(error).replace(", got `str`", "")
        raise BadRequestError(_explain(message, values).removeprefix("near.")[:400]) from None


def _untyped(raw: bytes) -> Any:
    """The body without types, to quote from; None if its rest, which was not reached, is no JSON."""
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return None


def _malformed(raw: bytes, message: str) -> str:
    """Say where the JSON breaks, which the standard library's parser knows by line and column."""
    if not raw.strip():
        return "the body is empty, expected a JSON object"
    where = ""
    try:
        json.loads(raw.decode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        where, message = f" at line {error.lineno}, column {error.colno}", error.msg
    except (
        ValueError,
        RecursionError,
    ) as error:  # an endless number or nesting, which that parser cannot take
        message = str(error)
    return f"malformed JSON{where}: {message.removeprefix('JSON is malformed: ')}"


_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_FIELD = re.compile(
    r"Object (?:(?P<missing>missing required)|contains unknown) field `(?P<name>.*)`", re.DOTALL
)


def _explain(message: str, body: Any, prefix: str = "") -> str:
    """Turn ``Expected `int` >= 1 - at `$.limit``` into ``limit: expected int >= 1, got 0``."""
    what, path = _split_message(message)
    path = ".".join(part for part in (prefix, path) if part)
    if field := _FIELD.fullmatch(what):
        name = ".".join(part for part in (path, field["name"]) if part)
        return f"{name}: required" if field["missing"] else f"{name}: unknown field"
    if what.startswith("context"):  # ours, from __post_init__, and already explained
        return ".".join(part for part in (path, what) if part)
    return f"{path or 'body'}: {_reworded(what)}{_got(what, path, body)}"


def _split_message(message: str) -> tuple[str, str]:
    parts = _MESSAGE.fullmatch(message)
    return (parts["what"], parts["path"] or "") if parts else (message, "")


def _reworded(what: str) -> str:
    if what.startswith("Invalid enum value"):  # the only one there is
        return f"expected one of {', '.join(ACTIONS)}"
    if "matching regex" in what:
        return "expected str without control characters"
    return what[:1].lower() + what[1:].replace("`", "")


def _got(what: str, path: str, body: Any) -> str:
    """Quote the value at ``path`` unless the message already tells its type or the value is long."""
    if "got" in what:
        return ""
    for key, index in re.findall(r"(\w+)|\[(\d+)\]", path):
        try:
            body = body[key] if key else body[int(index)]
        except (TypeError, KeyError, IndexError):
            return ""
    quoted = json.dumps(body, ensure_ascii=False) if isinstance(body, str | int | float) else ""
    return f", got {quoted}" if 0 < len(quoted) <= 40 else ""

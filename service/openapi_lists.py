"""The operations for lists of events and for many people at once, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from service import answers, wire
from service.openapi import RECOMMENDATION, RECOMMENDATION_ANSWER, Body, Parameter, Route


def _query(name: str, description: str, schema: dict[str, Any]) -> Parameter:
    return Parameter(name, "query", description, schema)


_DAY = "ISO 8601 or unix seconds; a day is all of it, without an offset it is UTC"
_TEXT: dict[str, Any] = {"type": "string", "maxLength": 255}

FILTERS: tuple[Parameter, ...] = (
    _query("city", "Events in this city; where none fit there, those elsewhere", _TEXT),
    _query("genres", "Any of these, with commas between them; case and accents do not matter", _TEXT),
    _query("date_from", f"The earliest start: {_DAY}", {"type": "string", "maxLength": 40}),
    _query("date_to", f"The latest start: {_DAY}", {"type": "string", "maxLength": 40}),
    _query(
        "price_max",
        "The highest price of an event's cheapest ticket; what says no price is left out",
        {"type": "number", "minimum": 0, "maximum": 1_000_000},
    ),
    _query(
        "latitude",
        "With longitude: the middle of a circle, degrees; what says no place is left out",
        {"type": "number", "minimum": -90, "maximum": 90},
    ),
    _query("longitude", "With latitude", {"type": "number", "minimum": -180, "maximum": 180}),
    _query(
        "radius_km",
        "Of the circle; 25 unless given",
        {"type": "number", "exclusiveMinimum": 0, "maximum": 20_040},
    ),
    _query(
        "limit", "Events of the page; above the maximum it is the maximum", {"type": "integer", "minimum": 1}
    ),
    _query("offset", "Events to skip", {"type": "integer", "minimum": 0, "maximum": 1_000_000}),
)

_EVENT: dict[str, Any] = {
    **{name: RECOMMENDATION[name] for name in answers.Event.__struct_fields__},
    "score": 0.83,
}


def _list(
    path: str, summary: str, score: float | None, *more: Parameter, errors: tuple[int, ...] = ()
) -> Route:
    example = {
        "events": [{**_EVENT, "score": score}],
        "count": 1,
        "total": 412,
        "offset": 0,
        "notice": None,
        "model_version": "20261122T020000Z",
        "latency_ms": 0.12,
    }
    return Route(
        "GET",
        path,
        summary,
        tag="events",
        answer=Body(answers.EventsAnswer, example),
        errors=(400, *errors, 500, 503),
        parameters=(*more, *FILTERS),
    )


LIST_ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/recommendations/batch",
        f"Recommend events to up to {wire.MAX_PEOPLE} people, as for a newsletter; nothing is stored or counted",
        request=Body(wire.BatchRequest, {"user_ids": [42, "43"], "limit": 5, "date_to": "2026-12-06"}),
        answer=Body(
            answers.BatchAnswer,
            {"results": [{**RECOMMENDATION_ANSWER, "ab_experiment": None}], "count": 1, "latency_ms": 0.52},
        ),
        errors=(400, 401, 403, 413, 500, 503),
        access="required",
    ),
    _list("/v1/events/popular", "The most popular events", 0.83),
    _list("/v1/events/upcoming", "The next events to start", None),
    _list("/v1/events/latest", "The events that were listed last", None),
    _list(
        "/v1/events/{event_id}/similar",
        "The events that the same people like, at most 255; the event itself may be over",
        0.41,
        Parameter("event_id", "path", "The event that they are like"),
        errors=(404,),
    ),
)

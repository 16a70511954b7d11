"""The OpenAPI 3.1 document, generated from the types of requests and answers and one table of routes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

import msgspec

from service import answers, wire

JSON = "application/json"

Access = Literal["open", "optional", "required"]

# An empty requirement means that a route can be called without any of the others.
_SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    "open": [{}],
    "optional": [{}, {"bearer": []}, {"serviceKey": []}],
    "required": [{"bearer": []}, {"serviceKey": []}],
}
_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the site's auth service (HS256); believed only when its signature holds.",
    },
    "serviceKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The key that other services of the site hold.",
    },
}


@dataclass(frozen=True)
class Body:
    """A JSON body: its type, and an example that decodes into it."""

    kind: type[msgspec.Struct]
    example: Any


@dataclass(frozen=True)
class Parameter:
    """What a route takes beside its body; a text of 1 to 255 characters unless `schema` says otherwise."""

    name: str
    where: Literal["path", "header", "query"]
    description: str
    schema: dict[str, Any] = field(
        default_factory=lambda: {"type": "string", "minLength": 1, "maxLength": 255}
    )


@dataclass(frozen=True)
class Route:
    """One operation as a caller sees it.

    ``answer`` is a JSON body or the media type of a text; it comes with 200 and with the statuses of
    ``also_with``; ``accepted`` is the body of a 202 of its own. ``errors`` are the statuses that come with an
    ErrorAnswer.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    summary: str
    answer: Body | str
    tag: str = "recommendations"
    request: Body | None = None
    also_with: tuple[int, ...] = ()
    accepted: Body | None = None
    errors: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    access: Access = "open"


def build_openapi(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """Describe ``routes`` as an OpenAPI 3.1.0 document that can be encoded as JSON.

    ``version`` is the version of the service. Raises ValueError when two routes share method and path.
    """
    routes = tuple(routes)
    kinds = list(dict.fromkeys(kind for route in routes for kind in _kinds(route)))
    schema_of, schemas = _schemas(kinds)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(route.path, {})
        if route.method.lower() in operations:
            raise ValueError(f"two routes for {route.method} {route.path}")
        operations[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "WhatsTheCraic recommendations",
            "version": version,
            "description": "Personal recommendations for an events site, each with exact reasons.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY_SCHEMES},
    }


def _schemas(kinds: list[type]) -> tuple[dict[type, dict[str, Any]], dict[str, Any]]:
    """The reference for each kind, and the components that all of them need."""
    references, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return dict(zip(kinds, references, strict=True)), schemas


def _kinds(route: Route) -> Iterable[type[msgspec.Struct]]:
    if route.request is not None:
        yield route.request.kind
    if isinstance(route.answer, Body):
        yield route.answer.kind
    if route.accepted is not None:
        yield route.accepted.kind
    if route.errors:
        yield answers.ErrorAnswer


def _operation(route: Route, schema_of: dict[type, dict[str, Any]]) -> dict[str, Any]:
    responses = {str(status): _error(status, schema_of) for status in route.errors}
    answered = dict.fromkeys((200, *route.also_with), route.answer)
    if route.accepted is not None:
        answered[202] = route.accepted
    for status, body in answered.items():
        content = _content(body, schema_of)
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "security": _SECURITY[route.access],
        "responses": dict(sorted(responses.items())),
    }
    if route.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in route.parameters]
    if route.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.request, schema_of)}
    return operation


def _operation_id(route: Route) -> str:
    words = route.path.replace("{", "").replace("}", "").split("/")
    return "_".join([route.method.lower(), *(word for word in words if word)])


def _content(body: Body | str, schema_of: dict[type, dict[str, Any]]) -> dict[str, Any]:
    if isinstance(body, str):
        return {body: {"schema": {"type": "string"}}}
    return {JSON: {"schema": schema_of[body.kind], "example": body.example}}


def _error(status: int, schema_of: dict[type, dict[str, Any]]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {JSON: {"schema": schema_of[answers.ErrorAnswer]}},
    }
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        description = "Seconds after which it may work again"
        response["headers"] = {"Retry-After": {"description": description, "schema": {"type": "integer"}}}
    return response


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "required": parameter.where == "path",
        "schema": parameter.schema,
    }


RECOMMENDATION: dict[str, Any] = {
    "event_id": "2741",
    "id": "2741",
    "title": "The Sideways Gannets",
    "event_name": "The Sideways Gannets",
    "start_time": "2026-12-04T20:00:00Z",
    "date": "2026-12-04T20:00:00Z",
    "end_time": "2026-12-04T23:00:00Z",
    "venue_name": "Kettle Hall",
    "city": "Cork",
    "ticket_url": "https://tickets.example/2741",
    "images": [],
    "genre": "folk",
    "genres": ["folk", "trad"],
    "price": 15.0,
    "score": 0.83,
    "rank_score": 0.83,
    "confidence": 0.7,
    "reason": "Because you saved The Patient Lanterns",
    "rank_reasons": [{"type": "collaborative", "weight": 0.9}, {"type": "city_match", "weight": 0.1}],
    "algorithm": "collaborative_filtering",
    "because": [{"event_id": "1904", "title": "The Patient Lanterns", "weight": 0.5, "share": 0.75}],
    "because_other": {"events": 3, "weight": 0.166, "share": 0.25},
    "neighbours": 41,
    "metadata": {
        "event_name": "The Sideways Gannets",
        "venue": "Kettle Hall",
        "date": "2026-12-04T20:00:00Z",
        "genre": "folk",
    },
}
RECOMMENDATION_ANSWER: dict[str, Any] = {
    "recommendation_id": "0198c5e2a7f1",
    "user_id": "42",
    "recommendations": [RECOMMENDATION],
    "model_version": "20261122T020000Z",
    "variant": "collaborative_filtering",
    "ab_experiment": {
        "experiment_id": "rec_algorithm_v1",
        "variant": "collaborative_filtering",
        "map_version": 1,
    },
    "notice": None,
    "latency_ms": 0.31,
}
_FEEDBACK = {
    "user_id": "42",
    "event_id": "2741",
    "action": "save",
    "context": {"recommendation_id": "0198c5e2a7f1", "position": 0, "page": "home"},
}
_FEEDBACK_RECORD = {
    "event_id": "2741",
    "action": "save",
    "context": {"page": "home"},
    "recommendation_id": "0198c5e2a7f1",
    "created_at": "2026-11-20T19:02:11Z",
}
_PREDICTION_RECORD = {
    "recommendation_id": "0198c5e2a7f1",
    "model_version": "20261122T020000Z",
    "variant": "collaborative_filtering",
    "arm": "collaborative_filtering",
    "city": "Cork",
    "event_ids": ["2741"],
    "num_recommendations": 1,
    "latency_ms": 0.31,
    "experiment_id": None,
    "is_exposure": True,
    "created_at": "2026-11-22T09:30:00Z",
}
_EXPERIMENT_RECORD = {
    "experiment_id": "rec_algorithm_v1",
    "variant": "hybrid",
    "exposures": 14,
    "clicks": 3,
    "saves": 1,
    "hides": 0,
    "errors": 0,
    "assigned_at": "2026-11-20T19:00:00Z",
    "seen_at": "2026-11-22T09:30:00Z",
}
_IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key", "header", "Makes a repeated request one effect, answered the same each time"
)
_USER_ID = Parameter("user_id", "path", "The person, as named in requests")

_VALIDATION = {
    "method": "time",
    "cutoff": 1_795_200_000.0,
    "people": 1_204,
    "arms": {"collaborative_filtering": {"ndcg_at_10": 0.17}},
    "intervals": {"collaborative_filtering": {"ndcg_at_10": [0.161, 0.179]}},
    "live": None,
}

_RETRAINED = {
    "status": "success",
    "model_version": "20261122T020000Z",
    "metrics": {
        "training_samples": 58_213,
        "training_duration_seconds": 12.4,
        "validation_metrics": {"precision_at_10": 0.11, "recall_at_10": 0.2, "ndcg_at_10": 0.17, "map": 0.1},
    },
    "kept": None,
}

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/recommendations",
        "Recommend events to a person, or to a guest",
        request=Body(
            wire.RecommendationRequest,
            {"user_id": 42, "city": "Cork", "limit": 20, "genres": ["trad", "folk"], "price_max": 25},
        ),
        answer=Body(
            answers.RecommendationAnswer,
            RECOMMENDATION_ANSWER,
        ),
        errors=(400, 401, 403, 413, 429, 500, 503),
        access="optional",
    ),
    Route(
        "POST",
        "/v1/feedback",
        "Record what a person did with an event; 200 means that it is durable",
        request=Body(wire.FeedbackRequest, _FEEDBACK),
        answer=Body(answers.FeedbackAnswer, {"status": "success", "message": "Feedback recorded"}),
        errors=(400, 401, 403, 409, 413, 422, 429, 500, 503),
        parameters=(_IDEMPOTENCY_KEY,),
        access="optional",
    ),
    Route(
        "POST",
        "/v1/feedback/batch",
        f"Record up to {wire.MAX_BATCH} actions, all or none",
        request=Body(wire.FeedbackBatchRequest, {"feedback": [_FEEDBACK]}),
        answer=Body(
            answers.FeedbackBatchAnswer, {"status": "success", "message": "Feedback recorded", "recorded": 1}
        ),
        errors=(400, 401, 403, 409, 413, 422, 429, 500, 503),
        parameters=(_IDEMPOTENCY_KEY,),
        access="optional",
    ),
    Route(
        "GET",
        "/v1/model/info",
        "The model that serves now",
        answer=Body(
            answers.ModelInfoAnswer,
            {
                "model_version": "20261122T020000Z",
                "last_trained": "2026-11-22T02:00:00Z",
                "data_cutoff": "2026-11-22T02:00:00Z",
                "training_samples": 58_213,
                "validation_metrics": {
                    "precision_at_10": 0.11,
                    "recall_at_10": 0.2,
                    "ndcg_at_10": 0.17,
                    "map": 0.1,
                },
                "variants": ["control", "collaborative_filtering"],
                "prediction_count": 245_678,
                "avg_latency_ms": 0.42,
            },
        ),
        errors=(500, 503),
    ),
    Route(
        "GET",
        "/v1/model/versions",
        "The models on disk, the newest first",
        answer=Body(
            answers.ModelVersionsAnswer,
            {
                "published": "20261122T020000Z",
                "serving": "20261122T020000Z",
                "versions": [
                    {
                        "model_version": "20261122T020000Z",
                        "trained_at": "2026-11-22T02:00:00Z",
                        "training_samples": 58_213,
                        "validation_metrics": {"ndcg_at_10": 0.17},
                        "validation": _VALIDATION,
                        "gate": {"compared_with": "20261121T020000Z", "forced": False, "overruled": []},
                        "problem": None,
                    }
                ],
                "refused": [
                    {
                        "model_version": "20261120T020000Z",
                        "refused_at": "2026-11-20T02:00:00Z",
                        "reasons": ["only 812 of the 4,105 people of model 20261119T020000Z are left"],
                        "training_samples": 9_104,
                        "validation": None,
                    }
                ],
            },
        ),
        errors=(500,),
    ),
    Route(
        "POST",
        "/v1/model/rollback",
        "Publish an earlier model again",
        request=Body(wire.RollbackRequest, {"model_version": "20261121T020000Z"}),
        answer=Body(
            answers.ModelRolledBackAnswer,
            {
                "status": "success",
                "model_version": "20261121T020000Z",
                "replaced": "20261122T020000Z",
            },
        ),
        errors=(400, 401, 403, 404, 409, 413, 500),
        access="required",
    ),
    Route(
        "POST",
        "/v1/model/retrain",
        "Train a new model when there is something new, in a process of its own",
        request=Body(wire.RetrainRequest, {"force": False}),
        answer=Body(answers.RetrainedAnswer, _RETRAINED),
        accepted=Body(
            answers.JobAnswer,
            {"job_id": "5f0c2b7d9a1e4c38", "status": "running", "reason": None, "result": None},
        ),
        errors=(400, 401, 403, 409, 413, 500, 503),
        parameters=(Parameter("Prefer", "header", "respond-async: answer at once with a job to ask for"),),
        access="required",
    ),
    Route(
        "GET",
        "/v1/model/jobs/{job_id}",
        "What became of a training that was started",
        answer=Body(
            answers.JobAnswer,
            {"job_id": "5f0c2b7d9a1e4c38", "status": "success", "reason": None, "result": _RETRAINED},
        ),
        errors=(401, 403, 404, 500),
        parameters=(Parameter("job_id", "path", "The id that the training was started with"),),
        access="required",
    ),
    Route(
        "GET",
        "/v1/users/{user_id}/data",
        "Everything that this service owns about a person",
        tag="people",
        answer=Body(
            answers.UserDataAnswer,
            {
                "user_id": "42",
                "feedback": [_FEEDBACK_RECORD],
                "predictions": [_PREDICTION_RECORD],
                "cached": [],
                "experiments": [_EXPERIMENT_RECORD],
                "erased_at": None,
            },
        ),
        errors=(400, 401, 403, 500, 503),
        parameters=(_USER_ID,),
        access="required",
    ),
    Route(
        "DELETE",
        "/v1/users/{user_id}",
        "Erase a person from this service",
        tag="people",
        answer=Body(
            answers.UserErasedAnswer,
            {"status": "success", "user_id": "42", "erased_rows": 15},
        ),
        also_with=(202,),
        errors=(400, 401, 403, 500, 503),
        parameters=(_USER_ID,),
        access="required",
    ),
    Route(
        "GET",
        "/health",
        "Whether the process is alive",
        tag="operation",
        answer=Body(
            answers.HealthAnswer,
            {
                "status": "healthy",
                "service": "ml-service",
                "model_version": "20261122T020000Z",
                "model_loaded": True,
                "timestamp": "2026-11-22T09:30:00Z",
            },
        ),
    ),
    Route(
        "GET",
        "/ready",
        "Whether the process should get traffic; 503 when it should not",
        tag="operation",
        also_with=(503,),
        answer=Body(
            answers.ReadyAnswer,
            {
                "status": "ready",
                "model_version": "20261122T020000Z",
                "database": "connected",
                "serving_from": "database",
                "data_age_seconds": 1.2,
                "problems": [],
            },
        ),
    ),
    Route("GET", "/metrics", "Figures for Prometheus", tag="operation", answer="text/plain"),
)

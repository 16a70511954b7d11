"""The operations of /v1/experiments, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from service.experiments import planning, wire
from service.openapi import Body, Parameter, Route

_ID = Parameter("experiment_id", "path", "The experiment")
_FORMAT = Parameter("format", "query", "csv (the default) or json")

_VARIANTS: list[dict[str, Any]] = [
    {
        "variant_id": "control",
        "name": "Popularity",
        "arm": "control",
        "settings": {},
        "weight": 0.5,
        "traffic_percentage": 50.0,
    },
    {
        "variant_id": "hybrid",
        "name": "All of them, blended",
        "arm": "hybrid",
        "settings": {},
        "weight": 0.5,
        "traffic_percentage": 50.0,
    },
]
_EXPERIMENT: dict[str, Any] = {
    "experiment_id": "blend_v1",
    "id": "blend_v1",
    "name": "Is the blend better",
    "description": "",
    "status": "running",
    "variants": _VARIANTS,
    "created_at": "2026-11-20T09:00:00Z",
    "metrics_tracked": ["click_through_rate", "save_rate"],
    "control": "control",
    "seed": "blend_v1",
    "layer": "blend_v1",
    "layer_from": 0.0,
    "layer_to": 1.0,
    "starts_at": "2026-11-20T09:05:00Z",
    "ends_at": None,
    "primary_metric": "click_through_rate",
    "guardrails": ["hide_rate", "latency_ms"],
    "planned_people": 4_000,
    "version": 2,
    "map_version": 1,
    "changed_at": "2026-11-20T09:05:00Z",
    "effective_at": "2026-11-20T09:05:00Z",
}
_CHANGES = [
    {
        "version": version,
        "changed_at": at,
        "effective_at": at,
        "what": what,
        "status": status,
        "weights": {"control": 1.0, "hybrid": 1.0},
    }
    for version, at, what, status in (
        (1, "2026-11-20T09:00:00Z", "created", "draft"),
        (2, "2026-11-20T09:05:00Z", "running", "running"),
    )
]
_ASKED_VARIANTS = [
    {"variant_id": "control", "arm": "control", "weight": 1.0},
    {"variant_id": "hybrid", "arm": "hybrid", "weight": 1.0},
]
_RESULTS = {
    "experiment_id": "blend_v1",
    "status": "running",
    "start_date": "2026-11-20T09:05:00Z",
    "participants": 812,
    "total_users": 812,
    "people_in_several_variants": 0,
    "variants": [
        {
            "variant_id": "control",
            "name": "Popularity",
            "participants": 405,
            "metrics": {"click_through_rate": 0.12, "save_rate": 0.031},
        }
    ],
}
_PLAN = {
    "people": 45_962,
    "people_one_look": 24_002,
    "per_variant": [22_981, 22_981],
    "days": 154,
    "baseline": 0.12,
    "standard_deviation": 0.325,
    "effect": 0.1,
    "difference": 0.012,
    "comparisons": 1,
    "alpha": 0.05,
    "power": 0.8,
}


def _admin(method: Any, path: str, summary: str, request: Body | None = None, status: int = 200) -> Route:
    return Route(
        method,
        path,
        summary,
        tag="experiments",
        request=request,
        answer=Body(wire.ExperimentAnswer, _EXPERIMENT),
        also_with=(status,) if status != 200 else (),
        errors=(400, 401, 403, 404, 409, 413, 500, 503),
        parameters=(_ID,) if "{" in path else (),
        access="required",
    )


EXPERIMENT_ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/experiments",
        "Every experiment",
        tag="experiments",
        answer=Body(wire.ExperimentsAnswer, {"experiments": [_EXPERIMENT], "count": 1}),
        errors=(500, 503),
    ),
    _admin(
        "POST",
        "/v1/experiments",
        "Make a draft of an experiment",
        Body(
            wire.ExperimentRequest,
            {"experiment_id": "blend_v1", "name": "Is the blend better", "variants": _ASKED_VARIANTS},
        ),
        status=201,
    ),
    Route(
        "POST",
        "/v1/experiments/plan",
        "How many people an experiment needs",
        tag="experiments",
        request=Body(planning.PlanRequest, {"effect": 0.1, "baseline": 0.12, "people_a_day": 300.0}),
        answer=Body(planning.PlanAnswer, _PLAN),
        errors=(400, 404, 413, 500, 503),
    ),
    Route(
        "GET",
        "/v1/experiments/{experiment_id}",
        "One experiment with all its changes",
        tag="experiments",
        answer=Body(wire.ExperimentDetailAnswer, {**_EXPERIMENT, "changes": _CHANGES}),
        errors=(404, 500, 503),
        parameters=(_ID,),
    ),
    _admin(
        "PATCH",
        "/v1/experiments/{experiment_id}",
        "Change an experiment; what is not named stays",
        Body(wire.ExperimentChange, {"variants": _ASKED_VARIANTS}),
    ),
    _admin("POST", "/v1/experiments/{experiment_id}/start", "Assign people from now on"),
    _admin("POST", "/v1/experiments/{experiment_id}/pause", "Assign nobody until it is started again"),
    _admin("POST", "/v1/experiments/{experiment_id}/complete", "Assign nobody any more"),
    Route(
        "GET",
        "/v1/experiments/{experiment_id}/results",
        "What came of an experiment",
        tag="experiments",
        answer=Body(wire.ResultsAnswer, _RESULTS),
        errors=(404, 500, 503),
        parameters=(_ID,),
    ),
    Route(
        "GET",
        "/v1/experiments/{experiment_id}/export",
        "The counts of each person, without names",
        tag="experiments",
        answer="text/csv",
        errors=(400, 401, 403, 404, 500, 503),
        parameters=(_ID, _FORMAT),
        access="required",
    ),
)

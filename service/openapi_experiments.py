"""The operations of /v1/experiments, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from service.experiments import planning, wire
from service.experiments.results import answers
from service.openapi import Body, Parameter, Route

_ID = Parameter("experiment_id", "path", "The experiment")
_FORMAT = Parameter("format", "query", "csv (the default) or json")

_RESULTS_FORMAT = Parameter(
    "format", "query", "json (the default), or csv with a row for each variant and metric"
)

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
_EFFECT_FIELDS = answers.EffectAnswer.__struct_fields__


def _effect(*figures: float) -> dict[str, float]:
    return dict(zip(_EFFECT_FIELDS, figures, strict=True))


def _result(variant_id: str, name: str, people: int, clicks: int, comparisons: list[Any]) -> dict[str, Any]:
    p = comparisons[0]["corrected_sequential_p_value"] if comparisons else None
    against = {"p_value": p, "is_significant": p is not None, "confidence_level": 0.95}
    return {
        "variant_id": variant_id,
        "variant_name": name,
        "name": name,
        "participants": people,
        "user_count": people,
        "exposures": 4 * people,
        "clicks": clicks,
        "saves": 500,
        "hides": 90,
        "errors": 0,
        "conversions": 1_200,
        "conversion_rate": 1_200 / people,
        "p_value": p,
        "metrics": {"click_through_rate": clicks / (4 * people), "save_rate": 500 / (4 * people)},
        "statistical_significance": {"vs_control": against} if comparisons else None,
        "comparisons": comparisons,
    }


_COMPARISON = {
    "metric": "click_through_rate",
    "role": "primary",
    "control": 0.12,
    "value": 0.138,
    "people": 8_000,
    "absolute": _effect(0.018, 0.0029, 0.0123, 0.0237, 5.6e-10, 0.0083, 0.0277, 1.1e-7),
    "relative": _effect(0.15, 0.0252, 0.1006, 0.1994, 2.9e-9, 0.0659, 0.2341, 5.1e-7),
    "cuped": None,
    "corrected_p_value": 1.1e-9,
    "corrected_sequential_p_value": 2.2e-7,
    "is_better": True,
    "is_worse": False,
    "power": {
        "smallest_difference": 0.0108,
        "smallest_lift": 0.09,
        "power_of_lift": {"0.05": 0.12, "0.1": 0.88, "0.2": 1.0},
    },
    "note": None,
}
_RESULTS = {
    "experiment_id": "blend_v1",
    "status": "running",
    "start_date": "2026-11-20T09:05:00Z",
    "participants": 8_000,
    "total_users": 8_000,
    "people_in_several_variants": 0,
    "planned_people": 8_000,
    "verdict": "hybrid wins",
    "explanation": [
        "hybrid is better than control in click_through_rate by +15.0% (+6.6% to +23.4% at 95 %)."
    ],
    "winner": "hybrid",
    "control": "control",
    "primary_metric": "click_through_rate",
    "confidence_level": 0.95,
    "comparisons": 2,
    "sample_ratio": {
        "p_value": 0.82,
        "is_mismatch": False,
        "observed": {"control": 4_010, "hybrid": 3_990},
        "expected": {"control": 4_000.0, "hybrid": 4_000.0},
        "unexpected": 0,
        "note": None,
    },
    "variants": [
        _result("control", "Popularity", 4_010, 1_925, []),
        _result("hybrid", "All of them, blended", 3_990, 2_203, [_COMPARISON]),
    ],
    "by_map_version": [],
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
        answer=Body(answers.ResultsAnswer, _RESULTS),
        errors=(400, 404, 500, 503),
        parameters=(_ID, _RESULTS_FORMAT),
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

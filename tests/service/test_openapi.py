import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from service import wire
from service.openapi import ROUTES, Body, Route, build_openapi

DOCUMENT = json.loads(json.dumps(build_openapi(ROUTES, "1.2.3")))

CONTRACT = {
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/feedback"),
    ("POST", "/v1/feedback/batch"),
    ("GET", "/v1/model/info"),
    ("GET", "/v1/model/versions"),
    ("POST", "/v1/model/rollback"),
    ("POST", "/v1/model/retrain"),
    ("GET", "/v1/model/jobs/{job_id}"),
    ("GET", "/v1/users/{user_id}/data"),
    ("DELETE", "/v1/users/{user_id}"),
}
SCHEMA_KEYS = {
    *("$ref", "type", "title", "description", "properties", "required", "additionalProperties", "items"),
    *("anyOf", "enum", "const", "default", "pattern", "minLength", "maxLength", "minimum", "maximum"),
    *("minItems", "maxItems", "exclusiveMinimum", "examples"),
}
JSON_TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def all_nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from all_nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from all_nodes(child)


def check_schema(schema: Any) -> None:
    """The part of JSON Schema 2020-12 that the generator uses, and nothing outside it."""
    assert isinstance(schema, dict)
    assert set(schema) <= SCHEMA_KEYS
    assert schema.get("type", "object") in JSON_TYPES
    assert set(schema.get("required", ())) <= set(schema.get("properties", {}))
    if "pattern" in schema:
        re.compile(schema["pattern"])
    for child in schema.get("properties", {}).values():
        check_schema(child)
    for child in schema.get("anyOf", ()):
        check_schema(child)
    if "items" in schema:
        check_schema(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        check_schema(schema["additionalProperties"])


def test_the_document_is_openapi_3_1_with_its_required_parts():
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["title"]
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert set(DOCUMENT) == {"openapi", "info", "paths", "components"}


def test_every_route_of_the_service_is_described():
    assert {(method.upper(), path) for method, path, _ in operations()} == CONTRACT


def test_every_operation_has_its_required_parts():
    for method, path, operation in operations():
        assert method in {"get", "post", "delete"}
        assert path.startswith("/")
        assert operation["summary"]
        assert "200" in operation["responses"]
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert response["description"]
            assert response["content"]


def test_operation_ids_are_unique_and_safe_as_names():
    ids = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in ids)


def test_the_parameters_of_a_path_are_exactly_those_that_it_names():
    for _, path, operation in operations():
        parameters = operation.get("parameters", [])
        in_path = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        for parameter in parameters:
            assert parameter["required"] is (parameter["in"] == "path")
            check_schema(parameter["schema"])


def test_every_schema_is_json_schema():
    for schema in DOCUMENT["components"]["schemas"].values():
        check_schema(schema)
    media = [node for node in all_nodes(DOCUMENT["paths"]) if "schema" in node]
    assert len(media) > len(ROUTES)
    for node in media:
        check_schema(node["schema"])


def test_every_reference_leads_somewhere():
    references = [node["$ref"] for node in all_nodes(DOCUMENT) if "$ref" in node]

    assert references
    for reference in references:
        target: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert isinstance(target, dict)


def test_every_component_is_used():
    used = {node["$ref"].rpartition("/")[2] for node in all_nodes(DOCUMENT) if "$ref" in node}

    assert used == set(DOCUMENT["components"]["schemas"])


def test_every_security_requirement_names_a_scheme():
    schemes = set(DOCUMENT["components"]["securitySchemes"])

    for _, _, operation in operations():
        for requirement in operation["security"]:
            assert set(requirement) <= schemes


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_example_decodes_into_its_type_without_losing_anything(route: Route):
    bodies = [body for body in (route.request, route.answer) if isinstance(body, Body)]
    for body in bodies:
        decoded = msgspec.json.decode(json.dumps(body.example), type=body.kind)
        encoded = msgspec.to_builtins(decoded)
        assert keys_of(encoded) >= keys_of(body.example)
    assert bodies or route.path == "/metrics"


def keys_of(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {path}.union(*(keys_of(child, f"{path}.{key}") for key, child in value.items()))
    if isinstance(value, list):
        return {path}.union(*(keys_of(child, f"{path}[{place}]") for place, child in enumerate(value)))
    return {path}


def test_an_error_that_passes_says_when_to_try_again():
    responses = DOCUMENT["paths"]["/v1/feedback"]["post"]["responses"]

    assert "Retry-After" in responses["503"]["headers"]
    assert "headers" not in responses["400"]


def test_readiness_has_the_same_body_whether_ready_or_not():
    responses = DOCUMENT["paths"]["/ready"]["get"]["responses"]

    assert responses["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/ReadyAnswer"
    }
    assert responses["503"]["content"] == responses["200"]["content"]


def test_the_limits_that_decoding_enforces_are_in_the_schemas():
    schemas = DOCUMENT["components"]["schemas"]

    assert {"type": "integer", "minimum": 1} in schemas["RecommendationRequest"]["properties"]["limit"][
        "anyOf"
    ]
    assert schemas["RecommendationRequest"]["additionalProperties"] is False
    assert sorted(schemas["FeedbackRequest"]["properties"]["action"]["enum"]) == sorted(wire.ACTIONS)
    assert schemas["FeedbackBatchRequest"]["properties"]["feedback"]["maxItems"] == wire.MAX_BATCH


def test_two_routes_with_one_address_are_refused():
    route = Route("GET", "/health", "Once", answer="text/plain")

    with pytest.raises(ValueError, match="two routes for GET /health"):
        build_openapi([route, route], "1")

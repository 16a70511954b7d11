"""Values made from a JSON Schema: the part of it that the OpenAPI document uses (`test_openapi` holds it to that)."""

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


def values_of(schema: Schema, components: Mapping[str, Schema]) -> st.SearchStrategy[Any]:
    """Values that a schema allows; `components` are what it may refer to, by name."""
    if "$ref" in schema:
        return values_of(components[schema["$ref"].rpartition("/")[2]], components)
    if "anyOf" in schema:
        return st.one_of([values_of(one, components) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            return _objects(schema, components)
        case "array":
            least = schema.get("minItems", 0)
            most = min(least + 4, schema.get("maxItems", least + 4))
            return st.lists(values_of(schema.get("items", {}), components), min_size=least, max_size=most)
        case "string":
            return _texts(schema)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return _numbers(schema)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return ANYTHING


def _objects(schema: Schema, components: Mapping[str, Schema]) -> st.SearchStrategy[dict[str, Any]]:
    members = {name: values_of(one, components) for name, one in schema.get("properties", {}).items()}
    required = {name: members.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=members)


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    least = schema.get("minLength", 0)
    most = min(least + 20, schema.get("maxLength", least + 20))
    free = st.text(min_size=least, max_size=most)
    if "pattern" not in schema:
        return free
    pattern = re.compile(schema["pattern"])
    made = st.from_regex(pattern).filter(lambda text: least <= len(text) <= schema.get("maxLength", 10**6))
    return made | free.filter(lambda text: pattern.search(text) is not None)


def _numbers(schema: Schema) -> st.SearchStrategy[float]:
    """Floats, and the whole numbers between them, which JSON tells from the others."""
    above = schema.get("exclusiveMinimum")
    low, high = schema.get("minimum", above), schema.get("maximum")
    floats = st.floats(low, high, exclude_min=above is not None, allow_nan=False, allow_infinity=False)
    return floats | floats.map(round).filter(lambda whole: low is None or whole > low)

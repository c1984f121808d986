"""As much of JSON Schema as our API description uses; anything else in it is a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
_KNOWN = {
    *("$ref", "type", "properties", "required", "items", "anyOf", "enum", "title", "description", "default"),
    *("maxLength", "minLength", "additionalProperties", "oneOf", "minItems", "maxItems"),
}


def mistakes(value: object, schema: Mapping[str, Any], components: Mapping[str, Any], at: str = "$") -> list[str]:
    """Return where a value does not fit a schema."""
    unknown = set(schema) - _KNOWN
    if unknown:
        return [f"{at}: the schema uses {sorted(unknown)}"]
    if "$ref" in schema:
        return mistakes(value, components[schema["$ref"].removeprefix("#/components/schemas/")], components, at)
    found = _of_alternatives(value, schema, components, at)
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is not one of {schema['enum']}")
    if "type" in schema and not _is_of(value, schema["type"]):
        return [f"{at}: {value!r} is no {schema['type']}"]
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        found.append(f"{at}: too long")
    if isinstance(value, list):
        found += _of_list(value, schema, components, at)
    if isinstance(value, dict):
        found += _of_object(value, schema, components, at)
    return found


def _is_of(value: object, kind: str) -> bool:
    is_odd_number = isinstance(value, bool) and kind in {"integer", "number"}
    return isinstance(value, _TYPES[kind]) and not is_odd_number


def _of_alternatives(value: object, schema: Mapping[str, Any], components: Mapping[str, Any], at: str) -> list[str]:
    found = []
    for word, most in (("anyOf", len(schema.get("anyOf", ()))), ("oneOf", 1)):
        fits = [not mistakes(value, each, components, at) for each in schema.get(word, ())]
        if word in schema and not 1 <= sum(fits) <= most:
            found.append(f"{at}: {value!r} fits {sum(fits)} alternatives of {word}")
    return found


def _of_list(value: list[object], schema: Mapping[str, Any], components: Mapping[str, Any], at: str) -> list[str]:
    found = []
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        found.append(f"{at}: {len(value)} items")
    for number, each in enumerate(value):
        found += mistakes(each, schema.get("items", {}), components, f"{at}[{number}]")
    return found


def _of_object(
    value: Mapping[str, object], schema: Mapping[str, Any], components: Mapping[str, Any], at: str
) -> list[str]:
    properties = schema.get("properties", {})
    found = [f"{at}: '{name}' is missing" for name in schema.get("required", []) if name not in value]
    if schema.get("type") == "object" and properties:
        found += [f"{at}: '{name}' is not described" for name in value if name not in properties]
    for name, each in value.items():
        if name in properties:
            found += mistakes(each, properties[name], components, f"{at}.{name}")
    return found

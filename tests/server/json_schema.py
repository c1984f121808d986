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
    *("maxLength", "minLength", "additionalProperties"),
}


def mistakes(value: object, schema: Mapping[str, Any], components: Mapping[str, Any], at: str = "$") -> list[str]:
    """Return where a value does not fit a schema."""
    unknown = set(schema) - _KNOWN
    if unknown:
        return [f"{at}: the schema uses {sorted(unknown)}"]
    if "$ref" in schema:
        return mistakes(value, components[schema["$ref"].removeprefix("#/components/schemas/")], components, at)
    if "anyOf" in schema:
        fits = [not mistakes(value, each, components, at) for each in schema["anyOf"]]
        return [] if any(fits) else [f"{at}: {value!r} fits no alternative"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is not one of {schema['enum']}")
    if "type" in schema and not _is_of(value, schema["type"]):
        return [f"{at}: {value!r} is no {schema['type']}"]
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        found.append(f"{at}: too long")
    if isinstance(value, list):
        for number, each in enumerate(value):
            found += mistakes(each, schema.get("items", {}), components, f"{at}[{number}]")
    if isinstance(value, dict):
        found += _of_object(value, schema, components, at)
    return found


def _is_of(value: object, kind: str) -> bool:
    is_odd_number = isinstance(value, bool) and kind in {"integer", "number"}
    return isinstance(value, _TYPES[kind]) and not is_odd_number


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

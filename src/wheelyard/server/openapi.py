"""The description of the management API, made from its table of operations. Spec: OpenAPI 3.1."""

from __future__ import annotations

import re
from functools import cache

import msgspec

from wheelyard import __version__
from wheelyard.server.api import OPERATIONS, Operation, UnyankRequest, YankRequest

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_STATUSES = {
    "400": "The request cannot be understood",
    "401": "Credentials are missing or wrong",
    "403": "These credentials may not do this",
    "404": "No such index, project, release or file",
    "405": "The address takes other methods",
    "413": "The request is too large",
    "502": "Another index answered something that is no project page",
    "503": "The storage, or another index, cannot be asked right now; try again",
}
_EITHER = [
    {"required": ["version"], "properties": {"version": {"type": "string"}, "files": {"maxItems": 0}}},
    {"required": ["files"], "properties": {"version": {"type": "null"}, "files": {"minItems": 1}}},
]
"""What the types of `YankRequest` and `UnyankRequest` cannot say: a release or some of its files, not both and not neither."""


class Problem(msgspec.Struct):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str = ""


@cache
def description() -> bytes:
    """Return the OpenAPI document."""
    types = [Problem, *(each for operation in OPERATIONS for each in (operation.answer, operation.body) if each)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    del schemas
    for either in (YankRequest, UnyankRequest):
        components[either.__name__]["oneOf"] = _EITHER
    paths: dict[str, dict[str, object]] = {}
    for operation in OPERATIONS:
        paths.setdefault(f"/api/v1/{operation.path}", {})[operation.method.lower()] = _described(operation)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Wheelyard management API",
                "version": __version__,
                "description": "Everything the command line can do on a running server.",
            },
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            },
            "security": [{"basic": []}],
        }
    )


def _described(operation: Operation) -> dict[str, object]:
    described: dict[str, object] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in re.findall(r"{(\w+)}", operation.path)
        ],
        "responses": {
            "200": {
                "description": "Done",
                "content": {"application/json": {"schema": _reference(operation.answer)}},
            },
            **{
                status: {"description": text, "content": {"application/problem+json": {"schema": _PROBLEM}}}
                for status, text in _STATUSES.items()
            },
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _reference(operation.body)}},
        }
    return described


def _reference(of: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{of.__name__}"}

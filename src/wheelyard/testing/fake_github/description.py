"""
GitHub's own description of its interface, and what it finds wrong with requests and answers.

`tools/github_openapi.py` fetches it when the tests are set up, cut to the operations the double has. It is looked up by an
operation's name, never by its path: in the description a path has one part where GitHub takes several (`git/refs/heads/main`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema_rs import Draft7Validator

    from wheelyard.testing.fake_github.wire import Answer, Request

FOLDER = Path(__file__).parents[4] / ".cache" / "github-openapi"
"""Where the set-up leaves it, in a checkout of the project."""

_EVERYWHERE = {400: "basic-error", 401: "basic-error", 403: "basic-error", 404: "basic-error", 411: "basic-error"} | {
    # Whatever an operation's own list says, these can come from what stands in front of it.
    422: "validation-error",
    429: "basic-error",
    500: "basic-error",
    502: "basic-error",
    503: "basic-error",
}
_OK_BELOW = 400
_LOOKED_AT = 3  # of a list, for fields nobody knows: its items are all made by one function
Schema = Mapping[str, Any]
"""JSON Schema, as read."""


class Description:
    """
    The description of one kind of GitHub, cut.

    Args:
        operations: What `tools/github_openapi.py` wrote, by GitHub's names.
        components: The schemas they refer to.
    """

    def __init__(self, operations: Mapping[str, Schema], components: Mapping[str, Any]) -> None:
        self.operations = operations
        self._components = components
        self._validators: dict[str, Draft7Validator] = {}

    @classmethod
    def found(cls, base: str) -> Description | None:
        """The one of a kind of GitHub; None when the set-up has not left it, or nothing here can read it."""
        try:
            import jsonschema_rs  # noqa: F401, PLC0415  only tests have it
        except ImportError:
            return None
        path = FOLDER / f"{base}.json"
        return _read(path, path.stat().st_mtime_ns) if path.is_file() else None

    def wrong_in_request(self, operation: str, request: Request) -> list[str]:
        """What is wrong with a request: fields of the query nobody knows, a body that is not as described."""
        described = self.operations.get(operation)
        if described is None:
            return []
        where = f"{request.method} {request.path}"
        unknown = sorted(request.query.keys() - described["query"].keys())
        wrong = [f"{where}: {operation} has no `{name}` in its query" for name in unknown]
        if described["body"] is None or not request.body:
            return wrong
        try:
            body = json.loads(request.body)
        except ValueError:
            return [*wrong, f"{where}: the body is no JSON"]
        return wrong + [f"{where}: {each}" for each in self._wrong(f"{operation} body", described["body"], body)]

    def wrong_in_answer(self, operation: str, answer: Answer) -> list[str]:
        """What is wrong with an answer: its status, its body, fields GitHub does not send."""
        described = self.operations.get(operation)
        if described is None:
            return []  # that is for the tests to find: not every GitHub has every operation
        if answer.value is None:
            return self._wrong_status(described, answer)
        schema = self._schema(described["answers"], answer.status)
        if schema is None:
            return [f"{operation} never answers {answer.status} with JSON"]
        key = f"{operation} {answer.status}"
        return [*self._wrong(key, schema, answer.value), *self._unknown(schema, answer.value, key)]

    def _wrong_status(self, described: Schema, answer: Answer) -> list[str]:
        if str(answer.status) not in described["answers"]:
            return [f"{answer.status} is no answer GitHub describes"]
        if answer.status == 204 and answer.body:  # noqa: PLR2004
            return ["204 has no body"]
        return []

    def _schema(self, answers: Mapping[str, Mapping[str, Schema]], status: int) -> Schema | None:
        for kind, schema in answers.get(str(status), {}).items():
            if kind.partition(";")[0].endswith("json"):
                return schema
        if status >= _OK_BELOW and status in _EVERYWHERE:
            return {"$ref": f"#/components/schemas/{_EVERYWHERE[status]}"}
        return None

    def _wrong(self, key: str, schema: Schema, value: object) -> list[str]:
        validator = self._validators.get(key)
        if validator is None:
            from jsonschema_rs import Draft7Validator  # noqa: PLC0415  only tests have it

            whole = {"allOf": [schema], "components": self._components}
            validator = self._validators[key] = Draft7Validator(
                whole, validate_formats=True, ignore_unknown_formats=True
            )
        return [
            f"{key}: {'.'.join(map(str, each.instance_path))} {each.message[:300]}"
            for each in validator.iter_errors(value)
        ]

    def _unknown(self, schema: Schema, value: object, where: str) -> Iterator[str]:
        """Fields that are in no part of the schema: an honest double does not make up any."""
        if isinstance(value, list):
            items = self._merged(schema).get("items", {})
            for each in value[:_LOOKED_AT]:
                yield from self._unknown(items, each, where)
        elif isinstance(value, dict):
            merged = self._merged(schema)
            fields = merged.get("properties", {})
            for name, inner in value.items():
                if name in fields:
                    yield from self._unknown(fields[name], inner, f"{where}.{name}")
                elif fields and not merged.get("additionalProperties"):
                    yield f"{where}: GitHub sends no `{name}`"

    def _merged(self, schema: Schema) -> dict[str, Any]:
        """A schema with all its alternatives thrown together: what it could have at all."""
        if "$ref" in schema:
            return self._merged(self._components["schemas"][schema["$ref"].rpartition("/")[2]])
        merged = {**schema, "properties": dict(schema.get("properties", {}))}
        for alternatives in ("allOf", "anyOf", "oneOf"):
            for each in schema.get(alternatives, ()):
                other = self._merged(each)
                merged = {**other, **merged, "properties": other.get("properties", {}) | merged["properties"]}
        return merged


@lru_cache(maxsize=4)
def _read(path: Path, _changed_ns: int) -> Description:
    whole = json.loads(path.read_text(encoding="utf-8"))
    _correct(whole)
    return Description(whole["operations"], whole["components"])


def _correct(whole: dict[str, Any]) -> None:
    """Mend the description where it contradicts itself; each place is named, so that nothing else gets through."""
    states = whole["components"]["schemas"]["release-asset"]["properties"]["state"]["enum"]
    states.append("starter")  # which the prose of the same description names, as what a failed upload leaves
    listed = whole["operations"].get("apps/list-installations")
    if listed is not None:  # its own copy of the schema wants an account to be a person and an enterprise at once
        listed["answers"]["200"]["application/json"]["items"] = {"$ref": "#/components/schemas/installation"}

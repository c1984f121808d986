"""The description of the API is valid, complete, and true."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from server.json_schema import mistakes
from server.sites import WRITE, Site
from wheelyard.server.api import OPERATIONS
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

pytestmark = pytest.mark.anyio

METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}


@pytest.fixture
async def description(site: Site) -> dict[str, Any]:
    answer = await site.get("/api/openapi.json", auth=None)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert isinstance(document, dict)
    return document


def operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for each in value.values() for found in references(each)]
    return [found for each in value for found in references(each)] if isinstance(value, list) else []


async def test_shape(description: dict[str, Any]) -> None:
    """OpenAPI 3.1: what the document must have is there."""
    assert re.fullmatch(r"3\.1\.\d+", description["openapi"])
    assert {"title", "version"} <= set(description["info"])
    assert {"paths", "components"} <= set(description)
    for _, _, operation in operations(description):
        assert operation["summary"]
        assert operation["responses"]
        for response in operation["responses"].values():
            assert response["description"]


async def test_references(description: dict[str, Any]) -> None:
    """Every reference leads to a schema that is there."""
    for reference in references(description):
        assert reference.removeprefix("#/components/schemas/") in description["components"]["schemas"]


async def test_parameters(description: dict[str, Any]) -> None:
    """The parameters of an operation are those of its path."""
    for path, _, operation in operations(description):
        named = [parameter["name"] for parameter in operation["parameters"]]
        assert named == re.findall(r"{(\w+)}", path)
        assert all(parameter["in"] == "path" and parameter["required"] for parameter in operation["parameters"])


async def test_identifiers(description: dict[str, Any]) -> None:
    """Every operation has a name of its own, and each of ours is described."""
    names = [operation["operationId"] for _, _, operation in operations(description)]
    assert sorted(names) == sorted(set(names)) == sorted(operation.id for operation in OPERATIONS)


async def test_schemas_are_understood(description: dict[str, Any]) -> None:
    """The schemas use nothing that our checker does not know, so that the tests below check everything."""
    schemas = description["components"]["schemas"]
    for name, schema in schemas.items():
        for found in mistakes({}, schema, schemas):
            assert "the schema uses" not in found, name


async def test_routes(site: Site, description: dict[str, Any]) -> None:
    """Each described address takes exactly the described methods (and HEAD where it takes GET)."""
    await site.publish(WheelBuilder())
    values = {"index": "main", "project": "none-such", "version": "1.0", "filename": "x"}
    for path, item in description["paths"].items():
        url = path.format(**values)
        for method in METHODS - {"head"}:
            answer = await site.ask(method.upper(), url, auth=WRITE)
            assert (answer.status_code == 405) == (method not in item), f"{method} {url}"
            if answer.status_code == 405:
                assert {each.strip().lower() for each in answer.headers["allow"].split(",")} == set(item)


@pytest.mark.parametrize("name", ["YankRequest", "UnyankRequest"])
@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"version": "1.0"}, True),
        ({"files": ["demo-1.0.tar.gz"]}, True),
        ({"version": "1.0", "files": []}, True),
        ({}, False),
        ({"version": None, "files": []}, False),
        ({"version": "1.0", "files": ["demo-1.0.tar.gz"]}, False),
    ],
)
async def test_what_to_yank(
    site: Site, description: dict[str, Any], name: str, body: dict[str, object], *, fits: bool
) -> None:
    """The description says what the operation does: it takes a release or some of its files, not both and not neither."""
    await site.publish(SdistBuilder())
    schemas = description["components"]["schemas"]
    assert (mistakes(body, schemas[name], schemas) == []) == fits
    operation = "yank" if name == "YankRequest" else "unyank"
    answer = await site.ask("POST", f"/api/v1/indexes/main/projects/demo/{operation}", json=body, auth=WRITE)
    assert answer.status_code == (200 if fits else 400)


CALLS = {
    "show_index": None,
    "list_projects": None,
    "show_project": None,
    "yank": {"files": ["demo-1.0.tar.gz"], "reason": "x"},
    "unyank": {"version": "1.0"},
    "set_status": {"status": "deprecated", "reason": "x"},
    "delete_file": None,
    "delete_release": None,
    "delete_project": None,
}


@pytest.mark.parametrize("name", CALLS)
async def test_answers(site: Site, description: dict[str, Any], name: str) -> None:
    """What an operation takes and answers is what its description says."""
    await site.publish(WheelBuilder())
    await site.publish(SdistBuilder(requires_python=">=3.9"))
    schemas = description["components"]["schemas"]
    path, method, operation = next(each for each in operations(description) if each[2]["operationId"] == name)
    url = path.format(index="main", project="demo", version="1.0", filename="demo-1.0.tar.gz")
    body = CALLS[name]
    if body is not None:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert mistakes(body, schema, schemas) == []
        assert mistakes({**body, "odd": 1}, schema, schemas)
    answer = await site.ask(method.upper(), url, auth=WRITE, content=b"" if body is None else json.dumps(body).encode())
    assert answer.status_code == 200, answer.text
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert mistakes(answer.json(), schema, schemas) == []


@pytest.mark.parametrize("name", CALLS)
async def test_refusals(site: Site, description: dict[str, Any], name: str) -> None:
    """Each refusal has the described status and body."""
    schemas = description["components"]["schemas"]
    path, method, operation = next(each for each in operations(description) if each[2]["operationId"] == name)
    url = path.format(index="main", project="none", version="1.0", filename="x")
    for auth in (None, ("main", "wrong"), ("main", "read-secret"), WRITE):
        answer = await site.ask(method.upper(), url, auth=auth, json=CALLS[name] or {})
        if answer.status_code == 200:
            continue
        content = operation["responses"][str(answer.status_code)]["content"]
        schema = content["application/problem+json"]["schema"]
        assert mistakes(answer.json(), schema, schemas) == [], answer.text

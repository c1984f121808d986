"""
Fetch GitHub's own description of its interface for the tests, cut to what the double of GitHub answers.

It comes from npm, by exact version and hash, into `.cache/github-openapi/`: the cut descriptions of github.com and of GitHub
Enterprise Server, recorded answers, and the GraphQL schema. Nothing of it is committed. Without npm the tests that need it are
skipped, except in continuous integration, where this fails.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wheelyard.testing.fake_github import endpoints
from wheelyard.testing.fake_github.routing import operations

CACHE = Path(__file__).parents[1] / ".cache" / "github-openapi"
CUT_FORMAT = 2  # raised when what is written here changes

PACKAGES = {
    "@octokit/openapi@23.0.2": "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==",
    "@octokit/fixtures@23.1.2": "niG+SVffZ/xzojT3CE6M7DlqX7H9aQ75A6Xxjt4N47CkqssKXpSy2k6+Tj5ntcI5uWW2D9POzKxwJDmBfR+sJw==",
    "@octokit/graphql-schema@15.26.1": "RFDC2MpRBd4AxSRvUeBIVeBU7ojN/SxDfALUd7iVYOSeEK3gZaqR2MGOysj4Zh2xj2RY5fQAUT+Oqq7hWTraMA==",
}
"""What is fetched, with its sha512; npm's own check would trust whatever its registry says today."""

DESCRIPTIONS = {"github.com": "api.github.com.json", "ghes": "ghes-3.19.json"}
RECORDED = ("create-file", "errors", "get-archive", "git-refs", "release-assets", "release-assets-conflict")

Json = dict[str, Any]
"""A part of a description; what is in it, it says itself."""


def main() -> None:
    """Fetch and cut, unless it is done already."""
    stamp = CACHE / "stamp.json"
    wanted = json.dumps({"format": CUT_FORMAT, "packages": sorted(PACKAGES.items()), "operations": _wanted()})
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    npm = shutil.which("npm")
    if npm is None:
        text = "npm is missing: answers of the double of GitHub cannot be checked against GitHub's description."
        if os.environ.get("CI") == "true":
            sys.exit(text)
        print(f"{text}\nInstall npm, or `make node`, and run `make github-openapi` again.")
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        for package, digest in PACKAGES.items():
            _take(package, _packed(npm, package, digest, Path(folder)))
    stamp.write_text(wanted, encoding="utf-8")


def _wanted() -> list[str]:
    endpoints.register()
    return operations()


def _packed(npm: str, package: str, digest: str, folder: Path) -> Path:
    """Fetch one package and check its bytes."""
    command = [npm, "pack", package, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")  # noqa: S603  npm, found above
    archive = folder / done.stdout.split()[-1]
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != digest:
        sys.exit(f"{package} has sha512 {found}, not {digest}: somebody changed it; it is not used")
    return archive


def _take(package: str, archive: Path) -> None:
    """Keep of a package what is needed."""
    with tarfile.open(archive) as packed:
        if package.startswith("@octokit/openapi@"):
            for base, name in DESCRIPTIONS.items():
                whole = json.loads(_member(packed, f"package/generated/{name}"))
                (CACHE / f"{base}.json").write_text(json.dumps(cut(whole, set(_wanted()))), encoding="utf-8")
        elif package.startswith("@octokit/fixtures@"):
            for name in RECORDED:
                member = f"package/scenarios/api.github.com/{name}/normalized-fixture.json"
                (CACHE / f"recorded-{name}.json").write_bytes(_member(packed, member))
        else:
            (CACHE / "schema.graphql").write_bytes(_member(packed, "package/schema.graphql"))


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    stream = packed.extractfile(name)
    assert stream is not None
    return stream.read()


def cut(whole: Json, wanted: set[str]) -> Json:
    """
    Keep the wanted operations with all they refer to, as plain JSON Schema.

    Returns:
        `operations`: for each its `parameters`, its `body` schema and its `answers` (status to media type to schema or null);
        `components`: the schemas they refer to.
    """
    kept: Json = {}
    for item in whole["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict) and operation.get("operationId") in wanted:
                kept[operation["operationId"]] = _operation(whole, operation)
    components: Json = {}
    waiting = list(_references(kept))
    while waiting:
        reference = waiting.pop()
        kind, name = reference.split("/")[-2:]
        if kind != "schemas":
            raise ValueError(f"{reference} is no schema")
        if name not in components:
            components[name] = _plain(whole["components"]["schemas"][name])
            waiting.extend(_references(components[name]))
    return {"version": whole["info"]["version"], "operations": kept, "components": {"schemas": components}}


def _operation(whole: Json, operation: Json) -> Json:
    parameters = [_resolved(whole, each) for each in operation.get("parameters", ())]
    answers: Json = {}
    for status, answer in operation["responses"].items():
        content = _resolved(whole, answer).get("content", {})
        answers[status] = {kind: _plain(media.get("schema", {})) for kind, media in content.items()}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    query = {each["name"]: _plain(each["schema"]) for each in parameters if each["in"] == "query"}
    return {"query": query, "body": _plain(body) if body else None, "answers": answers}


def _resolved(whole: Json, item: Json) -> Json:
    if "$ref" not in item:
        return item
    kind, name = item["$ref"].split("/")[-2:]
    found: Json = whole["components"][kind][name]
    return found


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _plain(schema: Any) -> Any:  # a schema holds texts, numbers, lists and schemas
    """
    As JSON Schema says it: `nullable` is a type, examples are dropped.

    `oneOf` becomes `anyOf`: of GitHub's alternatives one is often a part of the other, so that no true answer fits just one.
    """
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        "anyOf" if name == "oneOf" else name: _plain(each)
        for name, each in schema.items()
        if name not in ("properties", "example", "examples", "nullable", "description", "externalDocs", "deprecated")
    }
    if "properties" in schema:
        plain["properties"] = {name: _plain(inner) for name, inner in schema["properties"].items()}
    return _or_null(plain) if schema.get("nullable") is True else plain


def _or_null(plain: Json) -> Json:
    if isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
        if "enum" in plain and None not in plain["enum"]:
            plain["enum"] = [*plain["enum"], None]
        return plain
    return {"anyOf": [plain, {"type": "null"}]}


if __name__ == "__main__":
    main()

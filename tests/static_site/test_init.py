"""`wheelyard site init`: workflows that hosts take, with no more rights than they need, and what readers are told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from wheelyard.cli.dispatch import run
from wheelyard.site.recipes import HOSTS, Wishes, recipe

WHERE = {
    "github": ".github/workflows/python-index.yml",
    "gitlab": ".gitlab/python-index.yml",
    "bitbucket": "bitbucket-pipelines.yml",
    "gitea": ".gitea/workflows/python-index.yml",
    "s3": ".github/workflows/python-index.yml",
}
SCHEMAS = {"gitlab": "gitlab-ci", "bitbucket": "bitbucket-pipelines"}
CASES = [(host, private) for host in HOSTS for private in (False, True)]


def made(host: str, **wishes: Any) -> tuple[dict[str, Any], str]:
    """Return a workflow, parsed and as text."""
    address = "s3://our-bucket/python" if host == "s3" else None
    given = {"index": "main", "config": "wheelyard.toml", "branch": "main", "address": address} | wishes
    (text,) = recipe(Wishes(host=host, **given)).files.values()
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return document, text


@pytest.mark.parametrize(("host", "private"), CASES)
def test_workflow_is_what_the_host_takes(host: str, *, private: bool) -> None:
    """Each workflow is YAML that the published schema of its host accepts."""
    schema = get_builtin_schema(f"vendor.{SCHEMAS.get(host, 'github-workflows')}")
    validator = jsonschema_rs.validator_for(schema)
    assert [error.message for error in validator.iter_errors(made(host, private=private)[0])] == []
    assert not validator.is_valid({"jobs": 1, "pipelines": 1})


@pytest.mark.parametrize(("host", "private"), [case for case in CASES if case[0] in ("github", "s3")])
def test_rights_are_the_least(host: str, *, private: bool) -> None:
    """No job has rights by default; building reads only, but where the result is a branch; no token is left in the checkout."""
    document, text = made(host, private=private)
    assert document["permissions"] == {}
    is_branch = host == "github" and private
    rights = {name: job["permissions"] for name, job in document["jobs"].items()}
    assert rights["build"] == (
        {"contents": "write"} if is_branch else {"contents": "read"} | ({"id-token": "write"} if host == "s3" else {})
    )
    if "deploy" in rights:
        assert rights["deploy"] == {"pages": "write", "id-token": "write"}
    assert "persist-credentials: false" in text
    assert not re.search(r"run: .*\$\{\{", text), "an expression in a shell line is code that others may write"


@pytest.mark.parametrize("host", ["github", "gitea", "s3"])
def test_built_on_push_tag_and_release(host: str) -> None:
    """A push to the branch, a tag and a release each start a build; nobody waits for a timer."""
    events = made(host)[0]["on"]
    assert events["push"] == {"branches": ["main"], "tags": ["*"]}
    assert "published" in events["release"]["types"]
    assert "schedule" not in events


@pytest.mark.parametrize(("host", "private"), CASES)
def test_nothing_removed_is_used(host: str, *, private: bool) -> None:
    """Commands and actions that hosts have taken away are in no workflow."""
    text = made(host, private=private)[1]
    for gone in (
        "::set-env",
        "::set-output",
        "::save-state",
        "::add-path",
        "checkout@v1",
        "checkout@v2",
        "checkout@v3",
        "only:",
    ):
        assert gone not in text
    assert "@MISSING" not in text
    assert not re.search("@[A-Z_]+@", text)


@pytest.mark.parametrize("host", HOSTS)
def test_odd_names_stay_text(host: str) -> None:
    """Names with quotes, colons and dollars neither break the YAML nor reach a shell."""
    odd = 'we\'ird: $(touch x) "q"'
    document, text = made(host, index=odd, branch="release/1.x")
    assert document
    assert f"--index {odd}" not in text


@pytest.mark.parametrize("host", HOSTS)
def test_private_is_said_plainly(host: str) -> None:
    """For private packages each host's limits are named, with what works instead."""
    said = "\n".join(
        recipe(Wishes(host=host, index="main", config="c", branch="main", address="s3://b/p", private=True)).lines
    )
    assert "public" in said or "cannot" in said
    assert "wheelyard server" in said
    assert "file://" in said


def test_clients_are_told_the_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes the file and prints the lines of each client, with the address that was given."""
    code = run(
        ["wheelyard", "site", "init", "github", "--folder", str(tmp_path), "--url", "https://x.example.org/p"], {}
    )
    assert code == 0
    assert (tmp_path / WHERE["github"]).is_file()
    said = capsys.readouterr().out
    for client in ("pip ", "uv ", "poetry ", "pdm ", "pipenv ", "conda "):
        assert f"\n{client}" in said
    assert "https://x.example.org/p/simple/" in said


@pytest.mark.parametrize("host", HOSTS)
def test_files_that_differ_are_kept(host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of that name with other content is kept and the command fails; the same content is fine; `--force` replaces."""
    command = ["wheelyard", "site", "init", host, "--folder", str(tmp_path), "--to", "s3://b/p"]
    assert run(command, {}) == 0
    assert run(command, {}) == 0
    path = tmp_path / WHERE[host]
    path.write_text("mine")
    assert run(command, {}) == 1
    assert path.read_text() == "mine"
    assert run([*command, "--force"], {}) == 0
    assert path.read_text() != "mine"


def test_pipeline_of_a_gitlab_project_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A `.gitlab-ci.yml` that people have stays theirs; they are told the line it needs."""
    (tmp_path / ".gitlab-ci.yml").write_text("test: {script: make test}\n")
    assert run(["wheelyard", "site", "init", "gitlab", "--folder", str(tmp_path), "--force"], {}) == 0
    assert (tmp_path / ".gitlab-ci.yml").read_text() == "test: {script: make test}\n"
    assert "- local: .gitlab/python-index.yml" in capsys.readouterr().out
    fresh = tmp_path / "fresh"
    assert run(["wheelyard", "site", "init", "gitlab", "--folder", str(fresh)], {}) == 0
    assert YAML(typ="safe", pure=True).load(fresh / ".gitlab-ci.yml") == {
        "include": [{"local": ".gitlab/python-index.yml"}]
    }


def test_a_bucket_has_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `--to` nobody can know the bucket: an error that says what to give."""
    assert run(["wheelyard", "site", "init", "s3", "--folder", str(tmp_path)], {}) == 1
    assert "Give --to s3://" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

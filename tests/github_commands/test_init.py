"""`wheelyard github.init_pkg_repo`: what is made at GitHub, what is printed, and what refusals say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from github_commands.conftest import Command
from wheelyard.backends.github import commands_init
from wheelyard.backends.github.workflow import PATH, Workflow
from wheelyard.server import targets
from wheelyard.testing.fake_github import FakeGitHub, Repository

INIT = ("github.init_pkg_repo", "--name", "private-pypi-pkg-repo", "--repo", "private-pypi-pkg-repo")

live = pytest.mark.slow


def _tables(out: str) -> list[dict[str, Any]]:
    """Return the TOML tables of an output, in order."""
    found = re.findall(r"^(\[.+\]\n(?:\w+ = .+\n)+)", out, re.MULTILINE)
    return [tomllib.loads(text) for text in found]


def _workflow(text: bytes | str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return document


def _made(github: FakeGitHub, owner: str = "ana") -> Repository:
    return github.repositories[f"{owner}/private-pypi-pkg-repo"]


# --- what is made ---------------------------------------------------------------------------------------------------


@live
def test_for_a_user(command: Command, github: FakeGitHub, token: str) -> None:
    """A private repository of the token's user, with the index branch beside the default one, whose workflow is written."""
    done = command(*INIT, "--token", token)
    assert done.code == 0
    made = _made(github)
    assert made.private
    assert made.branches() == ["index", "main"]
    assert set(made.files("main")) == {"README.md", PATH}
    assert set(made.files("index")) == {"README.md"}
    assert not made.git.commits[made.head("index")].parents
    assert len(github.calls) <= 9
    assert token not in done.out + done.err


@live
def test_for_an_organization(command: Command, github: FakeGitHub, token: str) -> None:
    """With an owner that is not the user, the organisation gets it; all flags of the manual, in its spelling."""
    github.organization("private-pypi", members={"ana": "admin"})
    done = command(
        "github.init_pkg_repo", "--name=private-pypi-pkg-repo", "--owner=private-pypi", "--repo=private-pypi-pkg-repo",
        f"--token={token}", "--branch=records", "--index_filename=list.toml", "--sync_index_interval=5",
        "--private_pypi_version=0.2.0", "--enable_gh_pages=False", "--dry_run=False",
    )  # fmt: skip
    assert done.code == 0, done.err
    made = _made(github, "private-pypi")
    assert made.private
    assert made.branches() == ["main", "records"]
    config, secret = _tables(done.out)
    assert config == {
        "private-pypi-pkg-repo": {
            "type": "github", "owner": "private-pypi", "repo": "private-pypi-pkg-repo", "branch": "records",
            "index_filename": "list.toml", "api_url": github.api_url, "sync_index_interval": 5,
        }
    }  # fmt: skip
    assert secret == {"private-pypi-pkg-repo": {"type": "github", "raw": "<personal-access-token>"}}


@live
def test_pages(command: Command, github: FakeGitHub) -> None:
    """With Pages the repository is public, its site is built by the workflow, and that it is public is told."""
    done = command(*INIT, "--enable_gh_pages")
    assert done.code == 0
    made = _made(github)
    assert not made.private
    assert made.pages == {"build_type": "workflow"}
    assert "public repository ana/private-pypi-pkg-repo" in done.err
    assert set(_workflow(made.files("main")[PATH])["jobs"]) == {"build", "deploy"}


@live
def test_again(command: Command, github: FakeGitHub) -> None:
    """A second run goes on with what the first one made, changes nothing, and prints the same."""
    first = command(*INIT)
    refs = dict(_made(github).refs)
    second = command(*INIT)
    assert (second.code, second.out) == (0, first.out)
    assert "is there already" in second.err
    assert _made(github).refs == refs


@live
@pytest.mark.parametrize("path", [f"/contents/{PATH}", "/git/refs", "/git/commits"])
def test_goes_on_after_trouble(command: Command, github: FakeGitHub, path: str) -> None:
    """Whatever step failed, running again makes what is missing."""
    github.switches.fail(422, method="PUT" if "contents" in path else "POST", path=path, message="no")
    first = command(*INIT)
    assert (first.code, first.out) == (1, "")
    assert command(*INIT).code == 0
    made = _made(github)
    assert made.branches() == ["index", "main"]
    assert PATH in made.files("main")


@live
def test_a_repository_of_others(command: Command, github: FakeGitHub, token: str) -> None:
    """A repository that this command did not make is refused, unless it is to be used; then only what lacks is added."""
    found = github.repository("ana/private-pypi-pkg-repo", default_branch="trunk")
    found.commit({"code.py": b"pass\n"})
    refs = dict(found.refs)
    done = command(*INIT)
    assert (done.code, found.refs) == (1, refs)
    assert "was not made by this command" in done.err
    assert "--existing" in done.err
    assert command(*INIT, "--existing").code == 0
    assert found.branches() == ["index", "trunk"]
    assert set(found.files("trunk")) == {"README.md", "code.py", PATH}
    assert _workflow(found.files("trunk")[PATH])["on"]["push"] == {"branches": ["trunk"]}
    done = command(*INIT, "--existing", "--enable_gh_pages")
    assert done.code == 1
    assert "is private" in done.err


@live
def test_a_changed_workflow_stays(command: Command, github: FakeGitHub) -> None:
    """A workflow that somebody changed is left as it is, and that is told."""
    command(*INIT)
    _made(github).commit({PATH: b"on: push\n"})
    done = command(*INIT)
    assert done.code == 0
    assert "differs, and is left as it is" in done.err
    assert _made(github).files("main")[PATH] == b"on: push\n"


@live
def test_dry_run(command: Command, github: FakeGitHub) -> None:
    """A dry run prints what would be done, the workflow and the configuration, asks nobody and needs no token."""
    done = command(*INIT, "--owner", "acme", "--dry_run", env={"GH_TOKEN": ""})
    assert (done.code, done.err, github.calls) == (0, "", [])
    assert "would make the private repository acme/private-pypi-pkg-repo" in done.out
    assert "name: update-index" in done.out
    assert _tables(done.out)[0]["private-pypi-pkg-repo"]["owner"] == "acme"


@live
def test_environment_mode(run: Command, github: FakeGitHub, token: str) -> None:
    """Without arguments the command and its flags come from the environment, as the predecessor's containers have it."""
    flags = {"NAME": "team", "REPO": "private-pypi-pkg-repo", "TOKEN": token, "ENABLE_GH_PAGES": "false"}
    env = {f"PRIVATE_PYPI_COMMAND_{name}": value for name, value in flags.items()}
    done = run(env=env | {"PRIVATE_PYPI_COMMAND": "github.init_pkg_repo", "GITHUB_API_URL": github.api_url})
    assert done.code == 0, done.err
    assert _made(github).private


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.fixture
def tokens(github: FakeGitHub, token: str) -> dict[str, str]:
    """Tokens that lack something, by what they lack."""
    github.organization("acme", members={"ana": "admin"})
    github.organization("closed", members={"ana": "admin"}, sso=True)
    return {
        "scope workflow": github.token("ana", scopes=("repo",)),
        "scope repo": github.token("ana", scopes=("workflow",)),
        "everything": "ghp_unknown",
        "administration": github.token("ana", "fine-grained", permissions={"contents": "write"}),
        "workflows": github.token("ana", "fine-grained", permissions={"administration": "write", "contents": "write"}),
        "nothing": token,
    }


@live
@pytest.mark.parametrize(
    ("lacks", "owner", "text"),
    [
        ("scope workflow", "ana", "the token lacks the scope `workflow`"),
        ("scope repo", "ana", "the token lacks the scope `repo`"),
        ("everything", "ana", "GitHub does not know the token"),
        ("administration", "ana", "*Administration: write*"),
        ("workflows", "ana", "*Workflows: write*"),
        ("nothing", "nobody", "Is there an organisation 'nobody'"),
    ],
)
def test_refusals(
    command: Command, github: FakeGitHub, tokens: dict[str, str], lacks: str, owner: str, text: str
) -> None:
    """What GitHub refuses is told with what the token needs."""
    done = command(*INIT, "--token", tokens[lacks], "--owner", owner)
    assert (done.code, done.out) == (1, "")
    assert text in done.err
    assert tokens[lacks] not in done.err
    if lacks.startswith("scope"):
        assert github.repositories == {}


@live
def test_single_sign_on(command: Command, github: FakeGitHub, tokens: dict[str, str]) -> None:
    """Where an organisation wants a single sign-on, its address is told."""
    github.repository("closed/private-pypi-pkg-repo")
    done = command(*INIT, "--owner", "closed", "--existing")
    assert done.code == 1
    assert "until single sign-on is authorised" in done.err
    assert "https://github.com/orgs/closed/sso?authorization_request=" in done.err


@live
@pytest.mark.parametrize("name", ["", "a/b", ".a", "a#b", "packages"])
def test_names_that_no_configuration_takes(command: Command, github: FakeGitHub, name: str) -> None:
    """A name that the server would refuse is refused before anything is made."""
    done = command("github.init_pkg_repo", "--repo", "packages", f"--name={name}")
    assert (done.code, github.repositories) == (2, {})
    assert "--name" in done.err


def test_reserved_names() -> None:
    """They are those of the server."""
    assert commands_init.RESERVED == targets.RESERVED


@live
@pytest.mark.parametrize("missing", ["--name", "--repo"])
def test_flags_that_are_needed(command: Command, missing: str) -> None:
    """Name and repository are needed."""
    place = INIT.index(missing)
    done = command(*INIT[:place], *INIT[place + 2 :])
    assert done.code == 2
    assert missing in done.err


# --- the workflow ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["alone", "pages"])
def text(request: pytest.FixtureRequest) -> str:
    """The workflow, for the nastiest values."""
    return Workflow(
        name='a"; rm $HOME',
        branch="index",
        index_filename="index.toml",
        default_branch="on",
        pages=request.param,
    ).render()


def test_schema(text: str) -> None:
    """GitHub's schema accepts it, and every value arrives as it was given."""
    document = _workflow(text)
    validator = jsonschema_rs.validator_for(get_builtin_schema("vendor.github-workflows"))
    assert [error.message for error in validator.iter_errors(document)] == []
    assert document["on"]["push"] == {"branches": ["on"]}
    for step in document["jobs"]["build"]["steps"]:
        if "env" in step:
            assert step["env"]["NAME"] == 'a"; rm $HOME'


def test_least_rights(text: str) -> None:
    """No rights by default; the index may be written, and only the job that publishes pages may do that."""
    document = _workflow(text)
    assert document["permissions"] == {}
    rights = {name: job["permissions"] for name, job in document["jobs"].items()}
    assert rights.pop("build") == {"contents": "write"}
    assert rights in ({}, {"deploy": {"pages": "write", "id-token": "write"}})


def test_nothing_removed_is_used(text: str) -> None:
    """No command that GitHub took away, no action without a version, no expression inside a shell line, no minute's timer."""
    document = _workflow(text)
    assert "::set-" not in text
    assert "* * * * *" not in text
    steps = [step for job in document["jobs"].values() for step in job["steps"]]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    assert not any("${{" in step.get("run", "") for step in steps)
    assert {"push", "release", "workflow_dispatch"} <= set(document["on"])


@live
def test_its_commands_run(text: str, github: FakeGitHub, token: str, tmp_path: Path) -> None:
    """Each command of the workflow runs in a shell as it stands there, with what the runner sets, for every event."""
    github.repository("ana/packages", private=False)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    runner = {"HOME": str(tmp_path), "PATH": programs, "GITHUB_REPOSITORY": "ana/packages"}
    for step in _workflow(text)["jobs"]["build"]["steps"]:
        if not step.get("run", "").startswith("wheelyard"):
            continue
        given = {**step["env"], "GITHUB_TOKEN": token, "GITHUB_API_URL": github.api_url}
        assert "${{" not in "".join(given.values())
        done = subprocess.run(
            ["/bin/sh", "-ec", step["run"]], env=runner | given, cwd=tmp_path, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


@live
def test_a_ghes(command: Command, token: str, github: FakeGitHub) -> None:
    """The address of another API goes into the configuration; one that is not encrypted is refused."""
    done = command(*INIT, "--dry-run", "--api-url", "https://github.example.org/api/v3/")
    assert _tables(done.out)[0]["private-pypi-pkg-repo"]["api_url"] == "https://github.example.org/api/v3"
    done = command(*INIT, "--api-url", "http://github.example.org/api/v3")
    assert done.code == 2
    assert "unencrypted" in done.err


@live
def test_what_it_prints_is_a_configuration(command: Command, token: str, tmp_path: Path) -> None:
    """The two tables, with a token in place, are files that other commands take."""
    done = command(*INIT)
    config, secret = re.findall(r"^(\[.+\]\n(?:\w+ = .+\n)+)", done.out, re.MULTILINE)
    (tmp_path / "config.toml").write_text(config)
    (tmp_path / "admin_secret.toml").write_text(secret.replace("<personal-access-token>", token))
    done = command("update_index", "github", "private-pypi-pkg-repo", "--root", str(tmp_path))
    assert (done.code, done.err) == (0, "")
    assert "0 files listed" in done.out


@live
def test_client_lines(command: Command) -> None:
    """Each client is told, with a password that is each one's own."""
    out = command(*INIT, "--dry-run").out
    for client in ("pip install", "uv pip install", "uv publish", "twine upload", "poetry source add"):
        assert re.search(rf"^  .*  {client} .*localhost:8888/(simple|legacy)/", out, re.MULTILINE)

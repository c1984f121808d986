"""Workflows with which the CI of a host builds the site, and what its readers have to be told."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from wheelyard.errors import SiteError

HOSTS: Final = ("github", "gitlab", "bitbucket", "gitea", "s3")

_WORKFLOW_PATHS: Final = {
    "github": ".github/workflows/python-index.yml",
    "gitlab": ".gitlab/python-index.yml",
    "bitbucket": "bitbucket-pipelines.yml",
    "gitea": ".gitea/workflows/python-index.yml",
    "s3": ".github/workflows/python-index.yml",
}
_BRANCH_HOSTS: Final = ("github", "gitlab")  # where a private index becomes a branch of the repository itself
_WEBSITE: Final = "git+https://bitbucket.org/$BITBUCKET_WORKSPACE/$BITBUCKET_WORKSPACE.bitbucket.io.git#main"
_PAGES_BRANCH: Final = "git+${{ github.server_url }}/${{ github.repository }}.git#pages"
_SITES: Final = {
    "github": "https://OWNER.github.io/REPOSITORY/",
    "gitlab": "https://GROUP.gitlab.io/PROJECT/",
    "bitbucket": "https://WORKSPACE.bitbucket.io/",
    "gitea": "https://OWNER.pages.HOST/REPOSITORY/",
    "s3": "https://HOST/PREFIX/",
}
_WHY_NOT_PRIVATE: Final = {
    "github": "GitHub Pages is public; where an enterprise may make it private, only browsers can log in, not installers.",
    "gitlab": "GitLab Pages may be limited to members, but then browsers can log in and installers cannot.",
    "bitbucket": "Websites of Bitbucket are public.",
    "gitea": "What is shown from a branch is public unless the web server in front asks for a password.",
    "s3": "A bucket that is not public answers signed requests only: pip and poetry cannot sign.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """
    What somebody wants built.

    Attributes:
        host: One of `HOSTS`.
        index: Which index.
        config: Its configuration in the repository.
        branch: Whose pushes start a build.
        url: Where the site will be found; None when that is not known yet.
        address: Where it is built to, for hosts that leave a choice.
        private: Whether the packages are not for everybody.
    """

    host: str
    index: str
    config: str
    branch: str
    url: str | None = None
    address: str | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    What comes of it.

    Attributes:
        files: Text by path, to be written.
        starters: The same, written only where nothing is: files that people have for other things too.
        lines: What to tell, a line each.
    """

    files: Mapping[str, str]
    starters: Mapping[str, str]
    lines: tuple[str, ...]


def recipe(wishes: Wishes) -> Recipe:
    """
    Make the recipe for a host.

    Raises:
        SiteError: The host needs to be told where to build to.
    """
    is_branch = wishes.private and wishes.host in _BRANCH_HOSTS
    template = f"{wishes.host}-private.yml" if is_branch else f"{wishes.host}.yml"
    path = _WORKFLOW_PATHS[wishes.host]
    starters = {".gitlab-ci.yml": f"include:\n  - local: {path}\n"} if wishes.host == "gitlab" else {}
    return Recipe(
        {path: _filled(template, wishes, _address(wishes))}, starters, tuple(_lines(wishes, is_branch=is_branch))
    )


def _address(wishes: Wishes) -> str:
    if wishes.host == "s3" and wishes.address is None:
        raise SiteError("a bucket has to be named", hint="Give --to s3://BUCKET/PREFIX.")
    return wishes.address or {"bitbucket": _WEBSITE, "gitea": _PAGES_BRANCH}.get(wishes.host, "")


def _filled(template: str, wishes: Wishes, address: str) -> str:
    """Put values into a template, each as a quoted text of YAML (JSON is), or of a shell where one reads it."""
    text = (resources.files("wheelyard.site") / "workflows" / template).read_text(encoding="utf-8")
    values = {
        "@BRANCH@": json.dumps(wishes.branch),
        "@CONFIG@": json.dumps(wishes.config),
        "@INDEX@": json.dumps(wishes.index),
        "@ADDRESS@": json.dumps(address),
        "@CONFIG_SH@": shlex.quote(wishes.config),
        "@INDEX_SH@": shlex.quote(wishes.index),
        # Variables of the pipeline may stand in it, nothing else that a shell would act on.
        "@ADDRESS_SH@": f'"{address}"' if address == _WEBSITE else shlex.quote(address),
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _lines(wishes: Wishes, *, is_branch: bool) -> list[str]:
    config = (
        f"'{wishes.config}' is the configuration with index '{wishes.index}'; commit it with the workflow, without secrets:"
        ' write them as { env = "NAME" }.'
    )
    if is_branch:
        return [
            config,
            "",
            _WHY_NOT_PRIVATE[wishes.host],
            "So the index becomes a branch that whoever may clone can use:",
            *_clone(),
        ]
    lines = [config, "", *client_lines(wishes.url or _SITES[wishes.host])]
    if wishes.private:
        lines += ["", _WHY_NOT_PRIVATE[wishes.host], "What works for private packages:", *_alternatives(wishes)]
    return lines


def client_lines(url: str) -> list[str]:
    """Return how each client is set up for a site."""
    simple = f"{url}simple/"
    return [
        f"pip      pip install --index-url {simple} PROJECT",
        f"         or in requirements.txt: --index-url {simple}",
        f"uv       uv add PROJECT --index private={simple}",
        f"poetry   poetry source add --priority=explicit private {simple}",
        "         poetry add --source private PROJECT",
        f"pdm      pdm config pypi.private.url {simple}",
        f"pipenv   pipenv install PROJECT --index {simple}",
        f"conda    under pip: in environment.yml, a line: --extra-index-url {simple}",
        "A name that is on another index too may be taken from there: prefer --index-url to --extra-index-url.",
    ]


def _clone() -> list[str]:
    return [
        "  git clone --depth=1 --branch python-index REPOSITORY python-index",
        '  pip install --index-url "file://$PWD/python-index/simple/" PROJECT',
        '  uv add PROJECT --index "private=file://$PWD/python-index/simple/"',
        "or run the server, which asks for passwords: wheelyard server --config FILE",
    ]


def _alternatives(wishes: Wishes) -> list[str]:
    lines = [
        "  a server that asks for passwords, anywhere or on each machine: wheelyard server --config FILE",
        "  a clone of a private repository: build to git+URL#python-index, then --index-url file:///CLONE/simple/",
    ]
    if wishes.host == "s3":
        lines += [
            "  a CDN in front of the bucket that asks for a password and gives index.html for folders",
            "  uv alone: it signs requests to UV_S3_ENDPOINT_URL itself, if folders are answered with their index.html",
        ]
    return lines

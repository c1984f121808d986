"""The keys of an index of tags: what they become, and every mistake told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from wheelyard.errors import ConfigError
from wheelyard.index.tags.sources import Credential, HostKind, Owner, Package, Repository, TagLimits
from wheelyard.model import NormalizedName
from wheelyard.settings import Settings, load_settings
from wheelyard.settings.git_sources import GitOptions

START = '[team]\ntype = "git"\nread_secret = "r"\n'


def _load(root: Path, text: str, **environ: str) -> Settings:
    return load_settings(root, config=START + text, text_allowed=True, may_generate=False, environ=environ)


def _options(root: Path, text: str, **environ: str) -> GitOptions:
    options = _load(root, text, **environ).indexes[0].options
    assert isinstance(options, GitOptions)
    return options


def test_repositories(tmp_path: Path) -> None:
    """A repository by its URL, one with patterns of its own, and one with several packages."""
    text = """
tag_pattern = "v{version}"
wheels = false
[[team.sources]]
url = "https://github.com/acme/one.git"
[[team.sources]]
url = "git@gitlab.com:acme/two.git"
subdirectory = "python/"
tag_pattern = ["rel-{version}"]
wheels = true
[[team.sources]]
url = "https://git.example.org/acme/three"
host_type = "gitea"
packages = [{ name = "A.B", subdirectory = "a" }, { subdirectory = "b", tag_pattern = "b@{version}" }]
"""
    one, two, three = _options(tmp_path, text).sources.sources
    assert isinstance(one, Repository)
    assert (one.kind, one.api_url, one.wheels) == (HostKind.GITHUB, "https://api.github.com", False)
    assert [pattern.text for pattern in one.packages[0].patterns] == ["v{version}"]
    assert isinstance(two, Repository)
    assert (two.url, two.kind, two.wheels) == ("ssh://git@gitlab.com/acme/two.git", HostKind.GITLAB, True)
    assert (two.packages[0].subdirectory, two.packages[0].patterns[0].text) == ("python", "rel-{version}")
    assert isinstance(three, Repository)
    assert three.api_url == "https://git.example.org/api/v1"
    assert [(each.name, each.subdirectory, each.patterns[0].text) for each in three.packages] == [
        (NormalizedName("a-b"), "a", "v{version}"),
        (None, "b", "b@{version}"),
    ]


def test_owners(tmp_path: Path) -> None:
    """An owner on each host, with the address of its API where it has one of its own."""
    text = """
[[team.sources]]
github = "acme"
include = ["py-*"]
exclude = ["*-old"]
topic = "package"
[[team.sources]]
gitlab = "acme/libs"
[[team.sources]]
gitea = "acme"
api_url = "https://git.example.org/api/v1/"
[[team.sources]]
bitbucket = "acme"
"""
    owners = _options(tmp_path, text).sources.sources
    assert owners[0] == Owner(
        kind=HostKind.GITHUB,
        name="acme",
        api_url="https://api.github.com",
        include=("py-*",),
        exclude=("*-old",),
        topic="package",
        package=Package(),
    )
    assert [each.api_url for each in owners if isinstance(each, Owner)] == [
        "https://api.github.com",
        "https://gitlab.com/api/v4",
        "https://git.example.org/api/v1",
        "https://api.bitbucket.org/2.0",
    ]


def test_credentials(tmp_path: Path) -> None:
    """A credential's secret may stand elsewhere, and its user name is the usual one of its host."""
    (tmp_path / "token").write_text("from-file\n")
    text = f"""
[[team.sources]]
github = "acme"
[[team.credentials]]
host = "github.com"
password = {{ env = "TOKEN" }}
[[team.credentials]]
host = "gitlab.com"
password = {{ file = "{tmp_path}/token" }}
[[team.credentials]]
host = "bitbucket.org"
email = "a@example.org"
password = "x"
[[team.credentials]]
host = "git.example.org:8443"
username = "robot"
password = "y"
"""
    options = _options(tmp_path, text, TOKEN="from-env")
    assert options.sources.credentials == (
        Credential(host="github.com", username="x-access-token", secret="from-env"),
        Credential(host="gitlab.com", username="oauth2", secret="from-file"),
        Credential(host="bitbucket.org", username="x-bitbucket-api-token-auth", secret="x", email="a@example.org"),
        Credential(host="git.example.org:8443", username="robot", secret="y"),
    )
    assert "from-env" not in repr(options)


def test_limits_links_moves_and_store(tmp_path: Path) -> None:
    """The other keys reach the index; the store is any backend."""
    text = """
links = "git"
git_timeout = 10
max_repository_bytes = 11
max_unpacked_bytes = 12
concurrency = 3
moved = { "https://a.example.org/x/y" = "https://b.example.org/x/y" }
store = { type = "memory" }
[[team.sources]]
github = "acme"
"""
    options = _options(tmp_path, text)
    assert options.sources.limits == TagLimits(git_timeout_s=10, repository_bytes=11, unpacked_bytes=12, concurrency=3)
    assert options.sources.links
    assert options.sources.place("https://a.example.org/x/y.git") == "b.example.org/x/y"
    assert options.store_type == "memory"


def test_no_write_secret_is_needed(tmp_path: Path) -> None:
    """An index that takes no uploads needs no write secret."""
    assert _load(tmp_path, '[[team.sources]]\ngithub = "acme"\n').indexes[0].write_secret is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "[team] sources: is missing"),
        ("sources = [{}]", "[team] sources[1]: needs exactly one of url, github"),
        ('sources = [{ url = "https://h/a/b", github = "x" }]', "[team] sources[1]: needs exactly one of"),
        ('sources = [{ ulr = "https://h/a/b" }]', "[team.sources[1]] ulr: unknown key; did you mean 'url'?"),
        ('sources = ["https://h/a/b"]', "[team] sources[1]: must be a table"),
        ('sources = [{ url = "--upload-pack=x" }]', "[team] sources[1].url: '--upload-pack=x' is not the URL"),
        ('sources = [{ url = "https://u:p4ss@h/a/b" }]', "carries credentials; put them into `credentials`"),
        ('sources = [{ url = "https://h/a/b", tag_pattern = "v1" }]', "[team] sources[1].tag_pattern: 'v1' is not a pattern"),
        ('sources = [{ url = "https://h/a/b", subdirectory = "../x" }]', "'../x' is not a folder of a repository"),
        ('sources = [{ url = "https://h/a/b", topic = "x" }]', "[team] sources[1].topic: chooses among"),
        ('sources = [{ url = "https://h/a/b", packages = [{ name = "!" }] }]', "[team] sources[1].packages[1]: '!' is not"),
        ('sources = [{ url = "https://h/a/b", packages = [{ name = "a" }, { name = "b" }] }]', "have the same subdirectory"),
        ('sources = [{ url = "https://h/a/b", name = "a", packages = [{ name = "a" }] }]', "stand in each of its packages"),
        ('sources = [{ gitea = "x" }]', "[team] sources[1].api_url: is missing"),
        ('sources = [{ github = "x", api_url = "h" }]', "is not the address of an API"),
        ('sources = [{ bitbucket = "x", topic = "y" }]', "Bitbucket has no topics"),
        ('sources = [{ github = "x", name = "y" }]', "have one project each"),
        ('sources = [{ github = "x" }]\ncredentials = [{ host = "h" }]', "[team.credentials[1]] password: is missing"),
        ('sources = [{ github = "x" }]\ncredentials = [{ host = "https://h", password = "p4ss" }]', "is not a host"),
        ('sources = [{ github = "x" }]\ncredentials = [{ host = "h", password = { env = "NO" } }]', "'NO' is not set"),
        ('sources = [{ github = "x" }]\nstore = { type = "git" }', "[team] store.type: must be the type of a backend"),
        ('sources = [{ github = "x" }]\nstore = { type = "nowhere" }', "unknown backend type 'nowhere'"),
        ('sources = [{ github = "x" }]\nlinks = "yes"', "'yes' is none of 'files', 'git'"),
        ('sources = [{ github = "x" }]\nmoved = { "x" = "https://h/a/b" }', "[team] moved: 'x' is not the URL"),
        ('sources = [{ github = "x" }]\nconcurrency = 0', "[team] concurrency: must be at least 1"),
    ],
)  # fmt: skip
def test_every_mistake_is_told(tmp_path: Path, text: str, told: str) -> None:
    """Each mistake is told with table and key, and no secret is shown."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    assert told in str(caught.value)
    assert "p4ss" not in str(caught.value)

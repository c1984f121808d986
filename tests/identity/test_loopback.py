"""Loopback mode before it listens: which token, which addresses, which password."""

from __future__ import annotations

import stat
from pathlib import Path

import click
import pytest

from wheelyard.cli.loopback import Loopback, load_loopback, loopback_banner, loopback_of, token_for
from wheelyard.errors import ConfigError

PUBLIC = "https://api.github.com"
ENTERPRISE = "https://git.example.org/api/v3"


def fake_gh(folder: Path, script: str) -> str:
    """Make a `gh` that runs a script; return a PATH that has it."""
    path = folder / "bin" / "gh"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"{path.parent}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("api_url", "environ", "token"),
    [
        (PUBLIC, {"GH_TOKEN": "a", "GITHUB_TOKEN": "b"}, "a"),
        (PUBLIC, {"GH_TOKEN": " ", "GITHUB_TOKEN": "b\n"}, "b"),
        ("https://api.acme.ghe.com", {"GH_TOKEN": "a"}, "a"),
        ("http://127.0.0.1:8000", {"GITHUB_TOKEN": "b"}, "b"),
        (ENTERPRISE, {"GH_TOKEN": "a", "GH_ENTERPRISE_TOKEN": "c"}, "c"),
        (ENTERPRISE, {"GITHUB_ENTERPRISE_TOKEN": "d"}, "d"),
        (ENTERPRISE, {"GITHUB_TOKEN": "b", "GITHUB_API_URL": ENTERPRISE + "/"}, "b"),
    ],
)
def test_tokens_of_the_environment(api_url: str, environ: dict[str, str], token: str) -> None:
    """The variables are those of `gh`, in its order."""
    assert token_for(api_url, {"PATH": "", **environ}) == token


def test_a_token_is_not_sent_to_another_host() -> None:
    """A token for github.com is not used because a flag names another host."""
    with pytest.raises(ConfigError, match=r"no token for git\.example\.org.*GH_ENTERPRISE_TOKEN"):
        token_for(ENTERPRISE, {"PATH": "", "GH_TOKEN": "a", "GITHUB_TOKEN": "b"})


@pytest.mark.parametrize(("api_url", "host"), [(PUBLIC, "github.com"), (ENTERPRISE, "git.example.org")])
def test_the_token_of_gh(tmp_path: Path, api_url: str, host: str) -> None:
    """`gh` is asked for the token of that very host."""
    path = fake_gh(tmp_path, 'echo "gho_$*" | tr " " "-"')
    assert token_for(api_url, {"PATH": path}) == f"gho_auth-token---hostname-{host}"


def test_no_token_at_all(tmp_path: Path) -> None:
    """When `gh` is not logged in, the text says what to do."""
    path = fake_gh(tmp_path, "echo 'no oauth token' >&2; exit 1")
    with pytest.raises(ConfigError, match=r"no token for github\.com: log in with `gh auth login`, or set GH_TOKEN"):
        token_for(PUBLIC, {"PATH": path})


@pytest.mark.parametrize(
    ("repository", "api_url", "text"),
    [
        ("packages", None, "takes OWNER/REPO"),
        ("https://github.com/acme/packages", None, "takes OWNER/REPO"),
        ("acme/packages/x", None, "takes OWNER/REPO"),
        ("acme/packages", "git.example.org", "takes a URL"),
        ("acme/packages", "http://git.example.org/api/v3", "use https"),
        (None, PUBLIC, "belong to --github"),
    ],
)
def test_wrong_flags(repository: str | None, api_url: str | None, text: str) -> None:
    """What is no repository or no safe address is refused."""
    with pytest.raises(click.UsageError, match=text):
        loopback_of(repository, api_url, allow_remote=False, environ={})


def test_the_api_of_the_workflow() -> None:
    """In a workflow the address of the API is the one it runs on, unless a flag says otherwise."""
    environ = {"GITHUB_API_URL": ENTERPRISE}
    assert loopback_of("a/b", None, allow_remote=False, environ=environ) == Loopback("a/b", ENTERPRISE, False)
    assert loopback_of("a/b", PUBLIC, allow_remote=False, environ=environ) == Loopback("a/b", PUBLIC, False)
    assert loopback_of(None, None, allow_remote=False, environ=environ) is None


ENVIRON = {"GH_TOKEN": "ghp_mine", "PATH": ""}


def test_only_this_machine(tmp_path: Path) -> None:
    """It listens on 127.0.0.1; another address is refused unless that is allowed in so many words."""
    mine = Loopback("acme/packages", PUBLIC, allow_remote=False)
    settings = load_loopback(mine, str(tmp_path / "a"), overrides={}, environ=ENVIRON)
    assert settings.server.addresses == (("127.0.0.1", 8888),)
    for given in ({"host": "0.0.0.0"}, {"listen": "127.0.0.1:1 192.0.2.1:2"}, {"host": "::"}, {"host": "example.org"}):
        with pytest.raises(ConfigError, match="this machine only"):
            load_loopback(mine, str(tmp_path / "b"), overrides=given, environ=ENVIRON)
    for given in ({"host": "::1"}, {"host": "localhost"}, {"listen": "127.0.0.1:1 [::1]:1"}):
        assert load_loopback(mine, str(tmp_path / "c"), overrides=given, environ=ENVIRON).indexes
    open_to_all = Loopback("acme/packages", PUBLIC, allow_remote=True)
    settings = load_loopback(open_to_all, str(tmp_path / "d"), overrides={"host": "0.0.0.0"}, environ=ENVIRON)
    assert settings.server.host == "0.0.0.0"


def test_the_password_stays_and_is_private(tmp_path: Path) -> None:
    """The password is the same at the next start, only its owner may read it, and the token is on no disk and in no banner."""
    mine = Loopback("acme/packages", PUBLIC, allow_remote=False)
    first, second = (load_loopback(mine, str(tmp_path / "root"), overrides={}, environ=ENVIRON) for _ in range(2))
    passwords = [settings.indexes[0].admin_secret for settings in (first, second)]
    assert passwords[0] is not None
    assert passwords[0] == passwords[1]
    path = tmp_path / "root" / "password"
    assert path.read_text().strip() == passwords[0].stand_in
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    banner = loopback_banner(mine, first, "http://127.0.0.1:8888")
    assert str(passwords[0].stand_in) in banner
    assert "https://github.com/acme/packages" in banner
    assert "ghp_mine" not in banner + repr(first)
    assert not any("ghp_mine" in each.read_text() for each in tmp_path.rglob("*") if each.is_file())


def test_a_folder_of_another_server_is_not_taken(tmp_path: Path) -> None:
    """ROOT with a configuration belongs to a server that has one."""
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(ConfigError, match="configuration of another server"):
        load_loopback(Loopback("a/b", PUBLIC, allow_remote=False), str(tmp_path), overrides={}, environ=ENVIRON)


def test_a_folder_for_each_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ROOT each repository of each host has a folder of its own among the user's data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    environ = {"GH_TOKEN": "a", "GH_ENTERPRISE_TOKEN": "b", "PATH": ""}
    roots = [
        load_loopback(Loopback(name, url, allow_remote=False), None, overrides={}, environ=environ).root
        for name, url in (("Acme/Packages", PUBLIC), ("acme/other", PUBLIC), ("acme/packages", ENTERPRISE))
    ]
    assert [str(root.relative_to(tmp_path)) for root in roots] == [
        "wheelyard/github/api.github.com/acme/packages",
        "wheelyard/github/api.github.com/acme/other",
        "wheelyard/github/git.example.org/acme/packages",
    ]

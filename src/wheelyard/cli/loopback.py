"""
`wheelyard server --github OWNER/REPO`: a repository as an index on this machine alone, without a configuration.

The token of whoever runs it stays in the process. Programs of this machine get a password in its place: other users of
the machine reach 127.0.0.1 too, and so does a web page whose name was pointed there; neither of them has the password.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from wheelyard.cli.banner import setup_lines
from wheelyard.errors import ConfigError, shown

if TYPE_CHECKING:
    from wheelyard.settings import Settings

INDEX: Final = "main"
"""Name of the index; what a server without a configuration calls it too."""

SECRET_NAME: Final = "password"  # noqa: S105  a file name
"""File in ROOT with the password that clients send."""

_API_URL: Final = "https://api.github.com"
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9._-]+")
_GH_SECONDS = 20  # `gh` reads a file or asks a keyring; a keyring may ask a person
_SECRET_BYTES = 24


@dataclass(frozen=True, slots=True)
class Loopback:
    """
    What the flags of loopback mode said.

    Attributes:
        repository: `OWNER/REPO`.
        api_url: Address of GitHub's API.
        allow_remote: Whether other machines may reach it.
    """

    repository: str
    api_url: str
    allow_remote: bool

    @property
    def shown(self) -> str:
        """The repository for people: as a URL where that is known."""
        host = _web_host(self.api_url)
        return f"https://{host}/{self.repository}" if "." in host and not _is_loopback(host) else self.repository


def loopback_of(
    repository: str | None, api_url: str | None, *, allow_remote: bool, environ: Mapping[str, str]
) -> Loopback | None:
    """
    Return loopback mode as the flags describe it; None when it was not asked for.

    Raises:
        click.UsageError: The flags do not fit together.
    """
    if repository is None:
        if api_url is not None or allow_remote:
            raise click.UsageError("--api-url and --allow-remote belong to --github OWNER/REPO")
        return None
    if not _REPOSITORY.fullmatch(repository):
        raise click.UsageError(f"--github takes OWNER/REPO, not '{shown(repository)}'")
    url = (api_url or environ.get("GITHUB_API_URL") or _API_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError(f"--api-url takes a URL like https://HOST/api/v3, not '{shown(url)}'")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise click.UsageError(f"--api-url '{shown(url)}' would send your token unencrypted: use https")
    return Loopback(repository, url, allow_remote)


def token_for(api_url: str, environ: Mapping[str, str]) -> str:
    """
    Return the caller's own token for a host: from the environment as `gh` reads it, or from `gh`.

    A token for github.com is not sent to another host because a flag names that: such hosts have variables of their own.

    Raises:
        ConfigError: There is none.
    """
    host = urlsplit(api_url).hostname or ""
    is_ours = host == "api.github.com" or host.endswith(".ghe.com") or _is_loopback(host)
    names = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
    if is_ours or api_url == environ.get("GITHUB_API_URL", "").rstrip("/"):
        names = ("GH_TOKEN", "GITHUB_TOKEN")
    for name in names:
        if token := environ.get(name, "").strip():
            return token
    web_host = _web_host(api_url)
    if not (token := _token_of_gh(web_host, environ)):
        where = "" if web_host == "github.com" else f" --hostname {web_host}"
        raise ConfigError(
            [f"--github: there is no token for {web_host}: log in with `gh auth login{where}`, or set {names[0]}"]
        )
    return token


def load_loopback(
    loopback: Loopback, root: str | None, *, overrides: Mapping[str, object], environ: Mapping[str, str] = os.environ
) -> Settings:
    """
    Return the settings of loopback mode; what it keeps on disk is a cache and the password.

    Args:
        loopback: Which repository.
        root: Folder for the cache; one for each repository in the platform's data folder when None.
        overrides: Values of `[server]` that flags or the environment gave.
        environ: Where tokens are looked up.
    Raises:
        ConfigError: There is no token, or a flag is wrong.
    """
    from wheelyard.settings import load_settings  # noqa: PLC0415  not for --help

    folder = Path(root).expanduser() if root else _folder(loopback)
    if (folder / "config.toml").exists():
        raise ConfigError([f"{folder}: holds the configuration of another server; name another folder for --github"])
    owner, repo = loopback.repository.split("/")
    table = {"type": "github", "owner": owner, "repo": repo, "api_url": loopback.api_url}
    given = dict(overrides)
    if not {"host", "listen", "unix_socket"} & given.keys():
        given["host"] = "127.0.0.1"
    settings = load_settings(
        folder,
        config=_toml(table),
        admin_secret=_toml({"type": "github", "raw": token_for(loopback.api_url, environ)}),
        text_allowed=True,
        overrides=given,
        environ=environ,
    )
    if not loopback.allow_remote:
        _check_addresses(settings)
    index = settings.indexes[0]
    assert index.admin_secret is not None
    secret = replace(index.admin_secret, stand_in=_password(folder))
    return replace(settings, indexes=(replace(index, admin_secret=secret),), source=str(folder / SECRET_NAME))


def loopback_banner(loopback: Loopback, settings: Settings, url: str) -> str:
    """Return what is printed once the server listens: everything to paste."""
    secret = settings.indexes[0].admin_secret
    assert secret is not None
    password = secret.stand_in or ""
    reach = "Other machines reach it too" if loopback.allow_remote else "Only this machine reaches it"
    return "\n".join(
        (
            f"Wheelyard serves {loopback.shown} at {url}/",
            "",
            f"  index URL   {url}/simple/",
            f"  user name   {INDEX}",
            f"  password    {password}",
            "",
            setup_lines(url, INDEX, password, password),
            "",
            f"{reach}, with this password (kept in {settings.source}) or with a GitHub token as password.",
            "Your own token stays in this process; publishing is done as you.",
        )
    )


def _web_host(api_url: str) -> str:
    host = urlsplit(api_url).hostname or ""
    return host.removeprefix("api.") if host == "api.github.com" or host.endswith(".ghe.com") else host


def _token_of_gh(host: str, environ: Mapping[str, str]) -> str:
    """Return what `gh` says; "" when it is not installed or not logged in."""
    program = shutil.which("gh", path=environ.get("PATH"))
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  `gh` of the caller's own PATH
            [program, "auth", "token", "--hostname", host],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GH_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _folder(loopback: Loopback) -> Path:
    from wheelyard.settings.first_start import default_root  # noqa: PLC0415  not for --help

    host = (urlsplit(loopback.api_url).netloc or "github").replace(":", "-")
    owner, repo = loopback.repository.lower().split("/")
    return default_root() / "github" / host / owner / repo


def _toml(table: Mapping[str, str]) -> str:
    return f"[{INDEX}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


def _check_addresses(settings: Settings) -> None:
    if settings.server.unix_socket is not None:
        return
    for host, _ in settings.server.addresses:
        if not _is_loopback(host):
            text = f"--github listens on this machine only, and '{shown(host)}' is reached by others"
            raise ConfigError([f"{text}, who would publish as you; use 127.0.0.1, or add --allow-remote"])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _password(folder: Path) -> str:
    """Return the password of this folder, made the first time; it stays, so that clients are set up once."""
    from wheelyard.settings.first_start import write_private  # noqa: PLC0415  not for --help

    path = folder / SECRET_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            write_private(path, f"{_new_password()}\n", replace=False)
        password = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be made or read: {getattr(error, 'strerror', None) or error}"]) from error
    if len(password) < _SECRET_BYTES:
        raise ConfigError([f"{path}: holds no password; remove it, and a new one is made"])
    return password


def _new_password() -> str:
    """Return a password that can be pasted behind a flag: it does not start with `-`."""
    while not (password := secrets.token_urlsafe(_SECRET_BYTES))[0].isalnum():
        pass
    return password

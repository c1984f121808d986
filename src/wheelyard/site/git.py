"""
The git program, made harmless: no prompts, no configuration of the machine, one protocol, no redirects.

Rule 1: credentials reach git through a helper that reads the environment; never through arguments, which others can see.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from wheelyard.errors import SiteError, shown

USER_VARIABLE: Final = "WHEELYARD_SITE_USER"
PASSWORD_VARIABLE: Final = "WHEELYARD_SITE_PASSWORD"  # noqa: S105  the name of a variable
"""Where credentials for the Git host are looked up."""

SCHEMES: Final = ("https", "ssh", "http", "file")
_ANY_USER: Final = "x-access-token"  # GitHub's word for "the password is a token"; other hosts take any name
_TIMEOUT_S: Final = 30 * 60.0  # 30 minutes: a first push of a large site
_ASKPASS: Final = """#!/bin/sh
case "$1" in
    Username*) printf '%s\\n' "$WHEELYARD_ASKED_USER" ;;
    *) printf '%s\\n' "$WHEELYARD_ASKED_PASSWORD" ;;
esac
"""
_CONFIG: Final = (
    "protocol.allow=never",
    "http.followRedirects=false",  # credentials are for the host that was named
    "credential.helper=",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "submodule.recurse=false",
)
_KEPT: Final = ("PATH", "HOME", "TMPDIR", "LANG", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR")
_KEPT_PREFIXES: Final = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_SSL_", "GIT_TRACE")
_PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password for a Git host."""

    user: str
    password: str = field(repr=False)


def credentials_from(url: str, environ: Mapping[str, str]) -> tuple[str, Credentials | None]:
    """
    Take the credentials out of a URL, or from the environment when it has none.

    Returns:
        The URL without a password, and the credentials.
    Raises:
        SiteError: Not the URL of a repository that is spoken to.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise SiteError("the URL of the repository cannot be read") from None
    is_local = parts.scheme == "file"
    if parts.scheme not in SCHEMES or not (host or is_local) or (host or "").startswith("-"):
        hint = f"It starts with one of {', '.join(f'git+{scheme}://' for scheme in SCHEMES)}."
        raise SiteError("the repository's URL is none that can be pushed to", hint=hint)
    if parts.scheme not in ("http", "https"):
        return url, None
    without = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    password = unquote(parts.password or "") or environ.get(PASSWORD_VARIABLE, "")
    user = unquote(parts.username or "") or environ.get(USER_VARIABLE, "") or _ANY_USER
    return without, Credentials(user, password) if password else None


class Git:
    """
    The program, in one bare repository of its own.

    Args:
        folder: Empty folder; the repository and the helper for credentials go there.
        url: The repository elsewhere, without credentials.
        credentials: For it.
        environ: What the program may see of the environment; its own when None.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        credentials: Credentials | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self._repository = folder / "repository.git"
        self._credentials = credentials
        scheme = urlsplit(url).scheme
        self._base = ["git", *(word for each in (*_CONFIG, f"protocol.{scheme}.allow=always") for word in ("-c", each))]
        self._env = self._environment(folder, os.environ if environ is None else environ)

    def init(self) -> None:
        """Make the repository."""
        self._repository.mkdir()
        self.run("init", "--quiet", "--bare", "--template=", str(self._repository), inside=False)

    def run(self, *arguments: str, inside: bool = True, may_fail: bool = False) -> subprocess.CompletedProcess[bytes]:
        """
        Run a command to its end.

        Raises:
            SiteError: There is no git, it took too long, or it failed; the text is git's last words.
        """
        try:
            done = subprocess.run(  # noqa: S603  a fixed program; who calls keeps texts that start with '-' out
                [*self._base, *arguments],
                cwd=self._repository if inside else None,
                env=self._env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            raise SiteError("the program 'git' is not installed") from None
        except subprocess.TimeoutExpired:
            raise SiteError(f"git {arguments[0]} did not end within {_TIMEOUT_S:.0f} seconds") from None
        if done.returncode != 0 and not may_fail:
            raise SiteError(f"git {arguments[0]} failed: {self.said(done.stderr)}")
        return done

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command that is fed by us; its complaints go to a file in the repository, `stderr`."""
        with (self._repository / "stderr").open("wb") as errors:
            return subprocess.Popen(  # noqa: S603  as `run`
                [*self._base, *arguments],
                cwd=self._repository,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def complaints(self) -> str:
        """Return what the command of `start` complained of."""
        return self.said((self._repository / "stderr").read_bytes())

    def said(self, output: bytes) -> str:
        """Return what git said for use in a message, without the password."""
        text = " ".join(output.decode("utf-8", "replace").split())
        if self._credentials is not None:
            text = text.replace(self._credentials.password, "…")
        return shown(text[-180:])  # the last words are those that tell

    def _environment(self, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
        kept = {
            name: value
            for name, value in environ.items()
            if name in _KEPT or name.startswith(_KEPT_PREFIXES) or name.lower() in _PROXIES
        }
        askpass = folder / "askpass"
        askpass.write_text(_ASKPASS, encoding="ascii")
        askpass.chmod(0o700)
        kept |= {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ASKPASS": str(askpass),
            "GIT_SSH_COMMAND": environ.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C.UTF-8",
        }
        if self._credentials is not None:
            kept["WHEELYARD_ASKED_USER"] = self._credentials.user
            kept["WHEELYARD_ASKED_PASSWORD"] = self._credentials.password
        return kept

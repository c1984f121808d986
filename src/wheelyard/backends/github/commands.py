"""What the commands of this backend have in common."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import click

from wheelyard.backends.github import API_URL
from wheelyard.errors import shown

_LOCAL = ("localhost", "127.0.0.1", "::1")


def token_of(token: str | None, token_env: str | None) -> str:
    """
    Return the token that flags or the environment give.

    Raises:
        click.UsageError: There is none.
    """
    names = ("GH_TOKEN", "GITHUB_TOKEN") if token_env is None else (token_env,)
    found = (token or next((os.environ[name] for name in names if os.environ.get(name)), "")).strip()
    if not found:
        raise click.UsageError(f"a token is needed: give --token, or set {' or '.join(names)}")
    return found


def api_url_of(given: str | None) -> str:
    """
    Return the address of the API: as given, that of the workflow this runs in, or GitHub's own.

    Raises:
        click.UsageError: It is none, or would send the token unencrypted.
    """
    url = (given or os.environ.get("GITHUB_API_URL") or API_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError(f"--api-url takes a URL like https://HOST/api/v3, not '{shown(url)}'")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise click.UsageError(f"--api-url '{shown(url)}' would send the token unencrypted: use https")
    return url


def repository_of(text: str, flag: str) -> tuple[str, str]:
    """
    Take OWNER/REPO apart.

    Raises:
        click.UsageError: It is none.
    """
    owner, slash, repo = text.partition("/")
    if not owner or not slash or not repo or "/" in repo:
        raise click.UsageError(f"{flag} takes OWNER/REPO, not '{shown(text)}'")
    return owner, repo

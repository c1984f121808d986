"""A running server, asked over its management API."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import click

from wheelyard.errors import StorageUnavailable, shown

if TYPE_CHECKING:
    import httpx2

_TIMEOUT_S = 60.0  # a delete of a large project takes a while on slow storage
_HTTP_ERROR = 400
_UNAUTHORIZED = 401


class PasswordNeeded(click.ClickException):
    """The server wants to know who asks, or does not know the one who does."""


class RemoteIndex:
    """
    One index of a running server.

    Args:
        url: Where the server is reached.
        index: Name of the index.
        user: User name of Basic authentication.
        password: Its password; None asks as nobody.
    """

    def __init__(self, url: str, index: str, *, user: str, password: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise click.BadParameter(f"'{shown(url)}' is no http or https URL", param_hint="--url")
        self._start = f"{url.rstrip('/')}/api/v1/indexes/{quote(index, safe='')}/"
        self._credentials = None if password is None else (user, password)

    def ask(self, method: str, project: str, *path: str, body: object = None) -> dict[str, Any]:
        """
        Run one operation on a project and return the project as it then is.

        Raises:
            click.ClickException: The server said no; the text is its own.
            StorageUnavailable: It could not be asked.
        """
        return self.ask_index(method, "projects", project, *path, body=body)

    def ask_index(self, method: str, *path: str, body: object = None) -> dict[str, Any]:
        """
        Run one operation below the address of the index and return its answer.

        Raises:
            As `ask`.
        """
        import httpx2  # noqa: PLC0415  only for --url

        url = self._start + "/".join(quote(part, safe="") for part in path)
        try:
            with httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=False) as client:
                answer = client.request(method, url, json=body, auth=self._credentials)
        except httpx2.HTTPError as error:
            raise StorageUnavailable(f"the server could not be asked: {error or type(error).__name__}") from error
        return _document(answer)


def password_from(password: str | None, variable: str | None, *, wanted: str = "write secret") -> str:
    """
    Return the password a flag gives or names; asks a person who is there to answer.

    Raises:
        click.UsageError: There is none.
    """
    if password is not None:
        return password
    if variable is not None:
        if not os.environ.get(variable):
            raise click.UsageError(f"the environment variable '{variable}' is not set")
        return os.environ[variable]
    if not sys.stdin.isatty():
        piped = sys.stdin.readline().rstrip("\r\n")
        if not piped:
            raise click.UsageError(f"no {wanted} was given: name the variable that has it with --password-env")
        return piped
    entered: str = click.prompt(f"Password ({wanted})", hide_input=True, err=True)
    return entered


def _document(answer: httpx2.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if answer.status_code >= _HTTP_ERROR or not isinstance(document, dict):
        details = document if isinstance(document, dict) else {}
        text = details.get("detail") or details.get("title") or f"it answered {answer.status_code}"
        kind = PasswordNeeded if answer.status_code == _UNAUTHORIZED else click.ClickException
        raise kind(f"the server refused: {shown(text)}")
    return document

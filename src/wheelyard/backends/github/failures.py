"""GitHub's refusals in our words: what was refused, why, and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wheelyard.errors import StorageError, StorageReadOnly, StorageUnavailable, shown

_REASON_LIMIT = 300
_AGAIN: Final = "Try again; an administrator finds the cause in the log."


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A whole answer.

    Attributes:
        status: HTTP status.
        headers: By lower-case name.
        content: The body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """
        Parse the body.

        Raises:
            StorageUnavailable: It is no JSON.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise StorageUnavailable("GitHub's answer is no JSON", hint=_AGAIN) from error

    def object(self) -> dict[str, Any]:
        """
        Parse the body, which should be an object.

        Raises:
            StorageUnavailable: It is none.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise StorageUnavailable("GitHub's answer is not what its documentation says", hint=_AGAIN)
        return value

    @property
    def message(self) -> str:
        """GitHub's own words about an error; "" when there are none."""
        try:
            value = json.loads(self.content)
        except ValueError:
            return ""
        if not isinstance(value, dict):
            return ""
        details = [detail for detail in value.get("errors") or () if isinstance(detail, dict)]
        words = [value.get("message"), *(detail.get("message") for detail in details)]
        return "; ".join(word for word in words if isinstance(word, str))[:_REASON_LIMIT]

    def has_error(self, code: str) -> bool:
        """Tell whether GitHub gives `code` (`already_exists`) as one of its reasons."""
        try:
            errors = json.loads(self.content).get("errors")
        except (ValueError, AttributeError):
            return False
        return any(isinstance(error, dict) and error.get("code") == code for error in errors or ())


def sso_url(headers: Mapping[str, str]) -> str | None:
    """Return where a token has to be authorised for the organisation's single sign-on; None when that is not the trouble."""
    state, _, rest = headers.get("x-github-sso", "").partition(";")
    if state.strip() != "required":
        return None
    return rest.strip().removeprefix("url=") or "the page of the token at GitHub"


def failure(answer: Answer, *, repository: str, is_write: bool) -> StorageError:
    """Return our error for an answer nobody expected; the caller raises it."""
    why = shown(answer.message) or f"it answered {answer.status}"
    match answer.status:
        case 401:
            return StorageUnavailable(
                f"GitHub refuses the server's own token for '{repository}': {why}",
                hint="An administrator should put a valid token into the admin secret of this index.",
            )
        case 403 if (url := sso_url(answer.headers)) is not None:
            return StorageUnavailable(
                f"GitHub refuses the server's own token for '{repository}' until single sign-on is authorised for it",
                hint=f"An administrator should authorise it: {shown(url)}",
            )
        case 403 | 404 if is_write:
            return StorageReadOnly(
                why=f"GitHub does not let the server's own token write to '{repository}': {why}",
                hint="The token needs write access to the repository's contents; an administrator should check it.",
            )
        case 403 | 404:
            return StorageUnavailable(
                f"GitHub does not show the repository '{repository}' to the server's own token: {why}",
                hint="An administrator should check `owner`, `repo` and the admin secret of this index.",
            )
    return StorageUnavailable(f"GitHub did not do what it was asked for '{repository}': {why}", hint=_AGAIN)

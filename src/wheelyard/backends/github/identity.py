"""
What GitHub says of a caller's own token.

Reading is proven by the question itself: GitHub shows a private repository only to who may read it. Writing is told by
`permissions` for tokens that act with all of a person's rights (classic ones, and only with a scope that lets them). For
all others (fine-grained, App user, installation, `GITHUB_TOKEN`) those tell the person's role, or nothing, and not what
the token was given. They are asked to store an empty object: it takes the same right as an upload, changes nothing that
anybody sees, and GitHub throws it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wheelyard.backends.github.client import GitHubClient, LostAnswer
from wheelyard.backends.github.failures import Answer, sso_url
from wheelyard.errors import StorageUnavailable, shown
from wheelyard.storage.interface import HostIdentity, Permission

_LONGEST_TOKEN: Final = 8192  # tokens have no fixed length any more
_CLASSIC: Final = ("ghp_", "gho_")
_INSTALLATION: Final = "ghs_"  # an App's own token, and the one of a workflow
_NOBODY: Final = "GitHub does not know this token: it is wrong, has expired or was revoked"


async def identify(client: GitHubClient, token: str) -> HostIdentity:
    """
    Ask GitHub what the holder of a token may do with the repository.

    Raises:
        StorageUnavailable: GitHub did not say.
    """
    if not token or len(token) > _LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        return HostIdentity(Permission.NONE, reason=_NOBODY, known=False)
    try:
        answer = await client.ask_as(token, "GET", "")
        if answer.status != 200:  # noqa: PLR2004
            return _refused(client, answer)
        permission = await _permission(client, token, answer)
        return HostIdentity(permission, await _login(client, token))
    except LostAnswer as lost:
        raise lost.error from lost


def _refused(client: GitHubClient, answer: Answer) -> HostIdentity:
    if answer.status == 401:  # noqa: PLR2004
        return HostIdentity(Permission.NONE, reason=_NOBODY, known=False)
    if (url := sso_url(answer.headers)) is not None:
        return HostIdentity(
            Permission.NONE,
            reason=f"the organisation wants this token to be authorised for its single sign-on: {shown(url)}",
        )
    if answer.status in (403, 404, 451):
        return HostIdentity(Permission.NONE, reason=f"GitHub does not show '{client.name}' to this token")
    raise StorageUnavailable(
        f"GitHub answered {answer.status} when it was asked for a caller's rights", hint="Try again."
    )


async def _permission(client: GitHubClient, token: str, answer: Answer) -> Permission:
    repository = answer.object()
    told = repository.get("permissions")
    granted: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    if token.startswith(_CLASSIC) or "x-oauth-scopes" in answer.headers:
        return _of_person(granted, repository, answer.headers.get("x-oauth-scopes", ""))
    may_be_writer = granted.get("push") is True or token.startswith(_INSTALLATION)
    if may_be_writer and not repository.get("archived") and await _may_write(client, token):
        return Permission.WRITE
    return Permission.READ


def _of_person(granted: Mapping[str, Any], repository: Mapping[str, Any], header: str) -> Permission:
    """Return what a person's role and the scopes of a classic token come to."""
    scopes = {scope.strip() for scope in header.split(",")}
    reaches = "repo" in scopes or ("public_repo" in scopes and repository.get("private") is False)
    if not reaches or not granted.get("push") or repository.get("archived"):
        return Permission.READ
    return Permission.ADMIN if granted.get("admin") is True else Permission.WRITE


async def _may_write(client: GitHubClient, token: str) -> bool:
    answer = await client.ask_as(token, "POST", "/git/blobs", json={"content": "", "encoding": "utf-8"})
    return answer.status == 201  # noqa: PLR2004


async def _login(client: GitHubClient, token: str) -> str | None:
    """Return who the token belongs to; None for tokens that are nobody's."""
    if token.startswith(_INSTALLATION):
        return None
    answer = await client.ask_as(token, "GET", f"{client.addresses.api_url}/user")
    login = answer.object().get("login") if answer.status == 200 else None  # noqa: PLR2004
    return login if isinstance(login, str) else None

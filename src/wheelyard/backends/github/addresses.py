"""Where GitHub's hosts are, and which of them may see the server's credential; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

_ENTERPRISE: Final = "/api/v3"  # path of GitHub Enterprise Server's API
_PORTS: Final = {"http": 80, "https": 443}

Origin = tuple[str, str, int]
"""Scheme, host and port."""


def origin_of(url: str) -> Origin:
    """
    Return where a URL leads.

    Raises:
        ValueError: It is no absolute HTTP URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("not an absolute HTTP URL")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


@dataclass(frozen=True, slots=True)
class Addresses:
    """
    The addresses of one repository.

    Attributes:
        api_url: Root of the REST API, without a slash at its end.
        owner: Owner of the repository.
        repo: Its name.
    """

    api_url: str
    owner: str
    repo: str

    @property
    def repository(self) -> str:
        """Root of the repository's part of the API."""
        return f"{self.api_url}/repos/{quote(self.owner, safe='')}/{quote(self.repo, safe='')}"

    @property
    def graphql(self) -> str:
        """Where GraphQL is asked; GitHub Enterprise Server has it beside `v3`."""
        if self.api_url.endswith(_ENTERPRISE):
            return f"{self.api_url.removesuffix('/v3')}/graphql"
        return f"{self.api_url}/graphql"

    @property
    def uploads(self) -> str | None:
        """Root of the host that takes assets, where it follows from the API's; else a release has to be asked."""
        scheme, host, _ = origin_of(self.api_url)
        if self.api_url.endswith(_ENTERPRISE):
            return f"{self.api_url.removesuffix('/v3')}/uploads"
        if scheme == "https" and host.startswith("api.") and host.endswith(("github.com", ".ghe.com")):
            return f"https://uploads.{host.removeprefix('api.')}"
        return None

    def is_trusted_upload(self, root: str) -> bool:
        """Tell whether an upload host named by the API may see the credential: it is not less protected than the API."""
        try:
            scheme, _, _ = origin_of(root)
        except ValueError:
            return False
        return scheme == "https" or origin_of(self.api_url)[0] == "http"


def uploads_root(upload_url: str) -> str:
    """Return the root of the upload host from a release's `upload_url` template."""
    return upload_url.partition("/repos/")[0]

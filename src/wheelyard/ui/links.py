"""Addresses on pages: our own, and those that other people wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from wheelyard.ui.static import static_name

_LONGEST = 2_000  # characters
_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
_RELATIVE_FILE = re.compile(r"(?:\.\./)*[A-Za-z0-9%._~!+,=@()-][A-Za-z0-9%._~!+,=@()/-]*\Z")


def safe_link(url: str) -> str | None:
    """
    Return an address that somebody else wrote when it may be a link: absolute `http`, `https` or `mailto`; else None.

    Args:
        url: From core metadata or an upstream's page.
    """
    url = url.strip()
    if len(url) > _LONGEST or _CONTROL_OR_SPACE.search(url):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme in {"http", "https"}:
        return url if host else None
    if parts.scheme == "mailto":
        return url if "@" in parts.path else None
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """
    What every page knows: where it is, and who reads it.

    Attributes:
        root_path: Path prefix of the server, without a slash at its end.
        index: Name of the index shown; None on pages of none.
        index_path: Path of that index below `root_path`: "" or `/<index>`.
        can: What the reader may do (`read`, `write`, `admin`); None for a reader who has not logged in.
    """

    root_path: str = ""
    index: str | None = None
    index_path: str = ""
    can: str | None = None

    @property
    def home(self) -> str:
        """The page that lists the projects."""
        return f"{self.root_path}{self.index_path}/"

    @property
    def login(self) -> str:
        """The login page, also where its form goes."""
        return f"{self.root_path}/login/"

    @property
    def logout(self) -> str:
        """Where the form that ends the session goes."""
        return f"{self.root_path}/logout/"

    def static(self, name: str) -> str:
        """Return the address of a static file."""
        return f"{self.root_path}/static/{static_name(name)}"

    def project(self, name: str, version: str | None = None) -> str:
        """Return the page of a project or of one release of it."""
        release = "" if version is None else quote(version, safe="") + "/"
        return f"{self.root_path}{self.index_path}/project/{quote(name, safe='')}/{release}"

    def projects(self, *, query: str, page: int) -> str:
        """Return one page of the project list."""
        values = {**({"q": query} if query else {}), **({"page": str(page)} if page > 1 else {})}
        # A lone surrogate comes from a badly encoded query; it cannot be sent back.
        return self.home + ("?" + urlencode(values, errors="replace") if values else "")

    def file(self, project: str, url: str) -> str | None:
        """
        Return the address of a distribution file.

        Args:
            project: Normalised name.
            url: As on the project page: relative to it, or absolute.
        Returns:
            None when it is no address that may be a link.
        """
        if _RELATIVE_FILE.match(url):
            return f"{self.root_path}{self.index_path}/simple/{quote(project, safe='')}/{url}"
        return safe_link(url)

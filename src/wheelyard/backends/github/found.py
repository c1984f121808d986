"""
What lies in a repository's releases, whoever put it there: Wheelyard, the predecessor, or a person.

The predecessor made a release for each file: its tag is the file's name, its text the upload form as TOML. It listed all of
them in `index.toml`, which tells of those that GitHub's own list, cut after a thousand, does not.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from wheelyard.backends.github.client import GitHubClient
from wheelyard.backends.github.names import github_name, place_of, short_digest
from wheelyard.errors import InvalidFilename, InvalidName, StorageUnavailable, shown
from wheelyard.index.predecessor_files import ARCHIVE_EXTENSIONS, Upload
from wheelyard.model import NormalizedName
from wheelyard.protocol.filenames import parse_filename
from wheelyard.protocol.names import normalize

_PAGE: Final = 100
_ROUND: Final = 30  # a list of assets inside a release that is so long, or a multiple, may have been cut
_MARKED: Final = re.compile(r"([0-9a-f]{12})-(.+)")
_RAW: Final = "application/vnd.github.raw+json"


@dataclass(frozen=True, slots=True)
class Found:
    """
    One asset.

    Attributes:
        asset: Its id.
        release: Id of its release.
        tag: Of the release.
        name: What GitHub calls it.
        size: Bytes.
        sha256: Digest as GitHub tells it; None from servers that do not.
        created: When it was uploaded.
        uploader: Login of who did; "" when nobody is named.
        filename: What the file is called; None when nothing tells.
        upload: What the predecessor wrote down of it; None when it did not.
    """

    asset: int
    release: int
    tag: str
    name: str
    size: int
    sha256: str | None
    created: datetime
    uploader: str
    filename: str | None
    upload: Upload | None

    @property
    def shown(self) -> str:
        """Release and name, for people."""
        return shown(f"{self.tag}/{self.name}")

    @property
    def project(self) -> NormalizedName | None:
        """Whose file it is; None when that cannot be told."""
        try:
            if self.upload is not None:
                return normalize(self.upload.distrib)
            return None if self.filename is None else parse_filename(self.filename).name
        except (InvalidName, InvalidFilename):
            return None


@dataclass(frozen=True, slots=True)
class Contents:
    """
    All assets of a repository.

    Attributes:
        assets: By id, oldest first.
        incomplete: Why there may be more; None when these are all.
    """

    assets: Mapping[int, Found]
    incomplete: str | None = None


async def find_assets(
    client: GitHubClient, *, index_filename: str | None = None, branch: str | None = None
) -> Contents:
    """
    Look into every release: one question for each hundred of them.

    Args:
        client: Asks.
        index_filename: The predecessor's list, to look there for what GitHub does not tell; None for none.
        branch: Where that list is; None for the default branch.
    Raises:
        StorageError: GitHub could not be asked.
    """
    assets: dict[int, Found] = {}
    incomplete: str | None = None
    page = 1
    while True:
        answer = await client.ask("GET", f"/releases?per_page={_PAGE}&page={page}", expected=frozenset({200, 422}))
        if answer.status != 200:  # noqa: PLR2004
            incomplete = f"GitHub lists no more releases after these: {shown(answer.message)}"
            break
        releases = answer.json()
        for release in releases:
            for asset in await _assets(client, release):
                if (found := _found(release, asset)) is not None:
                    assets[found.asset] = found
        if len(releases) < _PAGE:
            break
        page += 1
    if index_filename is not None:
        await _add_listed(client, assets, index_filename, branch)
    return Contents(dict(sorted(assets.items())), incomplete)


async def _assets(client: GitHubClient, release: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all assets of a release; the list in it may be cut."""
    inside = list(release.get("assets") or ())
    if release.get("draft"):
        return []
    if not inside or (len(inside) % _ROUND and len(inside) % _PAGE):
        return inside
    assets: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = await client.ask("GET", f"/releases/{release['id']}/assets?per_page={_PAGE}&page={page}")
        more = answer.json()
        assets += more
        if len(more) < _PAGE:
            return assets
        page += 1


def _found(release: Mapping[str, Any], asset: Mapping[str, Any]) -> Found | None:
    """Return what an asset is; None for one whose upload was cut."""
    if asset.get("state") != "uploaded":
        return None
    upload, tag, name = parse_upload(release.get("body")), str(release.get("tag_name") or ""), str(asset["name"])
    if upload is not None and (len(release.get("assets") or ()) != 1 or not tag.endswith(ARCHIVE_EXTENSIONS)):
        upload = None
    digest = str(asset.get("digest") or "")
    return Found(
        asset=int(asset["id"]),
        release=int(release["id"]),
        tag=tag,
        name=name,
        size=int(asset["size"]),
        sha256=digest.removeprefix("sha256:") if digest.startswith("sha256:") else None,
        created=datetime.fromisoformat(asset["created_at"]),
        uploader=str((asset.get("uploader") or {}).get("login") or ""),
        filename=tag if upload is not None else true_name(name, str(release.get("name") or "")),
        upload=upload,
    )


def parse_upload(text: object) -> Upload | None:
    """Read what the predecessor wrote into a release; None when it is something else."""
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        form = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError:
        return None
    return _upload(form)


def _upload(form: Mapping[str, Any]) -> Upload | None:
    values = {key: value for key, value in form.items() if isinstance(value, str)}
    if not values.get("distrib") or not values.get("sha256"):
        return None
    return Upload(
        distrib=values["distrib"],
        sha256=values["sha256"].lower(),
        version=values.get("version", ""),
        requires_python=values.get("requires_python", ""),
    )


def true_name(name: str, title: str = "") -> str | None:
    """
    Return the file name behind an asset's name; None when nothing proves one.

    Args:
        name: The asset's name: the file's own, or a mark (digest of the key) and what GitHub leaves of the file's own.
        title: Title of the release: the name of its only file, where each has one.
    """
    marked = _MARKED.fullmatch(name)
    if marked is None:
        return name if _is_distribution(name) else None
    mark, rest = marked[1], marked[2]
    candidates = [title, rest, *(rest[: dot.start()] + "!" + rest[dot.end() :] for dot in re.finditer(r"\.", rest))]
    for candidate in candidates:
        if _is_distribution(candidate) and short_digest(_key(candidate)) == mark:
            return candidate
    # A second asset of one name is marked by chance; what GitHub would not rewrite is the name itself.
    return title if _is_distribution(title) and github_name(title) == rest else None


def _key(filename: str) -> str:
    place = place_of(f"simple/{parse_filename(filename).name}/{filename}")
    return f"simple/{place.group}/{place.name}"


def _is_distribution(name: str) -> bool:
    try:
        parse_filename(name)
    except InvalidFilename:
        return False
    return True


async def _add_listed(client: GitHubClient, assets: dict[int, Found], filename: str, branch: str | None) -> None:
    """Add what only the predecessor's own list names; each costs a question."""
    ref = "" if branch is None else f"?ref={quote(branch, safe='')}"
    answer = await client.ask("GET", f"/contents/{quote(filename)}{ref}", accept=_RAW, expected=frozenset({200, 404}))
    if answer.status != 200:  # noqa: PLR2004
        return
    try:
        rows = tomllib.loads(answer.content.decode("utf-8")).get("pkgs", [])
    except ValueError as error:
        raise StorageUnavailable(
            f"the predecessor's list '{shown(filename)}' cannot be read", hint="Mend or remove it, then try again."
        ) from error
    for row in rows if isinstance(rows, list) else []:
        number = str(row.get("url", "")).rpartition("/")[2] if isinstance(row, dict) else ""
        if number.isdecimal() and int(number) not in assets and (found := await _listed(client, int(number), row)):
            assets[found.asset] = found


async def _listed(client: GitHubClient, number: int, row: Mapping[str, Any]) -> Found | None:
    meta = row.get("meta")
    upload = _upload({**(meta if isinstance(meta, dict) else {}), **{k: row.get(k) for k in ("distrib", "sha256")}})
    answer = await client.ask("GET", f"/releases/assets/{number}", expected=frozenset({200, 404}))
    if upload is None or answer.status != 200:  # noqa: PLR2004
        return None
    filename = f"{row.get('package')}.{row.get('ext')}"
    tagged = await client.ask("GET", f"/releases/tags/{quote(filename, safe='')}", expected=frozenset({200, 404}))
    return None if tagged.status != 200 else _found(tagged.object(), answer.object())  # noqa: PLR2004

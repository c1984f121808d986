"""
Files as assets of releases: where one goes, how it gets there, and what is done when GitHub says no.

Rule 1: a file is known by the id of its asset. Names only help people, since GitHub changes some.
Rule 2: an asset under a file's plain name that no list names may be another server's work of this moment. It is taken
over only while it is young and has the same bytes, and removed only when it is old: between the two nobody touches it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, Final
from urllib.parse import quote

import anyio
import structlog

from wheelyard.backends.github.client import GitHubClient, LostAnswer
from wheelyard.backends.github.documents import Entry, Listing
from wheelyard.backends.github.failures import Answer, failure
from wheelyard.backends.github.names import (
    ASSETS_LIMIT,
    Place,
    asset_name,
    marked_name,
    most_assets,
    next_tag,
    tag_of,
)
from wheelyard.errors import RecordDamaged, StorageError, StorageFull, StorageUnavailable, shown
from wheelyard.model import Key, Sha256Hex
from wheelyard.storage.locks import KeyedLocks

_log = structlog.get_logger(__name__)

_YOUNG: Final = timedelta(minutes=30)
_OLD: Final = timedelta(hours=1)
_ATTEMPTS: Final = 5
_RELEASES: Final = 200  # full or spoilt releases that are passed over before it is given up
_AT_ONCE: Final = 4  # uploads; GitHub asks to be written to one after the other, and slow lines want company
_PAGE: Final = 100
_PAGES: Final = ASSETS_LIMIT // _PAGE


@dataclass(frozen=True, slots=True)
class Content:
    """
    Bytes to store.

    Attributes:
        key: Of the file, for messages.
        size: How many.
        sha256: Their digest.
        pieces: Yields them from the start, as often as it is called.
    """

    key: Key
    size: int
    sha256: Sha256Hex
    pieces: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Stored:
    """
    Where bytes were stored.

    Attributes:
        entry: What the list of files says of them.
        tag: Of the release.
        is_own: Whether nobody else can have taken the asset over, so that it may be removed at once when it is not used.
    """

    entry: Entry
    tag: str
    is_own: bool


class _Full(Exception):
    """The release takes no more assets."""


class _Immutable(Exception):
    """The release takes no assets any more, since it was published."""


class _Gone(Exception):
    """There is no such release any more."""


class Releases:
    """
    The releases of one repository.

    Args:
        client: Asks.
        layout: `version`, `file` or `rolling`.
    """

    def __init__(self, client: GitHubClient, layout: str) -> None:
        self._client = client
        self._layout = layout
        self._is_immutable = False
        self._known: dict[str, int] = {}
        self._counts: dict[int, int] = {}
        self._full: set[str] = set()
        self._tags = KeyedLocks()
        self._uploads = anyio.Semaphore(_AT_ONCE)

    # -- storing ---------------------------------------------------------------------------------------------------

    async def store(self, place: Place, content: Content, listing: Listing, head: str) -> Stored:
        """
        Store bytes as an asset, and make sure that GitHub has exactly these.

        Args:
            place: The file's group and name.
            content: Its bytes.
            listing: What the group has; its releases are used again.
            head: Commit that a new release's tag names.
        Raises:
            StorageError: They are not stored.
        """
        async with self._uploads:
            if self._layout == "file" or self._is_immutable:
                return await self._staged(place, content, head)
            try:
                return await self._beside_others(place, content, listing, head)
            except _Immutable:
                _log.warning("github-immutable-releases", repository=self._client.name)
                self._is_immutable = True
                return await self._staged(place, content, head)

    async def _beside_others(self, place: Place, content: Content, listing: Listing, head: str) -> Stored:
        """Store bytes in the release that has the others of the same kind, or the next one when it is full."""
        tag, lost = tag_of(place, self._layout), 0
        for _ in range(_RELEASES):
            if tag not in self._full:
                try:
                    release = await self._release(tag, listing, head)
                    return await self._stored(place, content, release, tag)
                except _Full:
                    self._full.add(tag)
                except _Gone:  # removed by hand, or the upload host is elsewhere: both are asked for anew
                    lost += 1
                    if lost > _ATTEMPTS:
                        raise StorageUnavailable(
                            f"GitHub does not find its own release '{tag}'", hint="Try again."
                        ) from None
                    self._known.pop(tag, None)
                    listing = Listing(listing.files, {})
                    continue
            tag = next_tag(tag)
        raise StorageFull(key=content.key)

    async def _release(self, tag: str, listing: Listing, head: str) -> int:
        """Return the id of the release with this tag, made when there is none."""
        async with self._tags.hold(tag):
            known = self._known.get(tag) or listing.releases.get(tag)
            if (
                known is not None
                and self._client.knows_uploads
                and (self._layout != "rolling" or known in self._counts)
            ):
                release = known
            elif known is not None:
                answer = await self._client.ask("GET", f"/releases/{known}", expected=frozenset({200, 404}))
                release = self._learned(answer.object()) if answer.status == 200 else await self._made(tag, head)  # noqa: PLR2004
            else:
                release = await self._made(tag, head)
            self._known[tag] = release
        if self._counts.get(release, 0) >= most_assets(self._layout):
            raise _Full
        return release

    async def _made(self, tag: str, head: str) -> int:
        """Make a release, or find the one that has the tag by now."""
        body = {
            "tag_name": tag, "target_commitish": head, "name": tag, "draft": False, "prerelease": False,
            "make_latest": "false", "body": "Files of a Python package index, kept by Wheelyard.",
        }  # fmt: skip
        for _ in range(_ATTEMPTS):
            try:
                answer = await self._client.ask("POST", "/releases", json=body, expected=frozenset({201, 422}))
            except LostAnswer as lost:
                error: StorageError = lost.error
            else:
                if answer.status == 201:  # noqa: PLR2004
                    return self._learned(answer.object())
                if "immutable" in answer.message:
                    raise _Full  # the tag of a removed release can never be used again
                error = failure(answer, repository=self._client.name, is_write=True)
            found = await self._client.ask(
                "GET", f"/releases/tags/{quote(tag, safe='')}", expected=frozenset({200, 404})
            )
            if found.status == 200:  # noqa: PLR2004
                return self._learned(found.object())
        raise error

    def _learned(self, release: Mapping[str, Any]) -> int:
        """Take what a release says about itself."""
        self._client.learn_uploads(release.get("upload_url"))
        if release.get("immutable") is True:
            raise _Immutable
        number = int(release["id"])
        self._counts[number] = len(release.get("assets") or ())
        return number

    async def _staged(self, place: Place, content: Content, head: str) -> Stored:
        """Store bytes in a release of their own that is published when they are in it: nothing can be added later."""
        tag = tag_of(place, "file")
        body = {
            "tag_name": tag, "target_commitish": head, "name": place.name, "draft": True, "prerelease": False,
            "body": "A file of a Python package index, kept by Wheelyard.",
        }  # fmt: skip
        try:
            answer = await self._client.ask("POST", "/releases", json=body, expected=frozenset({201}))
        except LostAnswer as lost:
            raise lost.error from lost
        draft = answer.object()
        release = int(draft["id"])
        self._client.learn_uploads(draft.get("upload_url"))
        try:
            stored = await self._stored(place, content, release, tag)
            return Stored(stored.entry, await self._published(release, tag), is_own=True)
        except BaseException:
            with anyio.move_on_after(10, shield=True):
                await self._dropped(f"/releases/{release}")
            raise

    async def _published(self, release: int, tag: str) -> str:
        """Publish a draft under the first free tag; returns the tag."""
        for _ in range(_RELEASES):
            change = {"tag_name": tag, "draft": False, "make_latest": "false"}
            try:
                answer = await self._client.ask(
                    "PATCH", f"/releases/{release}", json=change, expected=frozenset({200, 422}), is_safe=True
                )
            except LostAnswer as lost:
                raise lost.error from lost
            if answer.status == 200:  # noqa: PLR2004
                return tag
            if "tag_name" not in answer.content.decode(errors="replace"):
                raise failure(answer, repository=self._client.name, is_write=True)
            tag = next_tag(tag)
        raise StorageFull

    # -- one asset -------------------------------------------------------------------------------------------------

    async def _stored(self, place: Place, content: Content, release: int, tag: str) -> Stored:
        """Upload an asset, and find out what became of it when the answer does not tell."""
        name, is_own, error = asset_name(place), False, None
        for _ in range(_ATTEMPTS):
            try:
                answer = await self._uploaded(content, release, name)
            except LostAnswer as lost:
                error = lost.error
                asset = await self._find(release, name)
                if asset is not None and not _is_the(asset, content):
                    await self._dropped(
                        f"/releases/assets/{asset['id']}"
                    )  # half of ours: GitHub keeps it as a `starter`
                    asset = None
            else:
                asset = answer.object() if answer.status == 201 else None  # noqa: PLR2004
                if asset is None:
                    asset = await self._taken(place, content, release, name, answer)
                    if asset is None and name == asset_name(place):
                        name, is_own = marked_name(place, token_hex(6)), True
            if asset is not None:
                await self._check(asset, content)
                self._counts[release] = self._counts.get(release, 0) + 1
                entry = Entry(content.size, content.sha256, int(asset["id"]), release, str(asset["name"]))
                return Stored(entry, tag, is_own)
        raise error or StorageUnavailable(f"GitHub did not take the file '{shown(content.key)}'", hint="Try again.")

    async def _uploaded(self, content: Content, release: int, name: str) -> Answer:
        answer = await self._client.upload(
            f"/releases/{release}/assets?name={quote(name, safe='')}",
            content.pieces,
            size=content.size,
            expected=frozenset({201, 404, 422}),
        )
        if answer.status == 404:  # noqa: PLR2004
            raise _Gone
        if answer.status == 422 and not answer.has_error("already_exists"):  # noqa: PLR2004
            words = answer.message.lower()
            if "immutable" in words:
                raise _Immutable
            if any(word in words for word in (str(ASSETS_LIMIT), "limit", "too many", "maximum")):
                raise _Full
            raise failure(answer, repository=self._client.name, is_write=False)
        return answer

    async def _taken(
        self, place: Place, content: Content, release: int, name: str, answer: Answer
    ) -> dict[str, Any] | None:
        """Return the asset that has our name, if it may be ours; None after making room, or when another name is needed."""
        asset = await self._find(release, name)
        if asset is None:
            return None
        age = _now(answer) - datetime.fromisoformat(asset["created_at"])
        if _is_the(asset, content) and age < _YOUNG:
            return asset
        if age > _OLD:
            _log.warning("github-leftover-removed", key=content.key, asset=asset["id"], group=place.group)
            await self._dropped(f"/releases/assets/{asset['id']}")
        return None

    async def _find(self, release: int, name: str) -> dict[str, Any] | None:
        """Return the asset of a release that has a name."""
        for page in range(1, _PAGES + 1):
            answer = await self._client.ask("GET", f"/releases/{release}/assets?per_page={_PAGE}&page={page}")
            assets = answer.json()
            for asset in assets:
                if asset["name"] == name:
                    return dict(asset)
            if len(assets) < _PAGE:
                break
        return None

    async def _check(self, asset: Mapping[str, Any], content: Content) -> None:
        """
        Make sure that an asset has our bytes.

        Raises:
            RecordDamaged: It has others; it is removed.
        """
        if asset.get("digest") is None and asset.get("state") == "uploaded" and asset.get("size") == content.size:
            if await self._digest(int(asset["id"])) == content.sha256:  # older servers do not tell
                return
        elif _is_the(asset, content):
            return
        await self._dropped(f"/releases/assets/{asset['id']}")
        raise RecordDamaged(content.key, "GitHub stored other bytes than it was given; nothing was kept")

    async def _digest(self, asset: int) -> str:
        import hashlib  # noqa: PLC0415  hardly ever needed

        digest = hashlib.sha256()
        async with self._client.stream(f"/releases/assets/{asset}") as pieces:
            async for piece in pieces:
                digest.update(piece)
        return digest.hexdigest()

    # -- removing --------------------------------------------------------------------------------------------------

    async def remove(self, entry: Entry) -> None:
        """Remove an asset that no list names; one that stays is an orphan, which harms nobody."""
        if entry.asset is not None:
            await self._dropped(f"/releases/assets/{entry.asset}")
            if entry.release in self._counts:
                self._counts[entry.release] -= 1
                self._full.clear()

    async def _dropped(self, path: str) -> None:
        try:
            answer = await self._client.ask("DELETE", path, expected=frozenset({204, 404, 422}))
        except StorageError as error:
            _log.warning("github-leftover-kept", path=path, why=error.message)
        else:
            if answer.status == 422:  # noqa: PLR2004  an immutable release keeps what it has
                _log.info("github-leftover-kept", path=path, why=json.dumps(answer.message))


def _is_the(asset: Mapping[str, Any], content: Content) -> bool:
    """Tell whether an asset is whole and has our bytes."""
    return (
        asset.get("state") == "uploaded"
        and asset.get("size") == content.size
        and asset.get("digest") == f"sha256:{content.sha256}"
    )


def _now(answer: Answer) -> datetime:
    """Return the time by GitHub's clock, since ages are counted by it."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  hardly ever needed

    try:
        return parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)

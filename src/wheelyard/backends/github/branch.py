"""
The branch that keeps records, lists of files and metadata, as GitHub's API shows it: no state, one method for each call.

Rule 1: a commit names the head it expects (`expectedHeadOid`), so nobody's commit is ever lost.
"""

from __future__ import annotations

import tarfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final
from urllib.parse import quote

from anyio import to_thread

from wheelyard.backends.github.client import GitHubClient, LostAnswer
from wheelyard.backends.github.failures import failure
from wheelyard.backends.github.mirror import blob_sha
from wheelyard.errors import StorageReadOnly, StorageUnavailable, shown

_SHA: Final = "application/vnd.github.sha"
_RAW: Final = "application/vnd.github.raw+json"
_COMPARED: Final = 300  # GitHub tells no more changed files than this
_MODE: Final = "100644"
_README: Final = b"""This branch is kept by Wheelyard, a Python package index: `simple/` has the record of each project, the list of
its files and their core metadata. The files themselves are assets of this repository's releases. Every commit is a
publish, a yank or a removal; do not edit it by hand while a server uses it.
"""
_COMMIT: Final = """mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid } }
}"""


class StaleHead(Exception):
    """The branch is not where it was expected: somebody else committed."""


@dataclass(frozen=True, slots=True)
class Step:
    """
    What changed between two commits.

    Attributes:
        shas: Git's digest of each changed file by path; None for one that was removed.
        is_forward: Whether the second commit follows the first; a replica that lags tells of an older one.
    """

    shas: Mapping[str, str | None]
    is_forward: bool = True


class Branch:
    """
    One branch of one repository.

    Args:
        client: Asks.
        name: Name of the branch.
    """

    def __init__(self, client: GitHubClient, name: str) -> None:
        self.name = name
        self._client = client

    # -- reading ---------------------------------------------------------------------------------------------------

    async def head(self, known: str | None) -> str | None:
        """
        Return the commit that the branch is at; None when there is no branch. Free of charge while it is `known`.

        Raises:
            StorageError: It could not be asked.
        """
        headers = {} if known is None else {"If-None-Match": f'"{known}"'}
        answer = await self._client.ask(
            "GET",
            f"/commits/{quote(self.name, safe='')}",
            accept=_SHA,
            headers=headers,
            expected=frozenset({200, 304, 404, 409, 422}),
        )
        if answer.status == 304:  # noqa: PLR2004
            return known
        if answer.status == 200:  # noqa: PLR2004
            return answer.content.decode("ascii", "replace").strip()
        if answer.status == 404:  # noqa: PLR2004  no such repository for this token; or GitHub's word for an empty one
            await self._client.ask("GET", "")
        return None

    async def step(self, before: str, after: str) -> Step | None:
        """
        Return what changed between two commits; None when that is too much to tell, or one does not follow the other.

        Raises:
            StorageError: It could not be asked.
        """
        answer = await self._client.ask("GET", f"/compare/{before}...{after}", expected=frozenset({200, 404, 422}))
        if answer.status != 200:  # noqa: PLR2004
            return None
        compared = answer.object()
        files, status = compared.get("files"), compared.get("status")
        if status == "behind":
            return Step({}, is_forward=False)  # what we know is newer
        if status not in ("ahead", "identical") or not isinstance(files, list) or len(files) >= _COMPARED:
            return None
        shas: dict[str, str | None] = {}
        for file in files:
            if file["status"] == "renamed":
                shas.setdefault(file["previous_filename"], None)
            shas[file["filename"]] = None if file["status"] == "removed" else file["sha"]
        return Step(shas)

    async def blob(self, sha: str) -> bytes:
        """
        Return one content by git's digest of it.

        Raises:
            StorageError: It could not be had.
        """
        answer = await self._client.ask("GET", f"/git/blobs/{sha}", accept=_RAW)
        if blob_sha(answer.content) != sha:
            raise StorageUnavailable(f"GitHub sent other bytes than those named '{shown(sha)}'", hint="Try again.")
        return answer.content

    async def whole(self, head: str, folder: Path) -> dict[str, tuple[str, bytes]]:
        """
        Return every file of a commit, with git's digest of its content, by path; two questions however many they are.

        Args:
            head: The commit.
            folder: Where the archive is kept while it is read.
        Raises:
            StorageError: It could not be had.
        """

        def spool() -> IO[bytes]:
            folder.mkdir(parents=True, exist_ok=True)
            return TemporaryFile(dir=folder)

        with await to_thread.run_sync(spool) as archive:
            async with self._client.stream(f"/tarball/{head}", accept="application/vnd.github+json") as pieces:
                async for piece in pieces:
                    await to_thread.run_sync(archive.write, piece)
            return await to_thread.run_sync(_unpacked, archive)

    # -- writing ---------------------------------------------------------------------------------------------------

    async def commit(self, head: str, title: str, changes: Mapping[str, bytes | None]) -> str:
        """
        Commit changes on top of `head` in one question; returns the new head.

        Args:
            head: The commit that the branch has to be at.
            title: First line of the message.
            changes: New content by path; None removes what is there.
        Raises:
            StaleHead: It is at another one; nothing happened.
            LostAnswer: Whether it happened is not known.
            StorageReadOnly: The token may not, or a rule of the branch refuses; nothing happened.
            StorageError: Nothing happened.
        """
        additions = [
            {"path": path, "contents": b64encode(content).decode("ascii")}
            for path, content in changes.items()
            if content is not None
        ]
        deletions = [{"path": path} for path, content in changes.items() if content is None]
        addresses = self._client.addresses
        answer = await self._client.query(
            _COMMIT,
            {
                "input": {
                    "branch": {"repositoryNameWithOwner": self._client.name, "branchName": self.name},
                    "expectedHeadOid": head,
                    "message": {"headline": title},
                    "fileChanges": {"additions": additions, "deletions": deletions},
                }
            },
            is_safe=False,
        )
        if errors := answer.get("errors"):
            raise _refused(errors, f"{addresses.owner}/{addresses.repo}")
        try:
            oid = answer["data"]["createCommitOnBranch"]["commit"]["oid"]
        except (KeyError, TypeError):
            oid = None
        if not isinstance(oid, str):
            raise LostAnswer(StorageUnavailable("GitHub did not name the commit it made", hint="Try again."))
        return oid

    async def create(self) -> str | None:
        """
        Make the branch, without a parent, with a text for people; returns its head, or None when others made it.

        Raises:
            StorageError: It could not be made.
        """
        try:
            tree = await self._made("/git/trees", {"tree": [_readme()]})
            if tree is None:  # an empty repository takes no plain git objects
                await self._first_commit()
                tree = await self._made("/git/trees", {"tree": [_readme()]})
            commit = await self._made("/git/commits", {"message": "begin an index", "tree": tree, "parents": []})
            answer = await self._client.ask(
                "POST",
                "/git/refs",
                json={"ref": f"refs/heads/{self.name}", "sha": commit},
                expected=frozenset({201, 422}),
            )
        except LostAnswer as lost:
            raise lost.error from lost
        return commit if answer.status == 201 else None  # noqa: PLR2004

    async def _made(self, path: str, what: Mapping[str, object]) -> str | None:
        answer = await self._client.ask("POST", path, json=what, expected=frozenset({201, 409}))
        return None if answer.status == 409 else str(answer.object()["sha"])  # noqa: PLR2004

    async def _first_commit(self) -> None:
        answer = await self._client.ask(
            "PUT",
            "/contents/README.md",
            json={"message": "begin", "content": b64encode(b"A Python package index.\n").decode("ascii")},
            expected=frozenset({201, 409, 422}),  # 409 and 422: somebody else began at the same moment
        )
        if answer.status == 422 and "sha" not in answer.message:  # noqa: PLR2004
            raise failure(answer, repository=self._client.name, is_write=True)


def _readme() -> dict[str, str]:
    return {"path": "README.md", "mode": _MODE, "type": "blob", "content": _README.decode()}


def _refused(errors: object, repository: str) -> Exception:
    """Return what GraphQL's errors mean."""
    known = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    kinds = {error.get("type") for error in known}
    words = shown("; ".join(str(error.get("message", "")) for error in known) or "it did not say why")
    if "STALE_DATA" in kinds or "Expected branch to point to" in words:
        return StaleHead(words)
    if kinds & {"FORBIDDEN", "NOT_FOUND", "INSUFFICIENT_SCOPES"} or "rule" in words.lower() or "protected" in words:
        return StorageReadOnly(
            why=f"GitHub does not let the server's own token commit to '{repository}': {words}",
            hint="The token needs write access to contents, and no rule may protect the index branch from it.",
        )
    return StorageUnavailable(f"GitHub did not commit to '{repository}': {words}", hint="Try again.")


def _unpacked(archive: IO[bytes]) -> dict[str, tuple[str, bytes]]:
    """Read the files of an archive that GitHub made; its first folder is the repository's name. Blocks."""
    archive.seek(0)
    files: dict[str, tuple[str, bytes]] = {}
    try:
        with tarfile.open(fileobj=archive, mode="r:gz") as opened:
            for member in opened:
                _, _, path = member.name.partition("/")
                source = opened.extractfile(member) if member.isfile() else None
                if source is not None and path:
                    content = source.read()
                    files[path] = blob_sha(content), content
    except (tarfile.TarError, EOFError, OSError) as error:
        raise StorageUnavailable("GitHub's archive of the index branch cannot be read", hint="Try again.") from error
    return files

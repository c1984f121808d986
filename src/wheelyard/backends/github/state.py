"""
The branch as this server knows it: kept in step with GitHub, changed by commits that several publishers share.

Rule 1: the state moves only while `_lock` is held, to a commit that GitHub has named.
Rule 2: a commit is planned on the state it is made on. When somebody else was faster, it is planned again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Final

import anyio
import structlog
from anyio import to_thread

from wheelyard.backends.github.branch import Branch, StaleHead
from wheelyard.backends.github.client import LostAnswer
from wheelyard.backends.github.mirror import Mirror, Tree, blob_sha, is_kept_in_memory
from wheelyard.backends.github.names import is_record_path, record_key_of
from wheelyard.errors import StorageError, StorageUnavailable
from wheelyard.model import Key
from wheelyard.storage.interface import Changes

_log = structlog.get_logger(__name__)

_ATTEMPTS: Final = 30  # other servers that are outrun before it is given up
_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 2.0
_BLOBS: Final = 30  # changed records that are fetched singly; more of them come with the whole branch
_BATCH_BYTES: Final = 8 * 1024 * 1024  # one commit's share of a request; its limit is not documented
_GITHUB_RECORDS: Final = 20_000  # keys whose last change is remembered

Contents = Mapping[str, bytes | None]
"""New contents by path of the branch; None removes."""


class View:
    """The state that a commit is planned on: the branch, and what the same commit already changes."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.changes: dict[str, bytes | None] = {}

    def content(self, path: str) -> bytes | None:
        """Return the content at a path that is kept in memory; None when nothing is there."""
        return self.changes[path] if path in self.changes else self._tree.contents.get(path)

    def sha(self, path: str) -> str | None:
        """Return git's digest of the content at a path; None when nothing is there."""
        if path not in self.changes:
            return self._tree.shas.get(path)
        content = self.changes[path]
        return None if content is None else blob_sha(content)

    def effective(self) -> dict[str, bytes | None]:
        """Return what differs from the branch."""
        return {
            path: content
            for path, content in self.changes.items()
            if (None if content is None else blob_sha(content)) != self._tree.shas.get(path)
        }


Planning = Callable[[View], Contents]
"""Plans changes on a state; raises a `StorageError` to refuse. Does not wait, may run again."""


@dataclass(slots=True, eq=False)
class _Pending:
    title: str
    plan: Planning
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class BranchState:
    """
    The state of one branch, and the only way to change it.

    Args:
        branch: Asked and written to.
        mirror: Where the state is kept over restarts.
        folder: This server's own, for what is fetched.
        index: Name of the index, for the log.

    Attributes:
        tree: What is known now.
        trouble: Why what is known may be old; None when it is not.
    """

    def __init__(self, branch: Branch, mirror: Mirror, folder: Path, *, index: str) -> None:
        self.tree = Tree()
        self.trouble: str | None = None
        self._branch = branch
        self._mirror = mirror
        self._folder = folder
        self._index = index
        self._lock = asyncio.Lock()
        self._syncs = 0
        self._pending: list[_Pending] = []
        self._committing: asyncio.Task[None] | None = None
        self._life = token_hex(4)
        self._swaps = 0
        self._swapped: dict[Key, int] = {}
        self._since = 0  # changes before this one are forgotten

    async def start(self) -> None:
        """
        Take up the state that was kept, and bring it up to date; without GitHub the kept one has to do.

        Raises:
            StorageUnavailable: There is none, and GitHub cannot be asked.
        """
        self.tree = await to_thread.run_sync(self._mirror.load)
        try:
            await self.sync()
        except StorageError as error:
            if self.tree.head is None:
                raise
            _log.warning("github-started-offline", index=self._index, head=self.tree.head, why=error.message)

    async def stop(self) -> None:
        """Finish the commit under way, and close the database."""
        if self._committing is not None:
            with suppress(Exception):
                await self._committing
        await to_thread.run_sync(self._mirror.close)

    # -- reading ---------------------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """
        Bring the state up to date with what GitHub has after this call began; one question when nothing changed.

        Raises:
            StorageError: It could not be asked, or what it has could not be fetched; the state is the one before.
        """
        ticket = self._syncs + 1
        async with self._lock:
            if self._syncs >= ticket:  # one that began after we asked is over
                return
            self._syncs += 1
            await self._sync()

    async def blob(self, sha: str) -> bytes:
        """
        Return a content of the branch that is not in memory.

        Raises:
            StorageError: It is not here, and GitHub did not send it.
        """
        content = await to_thread.run_sync(self._mirror.content, sha)
        if content is None:
            content = await self._branch.blob(sha)
            await to_thread.run_sync(self._mirror.keep, sha, content)
        return content

    def changes(self, cursor: str | None) -> Changes:
        """Tell which records changed since a cursor of this process."""
        life, _, seen = (cursor or "").partition(":")
        known = life == self._life and seen.isdecimal() and len(seen) < 20  # noqa: PLR2004  digits of any number of swaps
        if not known or not self._since <= int(seen) <= self._swaps:
            keys = frozenset(record_key_of(path) for path in self.tree.contents if is_record_path(path))
            return Changes(keys, self.token, complete=True)
        return Changes(
            frozenset(key for key, number in self._swapped.items() if number > int(seen)), self.token, complete=False
        )

    @property
    def token(self) -> str:
        """A word that differs after every change of a record; the cursor of `changes`."""
        return f"{self._life}:{self._swaps}"

    def touch(self, key: Key) -> None:
        """Tell of a swap that left a record as it was."""
        self._swaps += 1
        self._swapped[key] = self._swaps
        if len(self._swapped) > _GITHUB_RECORDS:
            self._since, self._swapped = self._swaps, {}

    # -- writing ---------------------------------------------------------------------------------------------------

    async def commit(self, title: str, plan: Planning) -> None:
        """
        Change the branch; returns when GitHub has it. What is asked for while another commit is under way goes together.

        Raises:
            StorageError: As `plan` refuses on the newest state; or GitHub could not be told, and the next state says
                whether it happened.
        """
        pending = _Pending(title, plan)
        self._pending.append(pending)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all())
        try:
            await asyncio.shield(pending.done)
        except asyncio.CancelledError:
            if pending in self._pending:
                self._pending.remove(pending)
            raise

    async def _commit_all(self) -> None:
        """Commit what is asked for until nothing is left."""
        while self._pending:
            async with self._lock:
                batch, self._pending = self._pending, []
                try:
                    await _Batch(self, batch).run()
                except BaseException as error:
                    for pending in batch:
                        if not pending.done.done():
                            pending.done.set_exception(_ours(error))
                            pending.done.exception()  # whoever waited may be gone
                    if not isinstance(error, Exception):
                        raise

    async def make(self) -> None:
        """
        Make the branch when there is none.

        Raises:
            StorageError: It could not be made.
        """
        async with self._lock:
            await self._sync()
            if self.tree.head is None:
                await self._create()

    def put_off(self, pending: list[_Pending]) -> None:
        """Leave what does not fit into one commit for the next."""
        self._pending = pending + self._pending

    # -- parts; the lock is held -------------------------------------------------------------------------------------

    async def _sync(self) -> None:
        try:
            head = await self._branch.head(self.tree.head)
            if head is None and self.tree.head is not None:
                raise StorageUnavailable(
                    f"the branch '{self._branch.name}' is gone from GitHub; what it had is served on",
                    hint="An administrator should restore the branch, or remove this server's folder of the index.",
                )
            if head is not None and head != self.tree.head:
                await self._go_to(head)
        except StorageError as error:
            self.trouble = error.message
            raise
        self.trouble = None

    async def _create(self) -> None:
        head = await self._branch.create()
        if head is not None:
            _log.info("github-branch-made", index=self._index, head=head)
        await self._sync()

    async def _go_to(self, head: str) -> None:
        step = None if self.tree.head is None else await self._branch.step(self.tree.head, head)
        wanted: list[str] = []
        if step is not None:
            wanted = [sha for path, sha in step.shas.items() if sha is not None and is_kept_in_memory(path)]
        if step is None or len(wanted) > _BLOBS:
            await self._reload(head)
        elif step.is_forward:
            await self._step(head, step.shas, await self._contents(wanted))

    async def _reload(self, head: str) -> None:
        files = await self._branch.whole(head, self._folder)
        await to_thread.run_sync(self._mirror.replace, head, files)
        gone = {path: None for path in self.tree.shas if path not in files}
        self._moved(
            head, {**gone, **{path: file for path, file in files.items() if self.tree.shas.get(path) != file[0]}}
        )

    async def _contents(self, shas: list[str]) -> dict[str, bytes]:
        found = await to_thread.run_sync(self._mirror.contents, shas)

        async def fetch(sha: str) -> None:
            found[sha] = await self._branch.blob(sha)

        limiter = anyio.CapacityLimiter(4)

        async def limited(sha: str) -> None:
            async with limiter:
                await fetch(sha)

        try:
            async with anyio.create_task_group() as tasks:
                for sha in {sha for sha in shas if sha not in found}:
                    tasks.start_soon(limited, sha)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return found

    async def _step(self, head: str, shas: Mapping[str, str | None], contents: Mapping[str, bytes]) -> None:
        changes = {path: None if sha is None else (sha, contents.get(sha)) for path, sha in shas.items()}
        await to_thread.run_sync(self._mirror.apply, self.tree.head, head, changes)
        self._moved(head, changes)

    def _moved(self, head: str, changes: Mapping[str, tuple[str, bytes | None] | None]) -> None:
        self.tree.apply(head, changes)
        for path in changes:
            if is_record_path(path):
                self.touch(record_key_of(path))


class _Batch:
    """One commit for several who asked; the state's lock is held while it runs."""

    def __init__(self, state: BranchState, asked: list[_Pending]) -> None:
        self._state = state
        self._asked = asked
        self._is_synced = False
        self._lost: dict[str, str | None] = {}  # what a commit whose answer was lost would have left

    async def run(self) -> None:
        """Commit, as often as somebody else is faster."""
        for attempt in range(_ATTEMPTS):
            self._asked = [pending for pending in self._asked if not pending.done.done()]
            if not self._asked:
                return None
            if self._lost and self._is_there(self._lost):
                return self._finish(self._asked)
            if await self._tried():
                return None
            await anyio.sleep(min(_LONGEST_WAIT_S, _WAIT_S * attempt) * random.random())  # noqa: S311  against lockstep
        raise StorageUnavailable("other servers kept changing the index at GitHub", hint="Try again.")

    async def _tried(self) -> bool:
        """Try once; False to plan again on a newer state."""
        state = self._state
        view, accepted, refused = self._planned()
        changes = view.effective()
        if (refused or not changes) and not self._is_synced:
            # A refusal, or that nothing is to be done, is told of the newest state only.
            await self._sync()
            return False
        for pending, error in refused:
            pending.done.set_exception(error)
        self._asked = accepted
        if not changes:
            self._finish(accepted)
            return True
        if state.tree.head is None:
            await state._create()  # noqa: SLF001  a part of the state
            return False
        try:
            head = await state._branch.commit(state.tree.head, _title(accepted), changes)  # noqa: SLF001  a part of the state
        except StaleHead:
            await self._sync()
            return False
        except LostAnswer:
            await self._sync()
            self._lost = {path: None if content is None else blob_sha(content) for path, content in changes.items()}
            return False
        await state._step(head, {path: view.sha(path) for path in changes}, _by_sha(changes))  # noqa: SLF001  as above
        state.trouble = None  # nobody else committed
        self._finish(accepted)
        return True

    def _planned(self) -> tuple[View, list[_Pending], list[tuple[_Pending, StorageError]]]:
        view, size = View(self._state.tree), 0
        accepted: list[_Pending] = []
        refused: list[tuple[_Pending, StorageError]] = []
        for number, pending in enumerate(self._asked):
            if accepted and size > _BATCH_BYTES:
                self._state.put_off(self._asked[number:])
                self._asked = self._asked[:number]
                break
            try:
                changes = pending.plan(view)
            except StorageError as error:
                refused.append((pending, error))
                continue
            view.changes.update(changes)
            size += sum(len(content) for content in changes.values() if content is not None)
            accepted.append(pending)
        return view, accepted, refused

    async def _sync(self) -> None:
        await self._state._sync()  # noqa: SLF001  as above
        self._is_synced = True

    def _is_there(self, shas: Mapping[str, str | None]) -> bool:
        return all(self._state.tree.shas.get(path) == sha for path, sha in shas.items())

    def _finish(self, pending: list[_Pending]) -> None:
        for each in pending:
            if not each.done.done():
                each.done.set_result(None)


def _title(accepted: list[_Pending]) -> str:
    if len(accepted) == 1:
        return accepted[0].title
    return f"{accepted[0].title}, and {len(accepted) - 1} more"


def _by_sha(changes: Contents) -> dict[str, bytes]:
    return {blob_sha(content): content for content in changes.values() if content is not None}


def _ours(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    return StorageUnavailable("the server is stopping", hint="Try again.")

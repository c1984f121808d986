"""
A site in a branch of a Git repository, as hosts show them as pages: one commit for each build, pushed with a lease.

What did not change is not even fetched: the last commit comes without its files where the host allows that, and the new
one is made on top of it by `git fast-import`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO, Final

from wheelyard.errors import SiteError, shown
from wheelyard.site.destination import Content, Destination
from wheelyard.site.git import PASSWORD_VARIABLE, Credentials, Git

_OWN_REF: Final = "refs/heads/site"
_NEEDS_QUOTES: Final = re.compile(r'["\\\n]')


class BranchDestination(Destination):
    """
    A folder of a branch.

    Args:
        url: Of the repository, without credentials.
        branch: Made when it is not there.
        subfolder: Folder in it; "" for the whole branch. What else is in the branch stays.
        credentials: For the host; None for none, or where ssh has its own.
    """

    workers = 2

    def __init__(self, url: str, branch: str, subfolder: str, *, credentials: Credentials | None = None) -> None:
        self.name = f"git+{url}#{branch}" + (f":{subfolder}" if subfolder else "")
        self._url = url
        self._ref = f"refs/heads/{branch}"
        self._prefix = f"{subfolder}/" if subfolder else ""
        self._credentials = credentials
        # A checkout of the branch may be on a disk that knows no case: no two paths may differ by it alone.
        self.case_matters = False
        self._lock = Lock()
        self._changes: dict[str, int | None] = {}
        self._mark = 0
        self._head: str | None = None
        self._importer: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """Fetch the last commit of the branch, if there is one."""
        self._folder = Path(tempfile.mkdtemp(prefix="wheelyard-site-"))
        self._git = Git(self._folder, self._url, credentials=self._credentials)
        self._git.init()
        told = self._git.run("ls-remote", "--end-of-options", self._url, self._ref, may_fail=True)
        if told.returncode != 0:
            hint = f"A private repository needs {PASSWORD_VARIABLE}, a token that may write to it."
            raise SiteError(
                f"'{shown(self.name)}' could not be asked: {self._git.said(told.stderr)}",
                hint=hint if self._credentials is None else None,
            )
        if told.stdout.strip():
            self._git.run("remote", "add", "origin", self._url)
            self._git.run("fetch", "--quiet", "--no-tags", "--depth=1", "--filter=blob:none", "origin", self._ref)
            self._head = self._git.run("rev-parse", "FETCH_HEAD").stdout.decode("ascii").strip()

    def read(self, path: str) -> bytes | None:
        """Read a file of the last commit, or one of this build."""
        if self._head is None or self._changes.get(path, 0) is None:
            return None
        found = self._git.run("cat-file", "blob", f"{self._head}:{self._prefix}{path}", may_fail=True)
        return found.stdout if found.returncode == 0 else None

    def write(self, path: str, content: bytes, kind: Content) -> None:
        """Hand bytes to git."""
        del kind
        with self._lock:
            self._begin_blob(path, len(content)).write(content)
            self._feed(b"\n")

    def put(self, path: str, source: str, kind: Content) -> None:
        """Hand a file to git."""
        del kind
        with self._lock, Path(source).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            feeding = self._begin_blob(path, size)
            shutil.copyfileobj(file, feeding)
            self._feed(b"\n")

    def remove(self, path: str) -> None:
        """Remember that a path goes."""
        with self._lock:
            self._changes[path] = None

    def paths(self, prefix: str) -> Iterator[str]:
        """List the files of the last commit."""
        if self._head is None:
            return
        told = self._git.run("ls-tree", "-r", "-z", "--name-only", self._head, "--", f"{self._prefix}{prefix}")
        for name in told.stdout.split(b"\0"):
            if name:
                yield name.decode("utf-8", "surrogateescape")[len(self._prefix) :]

    def publish(self, message: str) -> None:
        """Make a commit and push it, if nobody else has pushed since."""
        if not self._changes:
            return
        with self._lock:
            self._import(message)
        made = self._git.run("rev-parse", _OWN_REF).stdout.decode("ascii").strip()
        if self._head is not None and self._tree(made) == self._tree(self._head):
            self._changes.clear()
            return
        lease = f"--force-with-lease={self._ref}:{self._head or ''}"
        pushed = self._git.run("push", "--porcelain", lease, self._url, f"{made}:{self._ref}", may_fail=True)
        if pushed.returncode != 0:
            if b"stale info" in pushed.stdout + pushed.stderr:
                raise SiteError(f"somebody else has pushed to '{shown(self.name)}' meanwhile", hint="Build again.")
            raise SiteError(
                f"'{shown(self.name)}' could not be pushed: {self._git.said(pushed.stdout + pushed.stderr)}"
            )
        self._head = made
        self._changes.clear()

    def close(self) -> None:
        """Remove what was fetched."""
        if self._importer is not None:
            self._importer.kill()
            self._end_import()
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _tree(self, commit: str) -> bytes:
        return self._git.run("rev-parse", f"{commit}^{{tree}}").stdout

    def _begin_blob(self, path: str, size: int) -> IO[bytes]:
        self._mark += 1
        self._changes[path] = self._mark
        self._feed(b"blob\nmark :%d\ndata %d\n" % (self._mark, size))
        return self._feeding()

    def _feeding(self) -> IO[bytes]:
        if self._importer is None:
            self._importer = self._git.start("fast-import", "--quiet", "--done", "--date-format=now")
        assert self._importer.stdin is not None
        return self._importer.stdin

    def _feed(self, content: bytes) -> None:
        try:
            self._feeding().write(content)
        except BrokenPipeError:
            raise SiteError(f"git fast-import failed: {self._git.complaints()}") from None

    def _import(self, message: str) -> None:
        """Make the commit of everything that was handed over."""
        who = (
            f"{os.environ.get('GIT_COMMITTER_NAME', 'Wheelyard')} "
            f"<{os.environ.get('GIT_COMMITTER_EMAIL', 'wheelyard@localhost')}> now"
        )
        text = message.encode()
        lines = [f"commit {_OWN_REF}\ncommitter {who}\ndata {len(text)}\n".encode(), text, b"\n"]
        if self._head is not None:
            lines.append(f"from {self._head}\n".encode())
        for path, mark in sorted(self._changes.items()):
            name = _quoted(self._prefix + path)
            lines.append((f"D {name}\n" if mark is None else f"M 100644 :{mark} {name}\n").encode())
        self._feed(b"".join(lines) + b"\ndone\n")
        if self._end_import() != 0:
            raise SiteError(f"git fast-import failed: {self._git.complaints()}")

    def _end_import(self) -> int:
        importer, self._importer = self._importer, None
        assert importer is not None
        assert importer.stdin is not None
        with suppress(BrokenPipeError):
            importer.stdin.close()
        return importer.wait()


def _quoted(path: str) -> str:
    """Write a path as `fast-import` reads it; one with odd characters in quotes."""
    if not _NEEDS_QUOTES.search(path):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

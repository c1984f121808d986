"""A site in a folder: files are hard-linked where that works, everything else appears by a rename."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wheelyard.errors import SiteError, shown
from wheelyard.site.destination import OWN_FOLDER, Content, Destination

_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES})
_COPY_BYTES = 1024 * 1024


class FolderDestination(Destination):
    """
    A folder of this machine.

    Args:
        folder: Made when it is not there.
        copy: Whether files are copied where links would do: links share the bytes with the storage of the index, so whoever
            writes into a file of the site writes into the index.
    """

    puts_are_durable = False

    def __init__(self, folder: Path, *, copy: bool = False) -> None:
        self.name = str(folder)
        self._root = os.path.abspath(folder)  # noqa: PTH100  text: paths are joined half a million times
        self._temporary = f"{self._root}/{OWN_FOLDER}/new-{os.getpid()}"
        self._copy = copy
        self._numbers = itertools.count()
        self._made: set[str] = set()
        self._lock: int | None = None
        self._dirty = False

    def open(self) -> None:
        """Make the folder, and hold off other builders."""
        with self._as_site_error(self._root):
            os.makedirs(f"{self._root}/{OWN_FOLDER}", exist_ok=True)  # noqa: PTH103  as above
            self._lock = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SiteError(
                    f"another build of '{shown(self.name)}' is running", hint="Wait until it ends."
                ) from None
            for left in Path(self._root, OWN_FOLDER).glob("new-*"):  # of killed builds: we hold the lock
                shutil.rmtree(left, ignore_errors=True)
            os.mkdir(self._temporary)  # noqa: PTH102  as above
            self.case_matters = self._tells_case_apart()

    def read(self, path: str) -> bytes | None:
        """Read a file."""
        with self._as_site_error(path):
            try:
                with open(f"{self._root}/{path}", "rb") as file:  # noqa: PTH123  as above
                    return file.read()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, path: str, content: bytes, kind: Content) -> None:
        """Write a file beside, and rename it."""
        del kind
        temporary = self._new()
        with self._as_site_error(path):
            opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            with os.fdopen(opened, "wb", buffering=0) as file:
                _write_all(file.fileno(), content)
            self._rename(temporary, path)

    def put(self, path: str, source: str, kind: Content) -> None:
        """Link a file, or copy it where that cannot be."""
        del kind
        with self._as_site_error(path):
            if self._copy or not self._linked(path, source):
                temporary = self._new()
                _copied(source, temporary)
                self._rename(temporary, path)

    def remove(self, path: str) -> None:
        """Unlink a file, and its folder when nothing else is in it."""
        with self._as_site_error(path), suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(f"{self._root}/{path}")  # noqa: PTH108  as above
            self._dirty = True
            folder = path.rpartition("/")[0]
            if folder.count("/") == 1:  # simple/<project>
                with suppress(OSError):
                    os.rmdir(f"{self._root}/{folder}")  # noqa: PTH106  as above
                    self._made.discard(folder)

    def paths(self, prefix: str) -> Iterator[str]:
        """Walk the folder."""
        start = len(self._root) + 1
        for folder, _, names in os.walk(f"{self._root}/{prefix}"):
            for name in names:
                yield f"{folder.rstrip('/')}/{name}"[start:]

    def commit_files(self) -> None:
        """Have the system write out what it still holds in memory."""
        if self._dirty:
            # Pages came into being by renames without a sync each, which would take minutes for a large site.
            os.sync()
            self._dirty = False

    def close(self) -> None:
        """Let other builders in."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # -- parts -----------------------------------------------------------------------------------------------------

    def _new(self) -> str:
        return f"{self._temporary}/{next(self._numbers)}"

    def _rename(self, temporary: str, path: str) -> None:
        self._make_folder(path)
        os.replace(temporary, f"{self._root}/{path}")  # noqa: PTH105  as above
        self._dirty = True

    def _make_folder(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if folder and folder not in self._made:
            os.makedirs(f"{self._root}/{folder}", exist_ok=True)  # noqa: PTH103  as above
            self._made.add(folder)

    def _linked(self, path: str, source: str) -> bool:
        """Link a file; False where links cannot be."""
        self._make_folder(path)
        target = f"{self._root}/{path}"
        try:
            try:
                os.link(source, target, follow_symlinks=False)
            except FileExistsError:
                if os.path.samestat(os.stat(source), os.lstat(target)):  # noqa: PTH116  as above
                    return True
                temporary = self._new()
                os.link(source, temporary, follow_symlinks=False)
                os.replace(temporary, target)  # noqa: PTH105  as above
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise
        self._dirty = True
        return True

    def _tells_case_apart(self) -> bool:
        probe = f"{self._temporary}/Case"
        with open(probe, "wb"):  # noqa: PTH123  as above
            return not os.path.exists(f"{self._temporary}/cASE")  # noqa: PTH110  as above

    @contextmanager
    def _as_site_error(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise SiteError(f"'{shown(path)}' cannot be written in '{shown(self.name)}': {why}") from error


def _write_all(opened: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(opened, view) :]


def _copied(source: str, target: str) -> None:
    with open(source, "rb") as reading, open(target, "xb") as writing:  # noqa: PTH123  as above
        shutil.copyfileobj(reading, writing, _COPY_BYTES)

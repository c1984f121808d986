"""
Where backups are written to and read from: a folder of snapshots, or one tar file.

    BACKUP/snapshots/<time>/manifest.json           what is in it: size and SHA-256 of every file
    BACKUP/snapshots/<time>/indexes/<name>/simple/… the same tree as in the storage
    BACKUP/snapshots/<time>/config.toml …           the server's own things

A snapshot is made in a folder of its own and renamed when everything in it is on disk, so an earlier one is never touched;
what did not change since the snapshot before is a second name of its file. A tar file has the same tree and is renamed
into place in the same way.

Rule 1: every method blocks; callers are in a thread.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from wheelyard.errors import BackupError, shown
from wheelyard.storage.spool import PIECE_BYTES

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_SNAPSHOTS: Final = "snapshots"
_PARTIAL: Final = ".partial-"
_SNAPSHOT_NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z\Z")
_SNAPSHOT_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_PRIVATE_FOLDER: Final = 0o700  # packages and secrets of a private index
_PRIVATE_FILE: Final = 0o600
_BLOCK: Final = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup: its size in bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a backup holds.

    Attributes:
        made: When it was begun, ISO 8601 in UTC.
        program: Version of the program that made it.
        indexes: Name and backend type of each index.
        files: Every file but the manifest, by its path in the backup.
        problems: What could not be copied, one line each; a backup with problems is still a backup of the rest.
        missing: Listed files that could not be copied: path to reason.
    """

    made: str
    program: str
    indexes: Mapping[str, str]
    files: Mapping[str, Entry]
    problems: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    def render(self) -> bytes:
        """Render the manifest."""
        document = {
            "format": FORMAT,
            "made": self.made,
            "program": self.program,
            "indexes": dict(self.indexes),
            "problems": list(self.problems),
            "missing": dict(self.missing),
            "files": {path: [entry.size, entry.sha256] for path, entry in sorted(self.files.items())},
        }
        return json.dumps(document, indent=1).encode() + b"\n"


def parse_manifest(content: bytes, where: str) -> Manifest:
    """
    Read a manifest, trusting nothing: backups lie on disks that others reach.

    Raises:
        BackupError: It is none, or one of a newer version.
    """
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise BackupError(
                f"'{shown(where)}' is a backup of format '{shown(document['format'])}', this version reads {FORMAT}",
                hint="Use the version of wheelyard that made it, or a newer one.",
            )
        files = {_checked(path): Entry(int(size), str(digest)) for path, (size, digest) in document["files"].items()}
        return Manifest(
            str(document["made"]),
            str(document["program"]),
            {str(name): str(kind) for name, kind in document["indexes"].items()},
            files,
            tuple(map(str, document["problems"])),
            {str(path): str(why) for path, why in document["missing"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"the manifest of '{shown(where)}' cannot be read: {error!r}") from error


def _checked(path: str) -> str:
    """Return a path that stays inside the backup."""
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"path '{shown(path)}'")
    return path


# --- reading -------------------------------------------------------------------------------------------------------


class BackupSource(ABC):
    """
    A backup to read from.

    Attributes:
        manifest: What it holds.
        name: What it is called, for people.
    """

    manifest: Manifest
    name: str

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """
        Open one file; the caller closes it.

        Raises:
            BackupError: It is not there.
        """

    def close(self) -> None:  # noqa: B027  a folder has nothing to close
        """Close what was opened to read the backup."""

    def read(self, path: str) -> bytes:
        """
        Read one small file and check it.

        Raises:
            BackupError: It is not there, or not what was written.
        """
        with self.open(path) as file:
            content = file.read()
        if hashlib.sha256(content).hexdigest() != self.manifest.files[path].sha256:
            raise BackupError(f"'{shown(path)}' in the backup is damaged: its sha256 is not that of the manifest")
        return content

    def verify(self) -> Iterator[tuple[str, str]]:
        """Read everything again; yield each path with what is wrong with it, "" for nothing."""
        for path, entry in self.manifest.files.items():
            try:
                with self.open(path) as file:
                    digest = _sha256_of(file)
            except (BackupError, OSError) as error:
                yield path, str(error)
                continue
            yield path, "" if digest == entry.sha256 else "its sha256 is not that of the manifest"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class FolderSource(BackupSource):
    """One snapshot of a backup folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder)
        try:
            content = (folder / MANIFEST).read_bytes()
        except OSError as error:
            raise BackupError(f"'{shown(folder)}' is no backup: {error.strerror}") from error
        self.manifest = parse_manifest(content, self.name)

    def open(self, path: str) -> BinaryIO:
        """Open one file of the snapshot."""
        try:
            return (self.folder / path).open("rb")
        except OSError as error:
            raise BackupError(f"'{shown(path)}' in the backup cannot be read: {error.strerror}") from error


class TarSource(BackupSource):
    """One tar file."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115  closed by `close`
            # A file that was retried stands there twice; the last one counts.
            self._members = {member.name: member for member in self._tar if member.isreg()}
            manifest = self._tar.extractfile(self._members[MANIFEST])
            content = b"" if manifest is None else manifest.read()
        except (OSError, KeyError, tarfile.TarError) as error:
            raise BackupError(f"'{shown(path)}' is no backup: {error}") from error
        self.manifest = parse_manifest(content, self.name)

    def open(self, path: str) -> BinaryIO:
        """Open one member."""
        member = self._members.get(path)
        file = None if member is None else self._tar.extractfile(member)
        if file is None:
            raise BackupError(f"'{shown(path)}' is not in the backup")
        return cast("BinaryIO", file)

    def close(self) -> None:
        """Close the tar file."""
        self._tar.close()


def snapshots(folder: Path) -> list[Path]:
    """Return the snapshots of a backup folder, oldest first."""
    try:
        return sorted(path for path in (folder / _SNAPSHOTS).iterdir() if _SNAPSHOT_NAME.match(path.name))
    except OSError:
        return []


def open_source(place: Path, snapshot: str | None = None) -> BackupSource:
    """
    Open a backup.

    Args:
        place: A backup folder, one of its snapshots, or a tar file.
        snapshot: Start of the name of a snapshot; the newest when None.
    Raises:
        BackupError: There is none.
    """
    if place.is_file():
        return TarSource(place)
    if (place / MANIFEST).is_file():
        return FolderSource(place)
    found = [path for path in snapshots(place) if snapshot is None or path.name.startswith(snapshot)]
    if not found:
        what = "no backup in it" if snapshot is None else f"no snapshot '{shown(snapshot)}' in it"
        raise BackupError(
            f"'{shown(place)}' has {what}", hint="Name a folder or tar file that `wheelyard backup` made."
        )
    return FolderSource(found[-1])


# --- writing -------------------------------------------------------------------------------------------------------


class BackupTarget(ABC):
    """
    A backup being written: one file after the other, then `commit`. Nothing is seen of it before.

    Attributes:
        files: What was added so far.
        previous: The backup before this one, whose files need not be copied again; None when there is none.
    """

    def __init__(self) -> None:
        self.files: dict[str, Entry] = {}
        self.previous: BackupSource | None = None

    def reuse(self, path: str, sha256: str | None = None) -> bool:
        """Take a file over from the backup before, if it has it with that digest; costs no copying."""
        entry = None if self.previous is None else self.previous.manifest.files.get(path)
        if entry is None or (sha256 is not None and entry.sha256 != sha256) or not self._link(path):
            return False
        self.files[path] = entry
        return True

    @abstractmethod
    def begin(self, path: str, size: int) -> None:
        """
        Begin a file.

        Args:
            path: Where it is in the backup.
            size: Bytes that will come; a tar file must know.
        """

    @abstractmethod
    def write(self, piece: bytes) -> None:
        """Add bytes to the file that was begun."""

    @abstractmethod
    def finish(self) -> Entry:
        """End the file; it is in the backup then. Returns what was written."""

    @abstractmethod
    def abandon(self) -> None:
        """Give up the file that was begun; harmless when none was."""

    @abstractmethod
    def commit(self, manifest: Manifest) -> Path:
        """Make everything durable and visible; return where the backup is."""

    @abstractmethod
    def abort(self) -> None:
        """Remove what was written; what was there before is as it was."""

    def add(self, path: str, content: bytes) -> None:
        """Add one small file."""
        self.begin(path, len(content))
        self.write(content)
        self.finish()

    def _link(self, path: str) -> bool:
        del path
        return False


class FolderTarget(BackupTarget):
    """A new snapshot in a backup folder."""

    def __init__(self, folder: Path, now: datetime) -> None:
        super().__init__()
        self._folder = folder / _SNAPSHOTS
        self._folder.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._lock = _locked(folder)
        for left in self._folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)  # of a backup that was killed: we hold the lock
        earlier = snapshots(folder)
        self._name = _name_after(earlier[-1].name if earlier else "", now)
        self._partial = self._folder / f"{_PARTIAL}{self._name}"
        self._previous = _newest_readable(earlier)
        self.previous = self._previous
        self._partial.mkdir(_PRIVATE_FOLDER)
        self._open: tuple[str, BinaryIO] | None = None
        self._sha256 = hashlib.sha256()
        self._size = 0

    def begin(self, path: str, size: int) -> None:
        """Begin a file."""
        del size
        target = self._partial / path
        target.parent.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        self._open = path, open(target, "xb", buffering=0, opener=_private_opener)  # noqa: SIM115  by `finish`
        self._sha256, self._size = hashlib.sha256(), 0

    def write(self, piece: bytes) -> None:
        """Add bytes."""
        if self._open is not None:
            view = memoryview(piece)
            self._sha256.update(view)
            self._size += len(view)
            while view:
                view = view[self._open[1].write(view) :]

    def finish(self) -> Entry:
        """End the file, durably."""
        assert self._open is not None
        path, file = self._open
        os.fsync(file.fileno())
        file.close()
        self._open = None
        entry = self.files[path] = Entry(self._size, self._sha256.hexdigest())
        return entry

    def abandon(self) -> None:
        """Remove the file that was begun."""
        if self._open is not None:
            path, file = self._open
            file.close()
            self._open = None
            (self._partial / path).unlink(missing_ok=True)

    def commit(self, manifest: Manifest) -> Path:
        """Write the manifest, sync every folder, rename the snapshot into place."""
        self.add(MANIFEST, manifest.render())
        for folder, _, _ in os.walk(self._partial):
            _sync(Path(folder))
        final = self._folder / self._name
        self._partial.rename(final)
        _sync(self._folder)
        os.close(self._lock)
        return final

    def abort(self) -> None:
        """Remove the unfinished snapshot."""
        with suppress(OSError):
            self.abandon()
        shutil.rmtree(self._partial, ignore_errors=True)
        with suppress(OSError):
            os.close(self._lock)

    def _link(self, path: str) -> bool:
        """Give a file of the snapshot before a second name; False where it is gone or has another size by now."""
        if self._previous is None:
            return False
        source, target = self._previous.folder / path, self._partial / path
        try:
            if source.lstat().st_size != self._previous.manifest.files[path].size:
                return False
            target.parent.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            return True
        except OSError:
            return False
        return True


class TarTarget(BackupTarget):
    """One new tar file, in place of the one that was there."""

    def __init__(self, path: Path, now: datetime) -> None:
        super().__init__()
        self._path = path
        self._now = now
        path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
        self._file = open(self._partial, "xb", opener=_private_opener)  # noqa: SIM115  by `commit`
        self._open: tuple[str, int] | None = None
        self._sha256 = hashlib.sha256()
        self._size = 0

    def begin(self, path: str, size: int) -> None:
        """Write a member's head."""
        member = tarfile.TarInfo(path)
        member.size, member.mode, member.mtime = size, _PRIVATE_FILE, int(self._now.timestamp())
        self._file.write(member.tobuf(tarfile.PAX_FORMAT))
        self._open = path, size
        self._sha256, self._size = hashlib.sha256(), 0

    def write(self, piece: bytes) -> None:
        """Add bytes, never more than the head says."""
        if self._open is not None:
            piece = piece[: self._open[1] - self._size]
            self._sha256.update(piece)
            self._size += len(piece)
            self._file.write(piece)

    def finish(self) -> Entry:
        """Fill the member up; what is shorter than its head says has a wrong digest, and is not in the manifest."""
        assert self._open is not None
        path, size = self._open
        entry = Entry(self._size, self._sha256.hexdigest())
        self.abandon()
        if entry.size == size:
            self.files[path] = entry
        return entry

    def abandon(self) -> None:
        """Fill the member up; no manifest names it."""
        if self._open is not None:
            _, size = self._open
            self._open = None
            padding = size - self._size + (-size % _BLOCK)
            while padding:
                piece = min(padding, PIECE_BYTES)
                self._file.write(b"\0" * piece)
                padding -= piece

    def commit(self, manifest: Manifest) -> Path:
        """Write the manifest and the end, sync, rename into place."""
        self.add(MANIFEST, manifest.render())
        self._file.write(b"\0" * (2 * _BLOCK))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)
        _sync(self._path.parent)
        return self._path

    def abort(self) -> None:
        """Remove the unfinished file."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)


def is_tar(place: Path) -> bool:
    """Tell whether a backup goes to a tar file: by its name, unless a folder has it."""
    return place.suffix == ".tar" and not place.is_dir()


@contextmanager
def open_target(place: Path, now: datetime) -> Iterator[BackupTarget]:
    """
    Begin a backup; removed again unless the block commits it.

    Raises:
        BackupError: It cannot be written, at the beginning or inside; what was there before is as it was.
    """
    with writing(place):
        target: BackupTarget = TarTarget(place, now) if is_tar(place) else FolderTarget(place, now)
    try:
        yield target
    except BaseException:
        target.abort()
        raise


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """
    Turn what a disk says to writing a backup into our error.

    Raises:
        BackupError: It could not be written.
    """
    try:
        yield
    except OSError as error:
        raise BackupError(
            f"the backup '{shown(place)}' cannot be written: {error.strerror or error}",
            hint="The backup before it is as it was.",
        ) from error


def _newest_readable(earlier: list[Path]) -> FolderSource | None:
    """Return the newest snapshot whose manifest can be read; a damaged one must not keep new ones from being made."""
    for folder in reversed(earlier):
        with suppress(BackupError):
            return FolderSource(folder)
    return None


def _name_after(earlier: str, now: datetime) -> str:
    """Return the name of a new snapshot: later than every other, whatever the clock says."""
    name = now.strftime(_SNAPSHOT_TIME)
    if name > earlier:
        return name
    return (datetime.strptime(earlier, _SNAPSHOT_TIME).replace(tzinfo=UTC) + timedelta(microseconds=1)).strftime(
        _SNAPSHOT_TIME
    )


def _locked(folder: Path) -> int:
    """Take the lock of a backup folder for as long as the descriptor is open."""
    opened = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        raise BackupError(f"another backup to '{shown(folder)}' is under way", hint="Wait for it.") from None
    return opened


def _sha256_of(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE_FILE)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

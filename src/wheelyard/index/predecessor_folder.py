"""What lies in a predecessor's folder, and which of it was taken over already. Every function blocks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from wheelyard.errors import InvalidName, shown
from wheelyard.index.predecessor_files import ARCHIVE_EXTENSIONS, META_SUFFIX, Candidate, Signature, Upload
from wheelyard.protocol.names import normalize

MARKER_NAME: Final = "takeover.json"
"""In the index's own folder: what was taken over. Without it everything is looked at again."""

_OWN_FOLDERS = frozenset({".wheelyard"})
_SETTLED = timedelta(seconds=2)  # coarse clocks of file systems: a folder that changed just now may change unseen
_META_LIMIT_BYTES = 16 * 1024 * 1024
_FIELD = re.compile(r'^(\w+) = "((?:[^"\\]|\\.)*)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Marker:
    """
    What was taken over before.

    Attributes:
        files: By `<distrib>/<filename>`: the file's size and time, and why it was passed over ("" when it was not).
        folders: Time of each `<distrib>` folder that holds nothing new.
    """

    files: Mapping[str, tuple[Signature, str]] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)

    def with_results(self, listing: Listing, taken: Iterable[Candidate], problems: Mapping[Candidate, str]) -> Marker:
        """Return the marker after a takeover; folders with anything open are looked at again next time."""
        files = dict(self.files)
        files |= {candidate.path_shown: (candidate.signature, "") for candidate in taken}
        files |= {candidate.path_shown: (candidate.signature, why) for candidate, why in problems.items()}
        is_open = {name for name, folder in listing.open.items() if not folder <= files.keys()}
        is_open |= {path.partition("/")[0] for path, (_, why) in files.items() if why}
        return Marker(files, {name: time for name, time in listing.folders.items() if name not in is_open})


@dataclass(frozen=True, slots=True)
class Listing:
    """
    What lies in a predecessor's folder.

    Attributes:
        new: Files to take over, by project.
        already: How many were taken over before.
        damaged: What cannot be taken over, one line each.
        folders: Time of each folder, unless it changed just now or could not be read.
        open: For each folder with something new, the new files in it.
        seen: Whether any folder had to be looked into, so that the marker has to be written.
    """

    new: tuple[Candidate, ...] = ()
    already: int = 0
    damaged: tuple[str, ...] = ()
    folders: Mapping[str, int] = field(default_factory=dict)
    open: Mapping[str, frozenset[str]] = field(default_factory=dict)
    seen: bool = False


def read_marker(folder: Path) -> Marker:
    """Read what was taken over before; an unreadable marker is none, since looking again does no harm."""
    try:
        document = json.loads((folder / MARKER_NAME).read_bytes())
        files = {str(path): ((int(size), int(time)), str(why)) for path, (size, time, why) in document["files"].items()}
        return Marker(files, {str(name): int(time) for name, time in document["folders"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Marker()


def write_marker(folder: Path, marker: Marker) -> None:
    """
    Write the marker, whole or not at all.

    Raises:
        OSError: The disk did not take it.
    """
    document = {
        "files": {path: [*signature, why] for path, (signature, why) in sorted(marker.files.items())},
        "folders": dict(sorted(marker.folders.items())),
    }
    temporary = folder / f".{MARKER_NAME}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        with temporary.open("x", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / MARKER_NAME)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def list_folder(folder: Path, marker: Marker, now: datetime, *, thorough: bool = False) -> Listing:
    """
    Look at `<folder>/storage`; folders that did not change since they were done are not opened.

    Args:
        folder: The index's own folder.
        marker: What was done before.
        now: The time.
        thorough: Whether folders that were done are opened too.
    """
    storage = folder / "storage"
    times = dict(_folders(storage))
    done = {name for name, time in times.items() if marker.folders.get(name) == time and not thorough}
    listing = _Listing(storage, marker)
    for name in sorted(times.keys() - done):
        listing.look_into(name)
    if listing.found:
        listing.compare_with_index()
    known = sum(1 for path, (_, why) in marker.files.items() if not why and path.partition("/")[0] in done)
    latest = _nanoseconds(now - _SETTLED)
    return Listing(
        new=tuple(sorted(listing.new, key=lambda candidate: (candidate.project, candidate.filename))),
        already=listing.already + known,
        damaged=tuple(listing.damaged),
        folders={name: time for name, time in times.items() if time < latest and name not in listing.unread},
        open=listing.open(),
        seen=listing.found,
    )


class _Listing:
    """One look at a storage folder."""

    def __init__(self, storage: Path, marker: Marker) -> None:
        self._storage = storage
        self._marker = marker
        self._index: Mapping[str, Mapping[str, object]] | None = None
        self.unread: set[str] = set()
        self.new: list[Candidate] = []
        self.damaged: list[str] = []
        self.already = 0

    @property
    def found(self) -> bool:
        return bool(self.new or self.already or self.damaged)

    def open(self) -> dict[str, frozenset[str]]:
        by_folder: dict[str, set[str]] = {}
        for candidate in self.new:
            by_folder.setdefault(candidate.folder, set()).add(candidate.path_shown)
        return {name: frozenset(paths) for name, paths in by_folder.items()}

    def look_into(self, name: str) -> None:
        """Sort the files of one `<distrib>` folder: those with a description, and those without."""
        try:
            with os.scandir(self._storage / name) as entries:
                files = {entry.name: _signature(entry) for entry in entries if entry.is_file()}
        except OSError as error:
            self.unread.add(name)
            self.damaged.append(f"{shown(name)}: the folder cannot be read: {error.strerror or error}")
            return
        for filename, signature in sorted(files.items()):
            if filename.endswith(ARCHIVE_EXTENSIONS):
                self._look_at(name, filename, signature, has_meta=filename + META_SUFFIX in files)
        for filename in sorted(files):
            archive = filename.removesuffix(META_SUFFIX)
            if filename.endswith(META_SUFFIX) and archive not in files:
                self.damaged.append(f"{shown(f'{name}/{archive}')}: its description is there, the file itself is gone")

    def _look_at(self, name: str, filename: str, signature: Signature, *, has_meta: bool) -> None:
        path = f"{name}/{filename}"
        known = self._marker.files.get(path)
        if known is not None and known[0] == signature:
            if known[1]:
                self.damaged.append(f"{shown(path)}: {known[1]}")
            else:
                self.already += 1
            return
        upload = self._described(name, filename) if has_meta else self._listed(path)
        if upload is None:
            if has_meta or name != "simple":  # a file of ours that strayed into `simple` is not the predecessor's
                self.damaged.append(f"{shown(path)}: {_no_description(has_meta=has_meta)}")
            return
        try:
            project = normalize(upload.distrib or name)
        except InvalidName as error:
            self.damaged.append(f"{shown(path)}: {error.message}")
            return
        self.new.append(
            Candidate(
                project=project,
                folder=name,
                filename=filename,
                path=self._storage / name / filename,
                signature=signature,
                upload=upload,
            )
        )

    def _described(self, name: str, filename: str) -> Upload | None:
        """Read `<filename>.meta`, or else what `index.toml` says of the file."""
        path = self._storage / name / (filename + META_SUFFIX)
        try:
            with path.open("rb") as file:
                text = file.read(_META_LIMIT_BYTES).decode("utf-8", "replace")
        except OSError:
            return self._listed(f"{name}/{filename}")
        return upload_of(_fields(text)) or self._listed(f"{name}/{filename}")

    def _listed(self, path: str) -> Upload | None:
        entry = self._indexed().get(path)
        if entry is None:
            return None
        meta = entry.get("meta")
        return upload_of({**(meta if isinstance(meta, dict) else {}), **entry})

    def _indexed(self) -> Mapping[str, Mapping[str, object]]:
        if self._index is None:
            self._index = _read_index(self._storage)
        return self._index

    def compare_with_index(self) -> None:
        """Name the files that the predecessor listed and that are gone."""
        there = {f"{candidate.folder}/{candidate.filename}" for candidate in self.new} | self._marker.files.keys()
        told = {line.partition(": ")[0] for line in self.damaged}
        for path in sorted(self._indexed()):
            if path not in there and path not in told and not (self._storage / path).exists():
                self.damaged.append(f"{shown(path)}: the predecessor's index lists it, and the file is gone")


def upload_of(fields: Mapping[str, object]) -> Upload | None:
    """Return what the predecessor knew of a file; None without its digest, since then nothing can be checked."""
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    sha256 = texts.get("sha256", "").strip().lower()
    if re.fullmatch(r"[0-9a-f]{64}", sha256) is None:
        return None
    return Upload(
        distrib=texts.get("distrib", "").strip(),
        sha256=sha256,
        version=texts.get("version", "").strip(),
        requires_python=texts.get("requires_python", "").strip(),
    )


def _fields(text: str) -> Mapping[str, object]:
    """Read a description; where its writer made mistakes in quoting a README, at least the plain lines."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return dict(_FIELD.findall(text))


def _read_index(storage: Path) -> Mapping[str, Mapping[str, object]]:
    """Return the entries of `index.toml` by `<distrib>/<filename>`; none when it cannot be read."""
    try:
        document = tomllib.loads((storage / "index.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    packages = document.get("pkgs")
    entries: dict[str, Mapping[str, object]] = {}
    for entry in packages if isinstance(packages, list) else []:
        match entry:
            case {"distrib": str(distrib), "package": str(package), "ext": str(extension)}:
                entries[f"{distrib}/{package}.{extension}"] = entry
    return entries


def _folders(storage: Path) -> Iterator[tuple[str, int]]:
    try:
        with os.scandir(storage) as entries:
            for entry in entries:
                if entry.name not in _OWN_FOLDERS and entry.is_dir():
                    yield entry.name, entry.stat().st_mtime_ns
    except FileNotFoundError:
        return


def _signature(entry: os.DirEntry[str]) -> Signature:
    status = entry.stat()
    return status.st_size, status.st_mtime_ns


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000_000)


def _no_description(*, has_meta: bool) -> str:
    if has_meta:
        return "its description (.meta) cannot be read or has no sha256"
    return "it has no description (.meta), so the predecessor did not list it; publish it again if you want it"

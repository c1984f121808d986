"""One file of the predecessor on its way to us: checked against its digest, linked or copied, looked into. Functions block."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b, md5, sha256
from pathlib import Path
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from wheelyard.archives.inspect import Inspection, inspect
from wheelyard.errors import ArchiveError, InvalidFilename, InvalidKey, shown
from wheelyard.model import DistFile, FileKind, Filename, NormalizedName
from wheelyard.protocol.core_metadata import static_for_sdist
from wheelyard.protocol.filenames import ParsedFilename, parse_filename, quote_filename, release_of
from wheelyard.protocol.names import canonical_version
from wheelyard.storage.keys import check_file_key
from wheelyard.storage.spool import PIECE_BYTES, SPOOL_PREFIX, Spool

Signature = tuple[int, int]
"""Size in bytes and time of last change in nanoseconds: tells that a file is not the one seen before."""

UPLOADER: Final = "private-pypi"
"""Who published a file, when nobody knows more than that the predecessor had it."""

META_SUFFIX: Final = ".meta"
"""Ending of the predecessor's description of a file."""

ARCHIVE_EXTENSIONS: Final = (
    ".zip",
    ".whl",
    ".tar.bz2",
    ".tbz",
    ".tar.gz",
    ".tgz",
    ".tar",
    ".tar.xz",
    ".txz",
    ".tlz",
    ".tar.lz",
    ".tar.lzma",
)
"""Endings of the files that the predecessor listed."""

_NAME_LIMIT_BYTES = 255 - len(".metadata")  # the core metadata is kept beside the file


@dataclass(frozen=True, slots=True)
class Upload:
    """
    What the predecessor wrote down of a file: fields of its upload form.

    Attributes:
        distrib: Project, as in the predecessor's URLs; "" when unknown.
        sha256: Its digest, lower-case hex.
        version: As sent; "" when unknown.
        requires_python: As sent; "" when there was none.
    """

    distrib: str
    sha256: str
    version: str
    requires_python: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    One file to take over.

    Attributes:
        project: Whose it is.
        folder: Name of the folder it lies in.
        filename: Its name.
        path: Where it is.
        signature: What it looked like.
        upload: What was written down of it.
    """

    project: NormalizedName
    folder: str
    filename: str
    path: Path
    signature: Signature
    upload: Upload

    @property
    def path_shown(self) -> str:
        """`<distrib>/<filename>`, as in the predecessor's folder."""
        return f"{self.folder}/{self.filename}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    One file ready to be taken over.

    Attributes:
        candidate: Where it came from.
        file: The page entry it becomes.
        spool: Its bytes; discard it.
        metadata: Its core metadata, byte for byte; None when there is none to be had.
        advice: What the administrator should know, one line each.
        mode: Mode of the original; a store sets its own, and the two may be one file.
    """

    candidate: Candidate
    file: DistFile
    spool: Spool
    metadata: bytes | None
    advice: tuple[str, ...]
    mode: int

    def release(self) -> None:
        """Discard the spool and give the original its mode back."""
        self.spool.discard()
        with contextlib.suppress(OSError):
            if self.candidate.path.stat().st_mode != self.mode:
                self.candidate.path.chmod(self.mode & 0o7777)


@dataclass(frozen=True, slots=True)
class Damaged:
    """
    A file that cannot be taken over.

    Attributes:
        why: The reason.
        lasting: Whether that is so until the file changes; else it is tried again next time.
    """

    why: str
    lasting: bool = True


class LinkedSpool(Spool):
    """
    A spool that is a second name of a file that exists already.

    Holds no open file, so that a project may have thousands.
    """

    def __init__(self, original: Path, folder: Path) -> None:
        """
        Link `original` into `folder` and compute its digest.

        Raises:
            OSError: It cannot be linked or read.
        """
        self.path = folder / f"{SPOOL_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        self.size = 0
        self._sha256 = sha256()
        self._blake2b_256 = blake2b(digest_size=32)
        self._md5 = md5(usedforsecurity=False)
        os.link(original.resolve(), self.path)
        try:
            for piece in _pieces(self.path):
                for digest in (self._sha256, self._blake2b_256, self._md5):
                    digest.update(piece)
                self.size += len(piece)
        except BaseException:
            self.discard()
            raise

    def sync(self) -> None:
        """Make the bytes durable."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def discard(self) -> None:
        """Remove the second name; the first stays."""
        self.path.unlink(missing_ok=True)


def prepare(candidate: Candidate, folder: Path) -> Prepared | Damaged:
    """
    Check one file and make it ready.

    Args:
        candidate: Which.
        folder: Where its second name, or a copy, is made.
    """
    try:
        check_file_key(f"simple/{candidate.project}/{candidate.filename}")
        mode = candidate.path.stat().st_mode
        spool = _spooled(candidate.path, folder)
    except InvalidKey as error:
        return Damaged(error.message)
    except OSError as error:
        return Damaged(f"it cannot be read: {error.strerror or error}", lasting=False)
    if spool.sha256 != candidate.upload.sha256:
        spool.discard()
        return Damaged(
            f"it is damaged: its sha256 is {spool.sha256}, and it was published as {candidate.upload.sha256}"
        )
    try:
        return _described(candidate, spool, mode)
    except BaseException:
        spool.discard()
        raise


def _spooled(original: Path, folder: Path) -> Spool:
    """Link the file where that is safe and the disk can do it, else copy it."""
    # A store sets the mode of what it takes, which other people's files refuse. And a predecessor that still runs writes
    # into a file again when its description is gone.
    is_safe = original.stat().st_uid == os.geteuid() and original.with_name(original.name + META_SUFFIX).exists()
    if is_safe:
        try:
            return LinkedSpool(original, folder)
        except OSError:
            pass  # another disk, or one without links: copying tells if reading is the trouble
    spool = Spool(folder)
    try:
        for piece in _pieces(original):
            spool.write(piece)
    except BaseException:
        spool.discard()
        raise
    return spool


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _described(candidate: Candidate, spool: Spool, mode: int) -> Prepared:
    """Make the page entry: from the archive where it can be read, else from what was written down."""
    advice: list[str] = []
    parsed, inspection = _looked_into(candidate, spool, advice)
    metadata = None if inspection is None else inspection.metadata
    requires_python = candidate.upload.requires_python if inspection is None else inspection.core.requires_python
    if len(candidate.filename.encode("utf-8", "surrogateescape")) > _NAME_LIMIT_BYTES:
        metadata = None
    file = DistFile(
        filename=Filename(candidate.filename),
        url=quote_filename(candidate.filename),
        hashes={"sha256": spool.sha256},
        size=spool.size,
        # The predecessor wrote each file once, when it was published.
        upload_time=datetime.fromtimestamp(candidate.signature[1] / 1_000_000_000, UTC),
        requires_python=_specifier(requires_python, advice),
        core_metadata=_advertised(metadata, parsed, inspection),
        private=_private(candidate, spool, metadata, parsed),
    )
    return Prepared(candidate, file, spool, metadata, tuple(advice), mode)


def _looked_into(
    candidate: Candidate, spool: Spool, advice: list[str]
) -> tuple[ParsedFilename | None, Inspection | None]:
    try:
        parsed = parse_filename(candidate.filename, candidate.project)
    except InvalidFilename as error:
        advice.append(f"it is listed as it is, but would be refused today: {error.why}")
        return None, None
    if parsed.name != candidate.project:
        advice.append(f"its name is of project '{parsed.name}', and it was published under '{candidate.project}'")
    try:
        inspection = inspect(spool.path, parsed)
    except ArchiveError as error:
        advice.append(f"it is listed without metadata, and would be refused today: {error.message}")
        return parsed, None
    advice.extend(f"it would be refused today: {problem.text}" for problem in inspection.problems[:1])
    return parsed, inspection


def _advertised(
    metadata: bytes | None, parsed: ParsedFilename | None, inspection: Inspection | None
) -> dict[str, str] | None:
    """PEP 658 for wheels; for sdists only metadata that every wheel of them has (PEP 643)."""
    if metadata is None or parsed is None or inspection is None:
        return None
    if parsed.kind is FileKind.SDIST and not static_for_sdist(inspection.core):
        return None
    return {"sha256": sha256(metadata).hexdigest()}


def _private(
    candidate: Candidate, spool: Spool, metadata: bytes | None, parsed: ParsedFilename | None
) -> dict[str, str]:
    """The keys that a publish writes (see `checks.new_file`), as far as they can be known."""
    values = {
        "_blake2b_256": spool.blake2b_256,
        "_kind": parsed.kind.value if parsed is not None else FileKind.SDIST.value,  # odd endings were all sdists
        "_md5": spool.md5,
        "_metadata": None if metadata is None else sha256(metadata).hexdigest(),
        "_uploader": UPLOADER,
        "_version": _version(candidate, parsed),
    }
    return {key: value for key, value in values.items() if value}


def _version(candidate: Candidate, parsed: ParsedFilename | None) -> str | None:
    if parsed is not None and parsed.name == candidate.project:
        return parsed.version
    if candidate.upload.version:
        return canonical_version(candidate.upload.version)
    return release_of(candidate.filename, candidate.project)


def _specifier(text: str | None, advice: list[str]) -> str | None:
    if not text:
        return None
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        advice.append(f"its Requires-Python '{shown(text)}' cannot be read and is left out")
        return None
    return text

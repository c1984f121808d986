"""Look into an uploaded file: core metadata out, faults named, within limits, nothing unpacked to disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wheelyard.archives.findings import Contents
from wheelyard.archives.limits import DEFAULT, ArchiveLimits, Budget
from wheelyard.archives.sdists import read_tar_sdist, read_zip_sdist
from wheelyard.archives.wheels import read_wheel
from wheelyard.archives.zip_structure import Source, ends_as_zip
from wheelyard.errors import ArchiveError, InvalidDocument, UploadProblem, shown
from wheelyard.model import FileKind
from wheelyard.protocol.core_metadata import CoreMetadata, advise, parse_core_metadata, validate
from wheelyard.protocol.filenames import ParsedFilename

_LICENSE_FILES_SINCE = (2, 4)  # PEP 639


@dataclass(frozen=True, slots=True)
class Inspection:
    """
    What an archive says.

    Attributes:
        metadata: METADATA or PKG-INFO, byte for byte as in the archive.
        core: The same, parsed.
        problems: Reasons to refuse the file; empty when there are none.
        advice: What its publisher should know, one line each.
    """

    metadata: bytes
    core: CoreMetadata
    problems: tuple[UploadProblem, ...]
    advice: tuple[str, ...]


def inspect(path: Path, parsed: ParsedFilename, *, limits: ArchiveLimits = DEFAULT) -> Inspection:
    """
    Read a wheel or an sdist of a stranger. Blocks; time and memory are bounded by `limits`, not by the file.

    Args:
        path: The file; its own name does not matter.
        parsed: What the name it was sent under says.
        limits: Bounds.
    Returns:
        Its metadata and everything that is wrong with it.
    Raises:
        ArchiveError: It cannot be read safely, or there is no metadata to be had; `part` says where.
        OSError: The file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        return inspect_open(file, parsed, size=os.fstat(file.fileno()).st_size, limits=limits)


def inspect_open(file: BinaryIO, parsed: ParsedFilename, *, size: int, limits: ArchiveLimits = DEFAULT) -> Inspection:
    """
    Do what `inspect` does with a file that is open already.

    Args:
        file: Seekable, at its start; the caller closes it.
        parsed: What the name it was sent under says.
        size: Its bytes.
        limits: Bounds.
    Raises:
        ArchiveError: As `inspect`.
        OSError: As `inspect`.
    """
    contents = _read(file, parsed, Budget(limits, archive_bytes=size))
    try:
        core = parse_core_metadata(contents.metadata)
    except InvalidDocument as error:
        raise ArchiveError(error.message, part=contents.metadata_part) from error
    _check_licenses(core, contents)
    problems = (*validate(core), *contents.findings.told())
    return Inspection(contents.metadata, core, problems, (*contents.findings.advice, *advise(core)))


def _read(file: BinaryIO, parsed: ParsedFilename, budget: Budget) -> Contents:
    if parsed.kind is FileKind.WHEEL:
        return read_wheel(Source(file), parsed, budget)
    if parsed.filename.endswith(".zip"):
        return read_zip_sdist(Source(file), parsed, budget)
    if ends_as_zip(file, budget.archive_bytes):
        raise ArchiveError("the file is a tar.gz and a zip archive at the same time")
    return read_tar_sdist(file, parsed, budget)


def _check_licenses(core: CoreMetadata, contents: Contents) -> None:
    """PEP 639: every `License-File` is in the archive."""
    if _minor(core.metadata_version) < _LICENSE_FILES_SINCE:
        return
    for path in core.license_files:
        if not contents.has_license(path):
            contents.findings.refuse(
                contents.metadata_part,
                "license-file-missing",
                f"License-File '{shown(path)}' is named by the metadata and is not in the file; build it again",
            )


def _minor(metadata_version: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in metadata_version.split("."))
    except ValueError:
        return ()

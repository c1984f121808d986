"""RECORD, the list of a wheel's files with their digests: it must name every file of the archive and nothing else."""

from __future__ import annotations

import csv
import hashlib
import io
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from wheelyard.archives.findings import Findings
from wheelyard.archives.limits import Budget
from wheelyard.archives.zip_content import member_pieces
from wheelyard.archives.zip_structure import ZipMember, ZipStructure
from wheelyard.errors import ArchiveError, shown

_ALGORITHMS = frozenset({"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s"})
"""Binary distribution format: "The hash algorithm must be sha256 or better; specifically, md5, sha1 ... not permitted"."""

_COLUMNS = 3  # path, digest, size
_CODE = "record-mismatch"


@dataclass(frozen=True, slots=True)
class RecordRow:
    """
    One row of RECORD, unchecked.

    Attributes:
        digest: `algorithm=base64`; empty when there is none.
        size: Digits; empty when there is none.
    """

    digest: str
    size: str


def parse_record(content: bytes, *, part: str) -> dict[str, RecordRow]:
    """
    Read RECORD.

    Args:
        content: The file.
        part: Its name, for messages.
    Returns:
        Rows by path.
    Raises:
        ArchiveError: It is no such table, or has two rows that disagree about one path.
    """
    rows: dict[str, RecordRow] = {}
    try:
        for row in csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), strict=True):
            if not row:
                continue
            path, digest, size = row
            new = RecordRow(digest, size)
            if rows.setdefault(path, new) != new:
                raise ArchiveError(f"RECORD has two different rows for '{shown(path)}'", part=part)
    except (ValueError, csv.Error):
        raise ArchiveError(f"RECORD is no UTF-8 table of {_COLUMNS} columns (path, digest, size)", part=part) from None
    return rows


def check_record(structure: ZipStructure, folder: str, findings: Findings, budget: Budget) -> None:
    """
    Compare RECORD with the archive, both ways.

    The content of each file is hashed unless the wheel unpacks to more than `hashed_bytes`; names, sizes and the form
    of the digests are compared always.

    Args:
        structure: The wheel.
        folder: Its `.dist-info` folder.
        findings: Gets what does not fit.
        budget: Bounds the time.
    Raises:
        ArchiveError: RECORD cannot be read, or a file's bytes are not what its zip headers say.
        OSError: The file cannot be read.
    Spec: Binary distribution format, "The .dist-info directory": "RECORD is a list of (almost) all the files in the
        wheel and their secure hashes."
    """
    own = f"{folder}/RECORD"
    exempt = {own, f"{own}.jws", f"{own}.p7s"}
    rows = parse_record(_read(structure, own, budget), part=own)
    is_hashed = budget.unpacked_bytes <= budget.limits.hashed_bytes
    for member in structure.members.values():
        if member.is_folder or member.name in exempt:
            if is_hashed:
                _read_through(structure, member, budget)
            continue
        why = _row_fault(member, rows.get(member.name))
        if why is None and is_hashed and not _content_fits(structure, member, rows[member.name], budget):
            why = "does not have the content whose digest RECORD gives"
        if why is not None:
            findings.refuse(own, _CODE, f"the file '{shown(member.name)}' of the wheel {why}; build the wheel again")
    _check_nothing_absent(structure.members, rows.keys() - exempt, own, findings)


def _read(structure: ZipStructure, name: str, budget: Budget) -> bytes:
    member = structure.members[name]
    if member.size > budget.limits.record_bytes:
        raise ArchiveError(f"RECORD has more than {budget.limits.record_bytes} bytes", part=name)
    return b"".join(member_pieces(structure.source, member, budget))


def _read_through(structure: ZipStructure, member: ZipMember, budget: Budget) -> None:
    """Check a member of which RECORD says nothing: what cannot be unpacked stops every installer, wherever it is."""
    for _ in member_pieces(structure.source, member, budget):
        pass


def _row_fault(member: ZipMember, row: RecordRow | None) -> str | None:
    if row is None:
        return "is not listed in RECORD"
    if row.digest.partition("=")[0].lower() not in _ALGORITHMS:
        return "has no sha256 digest (or better) in RECORD"
    if row.size and row.size != str(member.size):
        return f"has {member.size} bytes, RECORD says '{shown(row.size)}'"
    return None


def _content_fits(structure: ZipStructure, member: ZipMember, row: RecordRow, budget: Budget) -> bool:
    algorithm, _, told = row.digest.partition("=")
    digest = hashlib.new(algorithm.lower(), usedforsecurity=False)
    for piece in member_pieces(structure.source, member, budget):
        digest.update(piece)
    return urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() == told.rstrip("=")


def _check_nothing_absent(members: Mapping[str, ZipMember], paths: set[str], own: str, findings: Findings) -> None:
    # Some tools list folders; they have a "/" at the end and no digest.
    for path in sorted(path for path in paths if path not in members and not path.endswith("/")):
        findings.refuse(own, _CODE, f"RECORD lists '{shown(path)}', which is not in the wheel; build the wheel again")

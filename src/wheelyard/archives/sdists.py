"""Sdists: one top folder with PKG-INFO, and nothing that reaches out of it."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import BinaryIO

from packaging.utils import canonicalize_name

from wheelyard.archives.findings import Contents, Findings
from wheelyard.archives.gzip_stream import GzipStream
from wheelyard.archives.limits import Budget
from wheelyard.archives.names import check_member_name, check_no_file_is_folder
from wheelyard.archives.tar_stream import TarKind, TarMember, tar_members
from wheelyard.archives.zip_content import read_member
from wheelyard.archives.zip_structure import Source, read_structure
from wheelyard.errors import ArchiveError, shown
from wheelyard.protocol.filenames import ParsedFilename
from wheelyard.protocol.names import same_version

_PKG_INFO = "PKG-INFO"


def read_tar_sdist(file: BinaryIO, parsed: ParsedFilename, budget: Budget) -> Contents:
    """
    Read the metadata of a `.tar.gz` sdist, passing over every member once.

    Args:
        file: Open at its start.
        parsed: What its name says.
        budget: Bounds time and memory.
    Raises:
        ArchiveError: The archive is not sound, reaches out of its top folder, or has no PKG-INFO.
        OSError: The file cannot be read.
    Spec: Source distribution format, "Source distribution archive features".
    """
    stream = GzipStream(file, budget)
    tree = _Tree(limit_bytes=budget.limits.member_name_bytes)
    metadata: bytes | None = None
    for member in tar_members(stream, budget):
        name = tree.add(member)
        if name is not None and name == f"{tree.top}/{_PKG_INFO}":
            metadata = _read_pkg_info(stream, member, budget.limits.metadata_bytes)
    tree.check_whole()
    return _contents(tree, metadata, parsed)


def read_zip_sdist(source: Source, parsed: ParsedFilename, budget: Budget) -> Contents:
    """
    Read the metadata of a `.zip` sdist, as they were made before PEP 625.

    Raises:
        ArchiveError: The zip is not sound, reaches out of its top folder, or has no PKG-INFO.
        OSError: The file cannot be read.
    """
    structure = read_structure(source, budget)
    tree = _Tree(limit_bytes=budget.limits.member_name_bytes)
    for member in structure.members.values():
        kind = TarKind.FOLDER if member.is_folder else TarKind.FILE
        tree.add(TarMember(member.name.rstrip("/"), kind, member.size, ""))
    pkg_info = structure.members.get(f"{tree.top}/{_PKG_INFO}")
    limit_bytes = budget.limits.metadata_bytes
    metadata = None if pkg_info is None else read_member(source, pkg_info, limit_bytes=limit_bytes, budget=budget)
    return _contents(tree, metadata, parsed)


def _read_pkg_info(stream: GzipStream, member: TarMember, limit_bytes: int) -> bytes:
    if member.kind is not TarKind.FILE:
        raise ArchiveError("PKG-INFO of the sdist is a link or a folder, not a file", part=_PKG_INFO)
    if member.size > limit_bytes:
        raise ArchiveError(f"PKG-INFO has {member.size} bytes; more than {limit_bytes} are not read", part=_PKG_INFO)
    content = stream.read(member.size)
    if len(content) != member.size:
        raise ArchiveError("the archive ends in the middle of PKG-INFO: it was cut off", part=_PKG_INFO)
    return content


def _contents(tree: _Tree, metadata: bytes | None, parsed: ParsedFilename) -> Contents:
    if metadata is None:
        raise ArchiveError("the sdist has no 'PKG-INFO' in its top folder; build it again", part=_PKG_INFO)
    findings = Findings()
    name, _, version = tree.top.rpartition("-")
    # `str`: packaging's NormalizedName and ours are two types for one spelling.
    if str(canonicalize_name(name)) != parsed.name or not same_version(version, parsed.version):
        findings.refuse(
            tree.top,
            "sdist-folder",
            f"the top folder '{shown(tree.top)}' of the sdist is not that of '{parsed.name}' {parsed.version}, "
            "the file's name",
        )
    return Contents(metadata, f"{tree.top}/{_PKG_INFO}", lambda path: f"{tree.top}/{path}" in tree.files, findings)


@dataclass(slots=True)
class _Tree:
    """
    The names seen so far, and the rules about them.

    Attributes:
        limit_bytes: Longest name.
        top: The one top folder; empty before the first member.
        names: All names.
        files: Names of all that are no folders, links included.
        links: Names of links.
    """

    limit_bytes: int
    top: str = ""
    names: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)

    def add(self, member: TarMember) -> str | None:
        """Check one member and return its name without a leading `./`; None for the folder `.` itself."""
        name = member.name.removeprefix("./")
        if name in ("", ".") and member.kind is TarKind.FOLDER:
            return None
        check_member_name(name, limit_bytes=self.limit_bytes)
        top, _, rest = name.partition("/")
        self.top = self.top or top
        if top != self.top:
            raise ArchiveError(
                f"an sdist has one top folder; here are '{shown(self.top)}' and '{shown(top)}'", part=top
            )
        if not rest and member.kind is not TarKind.FOLDER:
            raise _fault(name, "is no folder; all files of an sdist are in its one top folder")
        if name in (self.files if member.kind is TarKind.FOLDER else self.names):
            raise _fault(name, "is there twice")
        self.names.add(name)
        if member.kind is TarKind.FOLDER:
            return name
        if member.kind is not TarKind.FILE:
            self._check_target(name, member)
            self.links.add(name)
        self.files.add(name)
        return name

    def check_whole(self) -> None:
        """Check what needs all names: nothing lies under a file or a link."""
        check_no_file_is_folder(self.files, self.names)

    def _check_target(self, name: str, member: TarMember) -> None:
        target = member.target.removeprefix("./").rstrip("/") or "."
        if member.kind is TarKind.HARD_LINK:
            if target not in self.files or target in self.links:
                raise _fault(name, f"links to '{shown(member.target)}', which is no file in front of it")
            return
        # ".." is counted from a real folder only while nothing but ".." is before it: any other step may be a link.
        below = target
        while below == ".." or below.startswith("../"):
            below = below[3:]
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        is_plain = ".." not in below.split("/") and "\\" not in below and ":" not in below and below.isprintable()
        if member.target.startswith("/") or not is_plain or not f"{joined}/".startswith(f"{self.top}/"):
            raise _fault(name, f"links to '{shown(member.target)}', which is not surely inside of the sdist")


def _fault(name: str, why: str) -> ArchiveError:
    return ArchiveError(f"the member '{shown(name)}' of the archive {why}", part=shown(name))

"""Wheels: the `.dist-info` folder and what it says of the rest."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.utils import canonicalize_name

from wheelyard.archives.entry_points import check_entry_points
from wheelyard.archives.findings import Contents, Findings
from wheelyard.archives.limits import Budget
from wheelyard.archives.names import collision_key
from wheelyard.archives.record import check_record
from wheelyard.archives.zip_content import read_member
from wheelyard.archives.zip_structure import Source, ZipStructure, read_structure
from wheelyard.errors import ArchiveError, shown
from wheelyard.protocol.filenames import ParsedFilename
from wheelyard.protocol.names import same_version

_DIST_INFO = ".dist-info"
_CODE = "wheel-file"
_MAJOR = "1"  # of Wheel-Version: what installers today can install


def read_wheel(source: Source, parsed: ParsedFilename, budget: Budget) -> Contents:
    """
    Read a wheel's metadata and check everything around it.

    Args:
        source: The archive.
        parsed: What its name says.
        budget: Bounds time and memory.
    Raises:
        ArchiveError: The zip is not sound, or there is no METADATA to be had.
        OSError: The file cannot be read.
    Spec: Binary distribution format.
    """
    structure = read_structure(source, budget)
    findings = Findings()
    folder = _dist_info(structure, parsed, findings)
    metadata_part = f"{folder}/METADATA"
    metadata = _part(structure, metadata_part, budget.limits.metadata_bytes, budget)
    if metadata is None:
        raise ArchiveError(f"the wheel does not contain '{shown(metadata_part)}'; build it again", part=metadata_part)
    _check_case(structure, folder, findings)
    _check_wheel_file(structure, folder, parsed, findings, budget)
    _check_entry_points(structure, folder, findings, budget)
    if f"{folder}/RECORD" in structure.members:
        check_record(structure, folder, findings, budget)
    else:
        _refuse_missing(f"{folder}/RECORD", findings)
    if structure.streamed:
        findings.advise("the wheel was zipped as a stream (it has data descriptors), which not every installer reads")
    licenses = f"{folder}/licenses"
    return Contents(metadata, metadata_part, lambda path: f"{licenses}/{path}" in structure.members, findings)


def _part(structure: ZipStructure, name: str, limit_bytes: int, budget: Budget) -> bytes | None:
    member = structure.members.get(name)
    if member is None:
        return None
    return read_member(structure.source, member, limit_bytes=limit_bytes, budget=budget)


def _refuse_missing(part: str, findings: Findings) -> None:
    findings.refuse(part, _CODE, f"the wheel does not contain '{shown(part)}'; build it again")


def _dist_info(structure: ZipStructure, parsed: ParsedFilename, findings: Findings) -> str:
    """Return the one `.dist-info` folder: "{name}-{version}.dist-info"."""
    tops = {name.partition("/")[0] for name in structure.members}
    folders = sorted(top for top in tops if top.lower().endswith(_DIST_INFO))
    if len(folders) != 1:
        found = "none" if not folders else ", ".join(f"'{shown(folder)}'" for folder in folders[:3])
        raise ArchiveError(f"a wheel has one '.dist-info' folder at its top; here: {found}", part=_DIST_INFO)
    folder = folders[0]
    name, _, version = folder[: -len(_DIST_INFO)].rpartition("-")
    # `str`: packaging's NormalizedName and ours are two types for one spelling.
    if str(canonicalize_name(name)) != parsed.name or not same_version(version, parsed.version):
        findings.refuse(
            folder,
            _CODE,
            f"the folder '{shown(folder)}' is not that of '{parsed.name}' {parsed.version}, the file's name",
        )
    elif not parsed.filename.startswith(folder[: -len(_DIST_INFO)] + "-"):
        findings.advise(f"the folder '{folder}' is spelled otherwise than the file's name, which some tools need")
    return folder


def _check_case(structure: ZipStructure, folder: str, findings: Findings) -> None:
    """Refuse a second METADATA by case; elsewhere two such names only make trouble on some systems."""
    seen: dict[str, str] = {}
    for name in structure.members:
        other = seen.setdefault(collision_key(name), name)
        if other == name:
            continue
        text = f"'{shown(other)}' and '{shown(name)}' of the wheel are one file on Windows and macOS"
        if collision_key(name).startswith(collision_key(folder) + "/"):
            findings.refuse(name, "archive-member", text)
        else:
            findings.advise(text)


def _check_entry_points(structure: ZipStructure, folder: str, findings: Findings, budget: Budget) -> None:
    part = f"{folder}/entry_points.txt"
    content = _part(structure, part, budget.limits.part_bytes, budget)
    if content is not None:
        check_entry_points(content, part=part, findings=findings)


# --- WHEEL -----------------------------------------------------------------------------------------------------------


def _check_wheel_file(
    structure: ZipStructure, folder: str, parsed: ParsedFilename, findings: Findings, budget: Budget
) -> None:
    part = f"{folder}/WHEEL"
    content = _part(structure, part, budget.limits.part_bytes, budget)
    if content is None:
        _refuse_missing(part, findings)
        return
    headers = list(_headers(content.decode("utf-8", "replace")))
    version = _first(headers, "wheel-version")
    if version is None or version.partition(".")[0] != _MAJOR:
        # "A wheel installer should warn if Wheel-Version is greater than the version it supports, and must fail if
        # Wheel-Version has a greater major version than the version it supports."
        told = "missing" if version is None else f"'{shown(version)}'"
        findings.refuse(part, _CODE, f"'Wheel-Version' in WHEEL is {told}; installers today read version 1 only")
    if _first(headers, "root-is-purelib") is None:
        findings.advise("WHEEL has no 'Root-Is-Purelib'")
    _compare_tags(headers, parsed, findings)


def _compare_tags(headers: list[tuple[str, str]], parsed: ParsedFilename, findings: Findings) -> None:
    tags = {value.lower() for name, value in headers if name == "tag"}
    if tags != {tag.lower() for tag in parsed.tags}:
        told = ", ".join(shown(tag) for tag in sorted(tags)[:5])
        findings.advise(f"the tags of WHEEL ({told or 'none'}) are not those of the file's name")
    build = _first(headers, "build")
    if build != parsed.build:
        findings.advise(f"the build number of WHEEL ({shown(build)}) is not that of the file's name ({parsed.build})")


def _headers(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and not name[:1].isspace():
            yield name.strip().lower(), value.strip()


def _first(headers: list[tuple[str, str]], wanted: str) -> str | None:
    return next((value for name, value in headers if name == wanted), None)

"""From the files of a tag to an sdist: one top folder, core metadata in it, nothing of this machine."""

from __future__ import annotations

import gzip
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import BinaryIO, Final, cast

from packaging.requirements import InvalidRequirement, Requirement

from wheelyard.errors import TagSourceError, shown
from wheelyard.index.tags.projects import StaticProject
from wheelyard.protocol.names import canonical_version, normalize
from wheelyard.storage.spool import PIECE_BYTES, Spool

METADATA_VERSION: Final = "2.4"  # the first with License-Expression
_COMPRESSION = 6
_PKG_INFO = "PKG-INFO"

ReadLinked = Callable[[str], bytes | None]
"""Reads a file of the repository by its path from the repository's top; None when it is no file there."""


def stem_of(project: StaticProject, version: str) -> str:
    """Return `name-version` as it stands in file names. Spec: PEP 625."""
    return f"{normalize(project.name).replace('-', '_')}-{canonical_version(version)}"


def write_sdist(
    source: BinaryIO, spool: Spool, *, stem: str, subdirectory: str, metadata: bytes, read_linked: ReadLinked
) -> None:
    """
    Rewrite the tar of `git archive` as an sdist.

    Times and modes are the commit's, owners are nobody's, so the same commit gives the same bytes with one Python.

    Args:
        source: The tar; names are those in the repository.
        spool: Takes the sdist.
        stem: Name of the top folder.
        subdirectory: What is cut off the names; "" for nothing.
        metadata: Content of PKG-INFO; one that is in the repository is replaced.
        read_linked: Reads what links out of the package's folder point to.
    Raises:
        TagSourceError: A link leads out of the repository.
        OSError: The disk did not take it.
    """
    sink = _Sink(spool)
    packed = gzip.GzipFile(filename="", mode="wb", fileobj=cast("BinaryIO", sink), compresslevel=_COMPRESSION, mtime=0)
    with packed, tarfile.open(fileobj=source, mode="r:") as given:
        comment = given.pax_headers.get("comment")
        headers = None if comment is None else {"comment": comment}
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as made:
            latest = 0
            for member, content in _members(given, subdirectory, read_linked):
                latest = max(latest, int(member.mtime))
                if member.name == _PKG_INFO:
                    continue
                member.name = f"{stem}/{member.name}"
                _anonymous(member)
                made.addfile(member, content)
            info = tarfile.TarInfo(f"{stem}/{_PKG_INFO}")
            info.size, info.mtime, info.mode = len(metadata), latest, 0o644
            made.addfile(info, BytesIO(metadata))


def _members(
    given: tarfile.TarFile, subdirectory: str, read_linked: ReadLinked
) -> Iterator[tuple[tarfile.TarInfo, BinaryIO | None]]:
    """Yield the members below the package's folder, renamed, with their content."""
    before = f"{subdirectory}/" if subdirectory else ""
    for member in given:
        if not member.name.startswith(before) or member.name.rstrip("/") == subdirectory:
            continue
        inner = member.name.removeprefix(before)
        content: BinaryIO | None = None
        if member.isfile():
            content = cast("BinaryIO", given.extractfile(member))
        elif member.issym():
            content = _linked(member, before, read_linked)
        member.name = inner
        member.pax_headers = {}
        yield member, content


def _linked(member: tarfile.TarInfo, before: str, read_linked: ReadLinked) -> BinaryIO | None:
    """
    Turn a link that leaves the package's folder into what it points to.

    In a repository of several packages README and LICENSE often stand at the top, linked from each package.
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
    if not member.linkname.startswith("/") and f"{target}/".startswith(before) and not target.startswith("../"):
        return None
    content = None if member.linkname.startswith("/") or target.startswith("..") else read_linked(target)
    if content is None:
        raise TagSourceError(
            f"its link '{shown(member.name)}' leads to '{shown(member.linkname)}', which is no file of the repository"
        )
    member.type, member.linkname, member.size, member.mode = tarfile.REGTYPE, "", len(content), 0o644
    return BytesIO(content)


def _anonymous(member: tarfile.TarInfo) -> None:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    is_program = member.isdir() or (member.isfile() and bool(member.mode & 0o100))
    member.mode = 0o755 if is_program else 0o644


class _Sink:
    """Hands what gzip writes on to a spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def write(self, data: bytes) -> int:
        """Take bytes, in pieces that a spool takes."""
        view = memoryview(data)
        for start in range(0, len(view), PIECE_BYTES):
            self._spool.write(view[start : start + PIECE_BYTES])
        return len(view)

    def flush(self) -> None:
        """Do nothing: a spool keeps nothing back."""


def render_metadata(project: StaticProject, version: str) -> bytes:
    """
    Render the core metadata of a project: everything that is certain, and `Dynamic` for what is not.

    Args:
        project: What it says of itself.
        version: Its version, which may be the tag's.
    Raises:
        TagSourceError: A requirement is none.
    Spec: Core metadata 2.4; PEP 643.
    """
    lines = [("Metadata-Version", METADATA_VERSION), ("Name", project.name), ("Version", canonical_version(version))]
    lines += [("Dynamic", name) for name in sorted(project.dynamic)]
    lines += _people_lines("Author", project.authors) + _people_lines("Maintainer", project.maintainers)
    one_line = {
        "Summary": project.summary,
        "Keywords": ",".join(project.keywords) or None,
        "License-Expression": project.license_expression,
        "Requires-Python": project.requires_python,
        "Description-Content-Type": project.description_type,
    }
    lines += [(name, value) for name, value in one_line.items() if value is not None and name not in project.dynamic]
    lines += [("Classifier", classifier) for classifier in project.classifiers]
    lines += [("Project-URL", f"{label}, {url}") for label, url in project.urls.items()]
    lines += [("Requires-Dist", _requirement(text, None)) for text in project.requires]
    for extra, requirements in project.extras.items():
        lines.append(("Provides-Extra", normalize(extra)))
        lines += [("Requires-Dist", _requirement(text, normalize(extra))) for text in requirements]
    head = "".join(f"{name}: {' '.join(value.split())}\n" for name, value in lines)
    return (head + ("" if project.description is None else f"\n{project.description}")).encode("utf-8", "replace")


def _people_lines(role: str, people: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Spec: pyproject.toml: only a name goes to `Author`, only an address or both to `Author-Email`."""
    names = [name for name, email in people if name and not email]
    emails = [f"{name} <{email}>" if name else email for name, email in people if email]
    values = ((role, ", ".join(names)), (f"{role}-Email", ", ".join(emails)))
    return [(name, value) for name, value in values if value]


def _requirement(text: str, extra: str | None) -> str:
    try:
        requirement = Requirement(text)
    except (InvalidRequirement, RecursionError) as error:
        raise TagSourceError(f"'{shown(text)}' is not a requirement (PEP 508)") from error
    marker = None if requirement.marker is None else str(requirement.marker)
    requirement.marker = None
    conditions = [
        f"({marker})" if marker and extra and " or " in marker else marker,
        f'extra == "{extra}"' if extra else None,
    ]
    condition = " and ".join(each for each in conditions if each)
    separator = " ; " if requirement.url else "; "
    return f"{requirement}{separator}{condition}" if condition else str(requirement)

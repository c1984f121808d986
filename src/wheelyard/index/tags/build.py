"""From one tag of one repository to files that can be listed. Everything here blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from wheelyard.errors import InvalidFilename, TagSourceError, WheelyardError, shown
from wheelyard.index.checks import PublishLimits, new_file, prepare
from wheelyard.index.hosted import Adopted
from wheelyard.index.interface import Upload
from wheelyard.index.tags.patterns import Reading, readings_of
from wheelyard.index.tags.program import Mirror
from wheelyard.index.tags.projects import StaticProject, read_project
from wheelyard.index.tags.sdists import METADATA_VERSION, render_metadata, stem_of, write_sdist
from wheelyard.index.tags.sources import Package, Repository
from wheelyard.index.tags.tagged import SOURCE
from wheelyard.model import FileKind, NormalizedName
from wheelyard.protocol.filenames import parse_filename
from wheelyard.protocol.names import canonical_version, normalize, same_version
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.storage.spool import Spool

UPLOADER = "git"
"""Who published a release that was made of a tag, in the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedCommit:
    """
    A tag that may be a release of a package.

    Attributes:
        repository: Where it is.
        package: Which package.
        tag: The tag.
        commit: The commit it stands for in the mirror.
    """

    repository: Repository
    package: Package
    tag: str
    commit: str

    def source(self) -> dict[str, str]:
        """Return what the record keeps of it."""
        source = {"commit": self.commit, "repository": self.repository.url, "tag": self.tag}
        return source | ({"subdirectory": self.package.subdirectory} if self.package.subdirectory else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """
    A tag whose project and version are known.

    Attributes:
        at: The tag.
        project: What the project says of itself there.
        name: Its normalised name.
        version: Its version, canonical.
    """

    at: TaggedCommit
    project: StaticProject
    name: NormalizedName
    version: str

    @property
    def filename(self) -> str:
        """Name of the sdist."""
        return f"{stem_of(self.project, self.version)}.tar.gz"


def identify(at: TaggedCommit, mirror: Mirror) -> Identified | None:
    """
    Read what a tag is a release of, and check that tag and project agree.

    Returns:
        None for a tag that names another project: it is not about this package.
    Raises:
        TagSourceError: There is no project, it does not tell its name or version, or the tag says something else.
    """
    folder = at.package.subdirectory
    before = f"{folder}/" if folder else ""
    project = read_project(lambda path: mirror.read(at.commit, before + path))
    name = normalize(project.name)
    if at.package.name is not None and at.package.name != name:
        raise TagSourceError(
            f"the configuration calls the project '{at.package.name}', its own files call it '{shown(project.name)}'"
        )
    readings = readings_of(at.tag, at.repository.patterns_of(at.package), name)
    if not readings:
        return None
    return Identified(at=at, project=project, name=name, version=_agreed(project, readings))


def _agreed(project: StaticProject, readings: tuple[Reading, ...]) -> str:
    """Return the one version that tag and project speak of."""
    if project.version is None:
        return canonical_version(readings[0].version)
    if not any(same_version(reading.version, project.version) for reading in readings):
        raise TagSourceError(
            f"the tag says version {readings[0].version}, the project's own files say {shown(project.version)}"
        )
    return canonical_version(project.version)


def build_sdist(
    found: Identified, mirror: Mirror, spool: Spool, *, limits: PublishLimits, unpacked_bytes: int, now: datetime
) -> Adopted:
    """
    Make the sdist of a tag, and check it as any upload is checked.

    Args:
        found: The tag.
        mirror: Has its files.
        spool: Empty; takes the bytes, and stays the caller's to discard.
        limits: What a release may be.
        unpacked_bytes: Most bytes of files.
        now: The moment of publication, UTC.
    Raises:
        TagSourceError: It cannot be a release; the text says why.
    """
    at = found.at
    metadata = render_metadata(found.project, found.version)
    with mirror.archive(at.commit, at.package.subdirectory, limit_bytes=unpacked_bytes) as tar:
        write_sdist(
            tar,
            spool,
            stem=stem_of(found.project, found.version),
            subdirectory=at.package.subdirectory,
            metadata=metadata,
            read_linked=lambda path: mirror.read(at.commit, path),
        )
    return checked(found.filename, FileKind.SDIST, spool, at.source(), limits=limits, now=now)


def checked(
    filename: str, kind: FileKind, spool: Spool, source: dict[str, str], *, limits: PublishLimits, now: datetime
) -> Adopted:
    """
    Check a file as any upload is checked, and make its entry of the page.

    Raises:
        TagSourceError: It would be refused as an upload.
    """
    upload = Upload(_form(filename, kind, spool), filename, spool, UPLOADER)
    try:
        done = prepare(upload, limits=limits)
    except WheelyardError as error:
        raise TagSourceError(error.message) from error
    file = new_file(done, upload, now=now)
    return Adopted(replace(file, private={**file.private, SOURCE: source}), spool, done.inspection.metadata)


def check_wheel_name(filename: str, name: NormalizedName, version: str) -> None:
    """
    Check that an attached wheel is one of the release it is attached to.

    Raises:
        TagSourceError: It is not, or it is no wheel.
    """
    try:
        parsed = parse_filename(filename)
    except InvalidFilename as error:
        raise TagSourceError(f"the attached wheel is not listed: {error.message}") from error
    if parsed.name != name or not same_version(parsed.version, version):
        raise TagSourceError(f"the attached wheel '{shown(filename)}' is none of '{name}' {version}; it is not listed")


def _form(filename: str, kind: FileKind, spool: Spool) -> UploadForm:
    parsed = parse_filename(filename)
    fields = {
        "name": parsed.name,
        "version": parsed.version,
        "filetype": kind.value,
        "metadata_version": METADATA_VERSION,
        "sha256_digest": spool.sha256,
    }
    return UploadForm("file_upload", "1", {name: (value,) for name, value in fields.items()})

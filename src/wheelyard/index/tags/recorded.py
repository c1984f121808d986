"""What the records say of earlier looks: which tag became which file, and what became of that tag since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wheelyard.errors import RecordDamaged
from wheelyard.index.records import deleted_names
from wheelyard.index.tags.report import Trouble
from wheelyard.index.tags.sources import TagSources, place_of
from wheelyard.index.tags.tagged import TaggedIndex, source_of
from wheelyard.model import DistFile, FileKind, NormalizedName
from wheelyard.protocol.names import normalize

_SHORT = 12  # characters of a commit that are enough for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """
    A release that was made of a tag.

    Attributes:
        project: Its project.
        version: Its version.
        tag: The tag.
        commit: The commit the tag stood for then.
        subdirectory: The package's folder.
        is_withdrawn: Whether it was yanked: somebody knows already what became of its tag.
    """

    project: NormalizedName
    version: str
    tag: str
    commit: str
    subdirectory: str
    is_withdrawn: bool


@dataclass(slots=True)
class Records:
    """
    All that is recorded.

    Attributes:
        by_place: Releases by the place of their repository, as it is now.
        owners: Project to the place of its repository; "" for a project that was not made of tags.
        damaged: Project to why its record cannot be read.
    """

    by_place: dict[str, list[Recorded]] = field(default_factory=dict)
    owners: dict[NormalizedName, str] = field(default_factory=dict)
    damaged: dict[NormalizedName, str] = field(default_factory=dict)

    def releases(self, url: str) -> list[Recorded]:
        """Return the releases of the repository at a URL."""
        return self.by_place.setdefault(place_of(url), [])


async def read_records(index: TaggedIndex, sources: TagSources) -> Records:
    """
    Read what is recorded of every project.

    Raises:
        StorageError: The store could not be asked.
    """
    records = Records()
    for name in (await index.listed()).names:
        project = normalize(name)
        try:
            page = await index.record(project)
        except RecordDamaged as error:
            records.damaged[project] = error.message
            continue
        for file in page.files:
            _note(records, page.name, file, sources)
    return records


def _note(records: Records, project: NormalizedName, file: DistFile, sources: TagSources) -> None:
    source = source_of(file)
    if source is None:
        records.owners.setdefault(project, "")
        return
    place = sources.place(source.get("repository", ""))
    records.owners[project] = place
    if file.private.get("_kind") != FileKind.SDIST.value:
        return
    recorded = Recorded(
        project=project,
        version=str(file.private.get("_version", "")),
        tag=source.get("tag", ""),
        commit=source.get("commit", ""),
        subdirectory=source.get("subdirectory", ""),
        is_withdrawn=file.yanked is not None,
    )
    records.by_place.setdefault(place, []).append(recorded)


async def is_deleted(index: TaggedIndex, project: NormalizedName, filename: str) -> bool:
    """Tell whether an administrator removed a file of that name: it does not come back by itself."""
    return filename in deleted_names(await index.record(project))


def moved_tags(url: str, recorded: list[Recorded], tags: Mapping[str, str]) -> Iterator[Trouble]:
    """
    Yield what became of tags that releases were made of; a release that was yanked is not spoken of any more.

    Args:
        url: The repository.
        recorded: Its releases.
        tags: Its tags now, with the commit of each.
    """
    for release in recorded:
        if release.is_withdrawn:
            continue
        now = tags.get(release.tag)
        stays = f"'{release.project}' {release.version} stays what it was; yank it if it should not be used"
        if now is None:
            yield Trouble(source=url, tag=release.tag, text=f"was deleted; {stays}")
        elif now != release.commit:
            told = f"moved from {release.commit[:_SHORT]} to {now[:_SHORT]}"
            yield Trouble(source=url, tag=release.tag, text=f"{told}; {stays}")

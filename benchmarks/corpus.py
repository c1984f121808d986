"""
The corpora: folders of valid distribution files in our storage layout, and the same files by hard link for the others.

    corpus-<size>-<fingerprint>/
        root/cache/<index>/storage/simple/<project>/...   what our server is started on
        packages/<project>/<filename>                     hard links, for servers that read folders
        manifest.json                                     what is where; written last, so its presence means whole

The fingerprint follows from this generator and from the stored format, so that neither can change unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.distributions import Made, make_sdist, make_wheel
from benchmarks.place import CACHE
from wheelyard.index import records
from wheelyard.index.hosted import file_key, metadata_key, record_key
from wheelyard.model import NormalizedName, ProjectPage
from wheelyard.protocol.record import render_record

INDEX = "benchmarking"
"""Name of the index: twelve letters, so that upper and lower case give 4,096 spellings of one user name."""

TREE_PACKAGES = 60
_TREE_RELEASES = 5
_GENERATOR = 3  # goes up when the same size means another corpus
_PROJECTS_AT_ONCE = 20
_WIDE_TAGS = (
    "cp311-cp311-manylinux_2_28_x86_64",
    "cp311-cp311-macosx_11_0_arm64",
    "cp312-cp312-manylinux_2_28_x86_64",
    "cp312-cp312-win_amd64",
)


@dataclass(frozen=True, slots=True)
class Size:
    """
    What a corpus is to hold.

    Attributes:
        name: For people and folder names.
        small: Projects without anything special.
        files: Files of each of them; every other one is an sdist.
        file_bytes: Bytes in each file that do not compress.
        wide: Files of the one project with many; 0 for no such project.
        large_bytes: Size of the one large wheel; 0 for no such project.
        tree: Whether the dependency tree is in it.
    """

    name: str
    small: int
    files: int
    file_bytes: int
    wide: int = 0
    large_bytes: int = 0
    tree: bool = False

    @property
    def projects(self) -> int:
        """How many projects there are."""
        return self.small + (self.wide > 0) + (self.large_bytes > 0) + (TREE_PACKAGES if self.tree else 0)


SMALL = Size("160", small=98, files=10, file_bytes=4096, wide=5000, large_bytes=200_000_000, tree=True)
MEDIUM = Size("2000", small=2000, files=15, file_bytes=512)
LARGE = Size("20000", small=20_000, files=10, file_bytes=512)


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a corpus holds.

    Attributes:
        projects: All names, sorted.
        small: Names of the ordinary ones.
        files: Distribution files of all projects together.
        wide: Name of the project with many files, or "".
        large: Name of the project with the large wheel, or "".
        large_file: Name of that wheel, or "".
        tree: Name of the root of the dependency tree, or "".
    """

    projects: tuple[str, ...]
    small: tuple[str, ...]
    files: int
    wide: str
    large: str
    large_file: str
    tree: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """
    A corpus on disk.

    Attributes:
        size: What it was asked to hold.
        folder: Where it is.
        manifest: What it holds.
    """

    size: Size
    folder: Path
    manifest: Manifest

    @property
    def root(self) -> Path:
        """The ROOT folder of our server."""
        return self.folder / "root"

    @property
    def packages(self) -> Path:
        """Hard links to the files, one folder for each project."""
        return self.folder / "packages"


def storage_of(root: Path) -> Path:
    """Return the storage folder of the index in a ROOT folder."""
    return root / "cache" / INDEX / "storage"


def fingerprint(size: Size) -> str:
    """Return a short text that changes when the same size would be another corpus, or be stored differently."""
    sample = make_wheel("sample", "1.0", size=16)
    page = records.with_files(ProjectPage(name=NormalizedName("sample")), [sample.entry()])
    told = json.dumps([_GENERATOR, INDEX, asdict(size)]).encode() + render_record(page)
    return hashlib.sha256(told).hexdigest()[:10]


def corpus_of(size: Size, *, cache: Path = CACHE, workers: int | None = None) -> Corpus:
    """
    Return the corpus of a size; made when it is not there.

    Args:
        size: What it holds.
        cache: Folder that keeps corpora.
        workers: Processes that make it; by default one for each core.
    """
    folder = cache / f"corpus-{size.name}-{fingerprint(size)}"
    told = folder / "manifest.json"
    if not told.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        manifest = _generate(size, folder, workers or os.cpu_count() or 1)
        told.write_text(json.dumps(asdict(manifest)), encoding="utf-8")
    loaded: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    projects, small = tuple(loaded.pop("projects")), tuple(loaded.pop("small"))
    return Corpus(size, folder, Manifest(projects=projects, small=small, **loaded))


def clone(corpus: Corpus, folder: Path) -> Path:
    """Copy the corpus's ROOT by hard links, records included, to a folder where it may be changed; return it."""
    root = folder / "root"
    shutil.copytree(storage_of(corpus.root) / "simple", storage_of(root) / "simple", copy_function=os.link)
    return root


def tree_requirements(number: int) -> tuple[str, ...]:
    """Return what package `number` of the tree requires: its two children, and a cousin."""
    wanted = {2 * number + 1, 2 * number + 2, (5 * number + 7) % TREE_PACKAGES}
    return tuple(f"{tree_name(each)}>=2.0" for each in sorted(wanted) if number < each < TREE_PACKAGES)


def tree_name(number: int) -> str:
    """Return the name of package `number` of the tree."""
    return f"tree-{number:02d}"


# --- making it -----------------------------------------------------------------------------------------------------


def _generate(size: Size, folder: Path, workers: int) -> Manifest:
    jobs = [(size, str(folder), number) for number in range(0, size.small, _PROJECTS_AT_ONCE)]
    if workers == 1 or len(jobs) == 1:
        files = sum(map(_make_small, jobs))
    else:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            files = sum(pool.imap_unordered(_make_small, jobs))
    wide = large = large_file = tree = ""
    if size.wide:
        wide = "wide-project"
        files += _store(folder, wide, _wide(wide, size.wide))
    if size.large_bytes:
        large = "large-wheel"
        made = make_wheel(large, "1.0", size=size.large_bytes)
        large_file = made.filename
        files += _store(folder, large, [made])
    if size.tree:
        tree = tree_name(0)
        files += sum(_store(folder, tree_name(number), _tree(number)) for number in range(TREE_PACKAGES))
    small = tuple(_small_name(number) for number in range(size.small))
    names = sorted({*small, *([wide] if wide else []), *([large] if large else [])})
    names = sorted({*names, *([tree_name(number) for number in range(TREE_PACKAGES)] if tree else [])})
    return Manifest(tuple(names), small, files, wide, large, large_file, tree)


def _small_name(number: int) -> str:
    return f"project-{number:05d}"


def _make_small(job: tuple[Size, str, int]) -> int:
    """Make some ordinary projects, in a process of its own; return how many files they have."""
    size, folder, start = job
    done = 0
    for number in range(start, min(start + _PROJECTS_AT_ONCE, size.small)):
        name = _small_name(number)
        done += _store(Path(folder), name, _ordinary(name, size.files, size.file_bytes))
    return done


def _ordinary(name: str, count: int, size: int) -> Iterator[Made]:
    for number in range(count):
        make = make_sdist if number % 2 else make_wheel
        yield make(name, f"{number // 2 + 1}.0.{number // 2}", size=size, requires=("requests>=2", "packaging"))


def _wide(name: str, count: int) -> Iterator[Made]:
    """Give a release four wheels and an sdist, as projects with compiled parts have."""
    for number in range(count):
        release, kind = divmod(number, len(_WIDE_TAGS) + 1)
        version = f"{release // 100}.{release % 100}.0"
        if kind < len(_WIDE_TAGS):
            yield make_wheel(name, version, size=64, tag=_WIDE_TAGS[kind])
        else:
            yield make_sdist(name, version, size=64)


def _tree(number: int) -> Iterator[Made]:
    for release in range(1, _TREE_RELEASES + 1):
        requires = tree_requirements(number)
        yield make_wheel(tree_name(number), f"{release}.0", size=4096 + 1500 * number, requires=requires)
        yield make_sdist(tree_name(number), f"{release}.0", size=1024, requires=requires)


def _store(folder: Path, project: str, files: Iterable[Made]) -> int:
    """Write one project: files first, the record last, as a publish does; return how many files it has."""
    name = NormalizedName(project)
    storage = storage_of(folder / "root")
    links = folder / "packages" / project
    links.mkdir(parents=True)
    storage.joinpath(file_key(name, "x")).parent.mkdir(parents=True)
    entries = []
    for made in files:
        path = storage / file_key(name, made.filename)
        path.write_bytes(made.content)
        (storage / metadata_key(name, made.filename)).write_bytes(made.metadata)
        (links / made.filename).hardlink_to(path)
        entries.append(made.entry())
    page = records.with_files(ProjectPage(name=name), entries)
    (storage / record_key(name)).write_bytes(render_record(page))
    return len(entries)

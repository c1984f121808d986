"""The generated corpus is what our server and everybody else would have stored."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from benchmarks.corpus import Corpus, Size, corpus_of, storage_of, tree_name, tree_requirements
from benchmarks.distributions import Made, make_sdist, make_wheel
from packaging.requirements import Requirement

from benchmarks import corpus
from wheelyard.archives.limits import ArchiveLimits
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.index.checks import PublishLimits, new_file, prepare
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import Upload
from wheelyard.model import NormalizedName
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.storage.spool import Spool
from wheelyard.storage.store import Store

TINY = Size("tiny", small=3, files=4, file_bytes=64, wide=11, large_bytes=4096, tree=True)
LIMITS = PublishLimits(max_file_bytes=1 << 30, archive=ArchiveLimits())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A corpus of each kind of project, small."""
    return corpus_of(TINY, cache=tmp_path_factory.mktemp("cache"), workers=1)


def _index(root: Path) -> HostedIndex:
    store = Store(FileSystemBackend(storage_of(root)), name=corpus.INDEX)
    return HostedIndex(corpus.INDEX, store, limits=LIMITS, clock=lambda: datetime.now(UTC))


@pytest.mark.anyio
async def test_the_index_reads_what_was_generated(tiny: Corpus, tmp_path: Path) -> None:
    """Every project is listed, and every file has the digest and the metadata that its page promises."""
    index = _index(corpus.clone(tiny, tmp_path))
    await index.store.start()
    try:
        await _check_whole(index, tiny)
    finally:
        await index.store.stop()


async def _check_whole(index: HostedIndex, tiny: Corpus) -> None:
    assert (await index.list()).names == tiny.manifest.projects
    files = 0
    for name in tiny.manifest.projects:
        project = NormalizedName(name)
        for file in (await index.page(project)).files:
            content = (tiny.packages / name / file.filename).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file.sha256
            assert len(content) == file.size
            described = await index.metadata(project, file.filename)
            assert file.core_metadata == {"sha256": hashlib.sha256(described).hexdigest()}
            files += 1
    assert files == tiny.manifest.files == 3 * 4 + 11 + 1 + 60 * 10


def test_the_same_size_is_the_same_corpus(tiny: Corpus, tmp_path: Path) -> None:
    """A corpus made twice has the same bytes everywhere, records included."""
    again = corpus_of(TINY, cache=tmp_path, workers=1)
    assert _digests(again.folder) == _digests(tiny.folder)
    assert again.folder.name == tiny.folder.name


def _digests(folder: Path) -> Mapping[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_another_size_is_another_corpus() -> None:
    """The fingerprint depends on everything a size says."""
    assert corpus.fingerprint(TINY) != corpus.fingerprint(dataclasses.replace(TINY, files=5))


@pytest.mark.parametrize("made", [make_wheel("one-two", "1.0"), make_sdist("one-two", "1.0")], ids=lambda m: m.kind)
def test_a_publish_would_make_the_same_entry(made: Made, tmp_path: Path) -> None:
    """A generated file passes every check of an upload, and its entry differs in time and uploader only."""
    told = {"name": "one-two", "version": "1.0", "filetype": made.kind, "metadata_version": "2.4"}
    told |= {"sha256_digest": made.entry().hashes["sha256"]}
    form = UploadForm("file_upload", "1", {name: (value,) for name, value in told.items()})
    spool = Spool(tmp_path)
    try:
        spool.write(made.content)
        upload = Upload(form, made.filename, spool, "me")
        entry = new_file(prepare(upload, limits=LIMITS), upload, now=datetime(2024, 1, 1, tzinfo=UTC))
    finally:
        spool.discard()
    generated = made.entry()
    private = {**generated.private, "_uploader": "me"}
    assert dataclasses.replace(generated, upload_time=entry.upload_time, private=private) == entry


def test_a_copy_can_be_changed(tiny: Corpus, tmp_path: Path) -> None:
    """A clone lists the same projects and shares no folder with the corpus."""
    root = corpus.clone(tiny, tmp_path)
    project = storage_of(root) / "simple" / tiny.manifest.small[0]
    (project / "new").touch()
    assert not (storage_of(tiny.root) / "simple" / tiny.manifest.small[0] / "new").exists()
    assert len(list(project.parent.iterdir())) == len(tiny.manifest.projects)


def test_the_tree_is_whole() -> None:
    """From its root every package of the tree is reached, and requirements name later packages only."""
    reached, waiting = set(), [0]
    while waiting:
        number = waiting.pop()
        if number not in reached:
            reached.add(number)
            waiting += [int(Requirement(text).name.removeprefix("tree-")) for text in tree_requirements(number)]
    assert reached == set(range(corpus.TREE_PACKAGES))
    assert tree_name(7) == "tree-07"

"""The names of projects are kept for the next start."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from wheelyard.index import hosted
from wheelyard.index.checks import PublishLimits
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.names_file import KnownNames, NamesFile
from wheelyard.model import Key, ProjectPage
from wheelyard.protocol.names import normalize
from wheelyard.protocol.record import render_record
from wheelyard.storage.interface import BackendContext, Plan, Record
from wheelyard.storage.plugins import load_backend
from wheelyard.storage.store import Store

pytestmark = pytest.mark.anyio


def open_store(folder: Path) -> Store:
    plugin = load_backend("file_system")
    return Store(plugin.open(plugin.options(), BackendContext(name="main", folder=folder)), name="main")


def open_index(store: Store, names: NamesFile) -> HostedIndex:
    return HostedIndex("main", store, limits=PublishLimits(), clock=lambda: datetime.now(UTC), names=names)


async def add(store: Store, name: str) -> None:
    page = ProjectPage(name=normalize(name))

    def decide(record: Record | None) -> Plan:
        assert record is None
        return Plan(content=render_record(page))

    await store.transact(Key(f"simple/{name}/index.json"), decide)


def rename_by_hand(folder: Path) -> None:
    (storage,) = folder.glob("index/storage/simple")
    (storage / "two").rename(storage / "three")


async def test_a_start_asks_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start lists without looking at every project, and knows what was published since."""
    store, names = open_store(tmp_path / "index"), NamesFile(tmp_path / "names")
    await store.start()
    for name in ("one", "two"):
        await add(store, name)
    assert (await open_index(store, names).list()).names == ("one", "two")
    await add(store, "three")
    asked = []
    changes = store.changes

    async def counting(cursor: str | None) -> object:
        asked.append(cursor)
        return await changes(cursor)

    monkeypatch.setattr(store, "changes", counting)
    assert (await open_index(store, names).list()).names == ("one", "three", "two")
    assert None not in asked
    await store.stop()


@pytest.mark.parametrize("content", [b"", b"wheelyard names 1\n7\n[]", b"\xff\n1\n2", b'wheelyard names 1\nx\n["",[]]'])
async def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    """A file that is damaged is as good as none, and is replaced."""
    store, names = open_store(tmp_path / "index"), NamesFile(tmp_path / "names")
    await store.start()
    await add(store, "one")
    (tmp_path / "names").write_bytes(content)
    assert (await open_index(store, names).list()).names == ("one",)
    known = names.load()
    assert known is not None
    assert known.names == {"one"}
    await store.stop()


async def test_a_project_copied_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was copied into or removed from the folder while no server ran is seen soon after a start."""
    monkeypatch.setattr(hosted, "LOOK_AGAIN_AFTER_S", 0.0)
    store, names = open_store(tmp_path / "index"), NamesFile(tmp_path / "names")
    await store.start()
    for name in ("one", "two"):
        await add(store, name)
    await open_index(store, names).list()
    rename_by_hand(tmp_path)
    index = open_index(store, names)
    assert (await index.list()).names == ("one", "two")
    token = index.peek_list()
    with anyio.fail_after(10):
        while (await index.list()).names != ("one", "three"):  # noqa: ASYNC110  nothing tells when that is done
            await anyio.sleep(0.01)
    assert index.peek_list() != token, "ready lists are not made anew"
    await store.stop()


async def test_a_full_disk_costs_nothing(tmp_path: Path) -> None:
    """Where the names cannot be kept, listing goes on."""
    names = NamesFile(tmp_path / "missing" / "names")
    names.save(KnownNames("cursor", frozenset({"one"})))
    assert names.load() is None

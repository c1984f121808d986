"""The names of projects are kept for the next start."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import anyio
import httpx2
import pytest

from plugins.live import LiveServer, StartServer
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
from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body


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


@pytest.mark.anyio
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
@pytest.mark.anyio
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


@pytest.mark.anyio
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


def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    """Where the names cannot be kept, listing goes on."""
    (tmp_path / "file").touch()
    names = NamesFile(tmp_path / "file" / "names")
    names.save(KnownNames("cursor", frozenset({"one"})))
    assert names.load() is None


def test_a_server_keeps_them(tmp_path: Path, start_server: StartServer) -> None:
    """A server that was asked for the list leaves its names, and the next one lists from them and what is new."""
    server = start_server()
    publish(server, tmp_path, "one")
    assert server.get("/simple/").text.count("<a ") == 1
    known = NamesFile(server.root / "state" / f"names-{server.index}").load()
    assert known is not None
    assert known.names == {"one"}
    publish(server, tmp_path, "two")
    server.stop()
    again = start_server()
    page = again.get("/simple/").text
    assert "one" in page
    assert "two" in page


def publish(server: LiveServer, folder: Path, name: str) -> None:
    path = WheelBuilder(name=name).build(folder)
    content_type, body = multipart_body(form_fields(path), path.name, path.read_bytes())
    answer = httpx2.post(
        server.upload_url,
        content=body,
        headers={"content-type": content_type},
        auth=(server.index, server.write_secret),
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text

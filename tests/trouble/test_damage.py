"""Records and files that are not what was stored: told, contained, and over when the right bytes are back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from crash.nursery import FolderServers, Server, storage_of
from trouble.answers import check_clean, check_told, tree
from wheelyard.testing.crash import IndexClient, Ledger, check_promises, package
from wheelyard.testing.crash_suite import state_of

pytestmark = pytest.mark.slow

DEMO, SECOND = package("demo", "1.0"), package("demo", "2.0", payload=os.urandom(90_000))
OTHER = package("other", "1.0")
RECORD = "simple/demo/index.json"
BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def garbled(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def of_another_project(path: Path) -> None:
    shutil.copy(path.parent.parent / "other" / path.name, path)


def no_record(path: Path) -> None:
    path.write_bytes(b'{"a": [1, 2, 3]}')


def a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


DAMAGES = (emptied, truncated, garbled, of_another_project, no_record, a_link)


@pytest.fixture
def server(servers: FolderServers, tmp_path: Path) -> Server:
    """A server with two projects."""
    started = servers.start(tmp_path / "root")
    for each in (DEMO, SECOND, OTHER):
        assert started.client.publish(each).status_code == 200
    assert started.client.listed("demo") == state_of(DEMO, SECOND)
    return started


def check_others(client: IndexClient) -> None:
    """Another project is read and published to."""
    assert client.names() == ["demo", "other"]
    listed = client.listed("other")
    assert listed is not None
    client.check_downloads("other", listed)
    assert client.publish(OTHER).status_code == 200
    assert client.yank("other", "1.0").status_code == 200
    assert client.unyank("other", "1.0").status_code == 200


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record(damage: Callable[[Path], None], server: Server) -> None:
    """A record that is not what was stored makes its project's pages a 500 that names it; nothing else, and nothing is changed."""
    client, path = server.client, storage_of(server.root) / RECORD
    right = path.read_bytes()
    damage(path)
    before = tree(storage_of(server.root))
    asked: tuple[Callable[[], httpx2.Response], ...] = (
        lambda: client.get("/simple/demo/", accept="application/vnd.pypi.simple.v1+json"),
        lambda: client.get(f"/simple/demo/{DEMO.filename}"),
        lambda: client.get(f"/simple/demo/{SECOND.filename}.metadata"),
        lambda: client.get("/pypi/demo/json"),
        lambda: client.yank("demo", "1.0"),
        lambda: client.set_status("demo", "archived"),
        lambda: client.delete("demo"),
        lambda: client.delete("demo", version="1.0"),
        lambda: client.publish(package("demo", "3.0")),
        lambda: client.publish(DEMO),
    )
    for ask in asked:
        check_told(ask(), 500, "record-damaged", RECORD, "damaged", "wheelyard doctor")
    page = client.get("/project/demo/", **BROWSER)
    assert page.status_code == 500
    assert RECORD in page.text
    check_clean(page)
    assert tree(storage_of(server.root)) == before
    check_others(client)
    path.unlink()
    path.write_bytes(right)
    check_promises(client, Ledger())
    assert client.listed("demo") == state_of(DEMO, SECOND)
    assert "internal-error" not in server.log()


def missing(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("each", [DEMO, SECOND], ids=["small", "large"])
@pytest.mark.parametrize("damage", [missing, emptied, truncated, a_link, a_folder])
def test_a_damaged_file(damage: Callable[[Path], None], each: object, server: Server) -> None:
    """A file that is gone or has another size is a 500 that names it; the page, its other files and others are served."""
    file = DEMO if each is DEMO else SECOND
    path = storage_of(server.root) / f"simple/demo/{file.filename}"
    damage(path)
    for headers in ({}, {"range": "bytes=0-9"}):
        answer = server.client.get(f"/simple/demo/{file.filename}", **headers)
        check_told(answer, 500, "record-damaged", path.name, "wheelyard doctor")
    assert server.client.listed("demo") == state_of(DEMO, SECOND)
    beside = SECOND if file is DEMO else DEMO
    assert server.client.get(f"/simple/demo/{beside.filename}").content == beside.content
    assert server.client.get(f"/simple/demo/{file.filename}.metadata").content == file.metadata
    check_others(server.client)
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(file.content)
    check_promises(server.client, Ledger())


@pytest.mark.parametrize("what", ["small file", "metadata"])
def test_altered_bytes_of_the_same_size(what: str, server: Server) -> None:
    """What is sent from memory is compared with its record first: altered bytes are a 500, not a wrong download."""
    suffix = ".metadata" if what == "metadata" else ""
    path = storage_of(server.root) / f"simple/demo/{DEMO.filename}{suffix}"
    garbled(path)
    answer = server.client.get(f"/simple/demo/{path.name}")
    check_told(answer, 500, "record-damaged", path.name, "not those that were published")


@pytest.mark.parametrize("each", [DEMO, SECOND], ids=["small", "large"])
@pytest.mark.parametrize("damage", [missing, emptied, truncated])
def test_the_same_file_sent_again_mends(damage: Callable[[Path], None], each: object, server: Server) -> None:
    """UP-30: who sends again what the storage has lost puts it back: a 200 always means that the file is there."""
    file = DEMO if each is DEMO else SECOND
    for suffix in ("", ".metadata"):
        damage(storage_of(server.root) / f"simple/demo/{file.filename}{suffix}")
    assert server.client.publish(package("demo", file.version, variant=9)).status_code == 409
    assert server.client.publish(file).status_code == 200
    assert server.client.listed("demo") == state_of(DEMO, SECOND)
    check_promises(server.client, Ledger())


def test_a_project_folder_that_is_gone(server: Server) -> None:
    """A project whose folder somebody removed is not found any more; it can be published again."""
    shutil.rmtree(storage_of(server.root) / "simple/demo")
    assert server.client.get("/simple/demo/").status_code == 404
    assert server.client.publish(DEMO).status_code == 200
    assert server.client.listed("demo") == state_of(DEMO)
    check_promises(server.client, Ledger())

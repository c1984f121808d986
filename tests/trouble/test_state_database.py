"""The server's own books in trouble: it costs logins, and nothing of those who publish and install."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from crash.nursery import INDEX, WRITE_SECRET, FolderServers, Server
from trouble.answers import check_clean
from wheelyard.testing.crash import Ledger, check_promises, package

pytestmark = pytest.mark.slow

BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def database(root: Path) -> Path:
    return root / "state/wheelyard.sqlite3"


def log_in(server: Server) -> httpx2.Response:
    form = {"pkg_repo_name": INDEX, "pkg_repo_secret_raw": WRITE_SECRET}
    return httpx2.post(f"{server.url}/login/", data=form, headers=BROWSER, trust_env=False, timeout=60)


def browse(server: Server, cookie: str, path: str = "/") -> httpx2.Response:
    return httpx2.get(f"{server.url}{path}", headers={**BROWSER, "cookie": cookie}, trust_env=False, timeout=60)


def cookie_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["set-cookie"].partition(";")[0]


def check_clients(server: Server, ledger: Ledger) -> None:
    """Who sends credentials is served at once and can publish."""
    began = time.monotonic()
    answer = ledger.publish(server.client, package("demo", f"1.{time.monotonic_ns()}"))
    assert answer is not None
    assert answer.status_code == 200
    check_promises(server.client, ledger)
    assert time.monotonic() - began < 3, "nobody waits for the books"


def check_told_in_a_browser(answer: httpx2.Response) -> None:
    """A browser gets the login page, or a page with 503 that says what to do."""
    check_clean(answer)
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/login/")
        return
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "database" in answer.text
    assert "administrator" in answer.text


def deleted(database: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()


def without_folder(database: Path) -> None:
    shutil.rmtree(database.parent)


def corrupted(database: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        if not path.name.endswith(".lock"):
            path.write_bytes(os.urandom(max(path.stat().st_size, 100)))


def truncated(database: Path) -> None:
    os.truncate(database, 100)


def no_database(database: Path) -> None:
    deleted(database)
    database.write_text("no database " * 1000)


DAMAGES = (deleted, without_folder, corrupted, truncated, no_database)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_while_running(
    damage: Callable[[Path], None], servers: FolderServers, root: Path, database: Path
) -> None:
    """Whatever becomes of the database, the next login works; an old one ends at the login page; clients notice nothing."""
    server = servers.start(root)
    ledger = Ledger()
    cookie = cookie_of(log_in(server))
    assert browse(server, cookie).status_code == 200
    damage(database)
    check_clients(server, ledger)
    for path in ("/", "/project/demo/"):
        answer = browse(server, cookie, path)
        if answer.status_code != 200:  # the process may remember the session for some seconds
            check_told_in_a_browser(answer)
    assert browse(server, cookie_of(log_in(server))).status_code == 200
    assert "internal-error" not in server.log()
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_at_the_start(
    damage: Callable[[Path], None], servers: FolderServers, root: Path, database: Path
) -> None:
    """A server starts with a damaged database; it makes a new one at the first login."""
    before = servers.start(root)
    cookie = cookie_of(log_in(before))
    assert before.stop() == 0
    damage(database)
    server = servers.start(root)
    check_clients(server, Ledger())
    check_told_in_a_browser(browse(server, cookie))
    assert browse(server, cookie_of(log_in(server))).status_code == 200


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Somebody writes to the database and does not finish."""
    connection = sqlite3.connect(database)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@contextmanager
def lock_file_held(database: Path) -> Iterator[None]:
    """Somebody who makes or replaces the database hangs."""
    deleted(database)
    opened = os.open(database.with_name(f"{database.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(opened, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(opened)


@contextmanager
def a_folder_in_its_place(database: Path) -> Iterator[None]:
    deleted(database)
    database.mkdir()
    try:
        yield
    finally:
        database.rmdir()


@contextmanager
def a_file_in_place_of_the_folder(database: Path) -> Iterator[None]:
    shutil.rmtree(database.parent)
    database.parent.touch()
    try:
        yield
    finally:
        database.parent.unlink()


@pytest.mark.parametrize("trouble", [locked, lock_file_held, a_folder_in_its_place, a_file_in_place_of_the_folder])
def test_unusable_for_a_while(
    trouble: Callable[[Path], object], servers: FolderServers, root: Path, database: Path
) -> None:
    """While the database cannot be used, logins are a 503 within seconds that says so, clients notice nothing; then logins work."""
    server = servers.start(root)
    ledger = Ledger()
    cookie_of(log_in(server))
    stranger = "wheelyard_session=" + "x" * 43
    with trouble(database):  # type: ignore[attr-defined]
        began = time.monotonic()
        answer = log_in(server)
        assert answer.status_code == 503, answer.text
        check_told_in_a_browser(answer)
        check_told_in_a_browser(browse(server, stranger))
        assert time.monotonic() - began < 25
        page = browse(server, "", "/login/")
        assert page.status_code == 200
        check_clients(server, ledger)
    assert browse(server, cookie_of(log_in(server))).status_code == 200
    assert "internal-error" not in server.log()
    assert "Traceback" not in server.log()


def test_everybody_may_read_although_the_database_is_unusable(
    servers: FolderServers, root: Path, database: Path
) -> None:
    """On an index that anybody may read, a browser with a login from before reads on as anybody, whatever the database does."""
    server = servers.start(root, config=servers.config_text() + "anonymous_read = true\n")
    cookie_of(log_in(server))
    stranger = "wheelyard_session=" + "x" * 43
    with a_folder_in_its_place(database):
        assert browse(server, stranger).status_code == 200
        assert browse(server, stranger, "/simple/").status_code == 200
    check_clients(server, Ledger())

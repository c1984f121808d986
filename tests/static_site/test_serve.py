"""`wheelyard site serve`: what a plain file server would answer, and what is said about it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from static_site.sites import Build
from wheelyard.site.serving import SiteServer, answer

JSON = "application/vnd.pypi.simple.v1+json"
PIP = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
WHEEL = "/simple/python-hello/python_hello-1.0-py3-none-any.whl"


@pytest.fixture
def built(build: Build, site: Path) -> Path:
    build()
    return site


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder; gives the URL and what is said."""
    said: list[str] = []
    with SiteServer(folder, ("127.0.0.1", 0), said.append) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", said
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("path", "accept", "status", "hint"),
    [
        ("/", None, 200, ""),
        ("/simple/", PIP, 200, ""),
        ("/simple/python-hello/", PIP, 200, ""),
        ("/simple/python-hello/", "*/*", 200, ""),
        ("/simple/python-hello/", None, 200, ""),
        (WHEEL, "*/*", 200, ""),
        (f"{WHEEL}.metadata", "*/*", 200, ""),
        ("/simple/python_hello/", PIP, 200, "ask for 'python-hello'"),
        ("/simple/Python.Hello/", PIP, 404, "ask for 'python-hello'"),
        ("/simple/python-hello", PIP, 301, "slash at the end is missing"),
        ("/simple/python-hello/", JSON, 200, "takes application/vnd.pypi.simple.v1+json only"),
        ("/simple/nothing/", PIP, 404, "has no project 'nothing'"),
        ("/python-hello/", PIP, 404, "the index is below 'simple'"),
        ("/simple/python-hello/python_hello-9.whl", "*/*", 404, "the file is not there"),
        ("/simple/..%2f..%2fetc/passwd", "*/*", 404, "in no site"),
        ("/../secret", "*/*", 404, "in no site"),
        ("/simple/%00/", "*/*", 404, "in no site"),
        ("/favicon.ico", "*/*", 404, ""),
    ],
)
def test_answers_and_hints(built: Path, path: str, accept: str | None, status: int, hint: str) -> None:
    """Each mistake that clients make has its hint, and a request without one has none."""
    told = answer(built, path, accept)
    assert told.status == status
    assert hint in told.hint
    assert bool(hint) == bool(told.hint)


def test_missing_metadata(built: Path) -> None:
    """PEP 658: a page that lists metadata which is not there stops pip, and the hint says what to do."""
    (built / f"{WHEEL[1:]}.metadata").unlink()
    assert "build the site again with --full" in answer(built, f"{WHEEL}.metadata", "*/*").hint


def test_links_out_of_the_folder_are_not_followed(built: Path, tmp_path: Path) -> None:
    """A link in the folder that leads elsewhere shows nothing."""
    (tmp_path / "secret").write_text("x")
    (built / "simple/link").symlink_to(tmp_path)
    assert answer(built, "/simple/link/secret", "*/*").status == 404


def test_requests_are_shown(built: Path) -> None:
    """Each request is one line with its answer, a hint below it; what is sent is the file, with its type."""
    with serving(built) as (url, said), httpx2.Client(trust_env=False, headers={"User-Agent": "pip/26.3 {}"}) as client:
        page = client.get(f"{url}/simple/python_hello/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert client.get(f"{url}{WHEEL}").content == (built / WHEEL[1:]).read_bytes()
        assert client.head(f"{url}{WHEEL}").headers["content-length"] == str((built / WHEEL[1:]).stat().st_size)
        assert client.get(f"{url}/simple/index.v1_json").headers["content-type"] == JSON
        moved = client.get(f"{url}/simple/flask")
        assert (moved.status_code, moved.headers["location"]) == (301, "/simple/flask/")
        assert client.get(f"{url}//evil.example.org/%2e%2e").status_code == 404
        missing = client.get(f"{url}/simple/nothing/")
        assert missing.status_code == 404
        assert missing.content == (built / "404.html").read_bytes()
        refused = client.post(f"{url}/legacy/", content=b"x")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert said[0].startswith("GET /simple/python_hello/ -> 200 text/html, ")
    assert said[0].endswith("[pip/26.3]")
    assert said[1] == "    hint: the name is not normalised: ask for 'python-hello' (PEP 503)"


@pytest.mark.slow
def test_command_serves_until_it_is_stopped(built: Path) -> None:
    """The command says where it listens, serves, and ends in order when told to."""
    env = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE") or name == "PATH"}
    command = [sys.executable, "-u", "-m", "wheelyard", "site", "serve", str(built), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(" at ")[1].strip()
        try:
            with httpx2.Client(trust_env=False, timeout=30) as client:
                assert client.get(f"{url}simple/").status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
            said, wrong = process.communicate(timeout=60)
    assert "GET /simple/ -> 200" in said
    assert "Traceback" not in wrong

"""`wheelyard github.gen_gh_pages`: a static index of a public repository, as installers read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from github_commands.conftest import Command, Releases
from plugins.clients import GetClient
from wheelyard.testing.builders import SdistBuilder, WheelBuilder
from wheelyard.testing.fake_github import FakeGitHub, Repository

pytestmark = pytest.mark.slow

PAGES = (
    "github.gen_gh_pages",
    "--name=private-pypi-pkg-repo",
    "--owner=ana",
    "--repo=packages",
    "--output_folder=public",
)
WHEELS = (WheelBuilder(), WheelBuilder(name="other", version="2.0+local"), WheelBuilder(version="1!2.0"))


@pytest.fixture
def public(github: FakeGitHub, command: Command, releases: Releases, token: str) -> Repository:
    """A public repository with files that the index lists."""
    found = github.repository("ana/packages", private=False)
    for wheel in WHEELS:
        releases.of_predecessor("ana/packages", wheel)
    sdist = SdistBuilder()
    releases.make("ana/packages", "by-hand", {sdist.file_name: sdist.bytes()})
    assert command("github.import", "ana/packages").code == 0
    return found


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("path", ["simple/", ""], ids=["where ours are", "where the predecessor's were"])
def test_pip_installs(command: Command, client: GetClient, tmp_path: Path, path: str) -> None:
    """Through the pages pip finds a file and downloads it from its release, at both addresses of the index."""
    done = command(*PAGES)
    assert (done.code, done.err, done.out) == (0, "", "2 projects: public\n")
    with _served(tmp_path / "public") as url:
        client("pip")(
            "download", "--no-deps", "--index-url", url + path, "--dest", "files", "other==2.0+local", cwd=tmp_path
        ).check_ok()
    assert (tmp_path / "files" / WHEELS[1].file_name).read_bytes() == WHEELS[1].bytes()


@pytest.mark.usefixtures("public")
def test_pages(command: Command, github: FakeGitHub, tmp_path: Path) -> None:
    """Each file is linked to its release with its digest, whatever GitHub made of its name; few requests are needed."""
    github.calls.clear()
    assert command(*PAGES).code == 0
    assert len(github.calls) <= 5
    text = (tmp_path / "public" / "simple" / "demo" / "index.html").read_text()
    links = dict(re.findall(r'<a href="([^"#]+)#sha256=[0-9a-f]{64}"[^>]*>([^<]+)</a>', text))
    assert sorted(links.values()) == sorted(
        ["demo-1!2.0-py3-none-any.whl", SdistBuilder().file_name, WHEELS[0].file_name]
    )
    assert all(url.startswith(f"{github.web_url}/ana/packages/releases/download/") for url in links)
    assert "metadata" not in text
    assert (tmp_path / "public" / "demo" / "index.html").read_text() == text


@pytest.mark.usefixtures("public")
def test_again_and_copies(command: Command, tmp_path: Path) -> None:
    """A second run into the same folder is fine; with --copy the files and their metadata stand beside the pages."""
    assert command(*PAGES).code == 0
    assert command(*PAGES).code == 0
    done = command(*PAGES[:-1], "--output_folder=copied", "--copy")
    assert (done.code, done.err) == (0, "")
    folder = tmp_path / "copied" / "simple" / "demo"
    assert (folder / WHEELS[0].file_name).read_bytes() == WHEELS[0].bytes()
    assert (folder / f"{WHEELS[0].file_name}.metadata").exists()


@pytest.mark.usefixtures("public")
def test_without_a_token(command: Command) -> None:
    """A public repository can be read without a token."""
    assert command(*PAGES, env={"GH_TOKEN": ""}).code == 0


def test_private(command: Command, store: Repository, tmp_path: Path) -> None:
    """A private repository is refused, and nothing is written."""
    done = command(*PAGES)
    assert done.code == 1
    assert "the repository is not public" in done.err
    assert not (tmp_path / "public").exists()


@pytest.mark.parametrize("flag", ["--name", "--owner", "--repo", "--output_folder"])
def test_flags_that_are_needed(command: Command, flag: str) -> None:
    """Each flag that the predecessor needed is needed."""
    done = command(*(word for word in PAGES if not word.startswith(flag)))
    assert done.code == 2
    assert flag.replace("_", "-") in done.err

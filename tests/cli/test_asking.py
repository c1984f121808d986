"""Commands that ask upstreams themselves: which ones, and that only their answer is on standard output."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.live import READ_SECRET, StartServer, default_config
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile

pytestmark = pytest.mark.slow

Run = Callable[..., Any]

SDIST = UpstreamFile(filename="six-1.0.tar.gz", content=b"sdist of six")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder whose configuration says nothing of upstreams, as when the server is told by flag."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "config.toml").write_text('[main]\ntype = "file_system"\nread_secret = "r"\nwrite_secret = "w"\n')
    (tmp_path / "requirements.txt").write_text("six==1.0\n")
    return folder


def test_extra_index_url(run: Run, root: Path) -> None:
    """`why` and `warm` take `--extra-index-url` as the server does, also from the environment, with credentials."""
    with FakeUpstream() as upstream:
        upstream.offer("six", SDIST)
        upstream.credentials = ("reader", "secret")
        url = upstream.root.replace("://", "://reader:secret@")
        why = run("why", "six", "--json", "--root", str(root), "--extra-index-url", url)
        warm = run("warm", "requirements.txt", "--root", str(root), env={"WHEELYARD_COMMAND_EXTRA_INDEX_URL": url})
    assert [file["filename"] for file in json.loads(why.out)["files"]] == [SDIST.filename]
    assert "secret" not in why.out
    assert (warm.code, warm.out.splitlines()[-1]) == (0, "1 files fetched (0.0 kB), 0 were here")


def test_switched_off(run: Run, root: Path) -> None:
    """An empty `--extra-index-url` leaves nothing to ask."""
    why = run("why", "six", "--root", str(root), "--extra-index-url", "")
    assert "looks nowhere else" in why.out
    assert "nothing stands behind" in run("warm", "requirements.txt", "--root", str(root), "--extra-index-url", "").err


def test_nothing_else_is_said(run: Run, root: Path) -> None:
    """Attempts at an upstream that fails are not told one by one, and standard output has no log lines."""
    with FakeUpstream() as upstream:
        upstream.script("/simple/six/", Answer(status=503))
        why = run("why", "six", "--json", "--root", str(root), "--extra-index-url", upstream.root)
        assert upstream.asked("/simple/six/") > 1
    assert (why.code, why.out) == (1, "")
    assert why.err.splitlines() == [f"error: upstream '{upstream.root}' is not available: it answered 503"]


def test_who_asks(run: Run, start_server: StartServer) -> None:
    """`why` asks a server as nobody first, then with the secret that is piped to it, and says how when there is none."""
    config = default_config() + "upstreams = []\n"
    closed = start_server(config=config)
    asked = ("why", "six", "--url", closed.url)
    assert run(*asked, text=f"{READ_SECRET}\n").out.startswith("Index 'main' has no project 'six'")
    refused = run(*asked)
    assert (refused.code, refused.out) == (2, "")
    assert "no read secret was given: name the variable that has it with --password-env" in refused.err
    assert run(*asked, text="wrong\n").code == 1
    everybodys = start_server(config=f"{config}anonymous_read = true\n")
    assert run("why", "six", "--url", everybodys.url).out.startswith("Index 'main' has no project 'six'")

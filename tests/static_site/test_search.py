"""`wheelyard search` against any index: a folder, plain files over HTTP, a live server, the local one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from doctor.roots import Root
from plugins.live import StartServer
from static_site.sites import Build
from static_site.test_serve import serving
from wheelyard.cli.dispatch import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_index_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WHEELYARD_INDEX_URL", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def search(*arguments: str) -> int:
    return run(["wheelyard", "search", *arguments], {})


@pytest.fixture
def built(build: Build, site: Path, capsys: Capture) -> Path:
    build()
    capsys.readouterr()
    return site


@pytest.mark.parametrize("form", ["folder", "simple", "file", "html only"])
def test_static_site_on_a_disk(built: Path, capsys: Capture, form: str) -> None:
    """A folder of files is an index, given as a path or as `file://`, with or without JSON pages."""
    if form == "html only":
        for page in built.rglob("*.v1_json"):
            page.unlink()
    address = {"simple": str(built / "simple"), "file": f"file://{built}/simple/"}.get(form, str(built))
    assert search("PYTHON_", "--index-url", address, "--versions") == 0
    assert capsys.readouterr().out == "python-hello 1.0\npython-world 0.0.2\n"


def test_static_site_over_http(built: Path, capsys: Capture) -> None:
    """A plain file server is enough."""
    with serving(built) as (url, _):
        assert search("world", "--index-url", f"{url}/simple/", "--versions", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "python-world", "version": "0.0.2"}]


def test_local_index(root: Root, capsys: Capture) -> None:
    """Without an address the local index is searched."""
    assert search("flask", "--root", str(root.path)) == 0
    assert capsys.readouterr().out == "flask\n"


def test_address_of_the_environment(built: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index that pip is told by the environment is searched."""
    with serving(built) as (url, _):
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple/")
        assert search("o") == 0
    assert capsys.readouterr().out == "python-hello\npython-world\n"


@pytest.mark.parametrize("given", ["url", "netrc"])
def test_live_server_with_credentials(
    start_server: StartServer, root: Root, tmp_path: Path, given: str, capsys: Capture
) -> None:
    """A live server is asked with the credentials of the URL, or with those of netrc, as pip does."""
    server = start_server(
        root=root.path, config=(root.path / "config.toml").read_text(), read_secret="read-4f1c9a-62d1e8-b07"
    )
    if given == "netrc":
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login main password read-4f1c9a-62d1e8-b07\n")
        (tmp_path / ".netrc").chmod(0o600)
    assert search("hello", "--index-url", server.read_url if given == "url" else server.simple_url, "--versions") == 0
    assert capsys.readouterr().out == "python-hello 1.0\n"


def test_live_server_without_credentials(start_server: StartServer, capsys: Capture) -> None:
    """Without credentials a private index is an error, not an empty answer."""
    assert search("hello", "--index-url", start_server().simple_url) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "error: " in said.err
    assert "401" in said.err or "credentials" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["x", "--index-url", "nowhere"], 2, "neither a URL nor a folder"),
        (["x", "--index-url", "ftp://host/simple/"], 2, "no address of an upstream"),
        (["x", "--index-url", "http://127.0.0.1:9/simple/"], 1, "not available"),
        (["x", "--index-url", "http://host/", "--root", "y"], 2, "not both"),
    ],
)
def test_wrong_use(capsys: Capture, arguments: list[str], code: int, text: str) -> None:
    """Addresses that are none, and indexes that do not answer, are told apart from finding nothing."""
    assert search(*arguments) == code
    assert text in capsys.readouterr().err


def test_nothing_found(built: Path, tmp_path: Path, capsys: Capture) -> None:
    """Nothing found is exit code 1 and a line; an empty folder is no index."""
    assert search("nothing", "--index-url", str(built)) == 1
    assert "no project has 'nothing' in its name" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert search("x", "--index-url", str(tmp_path / "empty")) == 1
    assert "is no index" in capsys.readouterr().err


def test_damaged_netrc(tmp_path: Path, capsys: Capture) -> None:
    """A netrc that cannot be read is an error with its line, not silence."""
    (tmp_path / ".netrc").write_text("machine\n")
    assert search("x", "--index-url", "http://127.0.0.1:9/simple/") == 1
    assert "cannot be read: line" in capsys.readouterr().err

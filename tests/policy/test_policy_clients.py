"""pip and uv behind a policy: they choose what is old enough, are told why not, and install as of an instant."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest

from plugins.clients import GetClient, Outcome
from plugins.live import INDEX, READ_SECRET, LiveServer, StartServer, default_config
from policy.conftest import days_ago
from wheelyard.testing.builders import WheelBuilder
from wheelyard.testing.fake_upstream import FakeUpstream, UpstreamFile, json_page, with_headers

UPLOADED = {"1.0": 90, "1.1": 30, "1.2": 2}
POLICY = '[main.policy]\nminimum_age = "7d"\nreserved = ["acme-*"]\n'


def real_wheel(version: str, days: float, folder: Path) -> UpstreamFile:
    """Return a wheel that can be installed."""
    path = WheelBuilder(name="coolname", version=version).build(folder)
    with ZipFile(path) as archive:
        metadata = archive.read(f"coolname-{version}.dist-info/METADATA")
    return UpstreamFile(filename=path.name, content=path.read_bytes(), metadata=metadata, upload_time=days_ago(days))


@pytest.fixture
def offered(upstream: FakeUpstream, tmp_path: Path) -> FakeUpstream:
    folder = tmp_path / "wheels"
    folder.mkdir()
    upstream.offer("coolname", *(real_wheel(version, days, folder) for version, days in UPLOADED.items()))
    return upstream


@pytest.fixture
def server(start_server: StartServer, offered: FakeUpstream) -> LiveServer:
    """A server with a cooldown in front of three releases."""
    config = f'{default_config()}{POLICY}[upstream.fake]\nurl = "{offered.root}"\n'
    return start_server(config=config)


def install(client: GetClient, name: str, url: str, folder: Path, *wanted: str) -> Outcome:
    """Install with a client into a folder, from nothing but this index."""
    target = folder / f"target-{name}"
    if name == "pip":
        return client("pip")(
            "install", "--no-input", "--target", target, "--index-url", url, "--only-binary=:all:", *wanted, cwd=folder
        )
    return client("uv")("pip", "install", "--target", target, "--default-index", url, *wanted, cwd=folder)


@pytest.mark.parametrize("name", ["pip", "uv"])
def test_cooldown(server: LiveServer, client: GetClient, tmp_path: Path, name: str) -> None:
    """DC-07: without any option of its own a client takes the newest release that is old enough."""
    install(client, name, server.read_url, tmp_path, "coolname").check_ok()
    assert (tmp_path / f"target-{name}" / "coolname-1.1.dist-info").is_dir()


@pytest.mark.parametrize("name", ["pip", "uv"])
def test_young_release_cannot_be_had(server: LiveServer, client: GetClient, tmp_path: Path, name: str) -> None:
    """A release that is too young cannot be installed by its version."""
    install(client, name, server.read_url, tmp_path, "coolname==1.2").check_refused("coolname")


@pytest.mark.parametrize("name", ["pip", "uv"])
def test_file_of_a_lock(server: LiveServer, client: GetClient, tmp_path: Path, name: str) -> None:
    """Whoever has the address of a file that is left out, from a lock, gets 403 and not the file."""
    filename = "coolname-1.2-py3-none-any.whl"
    url = server.url_with(READ_SECRET, path=f"/simple/coolname/{filename}")
    install(client, name, server.read_url, tmp_path, f"coolname @ {url}").check_refused("403")
    answer = server.get(f"/simple/coolname/{filename}")
    assert answer.status_code == 403
    assert "must be 7 days old" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["pip", "uv"])
@pytest.mark.parametrize("index", ["", f"/{INDEX}"])
def test_as_of_an_instant(server: LiveServer, client: GetClient, tmp_path: Path, name: str, index: str) -> None:
    """A client whose index is one of an instant gets the newest release of then, its metadata and its file."""
    for days, version in ((60, "1.0"), (10, "1.1")):
        folder = tmp_path / version
        folder.mkdir()
        url = server.url_with(READ_SECRET, path=f"{index}/at/{days_ago(days)}/simple/")
        install(client, name, url, folder, "coolname").check_ok()
        assert (folder / f"target-{name}" / f"coolname-{version}.dist-info").is_dir()


def test_lock_of_an_instant(server: LiveServer, client: GetClient, tmp_path: Path) -> None:
    """The same resolution comes out again as of an instant, with hashes of what is installed."""
    url = server.url_with(READ_SECRET, path=f"/at/{days_ago(60)}/simple/")
    (tmp_path / "in.txt").write_text("coolname\n")
    options = ("pip", "compile", "--generate-hashes", "--default-index", url, "in.txt", "--no-cache")
    first, second = (client("uv")(*options, cwd=tmp_path).check_ok().output for _ in range(2))
    assert "coolname==1.0" in first
    digest = hashlib.sha256((tmp_path / "wheels" / "coolname-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    assert digest in first
    assert digest in second


@pytest.mark.parametrize("name", ["pip", "uv"])
def test_reserved(server: LiveServer, offered: FakeUpstream, client: GetClient, tmp_path: Path, name: str) -> None:
    """DC-02: a reserved name that is not published is not found, and the other index never hears it."""
    install(client, name, server.read_url, tmp_path, "acme-secret").check_refused("acme-secret")
    assert not [question for question in offered.questions if "acme" in question.path]


def test_pages_are_kept_ready(start_server: StartServer, offered: FakeUpstream) -> None:
    """A page of which something is left out is sent from ready bytes, as any other, while the other index's page holds."""
    files = [
        UpstreamFile(filename=f"coolname-{version}-py3-none-any.whl", upload_time=days_ago(days))
        for version, days in UPLOADED.items()
    ]
    offered.script(
        "/simple/coolname/", with_headers(json_page("coolname", files), cache_control="max-age=600", etag='"1"')
    )
    config = f'{default_config()}{POLICY}[upstream.fake]\nurl = "{offered.root}"\n'
    server = start_server(config=config, http_server="uvicorn")  # whose protocol class is ours
    for _ in range(5):
        assert len(server.listed("coolname")) == 2
    assert offered.asked("/simple/coolname/") == 1
    (line,) = re.findall(r"^wheelyard_http_hot_answers_total (.*)$", server.get("/metrics").text, re.MULTILINE)
    assert float(line) >= 2


@pytest.mark.parametrize("name", ["pip", "uv"])
def test_address_with_another_name(
    start_server: StartServer, offered: FakeUpstream, client: GetClient, tmp_path: Path, name: str
) -> None:
    """A page cannot bring a release past a rule by another name beside its address, which is what pip goes by."""
    old, denied = real_wheel("1.0", 90, tmp_path / "wheels"), real_wheel("1.1", 30, tmp_path / "wheels")
    renamed = replace(denied, filename="coolname-1.0.1-py3-none-any.whl", url=denied.path)
    offered.script("/simple/coolname/", json_page("coolname", [old, renamed]))
    config = (
        f'{default_config()}[main.policy]\ndeny = ["coolname==1.1"]\n'
        f'[upstream.fake]\nurl = "{offered.root}"\nmirror = "redirect"\n'
    )
    install(client, name, start_server(config=config).read_url, tmp_path, "coolname").check_ok()
    assert (tmp_path / f"target-{name}" / "coolname-1.0.dist-info").is_dir()

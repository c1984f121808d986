"""`--extra-index-url` as clients see it: a server of ours in front of a scriptable upstream."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from wheelyard.compose import make_app
from wheelyard.model import ProjectStatus
from wheelyard.protocol import simple_html, simple_json
from wheelyard.settings import load_settings
from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile, html_page, json_page, redirect
from wheelyard.testing.loopback import LoopbackServer

pytestmark = pytest.mark.slow

CONFIG = '[main]\ntype = "memory"\nread_secret = "read-secret-1"\nwrite_secret = "write-secret-2"\n'
V1_JSON = "application/vnd.pypi.simple.v1+json"
SIX = UpstreamFile(
    filename="six-1.0-py3-none-any.whl",
    metadata=b"Metadata-Version: 2.1\nName: six\nVersion: 1.0\n",
    requires_python=">=3.8,<4",
    yanked='broken "badly" <b>',
    provenance="https://integrity.example/six/provenance",
)


@pytest.fixture
def client(upstream: FakeUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx2.Client]:
    monkeypatch.setenv("NO_PROXY", "*")
    yield from serve(tmp_path, upstream.root)


def serve(root: Path, extra_index_url: str) -> Iterator[httpx2.Client]:
    overrides = {"extra_index_url": extra_index_url}
    app, _ = make_app(load_settings(root / "root", config=CONFIG, text_allowed=True, overrides=overrides))
    with (
        LoopbackServer(app, lifespan=True) as server,
        httpx2.Client(base_url=server.url, auth=("main", "write-secret-2"), trust_env=False) as client,
    ):
        yield client


def publish(client: httpx2.Client, builder: WheelBuilder, folder: Path) -> None:
    path = builder.build(folder)
    content_type, body = multipart_body(form_fields(path), path.name, path.read_bytes())
    client.post("/legacy/", content=body, headers={"content-type": content_type}).raise_for_status()


@pytest.mark.parametrize("form", ["json", "html"])
def test_both_serialisations(client: httpx2.Client, upstream: FakeUpstream, form: str) -> None:
    """DC-05, DC-07, JSON-20: what the upstream says of a file is on our page, as JSON and as HTML, at our own address."""
    status = {"project-status": {"status": "deprecated", "reason": "use seven"}}
    metas = {"pypi:project-status": "deprecated", "pypi:project-status-reason": "use seven"}
    upstream.offer(
        "six", SIX, page=json_page("six", [SIX], **status) if form == "json" else html_page([SIX], metas=metas)
    )
    as_json = simple_json.parse_page(client.get("/simple/six/", headers={"accept": V1_JSON}).raise_for_status().content)
    as_html = simple_html.parse_page(
        client.get("/simple/six/", headers={"accept": "text/html"}).raise_for_status().content,
        base_url="https://elsewhere.example/simple/six/",
    )
    for page in (as_json, as_html):
        [file] = page.files
        assert (page.status, page.status_reason) == (ProjectStatus.DEPRECATED, "use seven")
        assert file.url.rpartition("/")[2] == SIX.filename
        assert upstream.url not in file.url
        assert (file.sha256, file.requires_python, file.yanked) == (SIX.sha256, SIX.requires_python, SIX.yanked)
        assert (file.provenance, file.core_metadata is None) == (SIX.provenance, False)
    if form == "json":
        assert as_json.files[0].size == len(SIX.content)
        assert as_json.files[0].upload_time == datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 502, 503])
def test_failures_are_not_passed_on(client: httpx2.Client, upstream: FakeUpstream, status: int) -> None:
    """DC-03, DC-04: an upstream that fails or refuses us is our 502 or 503, without a challenge, never a 404 or 401."""
    upstream.script("/simple/six/", Answer(status=status, headers={"www-authenticate": "Basic"}))
    for path in ("/simple/six/", f"/simple/six/{SIX.filename}", f"/simple/six/{SIX.filename}.metadata"):
        answer = client.get(path)
        assert answer.status_code in (502, 503)
        assert "www-authenticate" not in answer.headers


def test_nonsense_is_502(client: httpx2.Client, upstream: FakeUpstream) -> None:
    """DC-03: a page of another project, or no page at all, is 502."""
    upstream.script("/simple/six/", json_page("seven", [SIX]), redirect("/simple/six/"))
    assert client.get("/simple/six/").status_code == 502
    assert client.get("/simple/six/").status_code == 502


def test_unknown_everywhere(client: httpx2.Client, upstream: FakeUpstream) -> None:
    """URL-07: a project that neither we nor the upstream have is 404."""
    assert client.get("/simple/six/").status_code == 404
    assert upstream.asked("/simple/six/") == 1


def test_ours_at_once(client: httpx2.Client, upstream: FakeUpstream, tmp_path: Path) -> None:
    """DC-01: as soon as a project is ours its page shows our files only, though the upstream's was served before."""
    upstream.offer("demo", UpstreamFile(filename="demo-99.0.tar.gz"))
    for accept in (V1_JSON, "text/html"):
        assert "demo-99.0" in client.get("/simple/demo/", headers={"accept": accept}).text
    publish(client, WheelBuilder(), tmp_path)
    upstream.script("/simple/demo/", Answer(status=500))
    for accept in (V1_JSON, "text/html"):
        answer = client.get("/simple/demo/", headers={"accept": accept})
        assert answer.status_code == 200
        assert "demo-1.0" in answer.text
        assert "demo-99.0" not in answer.text
    assert client.get("/simple/demo/demo-99.0.tar.gz").status_code == 404
    assert client.get("/simple/", headers={"accept": V1_JSON}).json()["projects"] == [{"name": "demo"}]


def test_yank_is_seen(client: httpx2.Client, upstream: FakeUpstream) -> None:
    """YANK-03: a yank of the upstream shows on our page, though the page was served before."""
    file = UpstreamFile(filename="six-2.0.tar.gz")
    upstream.offer("six", file)
    assert "yanked" not in client.get("/simple/six/", headers={"accept": V1_JSON}).text
    upstream.offer("six", UpstreamFile(filename="six-2.0.tar.gz", yanked="leaks"))
    [listed] = client.get("/simple/six/", headers={"accept": V1_JSON}).json()["files"]
    assert listed["yanked"] == "leaks"


def test_quarantine_is_seen(client: httpx2.Client, upstream: FakeUpstream) -> None:
    """ST-06: files of a project that the upstream quarantines are no longer offered, by page or by address."""
    upstream.offer("six", SIX)
    assert client.get(f"/simple/six/{SIX.filename}").content == SIX.content
    upstream.offer("six", SIX, page=json_page("six", [SIX], **{"project-status": {"status": "quarantined"}}))
    page = client.get("/simple/six/", headers={"accept": V1_JSON}).json()
    assert (page["files"], page["project-status"]["status"]) == ([], "quarantined")
    assert client.get(f"/simple/six/{SIX.filename}").status_code == 404
    assert client.get(f"/simple/six/{SIX.filename}.metadata").status_code == 404


def test_files_by_our_address(client: httpx2.Client, upstream: FakeUpstream) -> None:
    """FILE-05: an upstream's file asked for here is answered here, and so is its metadata."""
    upstream.offer("six", SIX)
    for _ in range(2):
        answer = client.get(f"/simple/six/{SIX.filename}")
        assert (answer.status_code, answer.content) == (200, SIX.content)
    assert client.get(f"/simple/six/{SIX.filename}.metadata").content == SIX.metadata


def test_reading_needs_our_credentials(client: httpx2.Client, upstream: FakeUpstream) -> None:
    """AU-04: who may not read here learns nothing of the upstream, and causes no question to it."""
    upstream.offer("six", SIX)
    for path in ("/simple/six/", f"/simple/six/{SIX.filename}", f"/simple/six/{SIX.filename}.metadata"):
        assert client.get(path, auth=("main", "wrong")).status_code == 401
    assert upstream.asked() == 0


def test_switched_off(tmp_path: Path) -> None:
    """URL-07: with an empty `extra_index_url` a project that is not ours is 404."""
    for client in serve(tmp_path, ""):
        assert client.get("/simple/six/").status_code == 404

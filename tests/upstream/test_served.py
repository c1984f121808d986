"""Upstreams as clients see them: a server in front of a scriptable upstream."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile, json_page, with_headers

from .conftest import Serve

pytestmark = pytest.mark.slow

V1_JSON = "application/vnd.pypi.simple.v1+json"
SIX = UpstreamFile(filename="six-1.0-py3-none-any.whl", content=bytes(range(256)) * 8000)
SMALL = UpstreamFile(filename="six-0.9.tar.gz", content=b"a small file")


def table(upstream: FakeUpstream, name: str = "one", **keys: str) -> str:
    more = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f'[upstream.{name}]\nurl = "{upstream.root}"\n{more}'


def listed(client: httpx2.Client, project: str = "six") -> dict[str, dict[str, object]]:
    answer = client.get(f"/simple/{project}/", headers={"accept": V1_JSON}).raise_for_status()
    return {file["filename"]: file for file in answer.json()["files"]}


def metric(client: httpx2.Client, name: str, upstream: str = "one") -> float:
    text = client.get("/metrics", auth=("main", "write-secret-2")).raise_for_status().text
    [value] = [
        line for line in text.splitlines() if line.startswith(f'wheelyard_upstream_{name}_total{{upstream="{upstream}"')
    ]
    return float(value.rpartition(" ")[2])


def test_clients_speak_to_us_only(serve: Serve, upstream: FakeUpstream) -> None:
    """DC-05: a page names our own addresses, whole files, ranges and metadata come from here, and once from there."""
    upstream.offer("six", SIX, SMALL)
    client = serve(table(upstream))
    page = client.get("/simple/six/", headers={"accept": V1_JSON})
    assert str(upstream.url) not in page.text
    for _ in range(3):
        for file in (SIX, SMALL):
            answer = client.get(f"/simple/six/{file.filename}")
            assert hashlib.sha256(answer.content).hexdigest() == file.sha256
            part = client.get(f"/simple/six/{file.filename}", headers={"range": "bytes=1-5"})
            assert (part.status_code, part.content) == (206, file.content[1:6])
    assert upstream.asked(SIX.path) == upstream.asked(SMALL.path) == 1
    assert metric(client, "downloads") == 2


def test_warm_page_is_ready(serve: Serve, upstream: FakeUpstream) -> None:
    """CACHE-01: a page whose time is not over is answered from ready bytes, without a question to the upstream."""
    upstream.script("/simple/six/", with_headers(json_page("six", [SIX]), cache_control="max-age=600"))
    client = serve(table(upstream))
    answers = [client.get("/simple/six/", headers={"accept": V1_JSON}) for _ in range(5)]
    assert len({answer.content for answer in answers}) == 1
    assert upstream.asked("/simple/six/") == 1
    etag = answers[0].headers["etag"]
    assert client.get("/simple/six/", headers={"accept": V1_JSON, "if-none-match": etag}).status_code == 304


def test_ours_at_once_over_a_ready_page(serve: Serve, upstream: FakeUpstream, tmp_path: Path) -> None:
    """DC-01: a name that becomes ours is ours at once, though the upstream's page was ready for it."""
    theirs = UpstreamFile(filename="demo-99.0.tar.gz")
    upstream.script("/simple/demo/", with_headers(json_page("demo", [theirs]), cache_control="max-age=600"))
    client = serve(table(upstream))
    for _ in range(3):
        assert set(listed(client, "demo")) == {theirs.filename}
    path = WheelBuilder().build(tmp_path)
    content_type, body = multipart_body(form_fields(path), path.name, path.read_bytes())
    client.post("/legacy/", content=body, headers={"content-type": content_type}).raise_for_status()
    assert set(listed(client, "demo")) == {path.name}
    assert client.get(f"/simple/demo/{theirs.filename}").status_code == 404


def test_order(serve: Serve, upstream: FakeUpstream) -> None:
    """DC-01: the first upstream that has a name answers alone; one that fails is an error and not passed over."""
    with FakeUpstream() as other:
        other.offer("six", SIX)
        other.offer("seven", UpstreamFile(filename="seven-1.0.tar.gz"))
        upstream.offer("six", SMALL)
        client = serve(table(upstream, "first", absent_max_age="0") + table(other, "second"))
        assert set(listed(client)) == {SMALL.filename}
        assert other.asked() == 0
        assert set(listed(client, "seven")) == {"seven-1.0.tar.gz"}
        upstream.script("/simple/seven/", Answer(status=500))
        assert client.get("/simple/seven/").status_code == 503


def test_upstreams_of_one_index(serve: Serve, upstream: FakeUpstream) -> None:
    """URL-07: an index has the upstreams it names and no others."""
    upstream.offer("six", SMALL)
    config = '[main]\ntype = "memory"\nread_secret = "r"\nwrite_secret = "write-secret-2"\nupstreams = []\n'
    client = serve(
        '[open]\ntype = "memory"\nread_secret = "r2"\nwrite_secret = "w2"\n' + table(upstream), config=config
    )
    assert client.get("/main/simple/six/").status_code == 404
    assert client.get("/open/simple/six/", auth=("open", "w2")).status_code == 200


def test_redirect_mode(serve: Serve, upstream: FakeUpstream) -> None:
    """FILE-05: with `mirror = "redirect"` pages name the upstream's addresses, and no file is kept."""
    upstream.offer("six", SIX)
    client = serve(table(upstream, mirror='"redirect"'))
    assert listed(client)[SIX.filename]["url"] == f"{upstream.url}{SIX.path}"
    answer = client.get(f"/simple/six/{SIX.filename}")
    assert (answer.status_code, answer.headers["location"]) == (302, f"{upstream.url}{SIX.path}")


def test_credentials(serve: Serve, upstream: FakeUpstream) -> None:
    """DC-04: credentials of an upstream are sent to it; when they are wrong that is 502 with advice, never 401."""
    upstream.offer("six", SIX)
    upstream.credentials = ("u", "p")
    right = serve(table(upstream, username='"u"', password='"p"'))
    assert right.get(f"/simple/six/{SIX.filename}").content == SIX.content
    wrong = serve(table(upstream, username='"u"', password='"x"'), name="other")
    answer = wrong.get("/simple/six/")
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream-refused")
    assert "credentials" in answer.json()["detail"]
    assert "www-authenticate" not in answer.headers


def test_restart_while_the_upstream_is_down(serve: Serve) -> None:
    """DC-03: a server that starts while its upstream is down serves what it kept, and 503 for the rest."""
    with ExitStack() as stack:
        upstream = stack.enter_context(FakeUpstream())
        upstream.offer("six", SIX)
        first = serve(table(upstream))
        assert first.get(f"/simple/six/{SIX.filename}").content == SIX.content
        tables = table(upstream)
    second = serve(tables)
    assert set(listed(second)) == {SIX.filename}
    assert second.get(f"/simple/six/{SIX.filename}").content == SIX.content
    assert second.get("/simple/seven/").status_code == 503
    assert metric(second, "stale") >= 1


def test_offline(serve: Serve, upstream: FakeUpstream) -> None:
    """DC-03: offline, pages list what is kept, and everything else is 503 that says why."""
    upstream.offer("six", SIX, SMALL)
    assert serve(table(upstream)).get(f"/simple/six/{SMALL.filename}").content == SMALL.content
    asked = upstream.asked()
    client = serve(table(upstream), offline=True)
    assert set(listed(client)) == {SMALL.filename}
    assert client.get(f"/simple/six/{SMALL.filename}").content == SMALL.content
    for path in (f"/simple/six/{SIX.filename}", "/simple/seven/"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "upstream-offline")
        assert "offline" in answer.json()["detail"]
    assert upstream.asked() == asked


def test_wrong_bytes(serve: Serve, upstream: FakeUpstream) -> None:
    """DC-06: a file with the wrong digest is 502 when it is small, else a transfer that breaks off; never a whole file."""
    upstream.offer("six", SIX, SMALL)
    for file in (SIX, SMALL):
        upstream.script(file.path, Answer(body=b"!" * len(file.content)))
    client = serve(table(upstream))
    answer = client.get(f"/simple/six/{SMALL.filename}")
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream-invalid"), answer.text
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get(f"/simple/six/{SIX.filename}")
    assert metric(client, "mismatches") == 2


def fetched(client: httpx2.Client, files: list[UpstreamFile], started: Callable[[], None]) -> list[str]:
    """Fetch page and file of each; a list of digests and of what went wrong in words."""
    outcomes = []
    for file in files:
        project = file.filename.partition("-")[0]
        try:
            with client.stream("GET", f"/simple/{project}/{file.filename}") as answer:
                if answer.status_code == 200:
                    started()
                    outcomes.append(hashlib.sha256(b"".join(answer.iter_bytes())).hexdigest())
                else:
                    answer.read()
                    outcomes.append(f"{answer.status_code} {answer.json()['code']}")
        except httpx2.TransportError as error:
            outcomes.append(f"broken off: {error}")
    return outcomes


def test_upstream_killed_under_load(serve: Serve, tmp_path: Path) -> None:
    """DC-03, DC-06: when the upstream dies under 50 clients, each ends with right bytes or a clear error; so does the cache."""
    files = [
        UpstreamFile(filename=f"p{number}-1.0.tar.gz", content=bytes([number]) * 3_000_000) for number in range(12)
    ]
    digests = {file.filename: file.sha256 for file in files}
    running = threading.Semaphore(0)
    with ExitStack() as stack:
        upstream = stack.enter_context(FakeUpstream())
        for file in files:
            upstream.offer(file.filename.partition("-")[0], file)
        client = serve(table(upstream, connect_timeout="1"))
        with ThreadPoolExecutor(50) as pool:
            orders = [files[start % 12 :] + files[: start % 12] for start in range(50)]
            jobs = [pool.submit(fetched, client, order, running.release) for order in orders]
            for _ in range(30):
                assert running.acquire(timeout=60)
            stack.close()  # the upstream is gone, in the middle of whatever it was sending
            outcomes = [
                (file, outcome)
                for order, job in zip(orders, jobs, strict=True)
                for file, outcome in zip(order, job.result(120), strict=True)
            ]
    assert len(outcomes) == 600
    clear = ("broken off", "503 upstream-unavailable", "502 upstream-invalid")
    wrong = [
        (file.filename, outcome)
        for file, outcome in outcomes
        if outcome != file.sha256 and not outcome.startswith(clear)
    ]
    assert wrong == []
    assert any(outcome == file.sha256 for file, outcome in outcomes)
    kept = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "root" / "cache" / "upstream").rglob("*.tar.gz")
    }
    assert kept.items() <= digests.items()

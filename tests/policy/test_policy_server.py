"""A policy as clients of a server see it: pages, files, metadata, JSON, explanations and instants."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest

from policy.conftest import V1_JSON, PolicedServer, Serve, days_ago, osv_record, wheel
from wheelyard.cli.osv import scorer
from wheelyard.compose import now_utc
from wheelyard.index.policy.database import FILE, load_database
from wheelyard.testing.fake_upstream import FakeUpstream, json_page, with_headers

pytestmark = pytest.mark.slow


@pytest.fixture
def six(upstream: FakeUpstream) -> FakeUpstream:
    """An upstream with three releases of six."""
    files = [wheel("six", "1.0", uploaded=days_ago(90)), wheel("six", "1.1", uploaded=days_ago(30))]
    upstream.offer("six", *files, wheel("six", "1.2", uploaded=days_ago(2)))
    return upstream


def load(server: PolicedServer, tmp_path: Path, *, fixed: str) -> None:
    record = tmp_path / "record.json"
    record.write_bytes(osv_record("GHSA-1", "six", fixed=fixed))
    server.root.mkdir(exist_ok=True)
    load_database(record, server.root, score=scorer(), now=now_utc())


@pytest.mark.parametrize("form", ["json", "html"])
def test_cooldown(serve: Serve, six: FakeUpstream, form: str) -> None:
    """DC-07: a file that is too young is on no page, and its release among no versions, in both serialisations."""
    server = serve('minimum_age = "7d"')
    if form == "json":
        page = server.page("six").json()
        assert page["versions"] == ["1.0", "1.1"]
        assert [file["filename"] for file in page["files"]] == ["six-1.0-py3-none-any.whl", "six-1.1-py3-none-any.whl"]
    else:
        text = server.client.get("/simple/six/", headers={"accept": "text/html"}).text
        assert re.findall(r">(six-[^<]+)</a>", text) == ["six-1.0-py3-none-any.whl", "six-1.1-py3-none-any.whl"]


def test_html_upstream_has_no_times(serve: Serve, upstream: FakeUpstream) -> None:
    """A file without an upload time is too young, unless its name is exempt."""
    upstream.offer("six", wheel("six", "1.0", uploaded=None))
    upstream.offer("seven", wheel("seven", "1.0", uploaded=None))
    server = serve('minimum_age = "7d"\nminimum_age_exempt = ["seven"]')
    assert server.files("six") == []
    assert server.files("seven") == ["seven-1.0-py3-none-any.whl"]


PATHS = ["/simple/six/six-1.2-py3-none-any.whl", "/simple/six/six-1.2-py3-none-any.whl.metadata", "/pypi/six/1.2/json"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_left_out_is_403(serve: Serve, six: FakeUpstream, path: str, method: str) -> None:
    """What a page leaves out is refused at every address with the reason, its rule and when it will be offered."""
    server = serve('minimum_age = "7d"')
    answer = server.client.request(method, path)
    assert answer.status_code == 403
    assert answer.headers["cache-control"] == "no-store"
    if method == "GET":
        problem = answer.json()
        assert (problem["code"], problem["rule"]) == ("filtered", "minimum_age")
        assert "must be 7 days old" in problem["detail"]
        assert "wheelyard why six" in problem["hint"]
        assert problem["until"] > days_ago(0)
    assert six.asked("/files/six-1.2-py3-none-any.whl") == 0
    assert server.client.get(path.replace("1.2", "1.1")).status_code == 200


def test_everything_left_out(serve: Serve, six: FakeUpstream) -> None:
    """When nothing is left, the page is an empty one and the JSON of the project says why."""
    server = serve('minimum_age = "200d"')
    assert server.files("six") == []
    answer = server.client.get("/pypi/six/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "filtered")


def test_pages_for_people_tell_it_too(serve: Serve, six: FakeUpstream) -> None:
    """The page of a release that is left out says why, and so does that of a project of which nothing is left."""
    server = serve('minimum_age = "7d"')
    for path, status in (("/project/six/1.2/", 403), ("/project/six/1.1/", 200), ("/project/six/9/", 404)):
        answer = server.client.get(path, headers={"accept": "text/html"})
        assert (path, answer.status_code) == (path, status)
        assert ("must be 7 days old" in answer.text) is (status == 403)
    answer = serve('minimum_age = "200d"').client.get("/project/six/", headers={"accept": "text/html"})
    assert answer.status_code == 403
    assert "must be 200 days old" in answer.text


@pytest.mark.parametrize(
    "path", ["/simple/acme-x/", "/simple/acme-x/acme_x-1.0.tar.gz", "/pypi/acme-x/json", "/api/v1/why/acme-x"]
)
def test_reserved(serve: Serve, upstream: FakeUpstream, path: str) -> None:
    """DC-02: a reserved name is 404 at every address and the upstream hears nothing of it; published, it is there."""
    server = serve('reserved = ["acme-*"]')
    answer = server.client.get(path)
    if "/why/" in path:
        assert (answer.json()["answers"], answer.json()["rule"]) == ("not-looked-up", "reserved")
    else:
        assert answer.json()["rule"] == "reserved"
        assert (answer.status_code, answer.json()["code"]) == (404, "project-not-looked-up")
    assert upstream.questions == []
    server.publish("acme-x")
    assert server.files("acme-x") == ["acme_x-1.0-py3-none-any.whl"]
    assert upstream.questions == []


@pytest.mark.parametrize("change", ["files", "quarantined"])
def test_hosted_without_files_hides(serve: Serve, upstream: FakeUpstream, change: str) -> None:
    """DC-01: a project of ours hides theirs even when none of its files is left, or when it is quarantined."""
    upstream.offer("acme", wheel("acme", "99.0", uploaded=days_ago(90)))
    server = serve()
    server.publish("acme")
    project = "/api/v1/indexes/main/projects/acme"
    if change == "files":
        server.client.delete(f"{project}/releases/1.0").raise_for_status()
    else:
        server.client.put(f"{project}/status", json={"status": "quarantined"}).raise_for_status()
    assert server.files("acme") == []
    assert server.client.get("/simple/acme/acme-99.0-py3-none-any.whl").status_code == 404
    assert upstream.questions == []


def test_deleted_whole_is_no_longer_ours(serve: Serve, upstream: FakeUpstream) -> None:
    """A project that was deleted whole leaves its name free, as the decision has it; `reserved` keeps it."""
    upstream.offer("acme", wheel("acme", "99.0", uploaded=days_ago(90)))
    for policy, status in (("", 200), ('reserved = ["acme"]', 404)):
        server = serve(policy)
        server.publish("acme")
        server.client.delete("/api/v1/indexes/main/projects/acme").raise_for_status()
        assert server.page("acme").status_code == status


def test_no_advisories_is_503(serve: Serve, six: FakeUpstream, tmp_path: Path) -> None:
    """Without a database nothing of other indexes is offered, with what to do; loaded, it counts at once; damaged, 503."""
    server = serve('osv_severity = "high"')
    for path in ("/simple/six/", "/simple/six/six-1.0-py3-none-any.whl", "/api/v1/why/six"):
        answer = server.client.get(path)
        assert answer.status_code == 503
        assert "wheelyard osv load" in answer.json()["hint"]
    load(server, tmp_path, fixed="1.1")
    assert server.files("six") == ["six-1.1-py3-none-any.whl", "six-1.2-py3-none-any.whl"]
    assert server.client.get("/simple/six/six-1.0-py3-none-any.whl").json()["rule"] == "osv_severity"
    (server.root / FILE).write_bytes(b"")
    assert server.page("six").status_code == 503
    assert server.client.get("/simple/six/six-1.1-py3-none-any.whl").status_code == 503


def test_kept_answers_follow_the_advisories(serve: Serve, upstream: FakeUpstream, tmp_path: Path) -> None:
    """An answer that is kept ready is not sent any more once other advisories are loaded."""
    files = [wheel("six", "1.0", uploaded=days_ago(90)), wheel("six", "1.1", uploaded=days_ago(30))]
    upstream.offer("six", *files)
    upstream.script("/simple/six/", with_headers(json_page("six", files), cache_control="max-age=600", etag='"1"'))
    server = serve('osv_severity = "high"')
    load(server, tmp_path, fixed="0.1")
    for _ in range(3):
        assert len(server.files("six")) == 2
        assert server.client.get("/simple/six/six-1.0-py3-none-any.whl").status_code == 200
    assert upstream.asked("/simple/six/") == 1
    load(server, tmp_path, fixed="1.1")
    assert server.files("six") == ["six-1.1-py3-none-any.whl"]
    assert server.client.get("/simple/six/six-1.0-py3-none-any.whl").status_code == 403


# --- why -------------------------------------------------------------------------------------------------------------


def test_why(serve: Serve, six: FakeUpstream) -> None:
    """The API tells who answers, and of each file whether it is offered, or which rule leaves it out until when."""
    server = serve('minimum_age = "7d"')
    document = server.client.get("/api/v1/why/Six").json()
    assert (document["index"], document["project"], document["answers"]) == ("main", "six", "upstream")
    assert six.root in document["summary"]
    assert [(file["version"], file["offered"], file.get("rule")) for file in document["files"]] == [
        ("1.0", True, None),
        ("1.1", True, None),
        ("1.2", False, "minimum_age"),
    ]
    (young,) = server.client.get("/api/v1/indexes/main/why/six/1.2.0").json()["files"]
    assert "must be 7 days old" in young["reason"]
    assert server.client.get("/main/api/v1/why/six/1.2").json()["files"] == [young]


def test_why_of_several(serve: Serve, six: FakeUpstream) -> None:
    """Of several upstreams the one that answers is named, and a name that none has is told of all."""
    with FakeUpstream() as first:
        first.offer("seven", wheel("seven", "1.0", uploaded=days_ago(90)))
        upstreams = f'[upstream.near]\nurl = "{first.root}"\n[upstream.far]\nurl = "{six.root}"\n'
        server = serve('minimum_age = "7d"', further=upstreams)
        for project, name in (("seven", "upstream 'near'"), ("six", "upstream 'far'")):
            assert name in server.client.get(f"/api/v1/why/{project}").json()["summary"]
        nobody = server.client.get("/api/v1/why/eight").json()
        assert first.root in nobody["summary"]
        assert six.root in nobody["summary"]


def test_why_ours(serve: Serve, upstream: FakeUpstream) -> None:
    """Of a project of ours it is told that no other index is asked, and none is."""
    server = serve('minimum_age = "7d"')
    server.publish("acme")
    document = server.client.get("/api/v1/why/acme").json()
    assert document["answers"] == "hosted"
    assert [(file["version"], file["offered"]) for file in document["files"]] == [("1.0", True)]
    assert upstream.questions == []


@pytest.mark.parametrize(
    ("policy", "answers", "rule"),
    [
        ("", "nobody", None),
        ('deny = ["seven"]', "left-out", "deny"),
        ('upstream_mode = "listed"', "left-out", "upstream_mode"),
        ('upstream_mode = "none"', "not-looked-up", "upstream_mode"),
    ],
)
def test_why_nothing(serve: Serve, upstream: FakeUpstream, policy: str, answers: str, rule: str | None) -> None:
    """Where there is nothing it is told why."""
    document = serve(policy).client.get("/api/v1/why/seven").json()
    assert (document["answers"], document["rule"], document["files"]) == (answers, rule, [])


def test_why_needs_credentials(serve: Serve, six: FakeUpstream) -> None:
    """AU-04: explanations need what reading needs."""
    server = serve()
    for path in ("/api/v1/why/six", "/api/v1/indexes/main/why/six"):
        with httpx2.Client(base_url=server.url, trust_env=False) as stranger:
            assert stranger.get(path).status_code == 401
    assert server.client.get("/api/v1/why/no%20name").status_code == 404
    assert server.client.post("/api/v1/why/six").status_code == 405


# --- as of an instant ------------------------------------------------------------------------------------------------


def test_at_an_instant(serve: Serve, six: FakeUpstream) -> None:
    """An instant shows what other indexes had by then, files too, and ours, which were not there."""
    server = serve()
    server.publish("acme")
    for before in (f"/at/{days_ago(60)}", f"/main/at/{days_ago(60)}", f"/at/{days_ago(60)[:10]}"):
        assert server.files("six", before) == ["six-1.0-py3-none-any.whl"]
        assert server.files("acme", before) == []
        assert server.client.get(f"{before}/simple/six/six-1.0-py3-none-any.whl").content == b"bytes of a file"
        assert server.client.get(f"{before}/simple/six/six-1.0-py3-none-any.whl.metadata").status_code == 200
        for name in ("six-1.1-py3-none-any.whl", "six-1.1-py3-none-any.whl.metadata"):
            assert server.client.get(f"{before}/simple/six/{name}").status_code == 404
    assert server.files("six") == ["six-1.0-py3-none-any.whl", "six-1.1-py3-none-any.whl", "six-1.2-py3-none-any.whl"]
    assert server.files("acme", f"/at/{now_utc().isoformat()}") == ["acme-1.0-py3-none-any.whl"]


def test_at_headers_and_conditions(serve: Serve, six: FakeUpstream) -> None:
    """Pages as of an instant are asked for again each time and have a validator; redirects stay below the instant."""
    server, before = serve(), f"/at/{days_ago(60)}"
    page = server.page("six", before)
    assert page.headers["cache-control"] == "private, max-age=0, must-revalidate"
    headers = {"accept": V1_JSON, "if-none-match": page.headers["etag"]}
    assert server.client.get(f"{before}/simple/six/", headers=headers).status_code == 304
    assert server.client.get(f"{before}/simple/SIX/").headers["location"] == "../six/"
    assert server.client.get(f"{before}/simple/").status_code == 200
    assert server.client.head(f"{before}/simple/six/").status_code == 200
    assert server.client.post(f"{before}/simple/six/").status_code == 405


def test_at_is_not_the_page_of_now(serve: Serve) -> None:
    """Answers kept ready for the index of now are never sent for an instant, nor the other way round."""
    server = serve()
    server.publish("acme")
    for _ in range(3):
        assert server.files("acme") == ["acme-1.0-py3-none-any.whl"]
        assert server.files("acme", "/at/2020-01-01") == []
        assert server.client.get("/simple/acme/acme-1.0-py3-none-any.whl").status_code == 200
        assert server.client.get("/at/2020-01-01/simple/acme/acme-1.0-py3-none-any.whl").status_code == 404


@pytest.mark.parametrize("instant", ["tomorrow", "2026-13-01", "2999-01-01", "2026-05-01T12:00:00"])
def test_no_instant(serve: Serve, instant: str) -> None:
    """What is no instant, or still to come, is 400 with a text that helps."""
    answer = serve().client.get(f"/at/{instant}/simple/six/")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert answer.json()["hint"]


def test_at_needs_credentials(serve: Serve) -> None:
    """AU-04: an instant is read with the same credentials as the index, and wrong ones are refused alike."""
    server = serve()
    with httpx2.Client(base_url=server.url, trust_env=False) as stranger:
        for path in ("/at/2026-01-01/simple/", "/main/at/2026-01-01/simple/six/", "/at/2999-01-01/simple/"):
            assert stranger.get(path).status_code == 401
            assert stranger.get(path, auth=("main", "wrong")).status_code == 401


def test_the_policy_holds_in_the_past(serve: Serve, six: FakeUpstream) -> None:
    """What the policy leaves out now is left out of every instant, with its reason."""
    server = serve('deny = ["six==1.0"]')
    before = f"/at/{days_ago(60)}"
    assert server.files("six", before) == []
    assert server.client.get(f"{before}/simple/six/six-1.0-py3-none-any.whl").json()["rule"] == "deny"

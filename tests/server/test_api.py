"""The management API: every operation, every refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from server.sites import READ, WRITE, Site, composed, index_settings
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

pytestmark = pytest.mark.anyio

BASE = "/api/v1/indexes/main"
DEMO = f"{BASE}/projects/demo"
WHEEL = "demo-1.0-py3-none-any.whl"
SDIST = "demo-1.0.tar.gz"


@pytest.fixture
async def demo(site: Site) -> Site:
    """A project `demo` with a wheel and an sdist of 1.0 and a wheel of 2.0."""
    for builder in (WheelBuilder(requires_python=">=3.9"), SdistBuilder(), WheelBuilder(version="2.0")):
        await site.publish(builder)
    return site


def yanks(document: dict[str, Any]) -> dict[str, bool | str]:
    return {file["filename"]: file.get("yanked", False) for file in document["files"]}


async def test_show_index(demo: Site) -> None:
    """An index is shown with what the caller may do."""
    assert (await demo.get(BASE)).json() == {"name": "main", "access": "read"}
    assert (await demo.get(BASE, auth=WRITE)).json() == {"name": "main", "access": "write"}


async def test_list_projects(demo: Site) -> None:
    """The projects of an index are listed by normalised name."""
    await demo.publish(SdistBuilder(name="Other.Thing"))
    assert (await demo.get(f"{BASE}/projects")).json() == {"index": "main", "projects": ["demo", "other-thing"]}


@pytest.mark.parametrize("name", ["demo", "DEMO", "Demo"])
async def test_show_project(demo: Site, name: str) -> None:
    """A project is shown with its files, in any spelling of its name."""
    answer = await demo.get(f"{BASE}/projects/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert (document["index"], document["name"], document["status"]) == ("main", "demo", "active")
    assert document["versions"] == ["1.0", "2.0"]
    wheel = next(file for file in document["files"] if file["filename"] == WHEEL)
    listed = (await demo.files("demo"))[WHEEL]
    assert wheel["sha256"] == listed["hashes"]["sha256"]
    assert wheel["size"] == listed["size"]
    assert wheel["requires_python"] == ">=3.9"
    assert wheel["uploader"] == "main:write"


@pytest.mark.parametrize("reason", ["", "broken"])
async def test_yank_release(demo: Site, reason: str) -> None:
    """YANK-02: a release is yanked by any spelling of its version, with a reason or without."""
    answer = await demo.send("POST", f"{DEMO}/yank", {"version": "1.0.0", "reason": reason})
    mark = reason or True
    assert yanks(answer.json()) == {WHEEL: mark, SDIST: mark, "demo-2.0-py3-none-any.whl": False}
    assert (await demo.files("demo"))[WHEEL]["yanked"] == mark


async def test_yank_files(demo: Site) -> None:
    """YANK-02: single files are yanked, and offered again."""
    answer = await demo.send("POST", f"{DEMO}/yank", {"files": [WHEEL], "reason": "x"})
    assert yanks(answer.json())[WHEEL] == "x"
    assert yanks(answer.json())[SDIST] is False
    answer = await demo.send("POST", f"{DEMO}/unyank", {"files": [WHEEL]})
    assert not any(yanks(answer.json()).values())


async def test_unyank_release(demo: Site) -> None:
    """YANK-01: a yanked release is offered again."""
    await demo.send("POST", f"{DEMO}/yank", {"version": "1.0"})
    answer = await demo.send("POST", f"{DEMO}/unyank", {"version": "1.0"})
    assert not any(yanks(answer.json()).values())


@pytest.mark.parametrize("status", ["active", "archived", "quarantined", "deprecated"])
async def test_status(demo: Site, status: str) -> None:
    """ST-05: each of the four statuses can be set, and its reason goes with it."""
    answer = await demo.send("PUT", f"{DEMO}/status", {"status": status, "reason": "because"})
    assert (answer.json()["status"], answer.json()["status_reason"]) == (status, "because")
    answer = await demo.send("PUT", f"{DEMO}/status", {"status": "active"})
    assert (answer.json()["status"], answer.json()["status_reason"]) == ("active", None)


async def test_delete_file(demo: Site) -> None:
    """FILE-07: a file is deleted; the rest stays."""
    answer = await demo.ask("DELETE", f"{DEMO}/files/{WHEEL}", auth=WRITE)
    assert set(yanks(answer.json())) == {SDIST, "demo-2.0-py3-none-any.whl"}
    assert (await demo.get(f"/simple/demo/{WHEEL}")).status_code == 404


@pytest.mark.parametrize("encoded", ["demo-1.0%2Bx-py3-none-any.whl", "demo-1.0+x-py3-none-any.whl"])
async def test_delete_local_version(demo: Site, encoded: str) -> None:
    """URL-11: a plus sign in a file name is one, encoded or not."""
    await demo.publish(WheelBuilder(version="1.0+x"))
    answer = await demo.ask("DELETE", f"{DEMO}/files/{encoded}", auth=WRITE)
    assert answer.status_code == 200
    assert "demo-1.0+x-py3-none-any.whl" not in yanks(answer.json())


async def test_delete_release(demo: Site) -> None:
    """A release is deleted with all its files."""
    answer = await demo.ask("DELETE", f"{DEMO}/releases/1.0.0", auth=WRITE)
    assert set(yanks(answer.json())) == {"demo-2.0-py3-none-any.whl"}
    assert answer.json()["versions"] == ["2.0"]


async def test_delete_project(demo: Site) -> None:
    """A project is deleted as a whole, and can be published anew."""
    answer = await demo.ask("DELETE", DEMO, auth=WRITE)
    assert answer.json()["files"] == []
    assert (await demo.get("/simple/demo/")).status_code == 404
    assert (await demo.get(f"{BASE}/projects")).json()["projects"] == []
    await demo.publish(WheelBuilder())
    assert set(await demo.files("demo")) == {WHEEL}


BAD_BODIES: list[tuple[str, str, bytes]] = [
    ("yank", "POST", b"not json"),
    ("yank", "POST", b"[]"),
    ("yank", "POST", b"null"),
    ("yank", "POST", b""),
    ("yank", "POST", b"{}"),
    ("yank", "POST", b'{"version": "1.0", "files": ["x"]}'),
    ("yank", "POST", b'{"version": 1}'),
    ("yank", "POST", b'{"files": "x"}'),
    ("yank", "POST", b'{"files": [1]}'),
    ("yank", "POST", b'{"version": "1.0", "reason": null}'),
    ("yank", "POST", b'{"version": "1.0", "raeson": "typo"}'),
    ("yank", "POST", b'{"version": "1.0", "reason": "' + b"x" * 2001 + b'"}'),
    ("yank", "POST", b'{"version": "\xff"}'),
    ("unyank", "POST", b'{"version": "1.0", "reason": "no reason here"}'),
    ("status", "PUT", b"{}"),
    ("status", "PUT", b'{"status": "closed"}'),
    ("status", "PUT", b'{"status": null}'),
    ("status", "PUT", b'{"status": "active", "reason": 5}'),
    ("yank", "POST", b"[" * 50_000),
]


@pytest.mark.parametrize(("operation", "method", "body"), BAD_BODIES, ids=[str(n) for n in range(len(BAD_BODIES))])
async def test_bad_body(demo: Site, operation: str, method: str, body: bytes) -> None:
    """A body that is not what the operation takes is 400, says so, and changes nothing."""
    before = (await demo.get(DEMO)).json()
    answer = await demo.ask(method, f"{DEMO}/{operation}", auth=WRITE, content=body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid-request"
    assert (await demo.get(DEMO)).json() == before


async def test_large_body(demo: Site) -> None:
    """A body of more than 64 KiB is 413."""
    answer = await demo.ask("POST", f"{DEMO}/yank", auth=WRITE, content=b" " * 70_000)
    assert answer.status_code == 413


MISSING = [
    ("GET", f"{BASE}/projects/other", "project-not-found"),
    ("POST", f"{BASE}/projects/other/yank", "project-not-found"),
    ("PUT", f"{BASE}/projects/other/status", "project-not-found"),
    ("DELETE", f"{BASE}/projects/other", "project-not-found"),
    ("GET", f"{BASE}/projects/-a-", "project-not-found"),
    ("DELETE", f"{DEMO}/releases/9.9", "release-not-found"),
    ("DELETE", f"{DEMO}/releases/nonsense", "release-not-found"),
    ("DELETE", f"{DEMO}/files/other.whl", "file-not-found"),
    ("POST", f"{DEMO}/yank", "release-not-found"),
    ("GET", "/api/v1/indexes/other", "index-not-found"),
    ("GET", "/api/v1/", "not-found"),
    ("GET", "/api/v1/indexes", "not-found"),
    ("GET", f"{DEMO}/files", "not-found"),
    ("GET", "/api/v2/indexes/main", "not-found"),
    ("GET", "/api/", "not-found"),
]
BODIES = {"yank": {"version": "9.9"}, "status": {"status": "archived"}}


@pytest.mark.parametrize(("method", "path", "code"), MISSING, ids=[f"{case[0]} {case[1]}" for case in MISSING])
async def test_not_found(demo: Site, method: str, path: str, code: str) -> None:
    """What is not there is 404 with its own code."""
    body = BODIES.get(path.rpartition("/")[2])
    answer = await demo.ask(method, path, auth=WRITE, **({} if body is None else {"json": body}))
    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", BASE, "GET"),
        ("PUT", f"{BASE}/projects", "GET"),
        ("POST", DEMO, "DELETE, GET"),
        ("GET", f"{DEMO}/yank", "POST"),
        ("POST", f"{DEMO}/status", "PUT"),
        ("GET", f"{DEMO}/releases/1.0", "DELETE"),
        ("PATCH", f"{DEMO}/files/{WHEEL}", "DELETE"),
    ],
)
async def test_wrong_method(demo: Site, method: str, path: str, allowed: str) -> None:
    """RFC 9110 section 15.5.6: a wrong method is 405 with those that work."""
    answer = await demo.ask(method, path, auth=WRITE)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed


CHANGES = [
    ("POST", f"{DEMO}/yank", {"version": "1.0"}),
    ("POST", f"{DEMO}/unyank", {"version": "1.0"}),
    ("PUT", f"{DEMO}/status", {"status": "archived"}),
    ("DELETE", DEMO, None),
    ("DELETE", f"{DEMO}/releases/1.0", None),
    ("DELETE", f"{DEMO}/files/{WHEEL}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES, ids=[f"{case[0]} {case[1]}" for case in CHANGES])
async def test_access(demo: Site, method: str, path: str, body: object) -> None:
    """UP-07: changes need the write secret: 403 with the read secret, 401 without any, and nothing changed."""
    before = (await demo.get(DEMO)).json()
    content = b"" if body is None else json.dumps(body).encode()
    for auth, status in ((READ, 403), (None, 401), (("main", "wrong"), 401)):
        assert (await demo.ask(method, path, auth=auth, content=content)).status_code == status
    assert (await demo.get(DEMO)).json() == before


async def test_access_before_anything(demo: Site) -> None:
    """AU-02: without credentials nobody learns which projects there are."""
    there, absent = await demo.get(DEMO, auth=None), await demo.get(f"{BASE}/projects/no", auth=None)
    assert there.status_code == absent.status_code == 401
    assert there.content == absent.content


async def test_other_index(tmp_path: Path) -> None:
    """The secret of one index changes nothing in another."""
    async with composed(tmp_path, index_settings(), index_settings("other")) as site:
        await site.publish(WheelBuilder())
        answer = await site.send("POST", f"{DEMO}/yank", {"version": "1.0"}, auth=("other", "other-write-secret"))
        assert answer.status_code == 401
        answer = await site.send("DELETE", DEMO, None, auth=("__token__", "other-write-secret"))
        assert answer.status_code == 401
        assert yanks((await site.get(DEMO)).json()) == {WHEEL: False}


@pytest.mark.parametrize("index", ["main", "MAIN", "Main"])
async def test_index_name(demo: Site, index: str) -> None:
    """An index is found in any case of its name."""
    assert (await demo.get(f"/api/v1/indexes/{index}")).json()["name"] == "main"


async def test_head(demo: Site) -> None:
    """URL-14: HEAD answers as GET."""
    answer = await demo.ask("HEAD", DEMO)
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-length"] == str(len((await demo.get(DEMO)).content))


async def test_archived_can_be_managed(demo: Site) -> None:
    """ST-02: an archived project takes no uploads, but its owner still yanks, deletes and opens it."""
    await demo.send("PUT", f"{DEMO}/status", {"status": "archived"})
    assert (await demo.send("POST", f"{DEMO}/yank", {"version": "1.0"})).status_code == 200
    assert (await demo.ask("DELETE", f"{DEMO}/files/{WHEEL}", auth=WRITE)).status_code == 200
    assert (await demo.send("PUT", f"{DEMO}/status", {"status": "active"})).status_code == 200


@pytest.mark.parametrize("odd", ["../../etc", "a/b", "\x00", "…", "a" * 5000])
async def test_odd_names(demo: Site, odd: str) -> None:
    """URL-17: odd names in a path find nothing."""
    for path in (f"{BASE}/projects/{quote(odd, safe='')}", f"{DEMO}/files/{quote(odd, safe='')}"):
        answer = await demo.ask("DELETE", path, auth=WRITE)
        assert answer.status_code in {404, 405}

"""Section 1A: URLs, methods and redirects of the simple API."""

import http.client
import socket
from urllib.parse import urljoin, urlsplit

import pytest

from standards.subject import TEXT_HTML, V1_HTML, V1_JSON, Subject, basic
from wheelyard.testing.builders import SdistBuilder, WheelBuilder


@pytest.fixture(scope="module")
def project(subject: Subject) -> str:
    """A project with one wheel and one sdist."""
    name = subject.new_name("Urls.Of_Project").lower()
    subject.publish(WheelBuilder(name=name), SdistBuilder(name=name))
    return name.replace(".", "-").replace("_", "-")


def wheel_of(subject: Subject, project: str) -> str:
    return next(name for name in subject.listed(project) if name.endswith(".whl"))


@pytest.mark.parametrize("accept", [V1_JSON, V1_HTML, TEXT_HTML])
def test_list(subject: Subject, project: str, accept: str) -> None:
    """URL-01: the project list answers 200 with one entry for each project."""
    reply = subject.get("", accept=accept).check(200)
    if accept == V1_JSON:
        names = [entry["name"] for entry in reply.json()["projects"]]
        assert names.count(project) == 1
        assert len(set(names)) == len(names)
    else:
        assert reply.text.count(f">{project}<") == 1


def test_page(subject: Subject, project: str) -> None:
    """URL-02: a project published under another spelling answers at its normalised name."""
    assert subject.page(project)["name"] == project


@pytest.mark.parametrize("accept", [V1_JSON, TEXT_HTML, "*/*"])
def test_no_slash(subject: Subject, project: str, accept: str) -> None:
    """URL-03: an address without its last slash leads to the one with it, on the same host."""
    reply = subject.get(project, accept=accept)
    assert reply.status in {301, 308}
    assert reply.location == f"{subject.index_url}{project}/"


def test_list_no_slash(subject: Subject, project: str) -> None:
    """URL-03: the list without a slash ends in the JSON list for bandersnatch."""
    reply = subject.get(subject.index_url.removesuffix("/"), accept=V1_JSON)
    if reply.status in {301, 302, 307, 308}:
        assert reply.location == subject.index_url
        reply = subject.get(reply.location, accept=V1_JSON)
    reply.check(200)
    assert {"name": project} in [{"name": entry["name"]} for entry in reply.json()["projects"]]


@pytest.mark.parametrize("query", ["", "?format=application/vnd.pypi.simple.v1%2Bjson"])
def test_other_spelling(subject: Subject, project: str, query: str) -> None:
    """URL-04: another spelling of a name leads to the normalised one and keeps the query, host, scheme and port."""
    reply = subject.get(project.upper().replace("-", "__", 1) + "/" + query)
    if reply.status == 200:
        return
    assert reply.status in {301, 308}
    assert reply.location == f"{subject.index_url}{project}/{query}"


def test_redirect_behind_another_name(subject: Subject, project: str) -> None:
    """URL-04: a redirect stays on the host by which the client knows the index; else clients drop their credentials."""
    reply = subject.get(project, Host="packages.example.org:8443")
    assert reply.status in {301, 308}
    location = reply.header("location") or ""
    base = f"https://packages.example.org:8443{urlsplit(subject.index_url).path}"
    assert urljoin(f"{base}{project}", location) == f"{base}{project}/"


SPELLINGS = ["Friendly-Bard", "FRIENDLY-BARD", "friendly.bard", "friendly_bard", "friendly--bard", "FrIeNdLy-._.-bArD"]


@pytest.mark.parametrize("spelling", ["friendly-bard", *SPELLINGS])
def test_normalisation(subject: Subject, spelling: str) -> None:
    """URL-05: the vectors of the name normalisation standard all reach one project."""
    suffix = subject.new_name("x")
    subject.publish(SdistBuilder(name=f"friendly-bard-{suffix}"))
    reply = subject.get(f"{spelling}-{suffix}/", accept=V1_JSON)
    if reply.status in {301, 308}:
        reply = subject.get(reply.location, accept=V1_JSON)
    assert reply.check(200).json()["name"] == f"friendly-bard-{suffix}"


@pytest.mark.parametrize("name", ["-a", "a.", "_a", "a%20b", "%C3%A9", "a%0A", "a%0D%0Ax", "a%00", "a!"])
def test_invalid_name_read(subject: Subject, name: str) -> None:
    """URL-06: what cannot be a project name is not found."""
    assert subject.get(f"{name}/").status == 404


@pytest.mark.parametrize("name", ["-a", "a.", "_a", "a b", "é", "", "a\n"])
def test_invalid_name_uploaded(subject: Subject, name: str) -> None:
    """URL-06: what cannot be a project name is refused on upload; a trailing newline is part of the name."""
    builder = WheelBuilder(name=subject.new_name())
    assert subject.refused(builder, name=name).status == 400


@pytest.mark.parametrize("accept", [V1_JSON, TEXT_HTML, "*/*"])
def test_unknown_project(subject: Subject, accept: str) -> None:
    """URL-07: an unknown project is 404, on which clients try their next index."""
    reply = subject.get(f"{subject.new_name('unknown')}/", accept=accept).check(404)
    assert reply.body
    assert reply.header("content-type")


def test_relative_after_redirect(subject: Subject, project: str) -> None:
    """URL-08: file URLs work when they are resolved against the final address after a redirect."""
    reply = subject.get(project, accept=V1_JSON)
    reply = subject.get(reply.location, accept=V1_JSON).check(200)
    for file in reply.json()["files"]:
        subject.get(urljoin(reply.url, file["url"])).check(200)


def test_plain_file_urls(subject: Subject, project: str) -> None:
    """URL-09, URL-12: file URLs have no query and no user info, so that `.metadata` can follow and locks stay true."""
    for file in subject.page(project)["files"]:
        parts = urlsplit(urljoin(subject.index_url, file["url"]))
        assert not parts.query
        assert not parts.fragment
        assert "@" not in parts.netloc
        for secret in (*subject.credentials, *(subject.reader or ())):
            assert secret not in file["url"] or secret in {"main", ""}


def test_permanent_urls(subject: Subject, project: str) -> None:
    """URL-12: a file keeps its URL when more is published."""
    before = {name: file["url"] for name, file in subject.listed(project).items()}
    subject.publish(SdistBuilder(name=project, version="2.0"))
    after = {name: file["url"] for name, file in subject.listed(project).items()}
    assert before.items() <= after.items()


LOCAL_NAMES = [
    ("1.0+cu128", "%2B", "+"),
    ("1!2.0", "%21", "!"),
    ("1!2.0+a.b.1", "%2B", "+"),
]


@pytest.mark.parametrize(("version", "encoded", "raw"), LOCAL_NAMES, ids=[case[0] for case in LOCAL_NAMES])
def test_special_characters(subject: Subject, version: str, encoded: str, raw: str) -> None:
    """URL-10, URL-11, SB-01: `+` and `!` in file names are reachable in both spellings, and the URL ends in the name."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name, version=version))
    assert list(subject.listed(name)) == [wheel.file_name]
    url = subject.file_url(name, wheel.file_name)
    connection_path = urlsplit(url).path.rpartition("/")[2]
    assert connection_path.replace("%2B", "+").replace("%21", "!") == wheel.file_name
    folder = url.rpartition("/")[0]
    for spelling in (
        wheel.file_name,
        wheel.file_name.replace(raw, encoded),
        wheel.file_name.replace(raw, encoded.lower()),
    ):
        for suffix in ("", ".metadata"):
            reply = subject.get(f"{folder}/{spelling}{suffix}").check(200)
            assert reply.body == (wheel.metadata_bytes() if suffix else wheel.bytes())


def test_plus_is_no_space(subject: Subject) -> None:
    """URL-11: a plus sign in a path is never a space."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name, version="1.0+x"))
    folder = subject.file_url(name, wheel.file_name).rpartition("/")[0]
    assert subject.get(f"{folder}/{wheel.file_name.replace('+', '%20')}").status == 404


@pytest.mark.parametrize("accept", [V1_JSON, V1_HTML, TEXT_HTML, "*/*", "image/png"])
def test_content_type(subject: Subject, project: str, accept: str) -> None:
    """URL-13: every answer of the simple API says its type."""
    for url in ("", f"{project}/", f"{subject.new_name('unknown')}/"):
        assert subject.get(url, accept=accept).header("content-type")


@pytest.mark.parametrize("what", ["list", "page", "wheel", "sdist", "metadata", "unknown"])
@pytest.mark.parametrize("accept", [V1_JSON, "*/*"])
def test_head(subject: Subject, project: str, what: str, accept: str) -> None:
    """URL-14: HEAD answers with the status and headers of GET, and with no body."""
    files = subject.listed(project)
    wheel = wheel_of(subject, project)
    sdist = next(name for name in files if name.endswith(".tar.gz"))
    url = {
        "list": subject.index_url,
        "page": f"{subject.index_url}{project}/",
        "wheel": subject.file_url(project, wheel),
        "sdist": subject.file_url(project, sdist),
        "metadata": subject.file_url(project, wheel) + ".metadata",
        "unknown": f"{subject.index_url}{subject.new_name('unknown')}/",
    }[what]
    got = subject.get(url, accept=accept)
    head = subject.ask("HEAD", url, headers={"Accept": accept})
    assert (head.status, head.reason) == (got.status, got.reason)
    assert head.body == b""
    changing = {"date"}
    assert [pair for pair in head.headers if pair[0] not in changing] == [
        pair for pair in got.headers if pair[0] not in changing
    ]


@pytest.mark.parametrize("what", ["page", "wheel"])
def test_head_sends_no_body(subject: Subject, project: str, what: str) -> None:
    """URL-14: the bytes after a HEAD answer are those of the next answer on the connection."""
    wheel = subject.file_url(project, wheel_of(subject, project))
    path = urlsplit(subject.index_url).path + f"{project}/" if what == "page" else urlsplit(wheel).path
    parts = urlsplit(subject.index_url)
    if parts.scheme == "https":
        pytest.skip("written for a plain connection")
    common = f"Host: {parts.netloc}\r\nAuthorization: {basic(subject.credentials)}\r\n"
    sent = f"HEAD {path} HTTP/1.1\r\n{common}\r\nGET {path} HTTP/1.1\r\n{common}Connection: close\r\n\r\n"
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30) as connection:
        connection.sendall(sent.encode("ascii"))
        received = bytearray()
        while piece := connection.recv(65536):
            received += piece
    first, _, rest = bytes(received).partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert rest.startswith(b"HTTP/1.1 200")
    assert rest.partition(b"\r\n\r\n")[2] == subject.get(f"{subject.origin}{path}").body


def test_double_slash(subject: Subject, project: str) -> None:
    """URL-15: pipenv's double slash, with `Accept: */*`, gives the HTML page with its digests."""
    reply = subject.get(f"/{project}/", accept="*/*").check(200)
    assert reply.url.endswith(f"simple//{project}/")
    assert reply.media_type == TEXT_HTML
    assert "#sha256=" in reply.text


@pytest.mark.parametrize("spelling", ["%2Bsimple", "+simple"])
def test_hatch(subject: Subject, project: str, spelling: str) -> None:
    """URL-16: hatch reads `<upload URL>/%2Bsimple/<project>/` as HTML, as devpi has it."""
    reply = subject.get(f"{subject.upload_url.rstrip('/')}/{spelling}/{project}/", accept="*/*").check(200)
    assert reply.media_type == TEXT_HTML
    assert wheel_of(subject, project) in reply.text


ATTEMPTS = [
    "..%2f..%2fetc/",
    "%2e%2e/etc/",
    "%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "../../../../etc/passwd",
    "{project}/..%2f..%2fconfig.toml",
    "{project}/%2e%2e/{project}/index.json",
    "{project}/index.json",
    "{project}/..%5c..%5cconfig.toml",
    "{project}/%00",
    "{project}/{wheel}%00",
    "{project}/{wheel}%0a",
    "{project}/.lock",
    "{project}/",
    "%ff%fe/",
]


@pytest.mark.parametrize("attempt", [attempt for attempt in ATTEMPTS if attempt != "{project}/"])
def test_traversal(subject: Subject, project: str, attempt: str) -> None:
    """URL-17: a path that tries to leave the index, or carries control characters, finds nothing."""
    path = attempt.format(project=project, wheel=wheel_of(subject, project))
    reply = subject.get(path)
    assert reply.status in {400, 404}
    assert b"root:" not in reply.body
    assert b"secret" not in reply.body.lower()


def test_no_open_cors(subject: Subject, project: str) -> None:
    """URL-18: an index with credentials does not open itself to every web page."""
    reply = subject.get(f"{project}/", accept=V1_JSON, Origin="https://elsewhere.example.org")
    if reply.header("access-control-allow-credentials") is not None:
        assert reply.header("access-control-allow-origin") != "*"
    anonymous = subject.ask("GET", f"{project}/", credentials=None)
    if anonymous.status == 401:
        assert reply.header("access-control-allow-origin") != "*"


def test_list_is_what_is_served(subject: Subject, project: str) -> None:
    """URL-19: the list names nothing that has no page."""
    names = [entry["name"] for entry in subject.get("", accept=V1_JSON).json()["projects"]]
    assert project in names
    for name in names[:50]:
        reply = subject.get(f"{name}/", accept=V1_JSON)
        assert reply.status in {200, 301}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "FOO"])
def test_other_methods(subject: Subject, project: str, method: str) -> None:
    """URL-14: what is no reading of a page is refused with the methods it takes (RFC 9110 section 15.5.6)."""
    for url in (
        subject.index_url,
        f"{subject.index_url}{project}/",
        subject.file_url(project, wheel_of(subject, project)),
    ):
        reply = subject.ask(method, url)
        assert reply.status in {400, 405, 501}
        if reply.status == 405:
            assert {"GET", "HEAD"} <= {word.strip() for word in (reply.header("allow") or "").split(",")}


def test_pipelining(subject: Subject, project: str) -> None:
    """URL-14: requests sent without waiting are answered in their order."""
    parts = urlsplit(subject.index_url)
    if parts.scheme == "https":
        pytest.skip("written for a plain connection")
    common = f"Host: {parts.netloc}\r\nAuthorization: {basic(subject.credentials)}\r\n"
    paths = [parts.path, f"{parts.path}{project}/", f"{parts.path}{subject.new_name('no')}/", parts.path]
    sent = "".join(f"GET {path} HTTP/1.1\r\n{common}\r\n" for path in paths)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30) as connection:
        connection.sendall(sent.encode("ascii"))
        statuses = []
        file = connection.makefile("rb")
        for _ in paths:
            status = int(file.readline().split()[1])
            headers = http.client.parse_headers(file)
            file.read(int(headers["Content-Length"]))
            statuses.append(status)
    assert statuses == [200, 200, 404, 200]

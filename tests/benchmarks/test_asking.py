"""What is asked: links of pages, credentials that all differ, requests as the script reads them, and raw clients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from benchmarks.cases import authorizations
from benchmarks.corpus import INDEX
from benchmarks.distributions import make_wheel
from benchmarks.ours import READ_SECRET
from benchmarks.place import BenchError
from benchmarks.web import Answer, Link, links
from benchmarks.wrk import Request

from benchmarks import transfer, uploads
from wheelyard.auth.access import Access
from wheelyard.auth.authenticators import IndexSecrets
from wheelyard.auth.credentials import parse_authorization

LARGE = b"x" * 300_000


class Handler(BaseHTTPRequestHandler):
    """Takes every upload whose name does not say otherwise, and serves one large file."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve the large file, or half of it."""
        self._answer(200, LARGE if self.path == "/large" else LARGE[: len(LARGE) // 2])

    def do_POST(self) -> None:
        """Count one upload."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/once":
            self.close_connection = True
        self._answer(400 if b"refuse" in body else 200, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def origin() -> Iterator[str]:
    """A server of the standard library."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_links_of_an_html_page() -> None:
    """Names come from the text, paths from the target without its fragment, relative to the page."""
    body = b'<a href="../f/a-1.whl#sha256=00" data-core-metadata="x">a-1.whl</a><a href="/b%2B1.zip"> b+1.zip </a>'
    page = Answer(200, {"content-type": "text/html"}, body)
    assert links(page, "/simple/a/") == [
        Link("a-1.whl", "/simple/f/a-1.whl", None, metadata=True),
        Link("b+1.zip", "/b%2B1.zip", None, metadata=False),
    ]


def test_links_of_a_json_page_and_list() -> None:
    """Sizes and metadata are told; projects of a list are below it."""
    kind = {"content-type": "application/vnd.pypi.simple.v1+json"}
    page = Answer(200, kind, b'{"files":[{"filename":"a-1.whl","url":"a-1.whl","size":7,"core-metadata":true}]}')
    assert links(page, "/simple/a/") == [Link("a-1.whl", "/simple/a/a-1.whl", 7, metadata=True)]
    listed = Answer(200, kind, b'{"projects":[{"name":"a"}]}')
    assert links(listed, "/simple/") == [Link("a", "/simple/a/", None, metadata=False)]


def test_many_callers_are_all_right_and_all_different() -> None:
    """Each of 100,000 headers differs, and each opens the index for reading."""
    headers = authorizations(100_000)
    assert len(set(headers)) == 100_000
    secrets = IndexSecrets(INDEX, read_secret=READ_SECRET, write_secret="other")
    for header in headers[::997]:
        credential = parse_authorization(header.encode())
        assert credential is not None
        principal = secrets.decide(credential)
        assert principal is not None
        assert principal.access is Access.READ


def test_a_request_is_one_line_for_the_script() -> None:
    """Path and headers are separated by tabs."""
    assert Request("/a/", {"Accept": "text/html", "X": "y"}).line() == "/a/\tAccept: text/html\tX: y\n"


@pytest.mark.parametrize("path", ["/", "/once"], ids=["kept", "closed"])
@pytest.mark.parametrize("clients", [1, 4])
def test_every_form_is_uploaded_once(origin: str, path: str, clients: int) -> None:
    """The client uses all forms, whether its connections are kept or closed after each."""
    door = uploads.Door(origin, path, {})
    waiting = uploads.forms(door, prefix="p", projects=3, each=2)
    assert len({form.filename for form in waiting}) == 6
    assert uploads.upload_all(door, waiting, clients=clients, seconds=60)[0] == len(waiting)


def test_a_refused_upload_is_no_measurement(origin: str) -> None:
    """The answer to the refused form is shown."""
    door = uploads.Door(origin, "/", {})
    form = uploads.form_of(door, "refuse", make_wheel("refuse", "1.0", size=16))
    with pytest.raises(BenchError, match=r"refuse-1\.0.*400"):
        uploads.upload_all(door, [form], clients=1, seconds=60)


def test_a_large_file_is_read_whole(origin: str) -> None:
    """Every connection gets every byte, or the measurement fails."""
    assert transfer.bytes_per_second(origin, "/large", {}, size=len(LARGE), connections=3) > 0


def test_half_a_file_is_no_measurement(origin: str) -> None:
    """A server that closes early is found out."""
    headers = {"Connection": "close"}
    with pytest.raises(BenchError, match="150000 of 300000"):
        transfer.bytes_per_second(origin, "/half", headers, size=len(LARGE), connections=1)

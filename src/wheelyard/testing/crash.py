"""
What must hold after a crash, asked over HTTP of a server that was started again.

A `Ledger` is kept by whoever sends requests: what was asked, what was acknowledged. `check_promises` then looks at every
page in both representations, downloads everything listed, and compares. It knows no store: any backend must pass.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import quote

import httpx2

from wheelyard.protocol.names import normalize
from wheelyard.testing.builders import MetadataBuilder, SdistBuilder, WheelBuilder

_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = "application/vnd.pypi.simple.v1+html"
_TIMEOUT_S = 60.0
_BOUNDARY = "wheelyard-crash"
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # servers here speak plain http; making one per client takes long
_ANCHOR = re.compile(r'<a\s[^>]*href="([^"]*)"[^>]*>([^<]*)</a>')


@dataclass(frozen=True, slots=True)
class Package:
    """
    One file to publish.

    Attributes:
        project: Normalised name.
        version: Of the release.
        filename: Of the file.
        content: Its bytes.
        metadata: Its core metadata.
    """

    project: str
    version: str
    filename: str
    content: bytes = field(repr=False)
    metadata: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return hashlib.sha256(self.content).hexdigest()


def package(
    name: str = "demo", version: str = "1.0", *, sdist: bool = False, variant: int = 0, payload: bytes = b""
) -> Package:
    """
    Make a small valid file.

    Args:
        name: Project name.
        version: Of the release.
        sdist: Whether it is an sdist.
        variant: Another number gives other bytes (and other metadata) under the same file name.
        payload: Further content.
    """
    headers = [("Keywords", f"variant-{variant}")]
    files = {"demo.txt": payload} if payload else {"demo.txt": b"%d" % variant}
    builder: WheelBuilder | SdistBuilder = (
        SdistBuilder(name=name, version=version, headers=headers, files=files)
        if sdist
        else WheelBuilder(name=name, version=version, headers=headers, files=files)
    )
    metadata = MetadataBuilder(name=name, version=version, headers=headers).text().encode()
    return Package(normalize(name), version, builder.file_name, builder.bytes(), metadata)


def upload_body(each: Package) -> tuple[str, bytes]:
    """Return content type and body of the form that publishes a file."""
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.4",
        "name": each.project,
        "version": each.version,
        "filetype": "bdist_wheel" if each.filename.endswith(".whl") else "sdist",
        "pyversion": "py3" if each.filename.endswith(".whl") else "source",
        "sha256_digest": each.sha256,
    }
    parts = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (_BOUNDARY.encode(), name.encode(), value.encode())
        for name, value in fields.items()
    )
    head = b'--%b\r\nContent-Disposition: form-data; name="content"; filename="%b"\r\n\r\n' % (
        _BOUNDARY.encode(),
        each.filename.encode(),
    )
    end = b"\r\n--%b--\r\n" % _BOUNDARY.encode()
    return f"multipart/form-data; boundary={_BOUNDARY}", parts + head + each.content + end


@dataclass(frozen=True, slots=True)
class Listed:
    """
    One project as its page lists it.

    Attributes:
        files: File name to SHA-256.
        yanked: Names of yanked files, with their reasons.
        status: Of the project.
    """

    files: Mapping[str, str]
    yanked: Mapping[str, str]
    status: str = "active"


class IndexClient:
    """
    Reads and writes one index over HTTP, without hiding anything: no retries, no cache.

    Args:
        url: Where the server answers, without a slash at the end.
        index: Name of the index.
        secret: Its write secret.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, url: str, index: str, secret: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.url = url
        self.index = index
        # Each request has a connection of its own: a kept one may have died with the server.
        self._http = httpx2.Client(
            base_url=url,
            auth=(index, secret),
            trust_env=False,
            verify=_NO_TLS,
            timeout=timeout_s,
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    def close(self) -> None:
        """Close it."""
        self._http.close()

    # -- writing ---------------------------------------------------------------------------------------------------

    def publish(self, each: Package) -> httpx2.Response:
        """Upload a file, as JSON-speaking clients do."""
        content_type, body = upload_body(each)
        headers = {"content-type": content_type, "accept": "application/json"}
        return self._http.post("/legacy/", content=body, headers=headers)

    def ask(self, method: str, project: str, operation: str = "", body: object = None) -> httpx2.Response:
        """Send one request of the management API about a project."""
        path = f"/api/v1/indexes/{self.index}/projects/{project}"
        return self._http.request(method, f"{path}/{operation}" if operation else path, json=body)

    def yank(self, project: str, version: str, reason: str = "broken") -> httpx2.Response:
        """Yank a release."""
        return self.ask("POST", project, "yank", {"version": version, "reason": reason})

    def unyank(self, project: str, version: str) -> httpx2.Response:
        """Offer a release again."""
        return self.ask("POST", project, "unyank", {"version": version})

    def set_status(self, project: str, status: str) -> httpx2.Response:
        """Set the status of a project."""
        return self.ask("PUT", project, "status", {"status": status, "reason": "a test"})

    def delete(self, project: str, *, version: str | None = None, filename: str | None = None) -> httpx2.Response:
        """Delete a project, or one release or file of it."""
        what = f"releases/{version}" if version is not None else f"files/{filename}" if filename is not None else ""
        return self.ask("DELETE", project, what)

    # -- reading ---------------------------------------------------------------------------------------------------

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """Ask for a path."""
        return self._http.get(path, headers=headers)

    def names(self) -> list[str]:
        """Return the project list; both representations must say the same."""
        answer = self.get("/simple/", accept=_JSON)
        assert answer.status_code == 200, answer.text  # noqa: PLR2004  OK
        names = [project["name"] for project in answer.json()["projects"]]
        page = self.get("/simple/", accept=_HTML)
        assert sorted(unescape(name) for _, name in _ANCHOR.findall(page.text)) == sorted(names)
        return names

    def listed(self, project: str) -> Listed | None:
        """Return a project as its pages list it, None when it is not there; both representations must say the same."""
        answer = self.get(f"/simple/{project}/", accept=_JSON)
        page = self.get(f"/simple/{project}/", accept=_HTML)
        assert answer.status_code == page.status_code, f"JSON {answer.status_code}, HTML {page.status_code}"
        if answer.status_code == 404:  # noqa: PLR2004  not found
            return None
        assert answer.status_code == 200, answer.text  # noqa: PLR2004  OK
        document = answer.json()
        files = {file["filename"]: file["hashes"]["sha256"] for file in document["files"]}
        anchors = {unescape(name): unescape(url).partition("#sha256=")[2] for url, name in _ANCHOR.findall(page.text)}
        assert anchors == files, "the two representations list different files"
        yanked = {file["filename"]: str(file["yanked"]) for file in document["files"] if file.get("yanked")}
        return Listed(files, yanked, document.get("project-status", {}).get("status", "active"))

    def check_downloads(self, project: str, listed: Listed) -> None:
        """Fail unless every listed file, and its metadata, downloads with the digest the page tells."""
        document = self.get(f"/simple/{project}/", accept=_JSON).json()
        metadata = {file["filename"]: file.get("core-metadata") for file in document["files"]}
        for filename, digest in listed.files.items():
            answer = self.get(f"/simple/{project}/{quote(filename)}")
            assert answer.status_code == 200, f"{filename} is listed: {answer.status_code} {answer.text}"  # noqa: PLR2004  OK
            assert hashlib.sha256(answer.content).hexdigest() == digest, f"{filename} is listed with another hash"
            told = metadata.get(filename)
            if told:
                separate = self.get(f"/simple/{project}/{quote(filename)}.metadata")
                assert separate.status_code == 200, separate.text  # noqa: PLR2004  OK
                assert told is True or hashlib.sha256(separate.content).hexdigest() == told["sha256"]


class Ledger:
    """What was asked of an index and what it acknowledged; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent: dict[str, dict[str, set[str]]] = {}
        """Project to file name to every SHA-256 that was sent under it."""
        self.kept: dict[str, dict[str, str]] = {}
        """Project to file name to the SHA-256 that was acknowledged."""

    def sending(self, each: Package) -> None:
        """Note that a file is about to be sent."""
        with self._lock:
            self.sent.setdefault(each.project, {}).setdefault(each.filename, set()).add(each.sha256)

    def acknowledged(self, each: Package) -> None:
        """Note that a file was answered 200; two different ones under one name are a broken promise."""
        with self._lock:
            before = self.kept.setdefault(each.project, {}).setdefault(each.filename, each.sha256)
        assert before == each.sha256, f"two different files were acknowledged as {each.filename}"

    def count(self) -> int:
        """Return how many files were acknowledged."""
        with self._lock:
            return sum(len(files) for files in self.kept.values())

    def copy(self) -> Ledger:
        """Return what is known at this moment."""
        other = Ledger()
        with self._lock:
            other.sent = {
                project: {name: set(digests) for name, digests in files.items()} for project, files in self.sent.items()
            }
            other.kept = {project: dict(files) for project, files in self.kept.items()}
        return other

    def publish(self, client: IndexClient, each: Package) -> httpx2.Response | None:
        """Publish a file and note the outcome; None when the server went away."""
        self.sending(each)
        try:
            answer = client.publish(each)
        except httpx2.TransportError:
            return None
        if answer.status_code == 200:  # noqa: PLR2004  OK
            self.acknowledged(each)
        return answer


def check_promises(client: IndexClient, ledger: Ledger, *, projects: Iterable[str] = ()) -> dict[str, Listed]:
    """
    Check everything that must hold at any instant.

    Args:
        client: Asks a server.
        ledger: What was asked and acknowledged.
        projects: Further projects to look at.
    Returns:
        Every project that exists.
    Raises:
        AssertionError: A promise is broken.
    """
    names = client.names()
    assert len(names) == len(set(names)), "a project is listed twice"
    found: dict[str, Listed] = {}
    for project in sorted({*ledger.sent, *names, *projects}):
        listed = client.listed(project)
        assert (listed is not None) == (project in names), f"list and page disagree about '{project}'"
        kept = ledger.kept.get(project, {})
        if listed is None:
            assert not kept, f"'{project}' is gone with acknowledged files {sorted(kept)}"
            continue
        found[project] = listed
        for filename, digest in kept.items():
            assert listed.files.get(filename) == digest, f"{filename} was acknowledged with {digest}"
        for filename, digest in listed.files.items():
            assert digest in ledger.sent.get(project, {}).get(filename, {digest}), f"nobody sent {filename} {digest}"
        client.check_downloads(project, listed)
    return found


def check_retryable(client: IndexClient, ledger: Ledger, same: Package, other: Package) -> None:
    """
    Check that a publish which was not acknowledged can be sent again.

    When its name is not listed it is free: `other` bytes are taken as well. When it is listed, the swap had happened:
    then the `same` bytes are answered with 200 and other ones refused with 409, since published files never change.

    Args:
        client: Asks a server.
        ledger: What was asked and acknowledged.
        same: What was sent before.
        other: Other bytes under the same file name.
    """
    listed = client.listed(same.project)
    if listed is not None and same.filename in listed.files:
        refused = ledger.publish(client, other)
        assert refused is not None
        assert refused.status_code == 409, refused.text  # noqa: PLR2004  exists
        again = same
    else:
        again = other
    answer = ledger.publish(client, again)
    assert answer is not None
    assert answer.status_code == 200, answer.text  # noqa: PLR2004  OK
    assert check_promises(client, ledger)[same.project].files[same.filename] == again.sha256

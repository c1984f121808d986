"""The index under test, reached over plain HTTP: what is sent is sent as written, what comes back is kept as it came."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import secrets
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import pytest

from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body

V1_JSON: Final = "application/vnd.pypi.simple.v1+json"
V1_HTML: Final = "application/vnd.pypi.simple.v1+html"
TEXT_HTML: Final = "text/html"
TIMEOUT_S: Final = 60.0

Credentials = tuple[str, str]
Builder = WheelBuilder | SdistBuilder

_numbers = itertools.count(1)
_run = secrets.token_hex(3)  # names of one run never meet those of another on an index that stays


def basic(credentials: Credentials) -> str:
    """Return the value of an `Authorization` header."""
    return "Basic " + base64.b64encode(":".join(credentials).encode()).decode("ascii")


@dataclass(frozen=True)
class Reply:
    """
    One HTTP answer, as it came.

    Attributes:
        status: Status code.
        reason: Reason phrase.
        headers: Names in lower case, in order.
        body: Not decoded.
        url: What was asked for.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    url: str

    def header(self, name: str) -> str | None:
        """Return a header, its repetitions joined."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    @property
    def media_type(self) -> str:
        """`Content-Type` without its parameters."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8")

    @property
    def vary(self) -> set[str]:
        """Names in `Vary`, lower case."""
        return {name.strip().lower() for name in (self.header("vary") or "").split(",") if name.strip()}

    @property
    def location(self) -> str:
        """`Location`, resolved against what was asked for."""
        return urljoin(self.url, self.header("location") or "")

    def json(self) -> Any:
        """Parse the body; repeated keys and NaN are mistakes (RFC 8259)."""

        def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            assert len({key for key, _ in pairs}) == len(pairs), f"a key is repeated: {pairs}"
            return dict(pairs)

        def refuse(constant: str) -> float:
            raise AssertionError(f"{constant} is no JSON")

        return json.loads(self.text, object_pairs_hook=once, parse_constant=refuse)

    def check(self, status: int) -> Reply:
        """Fail the test unless this is the status."""
        assert self.status == status, f"{self.url}: {self.status} {self.reason}\n{self.body[:2000]!r}"
        return self


def open_connection(url: str) -> http.client.HTTPConnection:
    """Open a connection to the host of a URL."""
    parts = urlsplit(url)
    assert parts.hostname
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_S, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)


@dataclass(frozen=True)
class Subject:
    """
    An index, by the three things that are known of any.

    Attributes:
        index_url: The simple API, with a slash at the end.
        upload_url: Takes uploads.
        credentials: May read and publish.
        reader: May read only; None when unknown.
        api: Address of our management API for this index; None for an index that is not ours.
        log: Path of the server's log, when it is at hand.
        folder: Where files for uploads are built.
    """

    index_url: str
    upload_url: str
    credentials: Credentials
    folder: Path
    reader: Credentials | None = None
    api: str | None = None
    log: Path | None = None
    reason_phrases: bool = True
    sent_names: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.index_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def root(self) -> str:
        """Where the index is mounted: its URL without `simple/`."""
        return self.index_url.removesuffix("simple/")

    def new_name(self, stem: str = "subject") -> str:
        """Return a project name that nobody used before, normalised."""
        return f"{stem}-{_run}-{next(_numbers)}"

    # -- asking ------------------------------------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        url: str,
        *,
        credentials: Credentials | str | None = "publisher",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Reply:
        """
        Send one request on a connection of its own; redirects are not followed.

        Args:
            method: As sent.
            url: Absolute, or relative to the index; percent-encoding is sent as written.
            credentials: The publisher's unless told; None sends none.
            headers: Further headers.
            body: Sent with its length.
        """
        target = url if "://" in url else self.index_url + url
        given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        who = self.credentials if credentials == "publisher" else credentials
        if isinstance(who, tuple):
            given.append(("Authorization", basic(who)))
        connection = open_connection(target)
        try:
            path = "/" + target.split("://", 1)[1].partition("/")[2]
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in given:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            pairs = tuple((name.lower(), value) for name, value in answer.getheaders())
            return Reply(answer.status, answer.reason, pairs, answer.read(), target)
        finally:
            connection.close()

    def get(self, url: str, *, accept: str | None = None, **headers: str) -> Reply:
        """GET with the publisher's credentials."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", url, headers=given if accept is None else {**given, "Accept": accept})

    def page(self, project: str) -> dict[str, Any]:
        """Return the JSON page of a project."""
        reply = self.get(f"{project}/", accept=V1_JSON).check(200)
        assert reply.media_type == V1_JSON
        document = reply.json()
        assert isinstance(document, dict)
        return document

    def html(self, project: str) -> str:
        """Return the HTML page of a project."""
        return self.get(f"{project}/", accept=TEXT_HTML).check(200).text

    def listed(self, project: str) -> dict[str, dict[str, Any]]:
        """Return the files of a project's JSON page by name; empty when there is no such project."""
        if self.get(f"{project}/", accept=V1_JSON).status == 404:
            return {}
        return {file["filename"]: file for file in self.page(project)["files"]}

    def file_url(self, project: str, filename: str) -> str:
        """Return the URL of a file as its page gives it."""
        return urljoin(f"{self.index_url}{project}/", str(self.listed(project)[filename]["url"]))

    # -- publishing --------------------------------------------------------------------------------------------------

    def form(self, path: Path, **fields: str | Sequence[str] | None) -> tuple[str, bytes]:
        """Return content type and body of an upload."""
        return multipart_body(form_fields(path, **fields), path.name, path.read_bytes())

    def post(
        self,
        form: tuple[str, bytes],
        *,
        to: str | None = None,
        credentials: Credentials | str | None = "publisher",
        accept: str | None = None,
    ) -> Reply:
        """Send an upload."""
        headers = {"Content-Type": form[0]} | ({} if accept is None else {"Accept": accept})
        return self.ask("POST", to or self.upload_url, credentials=credentials, headers=headers, body=form[1])

    def upload(self, builder: Builder, **fields: str | Sequence[str] | None) -> Reply:
        """Build a file and upload it with a form like twine's, changed by `fields`."""
        path = builder.build(self.folder)
        if "name" not in fields:
            fields["name"] = builder.name
        if "version" not in fields:
            fields["version"] = builder.version
        return self.post(self.form(path, **fields))

    def publish(self, *builders: Builder) -> Builder:
        """Upload files that must be taken; return the first."""
        for builder in builders:
            self.upload(builder).check(200)
        return builders[0]

    def refused(self, builder: Builder, **fields: str | Sequence[str] | None) -> Reply:
        """Upload what must be refused, and see that nothing of it is listed."""
        before = self.listed(builder.name) if is_name(builder.name) else {}
        reply = self.upload(builder, **fields)
        assert 400 <= reply.status < 500, f"{reply.status} {reply.reason}\n{reply.body[:2000]!r}"
        if is_name(builder.name):
            assert self.listed(builder.name) == before, "a refused upload changed the page"
        return reply

    # -- managing ----------------------------------------------------------------------------------------------------

    def manage(self, method: str, path: str, body: object = None) -> Reply:
        """Use the management API; skips the test for an index without ours."""
        if self.api is None:
            pytest.skip("yank, status and delete have no standard address; this index does not have ours")
        content = None if body is None else json.dumps(body).encode()
        url = f"{self.api}/projects/{path}"
        return self.ask(method, url, headers={"Content-Type": "application/json"}, body=content).check(200)

    def yank(self, project: str, *files: str, reason: str = "") -> None:
        """Yank files."""
        self.manage("POST", f"{project}/yank", {"files": list(files), "reason": reason})

    def unyank(self, project: str, *files: str) -> None:
        """Offer yanked files again."""
        self.manage("POST", f"{project}/unyank", {"files": list(files)})

    def set_status(self, project: str, status: str, reason: str = "") -> None:
        """Set the status of a project."""
        self.manage("PUT", f"{project}/status", {"status": status, "reason": reason})

    def delete_file(self, project: str, filename: str) -> None:
        """Delete a file."""
        self.manage("DELETE", f"{project}/files/{quote(filename)}")


def is_name(name: str) -> bool:
    """Tell whether a name can be asked for as it is."""
    return bool(name) and all(part.isascii() and part.isalnum() for part in name.replace("_", "-").split("-") if part)

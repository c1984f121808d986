"""Section 1D: which representation a request gets."""

from __future__ import annotations

import pytest

from standards.subject import TEXT_HTML, V1_HTML, V1_JSON, Reply, Subject
from wheelyard.testing.builders import SdistBuilder

LATEST_JSON = "application/vnd.pypi.simple.latest+json"
LATEST_HTML = "application/vnd.pypi.simple.latest+html"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

CHOICES = [
    ("NEG-01-none", None, {TEXT_HTML}),
    ("NEG-01-empty", "", {TEXT_HTML}),
    ("NEG-02-anything", "*/*", {TEXT_HTML}),
    ("NEG-03-json", V1_JSON, {V1_JSON}),
    ("NEG-03-html", V1_HTML, {V1_HTML}),
    ("NEG-03-alias", TEXT_HTML, {TEXT_HTML}),
    ("NEG-04-pip", f"{V1_JSON}, {V1_HTML}; q=0.1, text/html; q=0.01", {V1_JSON}),
    ("NEG-05-uv", f"{V1_JSON}, {V1_HTML};q=0.2, text/html;q=0.01", {V1_JSON}),
    ("NEG-06-poetry", f"{V1_JSON}, */*;q=0.1", {V1_JSON}),
    ("NEG-07-pex", V1_JSON, {V1_JSON}),
    ("NEG-08-browser", BROWSER, {TEXT_HTML}),
    ("NEG-09-tie", f"text/html, {V1_JSON}", {V1_JSON}),
    ("NEG-09-tie-other-order", f"{V1_JSON}, text/html", {V1_JSON}),
    ("NEG-10-quality", f"{V1_JSON};q=0.1, {V1_HTML};q=0.9", {V1_HTML}),
    ("NEG-11-not-json", f"{V1_JSON};q=0, */*", {V1_HTML, TEXT_HTML}),
    ("NEG-11-not-html", "text/html;q=0, */*", {V1_JSON, V1_HTML}),
    ("NEG-12-application", "application/*", {V1_JSON, V1_HTML}),
    ("NEG-13-latest-json", LATEST_JSON, {V1_JSON}),
    ("NEG-13-latest-html", LATEST_HTML, {V1_HTML}),
    ("NEG-13-pypi-simple", f"{LATEST_JSON}, {LATEST_HTML};q=0.1", {V1_JSON}),
    ("NEG-20-case", V1_JSON.upper(), {V1_JSON}),
    ("NEG-20-spaces", f"  {V1_JSON} ;  q=1.0 ,text/html ; q=0.5", {V1_JSON}),
    ("NEG-20-parameter", f"{V1_JSON}; charset=utf-8", {V1_JSON}),
]


@pytest.fixture(scope="module")
def project(subject: Subject) -> str:
    name = subject.new_name()
    for number in range(20):  # more than 512 bytes, so that the page is worth compressing
        subject.publish(SdistBuilder(name=name, version=f"1.{number}"))
    return name


def asked(subject: Subject, url: str, accept: str | None) -> Reply:
    return subject.ask("GET", url, headers=() if accept is None else {"Accept": accept})


@pytest.mark.parametrize("of", ["list", "page"])
@pytest.mark.parametrize(("accept", "types"), [case[1:] for case in CHOICES], ids=[case[0] for case in CHOICES])
def test_choice(subject: Subject, project: str, accept: str | None, types: set[str], of: str) -> None:
    """NEG-01, NEG-02, NEG-03, NEG-04, NEG-05, NEG-06, NEG-07, NEG-08, NEG-09, NEG-10, NEG-11, NEG-12, NEG-13, NEG-20: each header gets its type."""
    reply = asked(subject, "" if of == "list" else f"{project}/", accept).check(200)
    assert reply.media_type in types


def test_repeated_header(subject: Subject, project: str) -> None:
    """NEG-04: an `Accept` that came in several lines is one list (RFC 9110 section 5.3)."""
    lines = [("Accept", "text/html;q=0.1"), ("Accept", V1_JSON)]
    assert subject.ask("GET", f"{project}/", headers=lines).check(200).media_type == V1_JSON


@pytest.mark.parametrize(
    "accept", ["application/vnd.pypi.simple.v2+json", "application/json", "image/png", "*/*;q=0", "text/plain"]
)
def test_nothing_fits(subject: Subject, project: str, accept: str) -> None:
    """NEG-14: a request for what does not exist gets 406 that names what does, or a default."""
    reply = asked(subject, f"{project}/", accept)
    assert reply.status in {200, 406}
    if reply.status == 406:
        assert V1_JSON in reply.text
        assert len(reply.body) < 2000


@pytest.mark.parametrize("plus", ["%2B", "+", "%20"])
@pytest.mark.parametrize(("kind", "media_type"), [("json", V1_JSON), ("html", V1_HTML)])
def test_format(subject: Subject, project: str, plus: str, kind: str, media_type: str) -> None:
    """NEG-15: `?format=` wins over the header, in each spelling of its plus sign."""
    reply = asked(subject, f"{project}/?format=application/vnd.pypi.simple.v1{plus}{kind}", TEXT_HTML)
    assert reply.check(200).media_type == media_type


@pytest.mark.parametrize("value", ["nonsense", "*/*", f"{V1_JSON},text/html", f"{V1_JSON};q=0.5", "%00", "%ff"])
def test_odd_format(subject: Subject, project: str, value: str) -> None:
    """NEG-15: an unknown format, a list, a wildcard or a quality is refused or passed over."""
    reply = asked(subject, f"{project}/?format={value}", TEXT_HTML)
    assert reply.status in {200, 406}
    assert reply.status == 406 or reply.media_type == TEXT_HTML


@pytest.mark.parametrize("accept", [V1_JSON, TEXT_HTML, "image/png", None])
def test_vary(subject: Subject, project: str, accept: str | None) -> None:
    """NEG-16: every negotiated answer says that it depends on `Accept`, and on who asks."""
    for url in ("", f"{project}/", project, f"{subject.new_name('no')}/"):
        reply = asked(subject, url, accept)
        if reply.status != 404:
            assert "accept" in reply.vary, (url, reply.status)
        if reply.header("content-encoding"):
            assert "accept-encoding" in reply.vary


def test_vary_unchanged(subject: Subject, project: str) -> None:
    """NEG-16: a 304 varies as the 200 does."""
    reply = asked(subject, f"{project}/", V1_JSON)
    again = subject.get(f"{project}/", accept=V1_JSON, If_None_Match=reply.header("etag") or "").check(304)
    assert again.vary == reply.vary
    assert "accept" in again.vary


def test_vary_encoding(subject: Subject, project: str) -> None:
    """NEG-16, CACHE-04: a page that may be compressed says that it depends on `Accept-Encoding`."""
    for encoding in ("gzip", "identity"):
        reply = subject.get(f"{project}/", accept=V1_JSON, Accept_Encoding=encoding)
        if subject.get(f"{project}/", accept=V1_JSON, Accept_Encoding="gzip").header("content-encoding"):
            assert "accept-encoding" in reply.vary


def test_distinct_etags(subject: Subject, project: str) -> None:
    """NEG-17: no two representations or encodings share an entity tag."""
    seen: dict[str, tuple[str, str]] = {}
    for accept in (V1_JSON, V1_HTML, TEXT_HTML):
        for encoding in ("identity", "gzip", "zstd"):
            reply = subject.get(f"{project}/", accept=accept, Accept_Encoding=encoding)
            tag = reply.header("etag") or ""
            if tag.startswith("W/"):
                continue
            variant = (reply.media_type, reply.header("content-encoding") or "identity")
            assert seen.setdefault(tag, variant) == variant


@pytest.mark.parametrize(
    "accept",
    [
        ";;;",
        "text",
        ",",
        "/",
        "*/json",
        "q=1",
        "text/html;q=",
        "text/html;q=nan",
        "a" * 20_000,
        "text/html," * 2000,
        "\xff\xfe",
    ],
    ids=["semicolons", "no-slash", "comma", "slash", "half", "quality", "no-q", "nan", "long", "many", "bytes"],
)
def test_malformed(subject: Subject, project: str, accept: str) -> None:
    """NEG-18: a malformed header gets a default, 406 or 431, never a failure of the server."""
    reply = asked(subject, f"{project}/", accept)
    assert reply.status in {200, 406, 400, 431}
    assert reply.status < 500


def test_unversioned_names_are_projects(subject: Subject) -> None:
    """NEG-19: nothing below the index is reserved for fixed formats: `v1-json` is a project like any other."""
    assert subject.get("v1+json/", accept=V1_JSON).status in {200, 404}

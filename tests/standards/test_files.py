"""Section 1F: files and caches."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

import pytest

from standards.subject import TEXT_HTML, V1_JSON, Builder, Reply, Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

SMALL, LARGE = 300, 700_000  # one is answered from memory, the other from the disk
KINDS = ["wheel", "large", "sdist"]


@pytest.fixture(scope="module")
def files(subject: Subject) -> dict[str, tuple[str, bytes]]:
    """URL and bytes of a small wheel, a large one, and an sdist."""
    name = subject.new_name()
    noise = bytes((number * 7919 >> 3) & 0xFF for number in range(LARGE))
    builders: dict[str, Builder] = {
        "wheel": WheelBuilder(name=name),
        "large": WheelBuilder(name=name, version="2.0", files={"noise.bin": noise}, method=0),
        "sdist": SdistBuilder(name=name),
    }
    subject.publish(*builders.values())
    return {kind: (subject.file_url(name, each.file_name), each.bytes()) for kind, each in builders.items()}


@pytest.mark.parametrize("encoding", [None, "identity", "gzip, deflate", "gzip, deflate, br, zstd", "*"])
@pytest.mark.parametrize("kind", KINDS)
def test_bytes(subject: Subject, files: dict[str, tuple[str, bytes]], kind: str, encoding: str | None) -> None:
    """FILE-01: a file arrives as its exact bytes with their number, and is never compressed, whatever the client takes."""
    url, content = files[kind]
    reply = subject.ask("GET", url, headers={} if encoding is None else {"Accept-Encoding": encoding}).check(200)
    assert reply.body == content
    assert reply.header("content-length") == str(len(content))
    assert reply.header("content-encoding") in {None, "identity"}
    assert reply.header("transfer-encoding") is None


RANGES = [
    ("bytes=0-99", slice(0, 100)),
    ("bytes=100-", slice(100, None)),
    ("bytes=-50", slice(-50, None)),
    ("bytes=-999999999", slice(0, None)),
    ("bytes=10-999999999", slice(10, None)),
    ("bytes=0-0", slice(0, 1)),
    ("Bytes=0-9", slice(0, 10)),
]


@pytest.mark.parametrize(("wanted", "part"), RANGES, ids=[case[0] for case in RANGES])
@pytest.mark.parametrize("kind", KINDS)
def test_range(subject: Subject, files: dict[str, tuple[str, bytes]], kind: str, wanted: str, part: slice) -> None:
    """FILE-02: one range, its end or its beginning left open too, is 206 with the exact part."""
    url, content = files[kind]
    reply = subject.get(url, Range=wanted).check(206)
    assert reply.body == content[part]
    start, stop, _ = part.indices(len(content))
    assert reply.header("content-range") == f"bytes {start}-{stop - 1}/{len(content)}"
    assert reply.header("content-length") == str(stop - start)
    assert reply.header("content-encoding") is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", ["bytes={size}-", "bytes=999999999-", "bytes=-0"])
def test_out_of_range(subject: Subject, files: dict[str, tuple[str, bytes]], kind: str, wanted: str) -> None:
    """FILE-02: a range behind the end is 416 with the size."""
    url, content = files[kind]
    reply = subject.get(url, Range=wanted.format(size=len(content))).check(416)
    assert reply.header("content-range") == f"bytes */{len(content)}"


ODD_RANGES = [
    "bytes=0-9,20-29",
    "bytes=9-0",
    "bytes=",
    "bytes=a-b",
    "lines=0-9",
    "bytes 0-9",
    "bytes=--5",
    "bytes=1-2-3",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", ODD_RANGES)
def test_odd_range(subject: Subject, files: dict[str, tuple[str, bytes]], kind: str, wanted: str) -> None:
    """FILE-02: several ranges give the whole or multipart; what is no range is passed over (RFC 9110 section 14.2)."""
    url, content = files[kind]
    reply = subject.get(url, Range=wanted)
    assert reply.status in {200, 206, 416}
    if reply.status == 200:
        assert reply.body == content
    if reply.status == 206:
        assert reply.media_type == "multipart/byteranges"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", KINDS)
def test_accept_ranges(subject: Subject, files: dict[str, tuple[str, bytes]], kind: str, method: str) -> None:
    """FILE-02: GET and HEAD say that ranges are taken: uv reads the end of a wheel only then."""
    reply = subject.ask(method, files[kind][0]).check(200)
    assert reply.header("accept-ranges") == "bytes"
    assert reply.header("content-length") == str(len(files[kind][1]))


@pytest.mark.parametrize("kind", KINDS)
def test_if_range(subject: Subject, files: dict[str, tuple[str, bytes]], kind: str) -> None:
    """FILE-03: a range goes on only while the entity tag is the same: pip's resume."""
    url, content = files[kind]
    tag = subject.get(url).header("etag") or ""
    assert re.fullmatch(r'"[^"]+"', tag), "a strong entity tag is needed for If-Range"
    assert subject.get(url, Range="bytes=5-", If_Range=tag).check(206).body == content[5:]
    for other in ('"other"', f"W/{tag}", "Thu, 01 Jan 1970 00:00:00 GMT", "junk"):
        assert subject.get(url, Range="bytes=5-", If_Range=other).check(200).body == content


def test_if_range_date(subject: Subject, files: dict[str, tuple[str, bytes]]) -> None:
    """FILE-03: the exact date of the file works like its tag, if there is one."""
    url, content = files["large"]
    moment = subject.get(url).header("last-modified")
    if moment is not None:
        assert parsedate_to_datetime(moment)
        assert subject.get(url, Range="bytes=5-", If_Range=moment).body in {content[5:], content}


@pytest.mark.parametrize("kind", KINDS)
def test_unchanged_file(subject: Subject, files: dict[str, tuple[str, bytes]], kind: str) -> None:
    """FILE-03, CACHE-01: a file that the client has is 304, whatever else its list of tags holds."""
    url, content = files[kind]
    tag = subject.get(url).header("etag") or ""
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        reply = subject.get(url, If_None_Match=known).check(304)
        assert reply.body == b""
        assert reply.header("etag") == tag
    assert subject.get(url, If_None_Match='"other"').check(200).body == content


@pytest.mark.parametrize("suffix", ["", ".metadata"])
def test_kept_for_ever(subject: Subject, files: dict[str, tuple[str, bytes]], suffix: str) -> None:
    """FILE-04: files and metadata may be kept for a year and more, and are private behind credentials."""
    for kind in ("wheel", "large"):
        caching = subject.get(files[kind][0] + suffix).header("cache-control") or ""
        age = re.search(r"max-age=(\d+)", caching)
        assert age
        assert int(age.group(1)) >= 31_536_000
        assert "immutable" in caching
        assert ("private" in caching) or ("public" in caching)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_redirect(subject: Subject, files: dict[str, tuple[str, bytes]], method: str) -> None:
    """FILE-05: a file that is elsewhere is reached by a redirect that needs no credentials of ours."""
    reply = subject.ask(method, files["wheel"][0])
    if reply.status in {302, 307}:
        reply = subject.ask(method, reply.location, credentials=None)
    reply.check(200)


@pytest.mark.parametrize("kind", KINDS)
def test_disposition(subject: Subject, files: dict[str, tuple[str, bytes]], kind: str) -> None:
    """FILE-06: no `Content-Disposition` names the file otherwise than its URL does."""
    url = files[kind][0]
    disposition = subject.get(url).header("content-disposition")
    assert disposition is None or url.rpartition("/")[2] in disposition


def test_deleted(subject: Subject) -> None:
    """FILE-07: a deleted file is 404 or 410, its metadata too, and its page does not list it."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name), SdistBuilder(name=name))
    url = subject.file_url(name, wheel.file_name)
    subject.get(url).check(200)
    subject.delete_file(name, wheel.file_name)
    assert subject.get(url).status in {404, 410}
    assert subject.get(f"{url}.metadata").status in {404, 410}
    assert list(subject.listed(name)) == [SdistBuilder(name=name).file_name]


def unchanged(subject: Subject, url: str, accept: str) -> tuple[Reply, Reply]:
    reply = subject.get(url, accept=accept).check(200)
    return reply, subject.get(url, accept=accept, If_None_Match=reply.header("etag") or "")


@pytest.mark.parametrize("accept", [V1_JSON, TEXT_HTML])
@pytest.mark.parametrize("of", ["list", "page"])
def test_unchanged_page(subject: Subject, of: str, accept: str) -> None:
    """CACHE-01: a page that the client has is 304 with the same caching headers, and 200 as soon as it changed."""
    name = subject.new_name()
    subject.publish(WheelBuilder(name=name))
    url = "" if of == "list" else f"{name}/"
    reply, again = unchanged(subject, url, accept)
    again.check(304)
    assert again.body == b""
    for header in ("etag", "cache-control", "vary"):
        assert again.header(header) == reply.header(header)
    subject.publish(WheelBuilder(name=name if of == "page" else subject.new_name(), version="2.0"))
    changed = subject.get(url, accept=accept, If_None_Match=reply.header("etag") or "").check(200)
    assert changed.header("etag") != reply.header("etag")


def test_seen_at_once(subject: Subject) -> None:
    """CACHE-02: a page may not be kept without asking, so that an upload is seen by the very next install."""
    name = subject.new_name()
    subject.publish(WheelBuilder(name=name))
    for url in ("", f"{name}/"):
        caching = subject.get(url, accept=V1_JSON).header("cache-control") or ""
        assert "max-age=0" in caching or "no-cache" in caching
        assert "must-revalidate" in caching or "no-cache" in caching


@pytest.mark.parametrize("accept", [V1_JSON, TEXT_HTML])
def test_private(subject: Subject, accept: str) -> None:
    """CACHE-03: pages that need credentials are private to who asked."""
    if subject.ask("GET", "", credentials=None).status == 200:
        pytest.skip("everybody may read this index")
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name))
    for url in ("", f"{name}/", name, subject.file_url(name, wheel.file_name)):
        reply = subject.get(url, accept=accept)
        assert "private" in (reply.header("cache-control") or ""), url
        assert "public" not in (reply.header("cache-control") or "")
    refused = subject.ask("GET", f"{name}/", credentials=None)
    assert "no-store" in (refused.header("cache-control") or "")


@pytest.mark.parametrize(
    "encoding", ["gzip", "gzip, deflate", "gzip;q=0", "identity", "br", "*;q=0", "gzip;q=0.5, identity"]
)
def test_compressed(subject: Subject, encoding: str) -> None:
    """CACHE-04: a page is compressed only for who takes it, and says so."""
    name = subject.new_name()
    for number in range(20):
        subject.publish(SdistBuilder(name=name, version=f"1.{number}"))
    reply = subject.get(f"{name}/", accept=V1_JSON, Accept_Encoding=encoding).check(200)
    used = reply.header("content-encoding") or "identity"
    if used != "identity":
        assert used in encoding
        assert f"{used};q=0" not in encoding.replace("q=0.5", "")
        assert "accept-encoding" in reply.vary
    assert reply.header("content-length") == str(len(reply.body))

"""Section 1E: core metadata beside the files."""

from __future__ import annotations

import hashlib
import io
import zipfile
from email.parser import BytesParser

import pytest

from standards.subject import Builder, Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

ODD = (
    b"Metadata-Version: 2.1\r\nName: {name}\r\nVersion: 1.0\r\nSummary: gr\xc3\xbc\xc3\x9fe  \r\n"
    b"Requires-Dist: a>=1\r\n\r\n  kept   as it is\r\n\r\n"
)


def odd_wheel(name: str) -> WheelBuilder:
    return WheelBuilder(name=name, metadata=ODD.replace(b"{name}", name.encode()))


@pytest.fixture(scope="module")
def wheel(subject: Subject) -> Builder:
    return subject.publish(
        WheelBuilder(
            name=subject.new_name(), requires_dist=["a>=1; extra == 'x'", "b"], headers=[("Provides-Extra", "x")]
        )
    )


@pytest.mark.parametrize("odd", [False, True], ids=["usual", "odd"])
def test_bytes(subject: Subject, odd: bool) -> None:  # noqa: FBT001  a parameter of the table
    """META-01: the metadata is METADATA of the wheel, byte for byte, with the advertised digest."""
    name = subject.new_name()
    wheel = subject.publish(odd_wheel(name) if odd else WheelBuilder(name=name))
    reply = subject.get(subject.file_url(name, wheel.file_name) + ".metadata").check(200)
    with zipfile.ZipFile(io.BytesIO(wheel.bytes())) as archive:
        inside = archive.read(f"{name.replace('-', '_')}-1.0.dist-info/METADATA")
    assert reply.body == inside
    advertised = subject.listed(name)[wheel.file_name]["core-metadata"]
    assert advertised["sha256"] == hashlib.sha256(inside).hexdigest()


def test_what_pip_compares(subject: Subject, wheel: Builder) -> None:
    """META-02: what pip compares between the metadata and the wheel is equal."""
    served = BytesParser().parsebytes(subject.get(subject.file_url(wheel.name, wheel.file_name) + ".metadata").body)
    own = BytesParser().parsebytes(wheel.metadata_bytes())
    for header in ("Name", "Version", "Requires-Dist", "Requires-Python", "Provides-Extra"):
        assert served.get_all(header) == own.get_all(header)


@pytest.mark.parametrize(
    ("version", "headers", "advertised"),
    [
        ("2.1", [], False),
        ("2.2", [("Dynamic", "Requires-Dist")], False),
        ("2.2", [("Dynamic", "requires-python")], False),
        ("2.2", [], True),
        ("2.4", [("Dynamic", "Description")], True),
    ],
)
def test_sdists(subject: Subject, version: str, headers: list[tuple[str, str]], advertised: bool) -> None:  # noqa: FBT001
    """META-03: an sdist offers metadata only when nothing that matters may change in a build (PEP 643)."""
    name = subject.new_name()
    sdist = subject.publish(SdistBuilder(name=name, metadata_version=version, headers=headers))
    offered = subject.listed(name)[sdist.file_name].get("core-metadata", False)
    reply = subject.get(subject.file_url(name, sdist.file_name) + ".metadata")
    if not advertised:
        assert offered is False
        assert reply.status == 404
    elif offered:
        assert reply.check(200).body == sdist.metadata_bytes()


@pytest.mark.parametrize("what", ["unknown", "twice", "project"])
def test_missing(subject: Subject, wheel: Builder, what: str) -> None:
    """META-04: metadata that does not exist is 404, never an empty file or a page."""
    url = subject.file_url(wheel.name, wheel.file_name)
    asked = {
        "unknown": url.replace(wheel.file_name, "other-1.0-py3-none-any.whl") + ".metadata",
        "twice": f"{url}.metadata.metadata",
        "project": f"{subject.index_url}{subject.new_name('no')}/{wheel.file_name}.metadata",
    }[what]
    subject.get(asked).check(404)


def test_headers(subject: Subject, wheel: Builder) -> None:
    """META-06: the metadata is inert text with a validator, kept for ever, as guarded as its file."""
    file_url = subject.file_url(wheel.name, wheel.file_name)
    reply = subject.get(f"{file_url}.metadata").check(200)
    assert reply.media_type in {"text/plain", "application/octet-stream"}
    assert reply.header("etag")
    assert "immutable" in (reply.header("cache-control") or "")
    for credentials in (None, subject.reader, ("nobody", "wrong")):
        statuses = {
            subject.ask("GET", file_url + suffix, credentials=credentials).status for suffix in ("", ".metadata")
        }
        assert len(statuses) == 1


def test_same_way(subject: Subject, wheel: Builder) -> None:
    """META-07: where a file is redirected, so is its metadata."""
    file_url = subject.file_url(wheel.name, wheel.file_name)
    file, metadata = subject.get(file_url), subject.get(f"{file_url}.metadata")
    if file.status in {302, 307}:
        assert metadata.status in {200, file.status}
    else:
        assert metadata.status == file.status


def test_signatures(subject: Subject) -> None:
    """META-08: a signature that came with an upload is either served and announced, or neither."""
    name = subject.new_name()
    wheel = WheelBuilder(name=name)
    subject.upload(wheel, gpg_signature="-----BEGIN PGP SIGNATURE-----").check(200)
    announced = subject.listed(name)[wheel.file_name].get("gpg-sig", False)
    assert (subject.get(subject.file_url(name, wheel.file_name) + ".asc").status == 200) is announced


def test_large_metadata(subject: Subject) -> None:
    """META-01: metadata of a megabyte arrives whole."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name, description="long\n" * 200_000))
    assert subject.get(subject.file_url(name, wheel.file_name) + ".metadata").body == wheel.metadata_bytes()

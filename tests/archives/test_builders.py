"""The builders make what they promise."""

import email.parser
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from wheelyard.protocol.filenames import parse_filename
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body
from wheelyard.testing.raw_archives import ZipMember, render_zip


@pytest.mark.parametrize("builder", [WheelBuilder(), SdistBuilder(), SdistBuilder(suffix=".zip")], ids=str)
def test_same_bytes(builder: WheelBuilder | SdistBuilder, tmp_path: Path) -> None:
    """The same builder gives the same bytes, in memory and on disk."""
    assert builder.bytes() == builder.bytes()
    assert builder.build(tmp_path).read_bytes() == builder.bytes()


def test_wheel_is_read_by_others() -> None:
    """A default wheel is sound for the standard library, and its RECORD names all members."""
    with zipfile.ZipFile(io.BytesIO(WheelBuilder("Foo.Bar", "2.0", build_number="1a").bytes())) as archive:
        assert archive.testzip() is None
        record = archive.read("foo_bar-2.0.dist-info/RECORD").decode()
        assert [row.split(",")[0] for row in record.splitlines()] == archive.namelist()


@pytest.mark.parametrize("zip64", [False, True])
def test_raw_zip_is_read_by_others(zip64: bool) -> None:  # noqa: FBT001
    """A raw zip without lies is sound for the standard library, data descriptors and ZIP64 included."""
    members = [ZipMember(name="a", content=b"a" * 99), ZipMember(name="ü", content=b"b", method=0, descriptor=b"")]
    with zipfile.ZipFile(io.BytesIO(render_zip(members, zip64=zip64))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a", "ü"]


def test_sdist_is_read_by_others() -> None:
    """A default sdist is sound for the standard library."""
    with tarfile.open(fileobj=io.BytesIO(SdistBuilder("Foo.Bar").bytes())) as archive:
        assert archive.getnames() == ["foo_bar-1.0/PKG-INFO", "foo_bar-1.0/pyproject.toml"]


@pytest.mark.parametrize(
    ("builder", "filetype", "pyversion"),
    [
        (WheelBuilder(tag="py2.py3-none-any", requires_python=">=3.8"), "bdist_wheel", "py2.py3"),
        (SdistBuilder(requires_python=">=3.8"), "sdist", "source"),
        (SdistBuilder(requires_python=">=3.8", suffix=".zip"), "sdist", "source"),
    ],
    ids=["wheel", "sdist", "zip"],
)
def test_form(builder: WheelBuilder | SdistBuilder, filetype: str, pyversion: str, tmp_path: Path) -> None:
    """The form has what the file says, and overrides replace or remove fields."""
    fields = form_fields(builder.build(tmp_path), summary="other", version=None, classifiers=["a", "b"])
    assert fields["filetype"] == [filetype]
    assert fields["pyversion"] == [pyversion]
    assert fields["requires_python"] == [">=3.8"]
    assert fields["summary"] == ["other"]
    assert fields["classifiers"] == ["a", "b"]
    assert "version" not in fields


def test_form_of_broken_file(tmp_path: Path) -> None:
    """A form can be made for a file that is no archive at all."""
    fields = form_fields(WheelBuilder(mangle=lambda content: content[:40]).build(tmp_path))
    assert (fields["name"], fields["version"]) == (["demo"], ["1.0"])


def test_body_is_multipart() -> None:
    """The body is read back by the standard library, part by part in the order asked for."""
    kind, body = multipart_body({"a": ["1", "2"], "b": ["ü"]}, "x.whl", b"\r\n--\0", order=["b", "content", "a"])
    message = email.parser.BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    parts = message.get_payload()
    assert isinstance(parts, list)
    names = [part.get_param("name", header="content-disposition") for part in parts]  # type: ignore[union-attr]
    assert names == ["b", "content", "a", "a"]
    assert b'filename="x.whl"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--\0\r\n' in body


def test_default_names_parse() -> None:
    """The file names of the builders are what the protocol reads."""
    assert parse_filename(WheelBuilder("Foo.Bar", "1!2.0+x").file_name).name == "foo-bar"
    assert parse_filename(SdistBuilder("Foo.Bar", "1!2.0+x").file_name).version == "1!2.0+x"

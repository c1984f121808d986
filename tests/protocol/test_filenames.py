"""Names of distribution files."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.errors import InvalidFilename
from wheelyard.model import FileKind, NormalizedName
from wheelyard.protocol.filenames import is_pep625, parse_filename, quote_filename, release_of
from wheelyard.protocol.names import normalize

FOO = normalize("foo")


@pytest.mark.parametrize(
    ("filename", "name", "version", "build"),
    [
        ("foo-1.0-py3-none-any.whl", "foo", "1.0", None),
        ("foo-1.0-1a-py3-none-any.whl", "foo", "1.0", "1a"),
        ("Foo.Bar-1.0-py3-none-any.whl", "foo-bar", "1.0", None),
        ("foo-01.0-py3-none-any.whl", "foo", "1.0", None),
        ("foo-1!1.0-py3-none-any.whl", "foo", "1!1.0", None),
        ("foo-1.0+local.1-py3-none-any.whl", "foo", "1.0+local.1", None),
        ("foo-1.0-cp311-cp311-linux_x86_64.whl", "foo", "1.0", None),
    ],
)
def test_wheels(filename: str, name: str, version: str, build: str | None) -> None:
    """FN-03, FN-05: wheels with build numbers, epochs, local versions and internal platform tags are read."""
    parsed = parse_filename(filename)
    assert (parsed.kind, parsed.name, parsed.version, parsed.build) == (FileKind.WHEEL, name, version, build)


def test_compressed_tags() -> None:
    """FN-03: a compressed set of tags is expanded."""
    parsed = parse_filename("foo-1.0-py2.py3-none-any.whl")
    assert parsed.tags == {"py2-none-any", "py3-none-any"}
    assert parsed.python_tag == "py2.py3"


@pytest.mark.parametrize(
    "filename",
    [
        "foo__bar-1.0-py3-none-any.whl",
        "foo-1.0-x-py3-none-any.whl",
        "foo-1.0_1-py3-none-any.whl",
        "foo-1.0-py3-none-any.WHL",
        "foo-1.0-none-any.whl",
        "foo-1.0-py3..py2-none-any.whl",
        "foo-1.0%2Bl-py3-none-any.whl",
        "_foo-1.0-py3-none-any.whl",
        "foo_-1.0-py3-none-any.whl",
        "foo-1.0-py3-none-any-x86_64_v3.whl",
        f"foo-{'9' * 240}.{'9' * 5000}-py3-none-any.whl",
        f"foo-1.0-{'p' * 255}-none-any.whl",
    ],
)
def test_what_is_no_wheel(filename: str) -> None:
    """FN-03, FN-06: malformed wheel names are refused with a reason."""
    with pytest.raises(InvalidFilename) as caught:
        parse_filename(filename)
    assert caught.value.why


@pytest.mark.parametrize(
    "filename",
    [
        "",
        ".whl",
        "foo",
        "foo.tar.gz",
        "-1.0.tar.gz",
        "foo-.tar.gz",
        "foo-x.tar.gz",
        "_foo-1.0.tar.gz",
        "foo-1.0.tar.bz2",
        "foo-1.0.TAR.GZ",
        "foo-1.0.egg",
        "foo-1.0.exe",
        "foo-1.0.rpm",
        "../foo-1.0.tar.gz",
        "a\\foo-1.0.tar.gz",
        "foo-1.0.tar.gz\n",
        "foo-1.0\r\n.tar.gz",
        "foo-1.0\0.tar.gz",
        "foo-1.0 .tar.gz",
        "foo-1.0.tar.gz\u202e",
        "föö-1.0.tar.gz",
    ],
)
def test_what_is_no_distribution_file(filename: str) -> None:
    """FN-01: control characters, slashes, other kinds of files and names without a version are refused."""
    with pytest.raises(InvalidFilename):
        parse_filename(filename)


@pytest.mark.parametrize(
    ("filename", "project", "name", "version"),
    [
        ("foo_bar-1.0.tar.gz", None, "foo-bar", "1.0"),
        ("foo-bar-1.0.tar.gz", None, "foo-bar", "1.0"),
        ("Foo.Bar-01.0.zip", None, "foo-bar", "1.0"),
        ("foo-1.0-1.tar.gz", None, "foo-1-0", "1"),
        ("foo-1.0-1.tar.gz", "foo", "foo", "1.0.post1"),
        ("foo-1-2.tar.gz", "foo-1", "foo-1", "2"),
        ("bar-1.0.tar.gz", "foo", "bar", "1.0"),
    ],
)
def test_sdists(filename: str, project: NormalizedName | None, name: str, version: str) -> None:
    """FN-02: old sdist names are read too; the project tells where an ambiguous name ends."""
    parsed = parse_filename(filename, project)
    assert (parsed.kind, parsed.name, parsed.version) == (FileKind.SDIST, name, version)
    assert parsed.python_tag == "source"


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("foo_bar-1.0.tar.gz", True),
        ("foo_bar-1.0+local.1.tar.gz", True),
        ("foo-bar-1.0.tar.gz", False),
        ("Foo_bar-1.0.tar.gz", False),
        ("foo.bar-1.0.tar.gz", False),
        ("foo__bar-1.0.tar.gz", False),
        ("foo_bar-1.0.zip", False),
        ("foo_bar-01.0.tar.gz", False),
        ("foo_bar-1.0.tar.gz\n", False),
    ],
)
def test_pep625(filename: str, *, expected: bool) -> None:
    """FN-02: the one spelling that PEP 625 allows is told from the others."""
    assert is_pep625(filename) is expected


@pytest.mark.parametrize(
    ("filename", "release"),
    [
        ("foo-1.0-variants.json", "1.0"),
        ("foo-1.0-py3-none-any-x86_64_v3.whl", "1.0"),
        ("foo-1.0.exe", "1.0"),
        ("foo-1.0.win32-py2.7.exe", "1.0"),
        ("foo-1.0-py2.7.egg", "1.0"),
        ("foo-1.0-1.tar.bz2", "1.0.post1"),
        ("foo-1.0-1.tar.gz", "1.0.post1"),
        ("foo-1.0-beta-custom.zip", "1.0-beta-custom"),
        ("Foo-1.0.tar.gz", "1.0"),
        ("bar-1.0.tar.gz", None),
        ("bar-1.0-py3-none-any.whl", None),
        ("foo-", None),
        ("foo-.egg", None),
        ("foo-1.0.html", None),
        ("", None),
    ],
)
def test_release_of_odd_files(filename: str, release: str | None) -> None:
    """VA-03: files of kinds that nobody uploads any more still belong to their release."""
    assert release_of(filename, FOO) == release


@given(st.text(max_size=40) | st.from_regex(r"foo-[0-9a-z.+!_-]{0,20}(?:\.whl|\.egg|\.tar\.gz|\.exe|-variants\.json)"))
def test_release_of_never_fails(filename: str) -> None:
    """VA-03: no file name of an upstream makes its page unreadable."""
    release = release_of(filename, FOO)
    assert release is None or release


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
def test_quoted_names_decode_to_themselves(filename: str) -> None:
    """URL-10: the percent-decoded last part of a file URL is the file name."""
    quoted = quote_filename(filename)
    assert unquote(quoted) == filename
    assert not set(quoted) & set('/?#+! "<>&')


def test_plus_and_bang_are_quoted() -> None:
    """URL-11: local versions and epochs are percent-encoded, a tilde is not."""
    assert quote_filename("foo-1!1.0+cu128~x.whl") == "foo-1%211.0%2Bcu128~x.whl"

"""Core metadata."""

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.errors import InvalidDocument
from wheelyard.protocol.core_metadata import (
    CoreMetadata,
    advise,
    parse_core_metadata,
    static_for_sdist,
    validate,
)

BARE = CoreMetadata(metadata_version="2.1", name="foo", version="1.0")

WHOLE = """\
Metadata-Version: 2.5
Name: Foo.Bar
Version: 1.0+cu128
Summary: grün
Keywords: a, b,c
Home-page: https://example.test
Author: René
Author-email: R <r@example.test>
License-Expression: MIT
License-File: LICENSE
License-File: AUTHORS
Classifier: Private :: Do Not Upload
Classifier: Nobody :: Knows This
Requires-Python: >=3.11
Requires-Dist: bar @ https://example.test/bar-1.0.whl
Requires-Dist: baz>=1; extra == "test"
Provides-Extra: test
Project-URL: Docs, https://example.test/docs
Project-URL: Source , https://example.test/src
Dynamic: Platform
Platform: any
Supported-Platform: x
Import-Name: foo
Import-Namespace: ns
Provides-Dist: other
Obsoletes-Dist: older
Requires-External: C
X-Vendor: v
Description-Content-Type: text/markdown

# Title

Text.
"""


def metadata(*lines: str, body: str = "") -> CoreMetadata:
    header = ("Metadata-Version: 2.1", "Name: foo", "Version: 1.0", *lines)
    return parse_core_metadata("\n".join((*header, "", body)).encode())


def codes(metadata: CoreMetadata) -> list[str]:
    return [problem.code for problem in validate(metadata)]


def test_every_field() -> None:
    """MD-07: every field of the newest core metadata is read, and unknown ones are kept."""
    assert parse_core_metadata(WHOLE.encode()) == CoreMetadata(
        metadata_version="2.5",
        name="Foo.Bar",
        version="1.0+cu128",
        summary="grün",
        description="# Title\n\nText.\n",
        description_content_type="text/markdown",
        keywords=("a", "b", "c"),
        home_page="https://example.test",
        author="René",
        author_email="R <r@example.test>",
        license_expression="MIT",
        license_files=("LICENSE", "AUTHORS"),
        classifiers=("Private :: Do Not Upload", "Nobody :: Knows This"),
        requires_python=">=3.11",
        requires_dist=("bar @ https://example.test/bar-1.0.whl", 'baz>=1; extra == "test"'),
        provides_extra=("test",),
        project_urls={"Docs": "https://example.test/docs", "Source": "https://example.test/src"},
        dynamic=("Platform",),
        platforms=("any",),
        supported_platforms=("x",),
        import_names=("foo",),
        import_namespaces=("ns",),
        provides_dist=("other",),
        obsoletes_dist=("older",),
        requires_external=("C",),
        unknown={"x-vendor": ("v",)},
    )


def test_what_others_ban_is_welcome() -> None:
    """UF-02, MD-02, MD-04: local versions, direct references, `Private ::` and unknown classifiers are no problem."""
    whole = parse_core_metadata(WHOLE.encode())
    assert validate(whole) == ()
    assert advise(whole) == ()


def test_line_ends() -> None:
    """MD-08: carriage returns at line ends change nothing but the description."""
    assert parse_core_metadata(WHOLE.replace("\n", "\r\n").encode()).requires_dist == (
        parse_core_metadata(WHOLE.encode()).requires_dist
    )


def test_absent_values() -> None:
    """UF-10: empty and `UNKNOWN` values, as old tools wrote them, are absent."""
    found = metadata("Summary: UNKNOWN", "Home-page:", "Platform: UNKNOWN", "License: UNKNOWN", "Keywords:")
    assert found == BARE


@pytest.mark.parametrize("name", ["Metadata-Version", "Name", "Version"])
def test_required_fields(name: str) -> None:
    """UF-01, UF-02, UF-07: metadata without one of the three required fields, or with two, is none."""
    lines = ["Metadata-Version: 2.1", "Name: foo", "Version: 1.0"]
    others = [line for line in lines if not line.startswith(f"{name}:")]
    for broken, why in (
        (others, "has no"),
        ([*others, f"{name}:"], "has no"),
        ([*lines, f"{name}: 2"], "more than once"),
    ):
        with pytest.raises(InvalidDocument, match=why) as caught:
            parse_core_metadata("\n".join(broken).encode())
        assert f"'{name}'" in caught.value.message


def test_old_encodings() -> None:
    """MD-08: bytes that are no UTF-8 are read as well as they can be, and give text that UTF-8 can say."""
    found = parse_core_metadata(
        b"Metadata-Version: 1.1\nName: foo\nVersion: 1.0\nAuthor: Ren\xe9\nSummary: a\0b\n\nd\xe9scription\xed\xa0\x80"
    )
    assert found.author == "René"
    assert found.summary == "a\N{REPLACEMENT CHARACTER}b"
    assert found.description is not None
    assert found.description.startswith("d\N{REPLACEMENT CHARACTER}scription")
    assert repr(found).encode()


@pytest.mark.parametrize("indent", ["        ", "       |"])
def test_folded_descriptions(indent: str) -> None:
    """MD-08: a description in the header, as before 2.1, loses the indent of its continuation lines."""
    assert metadata("Description: one", f"{indent}two", f"{indent}  three").description == "one\ntwo\n  three"


def test_indented_text_in_the_body_stays() -> None:
    """MD-08: a description in the body keeps its indented lines."""
    assert metadata(body="one\n        code\n").description == "one\n        code\n"


def test_repeated_labels() -> None:
    """MD-05: of two URLs with one label the first counts."""
    found = metadata("Project-URL: a, https://one.test", "Project-URL: a, https://two.test")
    assert found.project_urls == {"a": "https://one.test"}


@pytest.mark.parametrize(
    ("version", "is_known"),
    [
        ("1.0", True),
        ("1.2", True),
        ("2.1", True),
        ("2.6", True),
        ("2.7", True),
        ("2.10", True),
        ("2.0", False),
        ("1.3", False),
        ("3.0", False),
        ("2", False),
        ("2.1.0", False),
        ("x", False),
    ],
)
def test_metadata_versions(version: str, *, is_known: bool) -> None:
    """MD-06, UF-07: known versions and unknown 2.x are accepted, 2.0 and other major versions are not."""
    found = codes(dataclasses.replace(BARE, metadata_version=version))
    assert found == ([] if is_known else ["metadata-version"])


def test_newer_metadata_is_told() -> None:
    """MD-06: a version newer than this program is accepted with a warning."""
    assert len(advise(dataclasses.replace(BARE, metadata_version="2.7"))) == 1
    assert advise(dataclasses.replace(BARE, metadata_version="2.6")) == ()


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"name": "foo\nbar"}, "invalid-name"),
        ({"version": "1.0-x-y"}, "invalid-version"),
        ({"version": "9" * 5000}, "invalid-version"),
        ({"requires_dist": ("foo >=",)}, "invalid-requirement"),
        ({"requires_dist": ("foo @",)}, "invalid-requirement"),
        ({"requires_dist": ("(" * 10_000,)}, "invalid-requirement"),
        ({"requires_python": ">=3.8.*"}, "invalid-specifier"),
        ({"requires_python": "three"}, "invalid-specifier"),
        ({"provides_extra": ("-a",)}, "invalid-extra"),
        ({"license_expression": "Nonsense OR"}, "invalid-license-expression"),
        ({"license_expression": "(" * 10_000}, "invalid-license-expression"),
        ({"license_expression": "MIT", "license": "MIT"}, "license-twice"),
        ({"license_files": ("../LICENSE",)}, "invalid-license-file"),
        ({"license_files": ("/LICENSE",)}, "invalid-license-file"),
        ({"license_files": ("a\\LICENSE",)}, "invalid-license-file"),
        ({"dynamic": ("Version",)}, "invalid-dynamic"),
        ({"dynamic": ("Nonsense",)}, "invalid-dynamic"),
    ],
)
def test_problems(keys: dict[str, object], code: str) -> None:
    """MD-02, MD-03, MD-06: what cannot be installed, or contradicts itself, is refused with one line that names it."""
    problems = validate(dataclasses.replace(BARE, **keys))  # type: ignore[arg-type]
    assert [problem.code for problem in problems] == [code]
    assert "\n" not in problems[0].text
    assert len(problems[0].text) < 500


def test_repeated_requires_python() -> None:
    """MD-02: which of two Requires-Python counts is nobody's guess."""
    assert codes(metadata("Requires-Python: >=3.8", "Requires-Python: >=3.9")) == ["field-repeated"]


def test_dynamic_of_newer_metadata() -> None:
    """MD-06: a newer 2.x may have fields that are unknown here."""
    newer = dataclasses.replace(BARE, metadata_version="2.9", dynamic=("New-Field",))
    assert validate(newer) == ()
    assert codes(dataclasses.replace(newer, dynamic=("name",))) == ["invalid-dynamic"]


def test_order_of_problems() -> None:
    """UP-23: metadata version, name and version come first, then the others by name; not more than can be read."""
    broken = CoreMetadata(
        metadata_version="3.0", name="-", version="x", requires_python="x", requires_dist=("-",) * 50, dynamic=("Name",)
    )
    found = [problem.field for problem in validate(broken)]
    assert found[:4] == ["metadata-version", "name", "version", "dynamic"]
    assert len(found) == 20


@pytest.mark.parametrize(
    "keys",
    [
        {"summary": "a" * 513},
        {"author_email": "nobody"},
        {"home_page": "javascript:alert(1)"},
        {"project_urls": {"Docs": "ftp://example.test"}},
        {"project_urls": {"a" * 33: "https://example.test"}},
        {"description_content_type": "text/html"},
        {"unknown": {"summary": ("a", "b")}},
    ],
)
def test_advice(keys: dict[str, object]) -> None:
    """MD-05: what only looks odd is told and not refused."""
    odd = dataclasses.replace(BARE, **keys)  # type: ignore[arg-type]
    assert validate(odd) == ()
    assert len(advise(odd)) == 1


@pytest.mark.parametrize(
    ("version", "dynamic", "expected"),
    [
        ("2.2", (), True),
        ("2.10", ("License-File",), True),
        ("2.1", (), False),
        ("1.2", (), False),
        ("2.4", ("requires-dist",), False),
        ("2.4", ("Requires-Python",), False),
        ("2.4", ("PROVIDES-EXTRA",), False),
        ("nonsense", (), False),
    ],
)
def test_static_sdists(version: str, dynamic: tuple[str, ...], *, expected: bool) -> None:
    """META-03: an sdist's metadata is offered only when each wheel built from it would say the same."""
    assert static_for_sdist(dataclasses.replace(BARE, metadata_version=version, dynamic=dynamic)) is expected


def test_absurdly_many_fields() -> None:
    """MD-08: a header made to take the parser's time is refused at once."""
    content = b"Metadata-Version: 2.1\n" + b"".join(b"a%d:\n" % number for number in range(50_000))
    start = time.perf_counter()
    with pytest.raises(InvalidDocument, match="more than 200"):
        parse_core_metadata(content)
    assert time.perf_counter() - start < 5


_LINES = st.lists(
    st.sampled_from(
        [
            b"Metadata-Version: 2.1\n",
            b"Name: foo\n",
            b"Version: 1.0\n",
            b"Summary: =?utf-8?b?\xe9?=\n",
            b"\n",
            b" folded\n",
            b"Content-Type: multipart/mixed; boundary=x\n",
            b"--x\n",
            b"Content-Transfer-Encoding: base64\n",
            b"\xff",
            b"\x00",
            b"Project-URL: a\n",
            b"Keywords: \xe9\n",
            b"Dynamic: Name\n",
            b"Requires-Dist: \xed\xa0\x80\n",
            b":\n",
            b"Import-Name:\n",
        ]
    ),
    max_size=15,
).map(b"".join)


@given(_LINES | _LINES.map(lambda lines: b"Metadata-Version: 2.1\nName: foo\nVersion: 1\n" + lines) | st.binary())
def test_no_metadata_fails_otherwise(content: bytes) -> None:
    """MD-08: any bytes are core metadata or are refused as none; what is read can be checked and stored."""
    try:
        found = parse_core_metadata(content)
    except InvalidDocument:
        return
    validate(found)
    advise(found)
    static_for_sdist(found)
    for value in dataclasses.astuple(found):
        assert "\0" not in str(value)
        assert str(value).encode()


def test_what_resolvers_read_is_one_line() -> None:
    """MD-02: a requirement or a Python version that was folded over lines comes out as one line."""
    content = (
        b"Metadata-Version: 2.1\nName: foo\nVersion: 1\nRequires-Python:\n  >=3.9,\n  <4\nRequires-Dist: a\n  >=1\n"
    )
    found = parse_core_metadata(content)
    assert (found.requires_python, found.requires_dist) == (">=3.9, <4", ("a >=1",))

"""Core metadata: whatever the bytes, it is read or refused by one error, and what is wrong is told in a few lines."""

from __future__ import annotations

from fuzz.laws import FuzzTarget, require
from wheelyard.errors import InvalidDocument
from wheelyard.model import ProjectPage
from wheelyard.protocol.core_metadata import CoreMetadata, advise, parse_core_metadata, static_for_sdist, validate
from wheelyard.protocol.names import normalize
from wheelyard.protocol.pypi_json import render_project
from wheelyard.testing.builders import MetadataBuilder

_ONE_LINE = ("metadata_version", "name", "version", "requires_python", "license_expression")


def check(data: bytes) -> None:
    """Check one METADATA file."""
    try:
        metadata = parse_core_metadata(data)
    except InvalidDocument as error:
        require(len(str(error)) < 10_000, "the text of an error is short", len(str(error)))
        return
    require(metadata == parse_core_metadata(data), "reading does not depend on what was read before")
    problems = validate(metadata)
    require(len(problems) <= 20, "no more problems are told than a person reads", len(problems))
    for problem in problems:
        require(problem.text.isprintable(), "the text of a problem is one printable line", problem.text)
        require(len(problem.text) < 2000, "and short", len(problem.text))
    for advice in advise(metadata):
        require(advice.isprintable(), "advice is one printable line", advice)
    static_for_sdist(metadata)
    if not problems:
        _check_accepted(metadata)


def _check_accepted(metadata: CoreMetadata) -> None:
    page = ProjectPage(name=normalize(metadata.name), versions=(metadata.version,))
    shown = render_project(
        page, metadata, version=metadata.version, base_url="https://x/", file_url=lambda file: file.url
    )
    require(shown.startswith(b"{"), "accepted metadata can be shown as JSON")
    for name in _ONE_LINE:
        value = getattr(metadata, name)
        require(value is None or "\n" not in value, "a field of one line has one", name, value)
    for each in metadata.requires_dist:
        require("\n" not in each, "a requirement is one line", each)
    headers = [("Requires-Dist", each) for each in metadata.requires_dist]
    builder = MetadataBuilder(
        name=metadata.name,
        version=metadata.version,
        metadata_version=metadata.metadata_version,
        requires_python=metadata.requires_python,
        headers=headers,
    )
    again = parse_core_metadata(builder.text().encode("utf-8"))
    for name in ("metadata_version", "name", "version", "requires_python", "requires_dist"):
        before, after = getattr(metadata, name), getattr(again, name)
        require(before == after, "accepted fields that are written again are the same", name, before, after)


def _seeds() -> dict[str, bytes]:
    full = MetadataBuilder(
        name="demo",
        version="1.0",
        requires_python=">=3.9",
        requires_dist=["a>=1; extra == 'x'", "b @ https://example.test/b.whl"],
        headers=[
            ("Summary", "Demo"),
            ("Keywords", "a,b"),
            ("Author-email", "A <a@example.test>"),
            ("License-Expression", "MIT OR Apache-2.0"),
            ("License-File", "LICENSE"),
            ("Classifier", "Private :: Do Not Upload"),
            ("Project-URL", "Home, https://example.test"),
            ("Provides-Extra", "x"),
            ("Dynamic", "Requires-Dist"),
            ("Description-Content-Type", "text/markdown; charset=UTF-8"),
            ("Import-Name", "demo"),
        ],
        description="# Demo\n",
    ).text()
    old = "Metadata-Version: 1.1\nName: demo\nVersion: 1.0\nDescription: a\n        b\n       |c\nLicense: UNKNOWN\n"
    return {"full": full.encode(), "old": old.encode(), "latin-1": "Metadata-Version: 2.1\nName: é\n".encode("latin-1")}


_HEADERS = (
    *(
        "Metadata-Version",
        "Name",
        "Version",
        "Summary",
        "Description",
        "Description-Content-Type",
        "Keywords",
        "Platform",
    ),
    *("Home-page", "Author-email", "License", "License-Expression", "License-File", "Requires-Python", "Import-Name"),
    *("Requires-Dist", "Provides-Extra", "Dynamic", "Classifier", "Project-URL", "Import-Namespace", "Content-Type"),
    *("Content-Transfer-Encoding", "MIME-Version"),
)
_WORDS = (
    *(f"\n{name}: ".encode() for name in _HEADERS),
    *(
        b"=?utf-8?q?=41?=",
        b"\r\n",
        b"\n\n",
        b"\n ",
        b"\n        ",
        b"; extra == 'x'",
        b" @ https://",
        b"multipart/mixed",
    ),
)

TARGET = FuzzTarget(
    name="metadata",
    about="one kind of error, few and printable problems, accepted fields are the same when written and read again",
    check=check,
    seeds=_seeds,
    words=_WORDS,
    reached=("src/wheelyard/protocol/core_metadata.py", "src/wheelyard/protocol/problems.py"),
    max_len=3072,
)

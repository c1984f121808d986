"""Section 1L: what the metadata of an uploaded file says."""

from __future__ import annotations

from typing import Any

import pytest

from standards.subject import Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder


def info_of(subject: Subject, name: str) -> dict[str, Any]:
    document = subject.get(f"{subject.root}pypi/{name}/json").check(200).json()
    info = document["info"]
    assert isinstance(info, dict)
    return info


@pytest.mark.parametrize("kind", [WheelBuilder, SdistBuilder])
@pytest.mark.parametrize("lie", ["name", "version"])
def test_own_name(subject: Subject, kind: type[WheelBuilder | SdistBuilder], lie: str) -> None:
    """MD-01: name and version in the file are those of its name and of the form."""
    name = subject.new_name()
    told = f"Name: {'other' if lie == 'name' else name}\nVersion: {'9.9' if lie == 'version' else '1.0'}\n"
    text = f"Metadata-Version: 2.1\n{told}"
    builder = WheelBuilder(name=name, metadata=text) if kind is WheelBuilder else SdistBuilder(name=name, pkg_info=text)
    reply = subject.refused(builder)
    assert ("other" if lie == "name" else "9.9") in reply.check(400).text


@pytest.mark.parametrize(
    "header",
    [
        ("Requires-Dist", "not a requirement !!"),
        ("Requires-Dist", "a>>1"),
        ("Requires-Dist", "a; nonsense_marker == '1'"),
        ("Requires-Python", "three"),
        ("Provides-Extra", "-bad-"),
    ],
    ids=["no-requirement", "operator", "marker", "python", "extra"],
)
def test_does_not_parse(subject: Subject, header: tuple[str, str]) -> None:
    """MD-02: requirements, Python versions and extras parse."""
    reply = subject.refused(WheelBuilder(name=subject.new_name(), headers=[header]))
    assert header[0].lower() in reply.check(400).text.lower()


def test_direct_reference(subject: Subject) -> None:
    """MD-02: direct references are welcome, which PyPI refuses."""
    requires = ["a @ https://example.org/a-1.0.tar.gz", "b @ git+https://example.org/b.git@main ; extra == 'x'"]
    wheel = WheelBuilder(name=subject.new_name(), requires_dist=requires, headers=[("Provides-Extra", "x")])
    subject.upload(wheel).check(200)
    reply = subject.get(subject.file_url(wheel.name, wheel.file_name) + ".metadata")
    assert "a @ https://example.org/a-1.0.tar.gz" in reply.text


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ([("License-Expression", "MIT OR (Apache-2.0 AND BSD-3-Clause)")], True),
        ([("License-Expression", "LicenseRef-Ours")], True),
        ([("License", "as you like")], True),
        ([("License-Expression", "No-Such-Licence-1.0")], False),
        ([("License-Expression", "MIT OR")], False),
        ([("License-Expression", "MIT"), ("License", "MIT")], False),
    ],
)
def test_licence(subject: Subject, headers: list[tuple[str, str]], taken: bool) -> None:  # noqa: FBT001
    """MD-03: a licence expression is SPDX, and does not stand beside the old field (PEP 639)."""
    wheel = WheelBuilder(name=subject.new_name(), headers=headers)
    if taken:
        subject.upload(wheel).check(200)
    else:
        assert "icense" in subject.refused(wheel).check(400).text


@pytest.mark.parametrize(
    "classifier", ["Private :: Do Not Upload", "Programming Language :: Python :: 3", "No :: Such :: Classifier"]
)
def test_classifiers(subject: Subject, classifier: str) -> None:
    """MD-04: every classifier is welcome, private ones first of all."""
    wheel = WheelBuilder(name=subject.new_name(), headers=[("Classifier", classifier)])
    subject.upload(wheel).check(200)
    assert info_of(subject, wheel.name)["classifiers"] == [classifier]


@pytest.mark.parametrize(
    "header",
    [
        ("Author-email", "not an address"),
        ("Home-page", "no url"),
        ("Project-URL", f"{'x' * 40}, https://example.org"),
        ("Project-URL", "Home, javascript:alert(1)"),
        ("Summary", "x" * 600),
        ("Description-Content-Type", "text/x-rst"),
    ],
    ids=["email", "url", "label", "script", "summary", "description"],
)
def test_only_warned(subject: Subject, header: tuple[str, str]) -> None:
    """MD-05: what is only untidy is taken."""
    wheel = WheelBuilder(name=subject.new_name(), headers=[header], description="*unclosed `markup")
    subject.upload(wheel).check(200)


@pytest.mark.parametrize(
    ("version", "headers", "taken"),
    [
        ("2.2", [("Dynamic", "Requires-Dist")], True),
        ("2.2", [("Dynamic", "Name")], False),
        ("2.2", [("Dynamic", "Version")], False),
        ("2.2", [("Dynamic", "Metadata-Version")], False),
        ("2.99", [], True),
        ("3.0", [], False),
        ("2.0", [], False),
        ("x", [], False),
    ],
)
def test_dynamic(subject: Subject, version: str, headers: list[tuple[str, str]], taken: bool) -> None:  # noqa: FBT001
    """MD-06: `Dynamic` never names what must stand still; new minor versions of the metadata pass, major ones do not."""
    sdist = SdistBuilder(name=subject.new_name(), metadata_version=version, headers=headers)
    if taken:
        reply = subject.upload(sdist).check(200)
        assert ("2.99" in reply.text) is (version == "2.99")
    else:
        subject.refused(sdist).check(400)


def test_import_names(subject: Subject) -> None:
    """MD-07: import names (metadata 2.5) and what 2.6 adds survive into the metadata file."""
    headers = [("Import-Name", "demo"), ("Import-Namespace", "ours"), ("Dynamic", "Classifier")]
    for version in ("2.5", "2.6"):
        wheel = WheelBuilder(name=subject.new_name(), metadata_version=version, headers=headers)
        subject.upload(wheel).check(200)
        metadata = subject.get(subject.file_url(wheel.name, wheel.file_name) + ".metadata").check(200)
        assert metadata.body == wheel.metadata_bytes()


@pytest.mark.parametrize("summary", ["Gr\xfc\xdfe".encode("latin-1"), b"\xed\xa0\x80", b"\xff\xfe", b"a\x00b"])
@pytest.mark.parametrize("kind", [WheelBuilder, SdistBuilder])
def test_not_utf_8(subject: Subject, kind: type[WheelBuilder | SdistBuilder], summary: bytes) -> None:
    """MD-08: metadata that is not UTF-8 is refused or kept as it is; never a failure."""
    name = subject.new_name()
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: ".encode() + summary + b"\n"
    builder = WheelBuilder(name=name, metadata=text) if kind is WheelBuilder else SdistBuilder(name=name, pkg_info=text)
    form = subject.form(builder.build(subject.folder), name=name, version="1.0", summary="x")
    reply = subject.post(form)
    assert reply.status in {200, 400}
    if reply.status == 200:
        assert info_of(subject, name)["name"] == name
        assert subject.get(f"{name}/").status == 200

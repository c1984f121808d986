"""What stands around a wheel's content: `.dist-info` and its files (AR-05, AR-07 to AR-09)."""

from collections.abc import Callable

import pytest

from wheelyard.archives.inspect import Inspection
from wheelyard.archives.limits import ArchiveLimits
from wheelyard.testing.builders import MetadataBuilder, WheelBuilder
from wheelyard.testing.raw_archives import ZipMember

Look = Callable[..., Inspection]
Refusal = Callable[..., str]


def entry_points(text: str) -> WheelBuilder:
    return WheelBuilder(dist_info_files={"entry_points.txt": text})


def wheel_file(text: str) -> WheelBuilder:
    return WheelBuilder(wheel=text)


WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

ACCEPTED = {
    "plain": WheelBuilder(),
    "spelling": WheelBuilder("Foo.Bar-baz", "1.0"),
    "linux_x86_64": WheelBuilder(tag="cp311-cp311-linux_x86_64"),
    "compressed-tags": WheelBuilder(tag="py2.py3-none-any"),
    "local-version": WheelBuilder(version="1.0+cu12.1"),
    "epoch": WheelBuilder(version="1!1.0"),
    "build": WheelBuilder(build_number="1a"),
    "metadata-2.6": WheelBuilder(metadata_version="2.6"),
    "private-classifier": WheelBuilder(headers=[("Classifier", "Private :: Do Not Upload")]),
    "direct-reference": WheelBuilder(requires_dist=["x @ https://example.org/x-1.0.tar.gz"]),
    "license": WheelBuilder(headers=[("License-File", "LICENSE")], dist_info_files={"licenses/LICENSE": "MIT"}),
    "license-before-2.4": WheelBuilder(metadata_version="2.3", headers=[("License-File", "LICENSE")]),
    "entry-points": entry_points(
        "[console_scripts]\nDemo = demo:main\ndemo = demo.cli : main [x, y]\n[a.b]\nc d = e\n"
    ),
    "wheel-1.9": wheel_file(WHEEL.replace("1.0", "1.9")),
    "sbom": WheelBuilder(dist_info_files={"sboms/a.json": "{}"}),
    "case": WheelBuilder(files={"demo/A.h": b"", "demo/a.h": b""}),
}


@pytest.mark.parametrize("builder", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(builder: WheelBuilder, look: Look) -> None:
    """AR-05, AR-10, MD-02, MD-04, MD-07: good wheels are welcome, and their metadata is kept byte for byte."""
    inspection = look(builder)
    assert inspection.problems == ()
    assert inspection.metadata == builder.metadata_bytes()
    assert inspection.core.version == builder.version


REFUSED = {
    "no-metadata": (WheelBuilder(omit=["METADATA"]), "METADATA"),
    "no-wheel": (WheelBuilder(omit=["WHEEL"]), "does not contain 'demo-1.0.dist-info/WHEEL'"),
    "no-record": (WheelBuilder(omit=["RECORD"]), "does not contain 'demo-1.0.dist-info/RECORD'"),
    "no-dist-info": (WheelBuilder(dist_info="demo-1.0"), "here: none"),
    "two-dist-info": (
        WheelBuilder(extra=[ZipMember(name="other-1.0.dist-info/METADATA", content=b"")]),
        "'demo-1.0.dist-info', 'other-1.0.dist-info'",
    ),
    "two-by-case": (WheelBuilder(extra=[ZipMember(name="Demo-1.0.DIST-INFO/METADATA")]), "one '.dist-info' folder"),
    "other-project": (WheelBuilder(dist_info="other-1.0.dist-info"), "not that of 'demo' 1.0"),
    "other-version": (WheelBuilder(dist_info="demo-2.0.dist-info"), "not that of 'demo' 1.0"),
    "nameless": (WheelBuilder(dist_info=".dist-info"), "not that of 'demo' 1.0"),
    "nested": (WheelBuilder(dist_info="x/demo-1.0.dist-info"), "here: none"),
    "metadata-by-case": (WheelBuilder(dist_info_files={"metadata": "x"}), "one file on Windows and macOS"),
    "wheel-2": (wheel_file(WHEEL.replace("1.0", "2.0")), "'Wheel-Version' in WHEEL is '2.0'"),
    "wheel-10": (wheel_file(WHEEL.replace("1.0", "10.0")), "'Wheel-Version' in WHEEL is '10.0'"),
    "wheel-empty": (wheel_file(""), "'Wheel-Version' in WHEEL is missing"),
    "wheel-binary": (WheelBuilder(wheel=b"\xff\0" * 9), "'Wheel-Version' in WHEEL is missing"),
    "license": (WheelBuilder(headers=[("License-File", "LICENSE")]), "License-File 'LICENSE'"),
    "license-at-root": (
        WheelBuilder(headers=[("License-File", "LICENSE")], files={"LICENSE": b""}),
        "License-File 'LICENSE'",
    ),
    "entry-points-text": (entry_points("hello"), "no INI file"),
    "entry-points-binary": (WheelBuilder(dist_info_files={"entry_points.txt": b"\xff[a]"}), "no INI file"),
    "entry-points-twice": (entry_points("[a]\nb = c\nb = d\n"), "names something twice"),
    "entry-points-path": (entry_points("[console_scripts]\n../x = demo:main\n"), "a script is made under that name"),
    "entry-points-code": (entry_points("[console_scripts]\nx = demo:main();evil()\n"), "no object reference"),
    "entry-points-empty": (entry_points("[console_scripts]\nx = \n"), "no object reference"),
    "metadata-version": (WheelBuilder(metadata_version="3.0"), "'3.0' is not a known Metadata-Version"),
    "requirement": (WheelBuilder(requires_dist=["not a requirement!"]), "Requires-Dist"),
    "no-name": (WheelBuilder(metadata="Metadata-Version: 2.1\nVersion: 1.0\n"), "no 'Name'"),
    "name-twice": (WheelBuilder(headers=[("Name", "other")]), "'Name' more than once"),
    "binary": (WheelBuilder(metadata=b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40), "no 'Metadata-Version'"),
}


@pytest.mark.parametrize(("builder", "why"), REFUSED.values(), ids=REFUSED)
def test_refused(builder: WheelBuilder, why: str, refusal: Refusal) -> None:
    """AR-05, AR-07, AR-08, AR-09, MD-06: what installers cannot use is refused and named."""
    assert why in refusal(builder)


ADVICE = {
    "tags": (wheel_file(WHEEL.replace("py3", "py2")), "tags of WHEEL (py2-none-any)"),
    "no-tags": (wheel_file(WHEEL.replace("Tag", "Tug")), "tags of WHEEL (none)"),
    "purelib": (wheel_file(WHEEL.replace("Root", "Boot")), "no 'Root-Is-Purelib'"),
    "build": (wheel_file(WHEEL + "Build: 5\n"), "build number of WHEEL (5)"),
    "case": (ACCEPTED["case"], "one file on Windows and macOS"),
    "spelling": (WheelBuilder("Foo.Bar", dist_info="Foo.Bar-1.0.dist-info"), "spelled otherwise"),
    "entry-point": (ACCEPTED["entry-points"], "'c d' in [a.b]"),
}


@pytest.mark.parametrize(("builder", "text"), ADVICE.values(), ids=ADVICE)
def test_advised(builder: WheelBuilder, text: str, look: Look) -> None:
    """AR-09: what is odd and harmless is accepted with advice."""
    inspection = look(builder)
    assert inspection.problems == ()
    assert any(text in line for line in inspection.advice)


def test_all_problems_at_once(look: Look) -> None:
    """Every problem is told in one answer."""
    builder = WheelBuilder(
        omit=["RECORD"], wheel="", requires_dist=["!"], headers=[("License-File", "X")], dist_info="other-1.dist-info"
    )
    codes = {problem.code for problem in look(builder).problems}
    assert codes == {"wheel-file", "invalid-requirement", "license-file-missing"}
    assert len(look(builder).problems) == 5


def test_many_problems_are_counted(look: Look) -> None:
    """Of many problems of one kind the first are told and the rest counted."""
    files = {f"demo/{number}.py": b"" for number in range(100)}
    builder = WheelBuilder(files=files, record=lambda text: "".join(text.splitlines(keepends=True)[100:]))
    texts = [problem.text for problem in look(builder).problems]
    assert len(texts) == 6
    assert texts[-1].endswith("95 more of the kind `record-mismatch`")


def test_large_parts_are_not_read(refusal: Refusal) -> None:
    """Metadata, RECORD and other parts are bounded; the refusal says how large they are."""
    metadata = MetadataBuilder("demo", "1.0", description="x" * 5000).text()
    assert "more than 4096 are not read" in refusal(
        WheelBuilder(metadata=metadata), limits=ArchiveLimits(metadata_bytes=4096)
    )
    assert "RECORD has more than 10 bytes" in refusal(WheelBuilder(), limits=ArchiveLimits(record_bytes=10))
    assert "more than 10 are not read" in refusal(WheelBuilder(), limits=ArchiveLimits(part_bytes=10))

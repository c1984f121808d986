"""Section 1L: the name of an uploaded file."""

from __future__ import annotations

import pytest

from standards.subject import Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body


def rejected(subject: Subject, filename: str, content: bytes, *, name: str, kind: str) -> str:
    """Upload bytes under a name that must be refused; return the text."""
    path = WheelBuilder(name=name).build(subject.folder)
    form = form_fields(path, name=name, filetype=kind, sha256_digest=None, blake2_256_digest=None)
    reply = subject.post(multipart_body(form, filename, content))
    assert reply.status == 400, reply.text
    assert subject.listed(name) == {}
    return reply.text


CONTROLS = ["\x01", "\x0b", "\x1f", "\x7f", "%0d", "/", "\\", "../", "..\\"]


@pytest.mark.parametrize("character", CONTROLS)
def test_characters(subject: Subject, character: str) -> None:
    """FN-01: a name with a control character or a path is refused; nothing is stored under a cleaned name."""
    name = subject.new_name()
    wheel = WheelBuilder(name=name)
    for filename in (f"{character}{wheel.file_name}", wheel.file_name.replace("-1.0-", f"-1.0{character}-")):
        form = form_fields(wheel.build(subject.folder), name=name)
        reply = subject.post(multipart_body(form, filename, wheel.bytes()))
        assert reply.status == 400 or (filename.startswith(("/", "\\", "../", "..\\")) and reply.status == 200), (
            filename
        )
        assert set(subject.listed(name)) <= {wheel.file_name}


@pytest.mark.parametrize(
    "suffix", [".egg", ".exe", ".tar.bz2", ".tar.xz", ".tgz", ".rpm", ".deb", ".msi", "", ".WHL", ".tar.GZ", ".whl.asc"]
)
@pytest.mark.parametrize("kind", ["sdist", "bdist_wheel"])
def test_suffix(subject: Subject, suffix: str, kind: str) -> None:
    """FN-01: only wheels, `.tar.gz` and `.zip` are taken (PEP 527, PEP 715)."""
    name = subject.new_name()
    escaped = name.replace("-", "_")
    rejected(subject, f"{escaped}-1.0{suffix}", WheelBuilder(name=name).bytes(), name=name, kind=kind)


@pytest.mark.parametrize(("kind", "builder"), [("sdist", WheelBuilder), ("bdist_wheel", SdistBuilder)])
def test_kind(subject: Subject, kind: str, builder: type[WheelBuilder | SdistBuilder]) -> None:
    """FN-01: the kind of the form is that of the name."""
    assert "filetype" in subject.refused(builder(name=subject.new_name()), filetype=kind).text


def test_sdist_name(subject: Subject) -> None:
    """FN-02: a name as PEP 625 has it is taken without a word."""
    assert subject.upload(SdistBuilder(name=subject.new_name())).check(200).body == b""


OLD_SDISTS = [
    "{dashes}-1.0.tar.gz",
    "{upper}-1.0.tar.gz",
    "{dots}-1.0.tar.gz",
    "{escaped}-01.0.tar.gz",
    "{dashes}-1.0.zip",
]


@pytest.mark.parametrize("pattern", OLD_SDISTS)
def test_old_sdist_name(subject: Subject, pattern: str) -> None:
    """FN-02: an sdist with an older name is kept under its own name, with a warning."""
    name = subject.new_name()
    escaped = name.replace("-", "_")
    filename = pattern.format(dashes=name, upper=escaped.upper(), dots=name.replace("-", "."), escaped=escaped)
    suffix = ".zip" if filename.endswith(".zip") else ".tar.gz"
    sdist = SdistBuilder(name=name, filename=filename, suffix=suffix, top=filename.removesuffix(suffix))
    assert filename in subject.upload(sdist).check(200).text or "newer tools" in subject.upload(sdist).text
    assert list(subject.listed(name)) == [filename]
    assert subject.get(subject.file_url(name, filename)).check(200).body == sdist.bytes()


@pytest.mark.parametrize("filename", ["{escaped}.tar.gz", "-1.0.tar.gz", "{escaped}-.tar.gz", "{escaped}-one.tar.gz"])
def test_no_sdist_name(subject: Subject, filename: str) -> None:
    """FN-02: what has no name or no version is no sdist."""
    name = subject.new_name()
    content = SdistBuilder(name=name).bytes()
    rejected(subject, filename.format(escaped=name.replace("-", "_")), content, name=name, kind="sdist")


GOOD_WHEELS = [
    "{name}-1.0-py3-none-any.whl",
    "{name}-1.0-1a-py3-none-any.whl",
    "{name}-1.0-20240101_1-py3-none-any.whl",
    "{name}-1.0-py2.py3-none-any.whl",
    "{name}-1.0-cp311.cp312-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
]


@pytest.mark.parametrize("pattern", GOOD_WHEELS)
def test_wheel_name(subject: Subject, pattern: str) -> None:
    """FN-03: build numbers and compressed tags are taken."""
    name = subject.new_name()
    filename = pattern.format(name=name.replace("-", "_"))
    tag = "-".join(filename.removesuffix(".whl").split("-")[-3:])
    parts = filename.split("-")
    build = parts[2] if len(parts) == 6 else None
    wheel = WheelBuilder(name=name, tag=tag, build_number=build)
    assert wheel.file_name == filename
    subject.upload(wheel).check(200)
    assert list(subject.listed(name)) == [filename]


BAD_WHEELS = [
    "{name}__x-1.0-py3-none-any.whl",
    "{name}-1.0-x-py3-none-any.whl",
    "{name}-1.0_1-py3-none-any.whl",
    "{name}-1.0-none-any.whl",
    "{name}-1.0.whl",
    "{name}-1.0-1-1-py3-none-any.whl",
    "_{name}-1.0-py3-none-any.whl",
    "{name}_-1.0-py3-none-any.whl",
    "{name}-1.0%2Blocal-py3-none-any.whl",
    "{name}-one-py3-none-any.whl",
    "{name}-1.0-py3-none-.whl",
    "{name}-1.0--none-any.whl",
    " {name}-1.0-py3-none-any.whl",
    "{name}-1.0-py3-none-any .whl",
]


@pytest.mark.parametrize("pattern", BAD_WHEELS)
def test_no_wheel_name(subject: Subject, pattern: str) -> None:
    """FN-03: what breaks the grammar of wheel names is refused, a name that is none among them."""
    name = subject.new_name()
    filename = pattern.format(name=name.replace("-", "_"))
    rejected(subject, filename, WheelBuilder(name=name).bytes(), name=name, kind="bdist_wheel")


def test_variant_name(subject: Subject) -> None:
    """VA-01: the name of a wheel variant is refused in words, on purpose and not by accident."""
    name = subject.new_name()
    filename = f"{name.replace('-', '_')}-1.0-py3-none-any-x86_64_v3.whl"
    text = rejected(subject, filename, WheelBuilder(name=name).bytes(), name=name, kind="bdist_wheel")
    assert filename in text


def test_name_and_metadata(subject: Subject) -> None:
    """FN-04: `1.0` in the name and `1.0.0` in the metadata are one version; another name is refused."""
    name = subject.new_name()
    wheel = WheelBuilder(name=name, metadata=f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
    subject.upload(wheel).check(200)
    other = WheelBuilder(name=name, version="2.0", metadata="Metadata-Version: 2.1\nName: other\nVersion: 2.0\n")
    assert "other" in subject.refused(other).text


PLATFORMS = [
    *("linux_x86_64", "linux_aarch64", "linux_armv7l", "manylinux_2_28_x86_64", "musllinux_1_2_aarch64", "win_amd64"),
    *("win_arm64", "macosx_11_0_arm64", "macosx_26_0_universal2", "ios_13_0_arm64_iphoneos", "android_21_arm64_v8a"),
    *("pyemscripten_2025_0_wasm32", "linux_riscv64", "solaris_11_sparc", "our_own_board"),
]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_platform(subject: Subject, platform: str) -> None:
    """FN-05: every platform is welcome, `linux_x86_64` first of all."""
    name = subject.new_name()
    subject.upload(WheelBuilder(name=name, tag=f"cp312-cp312-{platform}")).check(200)


@pytest.mark.parametrize("length", [255, 256, 1000])
def test_long_name(subject: Subject, length: int) -> None:
    """FN-06: a name longer than a file system takes is refused, never a failure."""
    name = subject.new_name()
    filename = f"{name.replace('-', '_')}-1.0+{'1' * (length - len(name) - 23)}-py3-none-any.whl"
    form = form_fields(WheelBuilder(name=name).build(subject.folder), name=name)
    reply = subject.post(multipart_body(form, filename, WheelBuilder(name=name).bytes()))
    assert reply.status == 400
    assert subject.listed(name) == {}


@pytest.mark.parametrize("pattern", ["{upper}-1.0-py3-none-any.whl", "{dots}-1.0-py3-none-any.whl"])
def test_unescaped_wheel(subject: Subject, pattern: str) -> None:
    """FN-03, FN-04: a wheel whose name is not escaped as today is kept under its own name, or refused in words."""
    name = subject.new_name()
    escaped = name.replace("-", "_")
    stem = pattern.format(upper=escaped.upper(), dots=name.replace("-", "."))
    dist_info = f"{stem.partition('-')[0]}-1.0.dist-info"
    reply = subject.upload(WheelBuilder(name=name, filename=stem, dist_info=dist_info))
    assert reply.status in {200, 400}
    assert list(subject.listed(name)) == ([stem] if reply.status == 200 else [])

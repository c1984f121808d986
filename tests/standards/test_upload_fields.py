"""Section 1K, second half: each field of the form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pytest

from standards.subject import Reply, Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body


def raw_form(parts: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Write a form from headers and contents as they are."""
    body = b"".join(b"--b\r\n" + head.encode("latin-1") + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
    return "multipart/form-data; boundary=b", body + b"--b--\r\n"


def parts_of(fields: Mapping[str, Sequence[str]], filename: str, content: bytes) -> list[tuple[str, bytes]]:
    texts = [
        (f'Content-Disposition: form-data; name="{name}"', value.encode())
        for name, values in fields.items()
        for value in values
    ]
    return [*texts, (f'Content-Disposition: form-data; name="content"; filename="{filename}"', content)]


def wheel_parts(subject: Subject, **fields: str | Sequence[str] | None) -> tuple[WheelBuilder, list[tuple[str, bytes]]]:
    wheel = WheelBuilder(name=subject.new_name())
    path = wheel.build(subject.folder)
    fields = {"name": wheel.name, **fields}
    return wheel, parts_of(form_fields(path, **fields), path.name, path.read_bytes())


def problem_names(reply: Reply, *words: str) -> None:
    assert reply.status == 400, reply.text
    for word in words:
        assert word in reply.text


@pytest.mark.parametrize("spelling", ["{}", "{upper}", "{dots}"])
def test_name_spelling(subject: Subject, spelling: str) -> None:
    """UF-01: any spelling of the name is taken: twine sends a safe one, others the raw one."""
    name = subject.new_name()
    told = spelling.format(name, upper=name.upper(), dots=name.replace("-", "."))
    subject.publish(WheelBuilder(name=name))
    subject.upload(WheelBuilder(name=name, version="2.0"), name=told).check(200)
    assert set(subject.page(name)["versions"]) == {"1.0", "2.0"}


@pytest.mark.parametrize("name", [None, "", "UNKNOWN", "-x", "other-project", "x" * 300])
def test_wrong_name(subject: Subject, name: str | None) -> None:
    """UF-01: a missing name, one that is none, and one of another project are refused."""
    problem_names(subject.refused(WheelBuilder(name=subject.new_name()), name=name), "name")


def test_same_release(subject: Subject) -> None:
    """UF-02: versions that are equal are one release."""
    name = subject.new_name()
    subject.publish(WheelBuilder(name=name, version="1.0"))
    subject.upload(SdistBuilder(name=name, version="1.0.0"), version="1.0").check(200)
    versions = subject.page(name)["versions"]
    assert len(versions) in {1, 2}
    assert "1.0" in versions


@pytest.mark.parametrize("version", ["1.0+local.1", "1!2.0", "1.0.dev3", "2.0a1", "1.0.post1", "2024.1+cu128"])
def test_every_version(subject: Subject, version: str) -> None:
    """UF-02: local versions and epochs are welcome, which PyPI refuses."""
    name = subject.new_name()
    subject.publish(WheelBuilder(name=name, version=version), SdistBuilder(name=name, version=version))
    assert subject.page(name)["versions"] == [version]


@pytest.mark.parametrize("version", [None, "", "one", "1.0 beta", "1.0+", "2.0"])
def test_wrong_version(subject: Subject, version: str | None) -> None:
    """UF-02: a missing version, one that is none, and one of another release are refused."""
    problem_names(subject.refused(WheelBuilder(name=subject.new_name()), version=version), "version")


@pytest.mark.parametrize("filetype", [None, "", "bdist_egg", "bdist_wininst", "bdist_rpm", "sdist", "BDIST_WHEEL"])
def test_wrong_filetype(subject: Subject, filetype: str | None) -> None:
    """UF-03: only the two kinds are known, and the kind is that of the file."""
    problem_names(subject.refused(WheelBuilder(name=subject.new_name()), filetype=filetype), "filetype")


@pytest.mark.parametrize("pyversion", [None, "", "source", "py3", "cp312", "any"])
def test_pyversion(subject: Subject, pyversion: str | None) -> None:
    """UF-04: nothing uses `pyversion`, and clients disagree about it: anything goes."""
    name = subject.new_name()
    subject.upload(WheelBuilder(name=name), pyversion=pyversion).check(200)
    subject.upload(SdistBuilder(name=name), pyversion=pyversion).check(200)


DIGEST_SETS = {
    "twine-uv": ("sha256_digest", "blake2_256_digest"),
    "flit": ("md5_digest", "sha256_digest"),
    "hatch-poetry-pdm": ("md5_digest", "sha256_digest", "blake2_256_digest"),
    "md5-only": ("md5_digest",),
    "blake2-only": ("blake2_256_digest",),
}


def digests_of(content: bytes) -> dict[str, str]:
    return {
        "md5_digest": hashlib.md5(content).hexdigest(),
        "sha256_digest": hashlib.sha256(content).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(content, digest_size=32).hexdigest(),
    }


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("names", DIGEST_SETS.values(), ids=DIGEST_SETS)
def test_digests(subject: Subject, names: tuple[str, ...], upper: bool) -> None:  # noqa: FBT001
    """UF-05: each client's set of digests is taken, in either case."""
    wheel = WheelBuilder(name=subject.new_name())
    right = digests_of(wheel.bytes())
    told = {name: (right[name].upper() if upper else right[name]) if name in names else None for name in right}
    subject.upload(wheel, **told).check(200)


@pytest.mark.parametrize("name", ["md5_digest", "sha256_digest", "blake2_256_digest"])
@pytest.mark.parametrize("value", ["0" * 64, "0" * 32, "nonsense", "é"])
def test_wrong_digest(subject: Subject, name: str, value: str) -> None:
    """UF-05: one wrong digest is enough to refuse, even beside right ones."""
    wheel = WheelBuilder(name=subject.new_name())
    problem_names(subject.refused(wheel, **{**digests_of(wheel.bytes()), name: value}), "does not match a digest")


def test_no_digest(subject: Subject) -> None:
    """UF-05: an upload without any digest is refused."""
    reply = subject.refused(WheelBuilder(name=subject.new_name()), sha256_digest=None, blake2_256_digest=None)
    problem_names(reply, "digest")


def test_no_content(subject: Subject) -> None:
    """UF-06: a form without a file is refused."""
    _, parts = wheel_parts(subject)
    problem_names(subject.post(raw_form(parts[:-1])), "content")


def test_two_contents(subject: Subject) -> None:
    """UF-06: a form with two files is refused."""
    wheel, parts = wheel_parts(subject)
    problem_names(subject.post(raw_form([*parts, parts[-1]])), "content")
    assert subject.listed(wheel.name) == {}


@pytest.mark.parametrize("head", ['form-data; name="content"', 'form-data; name="content"; filename=""'])
def test_content_without_name(subject: Subject, head: str) -> None:
    """UF-06: a file without a name is refused."""
    wheel, parts = wheel_parts(subject)
    problem_names(subject.post(raw_form([*parts[:-1], (f"Content-Disposition: {head}", parts[-1][1])])))
    assert subject.listed(wheel.name) == {}


def test_image(subject: Subject) -> None:
    """UF-06: a file that calls itself a picture is refused."""
    wheel, parts = wheel_parts(subject)
    head = parts[-1][0] + "\r\nContent-Type: image/png"
    reply = subject.post(raw_form([*parts[:-1], (head, parts[-1][1])]))
    assert reply.status == 400
    assert subject.listed(wheel.name) == {}


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6"])
def test_metadata_version(subject: Subject, version: str) -> None:
    """UF-07: every version of the core metadata is taken, 2.6 too."""
    subject.upload(WheelBuilder(name=subject.new_name(), metadata_version=version)).check(200)


@pytest.mark.parametrize("version", [None, "", "2.0", "3.0", "1.3", "two", "2"])
def test_wrong_metadata_version(subject: Subject, version: str | None) -> None:
    """UF-07: what is no version of the core metadata is refused, 2.0 too."""
    problem_names(subject.refused(WheelBuilder(name=subject.new_name()), metadata_version=version), "metadata_version")


SINGLE = [
    *("summary", "description", "description_content_type", "keywords", "home_page", "download_url", "author"),
    *("author_email", "maintainer", "maintainer_email", "license", "license_expression", "requires_python"),
]


@pytest.mark.parametrize("field", SINGLE)
def test_single(subject: Subject, field: str) -> None:
    """UF-08: a field of one value is taken once and refused when it comes twice."""
    value = ">=3.8" if field == "requires_python" else "MIT" if field.startswith("license") else "text"
    subject.upload(WheelBuilder(name=subject.new_name()), **{field: value}).check(200)
    problem_names(subject.refused(WheelBuilder(name=subject.new_name()), **{field: [value, value]}), field)


MULTIPLE = [
    *("classifiers", "requires_dist", "provides_dist", "obsoletes_dist", "requires_external", "project_urls"),
    *("provides_extra", "provides_extras", "dynamic", "platform", "platforms", "supported_platform"),
    *("supported_platforms", "license_file", "license_files", "import_name", "import_names", "import_namespace"),
    *("import_namespaces", "requires", "provides", "obsoletes"),
]


@pytest.mark.parametrize("field", MULTIPLE)
def test_multiple(subject: Subject, field: str) -> None:
    """UF-09: a field of several values may come several times, under every spelling that clients use."""
    subject.upload(WheelBuilder(name=subject.new_name()), **{field: ["first", "second"]}).check(200)


@pytest.mark.parametrize("value", ["", "UNKNOWN"])
@pytest.mark.parametrize("field", ["requires_python", "summary", "license", "home_page", "attestations", "classifiers"])
def test_empty(subject: Subject, field: str, value: str) -> None:
    """UF-10: an empty value and `UNKNOWN` are no value."""
    wheel = WheelBuilder(name=subject.new_name())
    if field == "attestations" and value:
        return
    assert subject.upload(wheel, **{field: value}).check(200).body == b""


@pytest.mark.parametrize("field", ["comment", "gpg_signature", "vendor_field", "x" * 100, "name2"])
def test_unknown(subject: Subject, field: str) -> None:
    """UF-11: unknown fields are passed over, once or often."""
    subject.upload(WheelBuilder(name=subject.new_name()), **{field: ["a", "b"]}).check(200)


@pytest.mark.parametrize("field", ["name", "summary", "classifiers"])
def test_file_in_text_field(subject: Subject, field: str) -> None:
    """UF-11: a file where text belongs is refused."""
    wheel, parts = wheel_parts(subject, **({"name": None} if field == "name" else {}))
    head = f'Content-Disposition: form-data; name="{field}"; filename="x.txt"'
    problem_names(subject.post(raw_form([(head, wheel.name.encode()), *parts])), field)
    assert subject.listed(wheel.name) == {}


def test_unknown_file_field(subject: Subject) -> None:
    """UF-11: a file under an unknown name (a signature) is passed over."""
    wheel, parts = wheel_parts(subject)
    signature = ('Content-Disposition: form-data; name="gpg_signature"; filename="x.asc"', b"-----BEGIN")
    subject.post(raw_form([signature, *parts])).check(200)
    assert list(subject.listed(wheel.name)) == [wheel.file_name]


@pytest.mark.parametrize("field", ["name", "version", "summary", "filetype", "requires_python"])
def test_nul(subject: Subject, field: str) -> None:
    """UF-11: NUL reaches neither storage nor pages."""
    wheel, parts = wheel_parts(subject, **{field: None})
    value = {"name": wheel.name, "version": "1.0", "filetype": "bdist_wheel"}.get(field, ">=3.8")
    head = f'Content-Disposition: form-data; name="{field}"'
    reply = subject.post(raw_form([(head, value.encode() + b"\x00x"), *parts]))
    assert reply.status in {200, 400}
    assert "\\u0000" not in subject.get(f"{wheel.name}/", accept="application/vnd.pypi.simple.v1+json").text


@pytest.mark.parametrize("field", ["name", "summary", "author", "comment"])
def test_not_utf_8(subject: Subject, field: str) -> None:
    """UF-12: a value that is not UTF-8 is refused, or passed over where nothing reads it; never a failure."""
    wheel, parts = wheel_parts(subject, **{field: None})
    reply = subject.post(raw_form([(f'Content-Disposition: form-data; name="{field}"', b"M\xfcller"), *parts]))
    assert reply.status == 400 or (reply.status == 200 and field == "comment"), wheel.name


def test_utf_8(subject: Subject) -> None:
    """UF-12: values are UTF-8."""
    wheel = WheelBuilder(name=subject.new_name(), headers=[("Summary", "grüße \N{PARTY POPPER}"), ("Author", "Łukasz")])
    subject.publish(wheel)
    info = subject.get(f"{subject.root}pypi/{wheel.name}/json")
    if info.status == 200:
        assert info.json()["info"]["summary"] == "grüße \N{PARTY POPPER}"
        assert info.json()["info"]["author"] == "Łukasz"


def test_file_wins(subject: Subject) -> None:
    """UF-13: where form and file differ, the page says what the file says, or the upload is refused."""
    wheel = WheelBuilder(name=subject.new_name(), requires_python=">=3.12")
    reply = subject.upload(wheel, requires_python=">=3.8", requires_dist=["evil"])
    assert reply.status in {200, 400}
    if reply.status == 200:
        assert subject.listed(wheel.name)[wheel.file_name]["requires-python"] == ">=3.12"


def test_file_has_none(subject: Subject) -> None:
    """UF-13: what only the form says is not on the page."""
    wheel = WheelBuilder(name=subject.new_name())
    subject.upload(wheel, requires_python=">=3.8").check(200)
    assert "requires-python" not in subject.listed(wheel.name)[wheel.file_name]


def test_content_type_of_request(subject: Subject) -> None:
    """UP-09: what is no multipart form is refused in words."""
    path = WheelBuilder(name=subject.new_name()).build(subject.folder)
    body = multipart_body(form_fields(path), path.name, path.read_bytes())[1]
    for content_type in ("text/plain", "application/json", "multipart/form-data", "multipart/mixed; boundary=b", ""):
        reply = subject.post((content_type, body))
        assert 400 <= reply.status < 500
        assert reply.text

"""What a publish asks of form and file: each rule by itself, and all problems told at once."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wheelyard.errors import ActionGone, FileTooLarge, InvalidRequest, InvalidUpload
from wheelyard.index.checks import CHECKS, CheckedUpload, PublishLimits, new_file, prepare
from wheelyard.index.interface import Upload
from wheelyard.model import FileKind
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.storage.spool import Spool
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields

Builder = WheelBuilder | SdistBuilder
Fields = dict[str, str | None]
MakeUpload = Callable[..., Upload]
Check = Callable[..., list[tuple[str, str]]]

WHEEL, SDIST = WheelBuilder(requires_python=">=3.9"), SdistBuilder(requires_python=">=3.9")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def filled(path: Path, fields: Fields) -> UploadForm:
    """Fill in the form as a client does; like the reader of forms, leave out what is empty."""
    values = form_fields(path, **fields)
    action, version = (next(iter(values.pop(name, [])), None) for name in (":action", "protocol_version"))
    return UploadForm(action, version, {name: tuple(value) for name, value in values.items() if value != [""]})


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeUpload]:
    """Make uploads; keywords replace fields of the form, None leaves them out."""
    spools = []

    def make_upload(builder: Builder = WHEEL, *, filename: str | None = None, fields: Fields | None = None) -> Upload:
        path = builder.build(tmp_path)
        spools.append(spool := Spool(tmp_path))
        spool.write(path.read_bytes())
        return Upload(filled(path, fields or {}), filename or path.name, spool, "main:write")

    yield make_upload
    for spool in spools:
        spool.discard()


@pytest.fixture
def problems(make: MakeUpload) -> Check:
    """Run all checks and list field and code of each problem."""

    def found(builder: Builder = WHEEL, **other: object) -> list[tuple[str, str]]:
        try:
            prepare(make(builder, **other), limits=PublishLimits())
        except InvalidUpload as error:
            return [(problem.field, problem.code) for problem in error.problems]
        return []

    return found


@pytest.fixture
def checked(make: MakeUpload) -> Callable[..., CheckedUpload]:
    """Run all checks of an upload that passes them."""

    def pass_all(builder: Builder = WHEEL, **other: object) -> CheckedUpload:
        return prepare(make(builder, **other), limits=PublishLimits())

    return pass_all


WELCOME: dict[str, tuple[Builder, Fields]] = {
    "wheel": (WHEEL, {}),
    "sdist": (SDIST, {}),
    "sdist-zip": (SdistBuilder(suffix=".zip"), {}),
    "sdist-old-name": (SdistBuilder("Foo.Bar", filename="Foo.Bar-1.0.tar.gz"), {"name": "foo_bar"}),
    "sdist-two-hyphens": (SdistBuilder("foo", "1.0.post1", filename="foo-1.0-1.tar.gz"), {"version": "1.0.post1"}),
    "name-raw": (WheelBuilder("Foo.Bar"), {"name": "foo--bar"}),
    "version-equal": (WHEEL, {"version": "1.0.0"}),
    "version-in-file": (WheelBuilder(metadata="Metadata-Version: 2.1\nName: demo\nVersion: 1.0.0\n"), {}),
    "local-version": (WheelBuilder(version="1.0+cu12.1"), {}),
    "epoch": (WheelBuilder(version="1!1.0"), {}),
    "linux_x86_64": (WheelBuilder(tag="cp311-cp311-linux_x86_64"), {}),
    "direct-reference": (WheelBuilder(requires_dist=["x @ https://example.org/x.tar.gz"]), {}),
    "private-classifier": (WheelBuilder(headers=[("Classifier", "Private :: Do Not Upload")]), {}),
    "metadata-2.6": (WheelBuilder(metadata_version="2.6"), {}),
    "metadata-2.9": (WheelBuilder(metadata_version="2.9"), {}),
    "flit": (WheelBuilder(metadata_version="2.4"), {"metadata_version": "2.3", "blake2_256_digest": None}),
    "no-pyversion": (SDIST, {"pyversion": None}),
    "odd-pyversion": (WHEEL, {"pyversion": "any"}),
    "protocol-absent": (WHEEL, {"protocol_version": None}),
    "no-attestations": (WHEEL, {"attestations": ""}),
    "empty-attestations": (WHEEL, {"attestations": "[]"}),
    "long-summary": (WheelBuilder(headers=[("Summary", "x" * 600)]), {}),
}


@pytest.mark.parametrize(("builder", "fields"), WELCOME.values(), ids=WELCOME)
def test_welcome(builder: Builder, fields: Fields, problems: Check) -> None:
    """UF-01, UF-02, UF-04, FN-02, FN-05, MD-02, MD-04, MD-06: what teams publish privately is welcome."""
    assert problems(builder, fields=fields) == []


REFUSED: dict[str, tuple[Builder, Fields, list[tuple[str, str]]]] = {
    "no-filetype": (WHEEL, {"filetype": None}, [("filetype", "invalid-filetype")]),
    "egg": (WHEEL, {"filetype": "bdist_egg"}, [("filetype", "invalid-filetype")]),
    "wheel-as-sdist": (WHEEL, {"filetype": "sdist"}, [("filetype", "invalid-filetype")]),
    "sdist-as-wheel": (SDIST, {"filetype": "bdist_wheel"}, [("filetype", "invalid-filetype")]),
    "no-metadata-version": (WHEEL, {"metadata_version": None}, [("metadata_version", "metadata-version")]),
    "metadata-version-2.0": (WHEEL, {"metadata_version": "2.0"}, [("metadata_version", "metadata-version")]),
    "metadata-version-3.0": (WHEEL, {"metadata_version": "3.0"}, [("metadata_version", "metadata-version")]),
    "no-digest": (WHEEL, {"sha256_digest": None, "blake2_256_digest": None}, [("sha256_digest", "digest-missing")]),
    "wrong-sha256": (WHEEL, {"sha256_digest": "0" * 64}, [("sha256_digest", "digest-mismatch")]),
    "wrong-blake2": (WHEEL, {"blake2_256_digest": "0" * 64}, [("blake2_256_digest", "digest-mismatch")]),
    "wrong-md5": (WHEEL, {"md5_digest": "0" * 32}, [("md5_digest", "digest-mismatch")]),
    "odd-digest": (WHEEL, {"sha256_digest": "ü"}, [("sha256_digest", "digest-mismatch")]),
    "no-name": (WHEEL, {"name": None}, [("name", "name-missing")]),
    "odd-name": (WHEEL, {"name": "demo\r\nX-Evil: 1"}, [("name", "invalid-name")]),
    "other-name": (WHEEL, {"name": "other"}, [("name", "name-mismatch")]),
    "no-version": (WHEEL, {"version": None}, [("version", "version-missing")]),
    "odd-version": (WHEEL, {"version": "one"}, [("version", "invalid-version")]),
    "other-version": (WHEEL, {"version": "1.1"}, [("version", "version-mismatch")]),
    "local-part": (WHEEL, {"version": "1.0+x"}, [("version", "version-mismatch")]),
    "attestations": (WHEEL, {"attestations": '[{"version": 1}]'}, [("attestations", "attestations-unverified")]),
    "own-name": (
        WheelBuilder(metadata="Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"),
        {"name": "demo"},
        [("name", "name-mismatch")],
    ),
    "own-version": (
        WheelBuilder(metadata="Metadata-Version: 2.1\nName: demo\nVersion: 2.0\n"),
        {"version": "1.0"},
        [("version", "version-mismatch")],
    ),
    "own-version-odd": (
        SdistBuilder(pkg_info="Metadata-Version: 2.1\nName: demo\nVersion: one\n"),
        {"version": "1.0"},
        [("version", "invalid-version")],
    ),
    "own-metadata-version": (
        WheelBuilder(metadata_version="3.0"),
        {"metadata_version": "2.4"},
        [("metadata-version", "metadata-version")],
    ),
    "no-archive": (WheelBuilder(mangle=lambda _: b"hello"), {}, [("content", "archive")]),
    "no-record": (WheelBuilder(omit=["RECORD"]), {}, [("demo-1.0.dist-info/RECORD", "wheel-file")]),
    "summary-in-form": (WheelBuilder(requires_dist=["!"]), {}, [("requires-dist", "invalid-requirement")]),
}


@pytest.mark.parametrize(("builder", "fields", "expected"), REFUSED.values(), ids=REFUSED)
def test_refused(builder: Builder, fields: Fields, expected: list[tuple[str, str]], problems: Check) -> None:
    """UF-01 to UF-07, MD-01, ATT-01, AR-05: each broken rule is one problem with its own field and code."""
    assert problems(builder, fields=fields) == expected


FILENAMES = [
    "demo-1.0.egg",
    "demo-1.0.tar.bz2",
    "demo-1.0.exe",
    "demo.whl",
    "demo-1.0-py3-none-any.WHL",
    "../demo-1.0-py3-none-any.whl",
    "a\\demo-1.0-py3-none-any.whl",
    "demo-1.0\0-py3-none-any.whl",
    "demo__x-1.0-py3-none-any.whl",
    "_demo-1.0-py3-none-any.whl",
    "demo-1.0-x-py3-none-any.whl",
    "demo-one-py3-none-any.whl",
    "demo-1.0-" + "a" * 250 + "-none-any.whl",
    "",
]


@pytest.mark.parametrize("filename", FILENAMES)
def test_filename_refused(filename: str, problems: Check) -> None:
    """FN-01 to FN-03, FN-06: other names than those of wheels and sdists are refused, the file is not even opened."""
    broken = replace(WHEEL, mangle=lambda _: b"hello")
    found = problems(
        broken, fields={"name": "demo", "version": "1.0", "metadata_version": "2.1"}, filename=filename or "x"
    )
    assert found == [("content", "invalid-filename")]


@pytest.mark.parametrize("upper", [False, True])
def test_digest_in_any_case(upper: bool, make: MakeUpload) -> None:  # noqa: FBT001
    """UF-05: all three digests are compared, in upper or lower case."""
    content = WHEEL.bytes()
    digests = {
        "md5_digest": hashlib.md5(content).hexdigest(),
        "sha256_digest": hashlib.sha256(content).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(content, digest_size=32).hexdigest(),
    }
    fields = {name: digest.upper() if upper else digest for name, digest in digests.items()}
    assert prepare(make(fields=fields), limits=PublishLimits()).parsed.name == "demo"


def test_all_problems_in_order(problems: Check) -> None:
    """UP-23: all problems come at once: metadata version, name, version, then by field."""
    builder = WheelBuilder(omit=["WHEEL"], metadata="Metadata-Version: 3.0\nName: x\nVersion: 2\nRequires-Dist: !\n")
    fields = {"name": "other", "version": "9", "filetype": "egg", "attestations": "[1]", "sha256_digest": "0"}
    found = problems(builder, fields={**fields, "metadata_version": "2.1"})
    assert [field.lower().replace("_", "-") for field, _ in found] == [
        *("metadata-version", "name", "name", "version", "version"),
        *("attestations", "demo-1.0.dist-info/wheel", "filetype", "requires-dist", "sha256-digest"),
    ]


def test_message_is_one_line(make: MakeUpload) -> None:
    """UP-22: a hostile form cannot put a line break into the message."""
    upload = make(fields={"name": "a\r\nb", "version": "1\n2", "filetype": "\u2028"}, filename="a\r\nb.whl")
    with pytest.raises(InvalidUpload) as caught:
        prepare(upload, limits=PublishLimits())
    assert caught.value.message.isprintable()


ACTIONS: dict[str, tuple[Fields, type[Exception]]] = {
    "submit": ({":action": "submit"}, ActionGone),
    "submit_pkg_info": ({":action": "submit_pkg_info"}, ActionGone),
    "doc_upload": ({":action": "doc_upload"}, ActionGone),
    "verify": ({":action": "verify"}, ActionGone),
    "none": ({":action": None}, InvalidRequest),
    "unknown": ({":action": "dance"}, InvalidRequest),
    "protocol": ({"protocol_version": "2"}, InvalidRequest),
}


@pytest.mark.parametrize(("fields", "error"), ACTIONS.values(), ids=ACTIONS)
def test_action(fields: Fields, error: type[Exception], make: MakeUpload) -> None:
    """UP-02, UP-03, UP-04: what is no upload is refused as that, whatever else is wrong."""
    with pytest.raises(error):
        prepare(make(fields=fields, filename="x"), limits=PublishLimits())


def test_too_large(make: MakeUpload) -> None:
    """AR-11: a file above the limit is refused with the limit."""
    upload = make()
    assert prepare(upload, limits=PublishLimits(max_file_bytes=upload.spool.size))
    with pytest.raises(FileTooLarge, match=str(upload.spool.size - 1)):
        prepare(upload, limits=PublishLimits(max_file_bytes=upload.spool.size - 1))


WARNINGS: dict[str, tuple[Builder, Fields, Sequence[str]]] = {
    "none": (WHEEL, {}, []),
    "requires-python": (
        WHEEL,
        {"requires_python": ">=3.8"},
        ["requires_python '>=3.8', the metadata in the file says '>=3.9'"],
    ),
    "requires-python-spelling": (WHEEL, {"requires_python": " >= 3.9"}, []),
    "requires-python-odd": (WHEEL, {"requires_python": "three"}, ["requires_python 'three'"]),
    "requires-python-added": (WheelBuilder(), {"requires_python": ">=3.8"}, ["the file says nothing; the file counts"]),
    "requires-python-absent": (WHEEL, {"requires_python": None}, []),
    "summary": (WHEEL, {"summary": "other"}, ["summary 'other'"]),
    "sdist-name": (
        SdistBuilder("Foo.Bar", filename="Foo.Bar-1.0.tar.gz"),
        {},
        ["would name the file 'foo_bar-1.0.tar.gz'"],
    ),
    "wheel-name": (
        WheelBuilder("Foo.Bar", filename="Foo.Bar-1.0-py3-none-any.whl"),
        {},
        ["'foo_bar-1.0.dist-info' is spelled", "would name the file 'foo_bar-...'"],
    ),
    "long-summary": (WheelBuilder(headers=[("Summary", "x" * 600)]), {}, ["Summary should be one line"]),
}


@pytest.mark.parametrize(("builder", "fields", "texts"), WARNINGS.values(), ids=WARNINGS)
def test_warnings(
    builder: Builder, fields: Fields, texts: Sequence[str], checked: Callable[..., CheckedUpload]
) -> None:
    """UF-13, FN-02, FN-04, MD-05: what differs or is outdated is told, and the upload is accepted."""
    warnings = checked(builder, fields=fields).warnings
    assert len(warnings) == len(texts)
    assert all(text in warning for text, warning in zip(texts, warnings, strict=True))


def test_entry_of_wheel(make: MakeUpload) -> None:
    """META-01, UF-13, DC-07: the page entry is made of the file and the moment, not of the form."""
    builder = WheelBuilder(version="1.0+x", requires_python=">=3.9")
    upload = make(builder, fields={"requires_python": ">=3.8"})
    file = new_file(prepare(upload, limits=PublishLimits()), upload, now=NOW)
    content = builder.bytes()
    assert file.url == "demo-1.0%2Bx-py3-none-any.whl"
    assert file.filename == "demo-1.0+x-py3-none-any.whl"
    assert file.hashes == {"sha256": hashlib.sha256(content).hexdigest()}
    assert file.size == len(content)
    assert file.upload_time == NOW
    assert file.requires_python == ">=3.9"
    assert file.core_metadata == {"sha256": hashlib.sha256(builder.metadata_bytes()).hexdigest()}
    assert (file.yanked, file.gpg_sig, file.provenance) == (None, None, None)
    assert file.private == {
        "_blake2b_256": hashlib.blake2b(content, digest_size=32).hexdigest(),
        "_kind": FileKind.WHEEL.value,
        "_md5": hashlib.md5(content).hexdigest(),
        "_metadata": hashlib.sha256(builder.metadata_bytes()).hexdigest(),
        "_uploader": "main:write",
        "_version": "1.0+x",
    }


@pytest.mark.parametrize(
    ("builder", "advertised"),
    [
        (SdistBuilder(metadata_version="2.2"), True),
        (SdistBuilder(metadata_version="2.1"), False),
        (SdistBuilder(metadata_version="2.2", headers=[("Dynamic", "Requires-Dist")]), False),
        (SdistBuilder(metadata_version="2.2", headers=[("Dynamic", "Description")]), True),
    ],
    ids=["static", "old", "dynamic", "dynamic-elsewhere"],
)
def test_entry_of_sdist(builder: Builder, advertised: bool, make: MakeUpload) -> None:  # noqa: FBT001
    """META-03: an sdist's metadata is offered only when no build can change it; its digest is kept in any case."""
    upload = make(builder)
    file = new_file(prepare(upload, limits=PublishLimits()), upload, now=NOW)
    digest = hashlib.sha256(builder.metadata_bytes()).hexdigest()
    assert file.core_metadata == ({"sha256": digest} if advertised else None)
    assert file.private["_metadata"] == digest


def test_metadata_is_byte_for_byte(make: MakeUpload) -> None:
    """META-01: line endings and odd bytes of METADATA are kept as they are."""
    metadata = b"Metadata-Version: 2.1\r\nName: demo\r\nVersion: 1.0\r\n\r\nf\xfcr \xf0\x9f\x90\x8d\r\n"
    upload = make(WheelBuilder(metadata=metadata))
    assert prepare(upload, limits=PublishLimits()).inspection.metadata == metadata


def test_every_check_is_documented() -> None:
    """Each check says which requirement it is for, and is small."""
    assert all((check.__doc__ or "").count("-") for check in CHECKS)
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)

"""
The checks of a publish, one small function each, and what they lead to.

A check looks at one rule and raises `CheckFailed`, adds a warning, or leaves something for the next ones in the context.
`prepare` runs all of them, so that a publisher reads everything that is wrong at once.

What a public index refuses for reasons of its own is welcome here: local versions, epochs, `linux_x86_64`, direct
references, `Private ::` classifiers, new minor versions of the metadata, files for old releases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from wheelyard.archives.inspect import Inspection, inspect_open
from wheelyard.archives.limits import DEFAULT, ArchiveLimits
from wheelyard.errors import (
    ArchiveError,
    FileTooLarge,
    InvalidFilename,
    InvalidName,
    InvalidUpload,
    UploadProblem,
    shown,
)
from wheelyard.index.interface import Upload
from wheelyard.model import DistFile, FileKind, Filename, NormalizedName
from wheelyard.protocol.core_metadata import CoreMetadata, static_for_sdist
from wheelyard.protocol.filenames import ParsedFilename, is_pep625, parse_filename, quote_filename
from wheelyard.protocol.names import normalize, parse_version, same_version
from wheelyard.protocol.problems import in_order

_GIB = 1024**3
MAX_FILE_BYTES = 5 * _GIB - 1  # just under what most stores take in one piece

_FORM_METADATA_VERSION = re.compile(r"1\.[0-2]\Z|2\.[1-9][0-9]?\Z", re.ASCII)  # 2.0 never was a standard

# Digest fields of the form, and how the digest is called in the spool.
_DIGEST_FIELDS: Mapping[str, str] = {
    "sha256_digest": "sha256",
    "blake2_256_digest": "blake2b_256",
    "md5_digest": "md5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishLimits:
    """
    What an upload may be.

    Attributes:
        max_file_bytes: Largest file.
        archive: How much of its inside is read.
    """

    max_file_bytes: int = MAX_FILE_BYTES
    archive: ArchiveLimits = DEFAULT


class CheckFailed(Exception):
    """
    One check found reasons to refuse the upload.

    Attributes:
        problems: The reasons.
    """

    def __init__(self, *problems: UploadProblem) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = problems


@dataclass(slots=True)
class CheckContext:
    """
    What the checks of one upload know so far.

    Attributes:
        limits: What an upload may be.
        parsed: The file's name, once it was understood.
        inspection: The file's inside, once it was read.
        warnings: What the publisher should know, one line each.
    """

    limits: PublishLimits
    parsed: ParsedFilename | None = None
    inspection: Inspection | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckedUpload:
    """
    An upload that may be published.

    Attributes:
        parsed: The file's name.
        inspection: The file's inside.
        core: Its core metadata.
        warnings: What the publisher should know, one line each.
    """

    parsed: ParsedFilename
    inspection: Inspection
    core: CoreMetadata
    warnings: tuple[str, ...]


Check = Callable[[Upload, CheckContext], None]


def prepare(upload: Upload, *, limits: PublishLimits) -> CheckedUpload:
    """
    Run all checks. Blocks while it reads the file, so call it in a thread.

    Args:
        upload: The form and the bytes.
        limits: What an upload may be.
    Returns:
        What is needed to publish it.
    Raises:
        InvalidUpload: It breaks rules; all are named, most important first.
        FileTooLarge: It is larger than the index allows.
        ActionGone: The form asks for an action of former times (UP-04).
        InvalidRequest: The form asks for no upload, or in an unknown protocol version (UP-02, UP-03).
        OSError: The spooled bytes cannot be read.
    """
    context = CheckContext(limits)
    problems: list[UploadProblem] = []
    for check in CHECKS:
        try:
            check(upload, context)
        except CheckFailed as failed:
            problems += failed.problems
    if problems or context.parsed is None or context.inspection is None:
        raise InvalidUpload(in_order(dict.fromkeys(problems)))
    return CheckedUpload(context.parsed, context.inspection, context.inspection.core, tuple(context.warnings))


def new_file(checked: CheckedUpload, upload: Upload, *, now: datetime) -> DistFile:
    """
    Make the entry of the project page for an upload that passed the checks.

    Args:
        checked: What `prepare` returned.
        upload: The same upload.
        now: The moment of publication, UTC.
    Returns:
        The entry. Its private keys: `_kind`, `_version`, `_uploader`, `_metadata` (sha256 of the stored metadata,
        advertised or not), `_blake2b_256`, `_md5`.
    """
    spool, parsed = upload.spool, checked.parsed
    metadata_sha256 = sha256(checked.inspection.metadata).hexdigest()
    is_advertised = parsed.kind is FileKind.WHEEL or static_for_sdist(checked.core)
    return DistFile(
        filename=Filename(parsed.filename),
        url=quote_filename(parsed.filename),
        hashes={"sha256": spool.sha256},
        size=spool.size,
        upload_time=now,
        requires_python=checked.core.requires_python,
        core_metadata={"sha256": metadata_sha256} if is_advertised else None,
        private={
            "_blake2b_256": spool.blake2b_256,
            "_kind": parsed.kind.value,
            "_md5": spool.md5,
            "_metadata": metadata_sha256,
            "_uploader": upload.uploader,
            "_version": parsed.version,
        },
    )


# --- the form ------------------------------------------------------------------------------------------------------


def check_action(upload: Upload, context: CheckContext) -> None:
    """UP-02, UP-03, UP-04: the form asks for an upload, in a protocol version we speak."""
    del context
    upload.form.check_action()


def check_size(upload: Upload, context: CheckContext) -> None:
    """AR-11: the file is not larger than the index allows."""
    if upload.spool.size > context.limits.max_file_bytes:
        raise FileTooLarge(upload.filename, limit_bytes=context.limits.max_file_bytes)


def check_filename(upload: Upload, context: CheckContext) -> None:
    """FN-01 to FN-03, FN-06: the file has the name of a wheel or an sdist."""
    try:
        context.parsed = parse_filename(upload.filename, _form_project(upload))
    except InvalidFilename as error:
        raise _failed("content", error.code, error.message) from error


def check_filetype(upload: Upload, context: CheckContext) -> None:
    """UF-03, FN-01: the kind of file in the form is a known one and that of the file's name."""
    told = upload.form.one("filetype")
    if told not in {kind.value for kind in FileKind}:
        what = "is missing" if told is None else f"'{shown(told)}' is unknown"
        raise _failed("filetype", "invalid-filetype", f"'filetype' {what}: use 'sdist' or 'bdist_wheel'")
    if context.parsed is not None and told != context.parsed.kind.value:
        raise _failed(
            "filetype",
            "invalid-filetype",
            f"'filetype' is '{told}', but '{shown(upload.filename)}' is the name of a {context.parsed.kind.value}",
        )


def check_metadata_version(upload: Upload, context: CheckContext) -> None:
    """UF-07: the form names a version of the core metadata; the file's own is checked with the file."""
    del context
    told = upload.form.one("metadata_version")
    if told is None or _FORM_METADATA_VERSION.match(told) is None:
        what = "is missing" if told is None else f"'{shown(told)}' is unknown"
        raise _failed(
            "metadata_version", "metadata-version", f"'metadata_version' {what}: use 1.0 to 1.2 or 2.1 to 2.6"
        )


def check_digests(upload: Upload, context: CheckContext) -> None:
    """UF-05: at least one digest is given, and all that are given are those of the file, in any case."""
    del context
    told = {name: value for name in _DIGEST_FIELDS if (value := upload.form.one(name)) is not None}
    if not told:
        raise _failed("sha256_digest", "digest-missing", "Include at least one message digest (`sha256_digest`).")
    wrong = [name for name, value in told.items() if value.lower() != getattr(upload.spool, _DIGEST_FIELDS[name])]
    if wrong:
        raise CheckFailed(*(UploadProblem(name, "digest-mismatch", _digest_text(name)) for name in wrong))


def _digest_text(name: str) -> str:
    return f"The digest supplied does not match a digest calculated from the uploaded file (`{name}`); send it again."


def check_name(upload: Upload, context: CheckContext) -> None:
    """UF-01, MD-01: the form names a project, the one of the file's name; any spelling of it will do."""
    told = upload.form.one("name")
    if told is None:
        raise _failed("name", "name-missing", "'name' is missing in the form")
    try:
        project = normalize(told)
    except InvalidName as error:
        raise _failed("name", error.code, f"{error.message}. {error.hint}") from error
    if context.parsed is not None and project != context.parsed.name:
        raise _failed(
            "name",
            "name-mismatch",
            f"the form says project '{shown(told)}', the file's name '{shown(upload.filename)}' says "
            f"'{context.parsed.name}'",
        )


def check_version(upload: Upload, context: CheckContext) -> None:
    """UF-02, MD-01: the form names a PEP 440 version, equal to that of the file's name; local versions are welcome."""
    told = upload.form.one("version")
    if told is None:
        raise _failed("version", "version-missing", "'version' is missing in the form")
    if parse_version(told) is None:
        raise _failed("version", "invalid-version", f"'{shown(told)}' is not a version (PEP 440)")
    if context.parsed is not None and not same_version(told, context.parsed.version):
        raise _failed(
            "version",
            "version-mismatch",
            f"the form says version '{shown(told)}', the file's name '{shown(upload.filename)}' says "
            f"'{context.parsed.version}'",
        )


def check_attestations(upload: Upload, context: CheckContext) -> None:
    """ATT-01: attestations are refused, since nothing here can verify them yet; an empty field is none."""
    del context
    told = upload.form.one("attestations")
    if told is not None and told.strip() not in ("", "[]", "null"):
        raise _failed(
            "attestations",
            "attestations-unverified",
            "Attestations are not accepted: this index cannot verify them yet; upload without attestations",
        )


# --- the file ------------------------------------------------------------------------------------------------------


def check_archive(upload: Upload, context: CheckContext) -> None:
    """AR-01 to AR-10, MD-02 to MD-08: the file can be read safely, and is what its standards say."""
    if context.parsed is None:
        return
    try:
        with upload.spool.open() as file:
            context.inspection = inspect_open(
                file, context.parsed, size=upload.spool.size, limits=context.limits.archive
            )
    except ArchiveError as error:
        text = f"Invalid distribution file '{shown(upload.filename)}': {error.message}"
        raise _failed(error.part, error.code, text) from error
    context.warnings += context.inspection.advice
    if context.inspection.problems:
        raise CheckFailed(*context.inspection.problems)


def check_own_name(upload: Upload, context: CheckContext) -> None:
    """MD-01: the metadata in the file names the project of the file's name."""
    if context.inspection is None or context.parsed is None:
        return
    own = context.inspection.core.name
    if _normalized(own) not in (None, context.parsed.name):  # a name that is none was refused with the metadata
        raise _failed(
            "name",
            "name-mismatch",
            f"the metadata in the file names project '{shown(own)}', the file's name '{shown(upload.filename)}' says "
            f"'{context.parsed.name}'; build it again",
        )


def check_own_version(upload: Upload, context: CheckContext) -> None:
    """MD-01: the metadata in the file has the version of the file's name; `1.0` and `1.0.0` are equal."""
    if context.inspection is None or context.parsed is None:
        return
    own = context.inspection.core.version
    if parse_version(own) is not None and not same_version(own, context.parsed.version):
        raise _failed(
            "version",
            "version-mismatch",
            f"the metadata in the file has version '{shown(own)}', the file's name '{shown(upload.filename)}' says "
            f"'{context.parsed.version}'; build it again",
        )


# --- warnings ------------------------------------------------------------------------------------------------------


def warn_of_spelling(upload: Upload, context: CheckContext) -> None:
    """FN-02, FN-04: names that newer tools would not write are kept as they are, with a word about it."""
    if context.parsed is None:
        return
    if context.parsed.kind is FileKind.SDIST:
        is_current = is_pep625(upload.filename)
        wanted = f"{_escaped(context.parsed)}-{context.parsed.version}.tar.gz"
    else:
        wanted = f"{_escaped(context.parsed)}-"
        is_current = upload.filename.startswith(wanted)
    if not is_current:
        context.warnings.append(f"newer tools would name the file '{wanted}{'...' if wanted.endswith('-') else ''}'")


def warn_of_form(upload: Upload, context: CheckContext) -> None:
    """UF-13: where form and file differ, the file counts."""
    if context.inspection is None:
        return
    core = context.inspection.core
    told, own = upload.form.one("requires_python"), core.requires_python
    if told is not None and _specifiers(told) != _specifiers(own or ""):
        context.warnings.append(_form_text("requires_python", told, own))
    for name, own_text in (("summary", core.summary), ("license_expression", core.license_expression)):
        told = upload.form.one(name)
        if told is not None and told.split() != (own_text or "").split():
            context.warnings.append(_form_text(name, told, own_text))


def _form_text(name: str, told: str, own: str | None) -> str:
    says = "nothing" if own is None else f"'{shown(own)}'"
    return f"the form says {name} '{shown(told)}', the metadata in the file says {says}; the file counts"


CHECKS: tuple[Check, ...] = (
    check_action,
    check_size,
    check_filename,
    check_filetype,
    check_metadata_version,
    check_digests,
    check_name,
    check_version,
    check_attestations,
    check_archive,
    check_own_name,
    check_own_version,
    warn_of_spelling,
    warn_of_form,
)
"""Every check, cheap ones first. `pyversion` has none: nothing uses it, and clients disagree about it (UF-04)."""


def _failed(field: str, code: str, text: str) -> CheckFailed:
    return CheckFailed(UploadProblem(field, code, text))


def _normalized(name: str) -> NormalizedName | None:
    try:
        return normalize(name)
    except InvalidName:
        return None


def guess_project(upload: Upload) -> NormalizedName | None:
    """Return the project that an upload's file name names, before anything is checked; None when it names none."""
    try:
        return parse_filename(upload.filename, _form_project(upload)).name
    except InvalidFilename:
        return None


def _form_project(upload: Upload) -> NormalizedName | None:
    """Return the project of the form: it tells where an old sdist's name ends."""
    return _normalized(upload.form.one("name") or "")


def _escaped(parsed: ParsedFilename) -> str:
    return parsed.name.replace("-", "_")


def _specifiers(text: str) -> str:
    """Return a specifier set as packaging spells it; what is none as it is."""
    try:
        return str(SpecifierSet(text))
    except (InvalidSpecifier, ValueError):
        return text

"""
Core metadata (`METADATA`, `PKG-INFO`): read leniently, since old files are kept, and checked as an index must.

What another index refuses on purpose is welcome here: direct references, local versions, any classifier (`Private ::`
among them), fields and minor versions of the metadata that are newer than this program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.errors import MessageError
from types import MappingProxyType
from typing import Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from wheelyard.errors import InvalidDocument, InvalidName, UploadProblem, shown
from wheelyard.protocol.names import normalize, parse_version
from wheelyard.protocol.problems import in_order

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_UNKNOWN: Mapping[str, tuple[str, ...]] = MappingProxyType({})

_MAX_FIELD_NAMES = 200  # the standard has 35; the parser takes time for names times lines
_MAX_PROBLEMS = 20  # told at once; the message has to be read by a person

_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_FOLDED = re.compile(r"\n(?: {7}\|| {8})")  # how metadata before 2.1 wrote the lines of a description
_DESCRIPTION_HEADER = re.compile(rb"^description\s*:", re.IGNORECASE | re.MULTILINE)
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_HEADER_NAME = re.compile(rb"^([^\s:][^:\r\n]*):", re.MULTILINE)

_METADATA_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\Z", re.ASCII)
_NEWEST_MINOR = 6
_OLD_VERSIONS = ("1.0", "1.1", "1.2")

_DYNAMIC_ALLOWED: Final = frozenset(
    (
        *(
            "author",
            "author-email",
            "classifier",
            "description",
            "description-content-type",
            "download-url",
            "home-page",
        ),
        *("import-name", "import-namespace", "keywords", "license", "license-expression", "license-file", "maintainer"),
        *("maintainer-email", "obsoletes", "obsoletes-dist", "platform", "project-url", "provides", "provides-dist"),
        *("provides-extra", "requires", "requires-dist", "requires-external", "requires-python", "summary"),
        "supported-platform",
    )
)
_RESOLVERS_READ: Final = frozenset(("requires-dist", "requires-python", "provides-extra"))

_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+")
_WEB_URL = re.compile(r"https?://[^\s/]+", re.IGNORECASE)
_MAX_SUMMARY = 512
_MAX_LABEL = 32
_DESCRIPTION_TYPES = ("text/plain", "text/x-rst", "text/markdown")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreMetadata:
    """
    The fields of one file, as they are written in it; None and empty where a field is absent, empty or `UNKNOWN`.

    What resolvers read is one line, also where it was folded.

    Attributes:
        metadata_version: As written.
        name: As written, not normalised.
        version: As written.
        summary: One line.
        description: The README.
        description_content_type: Says how to render it.
        keywords: Split at commas.
        home_page: A URL.
        download_url: A URL.
        author: Free text.
        author_email: One or several addresses, RFC 822.
        maintainer: Free text.
        maintainer_email: As `author_email`.
        license: Free text, before PEP 639.
        license_expression: SPDX (PEP 639).
        license_files: Paths in the sdist or in `.dist-info/licenses`.
        requires_python: Version specifiers.
        requires_dist: Requirements, each as written.
        provides_extra: Names of extras.
        dynamic: Names of fields that a build may change (PEP 643), as written.
        classifiers: In the order of the file.
        project_urls: Label to URL; the first of equal labels.
        platforms: Free text.
        supported_platforms: Free text.
        import_names: PEP 794.
        import_namespaces: PEP 794.
        provides_dist: Rarely used.
        obsoletes_dist: Rarely used.
        requires_external: Rarely used.
        unknown: Fields of other names, in lower case, and single-use ones that came repeatedly.
    """

    metadata_version: str
    name: str
    version: str
    summary: str | None = None
    description: str | None = None
    description_content_type: str | None = None
    keywords: tuple[str, ...] = ()
    home_page: str | None = None
    download_url: str | None = None
    author: str | None = None
    author_email: str | None = None
    maintainer: str | None = None
    maintainer_email: str | None = None
    license: str | None = None
    license_expression: str | None = None
    license_files: tuple[str, ...] = ()
    requires_python: str | None = None
    requires_dist: tuple[str, ...] = ()
    provides_extra: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()
    project_urls: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    platforms: tuple[str, ...] = ()
    supported_platforms: tuple[str, ...] = ()
    import_names: tuple[str, ...] = ()
    import_namespaces: tuple[str, ...] = ()
    provides_dist: tuple[str, ...] = ()
    obsoletes_dist: tuple[str, ...] = ()
    requires_external: tuple[str, ...] = ()
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_UNKNOWN)


def parse_core_metadata(content: bytes) -> CoreMetadata:
    """
    Read core metadata, whatever its age and encoding.

    Args:
        content: A `METADATA` or `PKG-INFO` file; untrusted.
    Returns:
        Its fields, unchecked (see `validate`). Bytes that are no UTF-8 are read as well as they can be (MD-08).
    Raises:
        InvalidDocument: Metadata-Version, Name or Version is missing or comes twice, or there are absurdly many fields.
    """
    header = content[: end.start()] if (end := _HEADER_END.search(content)) else content
    if len({name.strip().lower() for name in _HEADER_NAME.findall(header)}) > _MAX_FIELD_NAMES:
        raise InvalidDocument(f"the core metadata has more than {_MAX_FIELD_NAMES} different fields")
    try:
        raw, rest = parse_email(content)
    except (MessageError, ValueError, LookupError, TypeError, AssertionError, RecursionError) as error:
        raise InvalidDocument(f"the core metadata cannot be read: {error}") from error
    return _Fields(raw, rest, has_description_header=bool(_DESCRIPTION_HEADER.search(header))).metadata()


def validate(metadata: CoreMetadata) -> tuple[UploadProblem, ...]:
    """
    Check what an index must check.

    Returns:
        Every reason to refuse the file, most important field first (UP-23); empty when it is welcome.
    Spec: Core metadata 2.6; PEP 440, 508, 639, 643, 685.
    """
    return in_order(problem for check in _CHECKS for problem in check(metadata))[:_MAX_PROBLEMS]


def advise(metadata: CoreMetadata) -> tuple[str, ...]:
    """Return what the author might want to know; nothing of it is a reason to refuse the file (MD-05)."""
    return tuple(_advice(metadata))[:_MAX_PROBLEMS]


def static_for_sdist(metadata: CoreMetadata) -> bool:
    """
    Tell whether an sdist's metadata may be offered as that of every wheel built from it.

    Spec: PEP 643: from Metadata-Version 2.2 on, a field that is not in Dynamic is the same in each wheel (META-03).
    """
    match = _METADATA_VERSION.match(metadata.metadata_version)
    if match is None or (int(match[1]), int(match[2])) < (2, 2):
        return False
    return not _RESOLVERS_READ & {name.strip().lower() for name in metadata.dynamic}


# --- reading -------------------------------------------------------------------------------------------------------


class _Fields:
    """What `parse_email` returned, made uniform."""

    def __init__(self, raw: object, rest: Mapping[str, list[str]], *, has_description_header: bool) -> None:
        assert isinstance(raw, dict)
        self._raw = raw
        self._rest = {name: tuple(_text(value) for value in values) for name, values in rest.items()}
        self._has_description_header = has_description_header

    def metadata(self) -> CoreMetadata:
        return CoreMetadata(
            metadata_version=self._required("Metadata-Version"),
            name=self._required("Name"),
            version=self._required("Version"),
            summary=self._one("summary"),
            description=self._description(),
            description_content_type=self._one("description_content_type"),
            keywords=self._keywords(),
            home_page=self._one("home_page"),
            download_url=self._one("download_url"),
            author=self._one("author"),
            author_email=self._one("author_email"),
            maintainer=self._one("maintainer"),
            maintainer_email=self._one("maintainer_email"),
            license=self._one("license"),
            license_expression=self._line("license_expression"),
            license_files=self._many("license_files", "license-file"),
            requires_python=self._line("requires_python"),
            requires_dist=tuple(_unfolded(each) for each in self._many("requires_dist")),
            provides_extra=self._many("provides_extra"),
            dynamic=self._many("dynamic"),
            classifiers=self._many("classifiers", "classifier"),
            project_urls=self._project_urls(),
            platforms=self._many("platforms", "platform"),
            supported_platforms=self._many("supported_platforms", "supported-platform"),
            import_names=self._many("import_names", "import-name"),
            import_namespaces=self._many("import_namespaces", "import-namespace"),
            provides_dist=self._many("provides_dist"),
            obsoletes_dist=self._many("obsoletes_dist"),
            requires_external=self._many("requires_external"),
            unknown=self._rest,
        )

    def _required(self, name: str) -> str:
        found = self._values(name.lower().replace("-", "_"), name.lower())
        if len(found) > 1:
            raise InvalidDocument(f"the core metadata has '{name}' more than once")
        if not found or not found[0].strip():
            raise InvalidDocument(f"the core metadata has no '{name}'")
        return found[0].strip()

    def _values(self, key: str, header: str | None = None) -> tuple[str, ...]:
        """Return what stands under a field, also when `parse_email` put it aside."""
        value = self._raw.get(key)
        if value is None:
            return self._rest.get(header or key.replace("_", "-"), ())
        return (_text(value),) if isinstance(value, str) else tuple(_text(item) for item in value)

    def _one(self, key: str) -> str | None:
        return next(iter(_meaningful(self._values(key))), None)

    def _line(self, key: str) -> str | None:
        value = self._one(key)
        return None if value is None else _unfolded(value)

    def _many(self, key: str, header: str | None = None) -> tuple[str, ...]:
        return _meaningful(self._values(key, header))

    def _description(self) -> str | None:
        found = max(_meaningful(self._values("description")), key=len, default=None)
        if found is None or not self._has_description_header:
            return found
        return _FOLDED.sub("\n", found)

    def _keywords(self) -> tuple[str, ...]:
        return tuple(word.strip() for value in self._many("keywords") for word in value.split(",") if word.strip())

    def _project_urls(self) -> dict[str, str]:
        value = self._raw.get("project_urls")
        if isinstance(value, dict):
            return {_text(label): _text(url) for label, url in value.items()}
        pairs = (pair.partition(",") for pair in self._rest.get("project-url", ()))
        return {label.strip(): url.strip() for label, _, url in reversed(tuple(pairs))}


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
    return _NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)


def _unfolded(value: str) -> str:
    """Return a value that resolvers and pages read as one line; RFC 822 lets a writer fold it over several."""
    return value if value.isprintable() else " ".join(value.split())


def _meaningful(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value for value in values if value.strip() not in ("", "UNKNOWN"))


# --- checks --------------------------------------------------------------------------------------------------------


def _check_metadata_version(metadata: CoreMetadata) -> Iterator[UploadProblem]:
    """MD-06: an unknown 2.x is read as far as it is known; 2.0 never was a standard; another major version is refused."""
    match = _METADATA_VERSION.match(metadata.metadata_version)
    version = metadata.metadata_version
    if version in _OLD_VERSIONS or (match is not None and int(match[1]) == 2 and int(match[2]) > 0):  # noqa: PLR2004
        return
    yield UploadProblem(
        "metadata-version",
        "metadata-version",
        f"'{shown(version)}' is not a known Metadata-Version; 1.0 to 1.2 and 2.1 or newer 2.x are",
    )


def _check_name(metadata: CoreMetadata) -> Iterator[UploadProblem]:
    try:
        normalize(metadata.name)
    except InvalidName as error:
        yield UploadProblem("name", error.code, f"{error.message}. {error.hint}")


def _check_version(metadata: CoreMetadata) -> Iterator[UploadProblem]:
    if parse_version(metadata.version) is None:
        yield UploadProblem("version", "invalid-version", f"'{shown(metadata.version)}' is not a version (PEP 440)")


def _check_requirements(metadata: CoreMetadata) -> Iterator[UploadProblem]:
    for requirement in metadata.requires_dist:
        try:
            Requirement(requirement)
        except (InvalidRequirement, ValueError, RecursionError) as error:
            reason = str(error).partition("\n")[0]
            text = f"'{shown(requirement)}' in Requires-Dist is not a requirement: {shown(reason)}"
            yield UploadProblem("requires-dist", "invalid-requirement", text)


def _check_requires_python(metadata: CoreMetadata) -> Iterator[UploadProblem]:
    if len(metadata.unknown.get("requires-python", ())) > 1:
        yield UploadProblem(
            "requires-python", "field-repeated", "Requires-Python stands more than once in the metadata"
        )
    try:
        SpecifierSet(metadata.requires_python or "")
    except (InvalidSpecifier, ValueError):
        text = f"'{shown(metadata.requires_python)}' in Requires-Python is not a version specifier (PEP 440)"
        yield UploadProblem("requires-python", "invalid-specifier", text)


def _check_extras(metadata: CoreMetadata) -> Iterator[UploadProblem]:
    for extra in metadata.provides_extra:
        try:
            normalize(extra)
        except InvalidName:
            text = f"'{shown(extra)}' in Provides-Extra is not the name of an extra (PEP 685)"
            yield UploadProblem("provides-extra", "invalid-extra", text)


def _check_license(metadata: CoreMetadata) -> Iterator[UploadProblem]:
    expression = metadata.license_expression
    if expression is None:
        return
    if metadata.license is not None:
        text = "License and License-Expression are both given; keep License-Expression (PEP 639)"
        yield UploadProblem("license", "license-twice", text)
    try:
        canonicalize_license_expression(expression)
    except (InvalidLicenseExpression, ValueError, RecursionError):
        text = f"'{shown(expression)}' in License-Expression is not an SPDX expression (PEP 639)"
        yield UploadProblem("license-expression", "invalid-license-expression", text)


def _check_license_files(metadata: CoreMetadata) -> Iterator[UploadProblem]:
    for path in metadata.license_files:
        if path.startswith("/") or "\\" in path or ":" in path or ".." in path.split("/"):
            text = f"'{shown(path)}' in License-File is not a relative path with '/' inside the distribution (PEP 639)"
            yield UploadProblem("license-file", "invalid-license-file", text)


def _check_dynamic(metadata: CoreMetadata) -> Iterator[UploadProblem]:
    for name in metadata.dynamic:
        lower = name.strip().lower()
        if lower in ("name", "version", "metadata-version"):
            yield UploadProblem("dynamic", "invalid-dynamic", f"'{shown(name)}' must not be in Dynamic (PEP 643)")
        elif lower not in _DYNAMIC_ALLOWED and not _is_newer(metadata):
            text = f"'{shown(name)}' in Dynamic is not a field of the core metadata"
            yield UploadProblem("dynamic", "invalid-dynamic", text)


_CHECKS: tuple[Callable[[CoreMetadata], Iterator[UploadProblem]], ...] = (
    _check_metadata_version,
    _check_name,
    _check_version,
    _check_requirements,
    _check_requires_python,
    _check_extras,
    _check_license,
    _check_license_files,
    _check_dynamic,
)


def _is_newer(metadata: CoreMetadata) -> bool:
    """Tell whether the metadata is of a 2.x that this program does not know yet."""
    match = _METADATA_VERSION.match(metadata.metadata_version)
    return match is not None and int(match[1]) == 2 and int(match[2]) > _NEWEST_MINOR  # noqa: PLR2004


# --- advice --------------------------------------------------------------------------------------------------------


def _advice(metadata: CoreMetadata) -> Iterator[str]:
    if _is_newer(metadata):
        yield f"Metadata-Version {metadata.metadata_version} is newer than this index knows; its new fields are not shown"
    if metadata.summary is not None and (len(metadata.summary) > _MAX_SUMMARY or "\n" in metadata.summary):
        yield f"Summary should be one line of at most {_MAX_SUMMARY} characters"
    for name, addresses in (("Author-email", metadata.author_email), ("Maintainer-email", metadata.maintainer_email)):
        if addresses is not None and not _EMAIL.search(addresses):
            yield f"'{shown(addresses)}' in {name} is no e-mail address"
    yield from _advice_on_urls(metadata)
    content_type = (metadata.description_content_type or "text/plain").partition(";")[0].strip().lower()
    if content_type not in _DESCRIPTION_TYPES:
        yield f"Description-Content-Type '{shown(content_type)}' cannot be rendered; use one of {', '.join(_DESCRIPTION_TYPES)}"
    for name in metadata.unknown:
        if name in _DYNAMIC_ALLOWED:
            yield f"'{name}' stands more than once or is not UTF-8"


def _advice_on_urls(metadata: CoreMetadata) -> Iterator[str]:
    single = {"Home-page": metadata.home_page, "Download-URL": metadata.download_url}
    labelled = {f"Project-URL '{shown(label)}'": url for label, url in metadata.project_urls.items()}
    for name, url in {**single, **labelled}.items():
        if url is not None and not _WEB_URL.match(url):
            yield f"'{shown(url)}' in {name} is no http or https URL"
    for label in metadata.project_urls:
        if len(label) > _MAX_LABEL:
            yield f"Project-URL label '{shown(label)}' is longer than {_MAX_LABEL} characters"

"""
The legacy upload form, read as it arrives: text fields are collected within limits, the file is handed on piece by piece.

No standard describes this form; `standards.md` 1K lists what clients send (UP-…, UF-…).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserError,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from wheelyard.errors import ActionGone, InvalidRequest, InvalidUpload, RequestTooLarge, UploadProblem, shown
from wheelyard.protocol.problems import in_order

SINGLE_FIELDS: Final = frozenset(
    (
        *(":action", "protocol_version", "name", "version", "filetype", "pyversion", "metadata_version"),
        *("md5_digest", "sha256_digest", "blake2_256_digest", "attestations"),
        *("summary", "description", "description_content_type", "keywords", "home_page", "download_url"),
        *("author", "author_email", "maintainer", "maintainer_email", "license", "license_expression"),
        "requires_python",
    )
)
"""Fields that may come once (UF-08)."""

MULTIPLE_FIELDS: Final = frozenset(
    (
        *("classifiers", "requires_dist", "provides_dist", "obsoletes_dist", "requires_external", "project_urls"),
        *("provides_extra", "dynamic", "platform", "supported_platform", "license_file"),
        *("import_name", "import_namespace", "requires", "provides", "obsoletes"),
    )
)
"""Fields that may come several times (UF-09)."""

_SPELLINGS = {
    "classifier": "classifiers",
    "project_url": "project_urls",
    "provides_extras": "provides_extra",  # pdm
    "platforms": "platform",
    "supported_platforms": "supported_platform",
    "license_files": "license_file",
    "import_names": "import_name",  # uv
    "import_namespaces": "import_namespace",  # uv
}

_CONTENT = "content"
_GONE_ACTIONS = ("submit", "submit_pkg_info", "doc_upload", "verify", "register")

_MAX_PART_HEADERS = 8  # RFC 7578 allows three
_MAX_BOUNDARY = 70  # RFC 2046 5.1.1
_BOUNDARY_PARAMETER = re.compile(r";\s*boundary\s*=", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_EXTENDED_FILENAME = re.compile(r"""filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^\s;"]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """
    How much of a form is read; the file has its own limit elsewhere.

    Attributes:
        max_fields: Parts of the form. The largest real projects send a few hundred classifiers and requirements.
        max_field_bytes: One field; the description is a whole README.
        max_header_bytes: One header line of a part.
        max_fields_bytes: All fields together.
    """

    max_fields: int = 2_000
    max_field_bytes: int = 4 * 1024 * 1024
    max_header_bytes: int = 4 * 1024
    max_fields_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class UploadForm:
    """
    The fields of an upload, cleaned.

    Attributes:
        action: `:action` of the body, else of the query; None when neither has one.
        protocol_version: The same of `protocol_version`.
        fields: Known fields by their usual spelling. Neither empty nor `UNKNOWN` values (UF-10), no NUL (UF-11).
    """

    action: str | None
    protocol_version: str | None
    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str | None:
        """Return the value of a field, None when it is absent."""
        return next(iter(self.fields.get(name, ())), None)

    def many(self, name: str) -> tuple[str, ...]:
        """Return all values of a field in the order they came."""
        return self.fields.get(name, ())

    def check_action(self) -> None:
        """
        Check that this is an upload.

        Raises:
            ActionGone: An action that indexes had once (UP-04).
            InvalidRequest: No action, another action, or another protocol version (UP-02, UP-03).
        """
        if self.action in _GONE_ACTIONS:
            raise ActionGone(self.action)
        if self.action != "file_upload":
            what = "':action' is missing" if self.action is None else f"':action={shown(self.action)}' is unknown"
            raise InvalidRequest(f"{what} in the form", hint="Uploads are sent with ':action=file_upload'.")
        if self.protocol_version not in (None, "1"):
            raise InvalidRequest(
                f"Unknown protocol version '{shown(self.protocol_version)}'.", hint="Uploads here speak version 1."
            )


@dataclass(frozen=True, slots=True)
class ContentStart:
    """The file begins; `filename` is as sent, unchecked."""

    filename: str


@dataclass(frozen=True, slots=True)
class ContentPiece:
    """The next bytes of the file."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ContentEnd:
    """The file is complete; fields may follow (uv sends `attestations` after it)."""


FormEvent = ContentStart | ContentPiece | ContentEnd


@dataclass(slots=True)
class _Part:
    """The part of the form that is being read."""

    name: str
    is_content: bool = False
    is_ignored: bool = False
    size: int = 0
    data: bytearray = field(default_factory=bytearray)


class UploadFormParser:
    """
    Reads one upload form, whatever its chunks; does no I/O.

    Args:
        content_type: Header of the request.
        limits: How much to read.
    Raises:
        InvalidRequest: Not a form, or its boundary is missing, repeated or odd.
    """

    def __init__(self, content_type: str, *, limits: FormLimits) -> None:
        self._limits = limits
        self._parts = _PartReader(content_type, limits)
        self._part: _Part | None = None
        self._values: dict[str, list[str]] = {}
        self._problems: list[UploadProblem] = []
        self._filename: str | None = None

    @property
    def filename(self) -> str | None:
        """File name of the `content` part; None as long as there was none."""
        return self._filename

    def feed(self, piece: bytes) -> Iterator[FormEvent]:
        """
        Take the next piece of the body; the iterator must be exhausted before the next call.

        Args:
            piece: Any number of bytes.
        Returns:
            What the piece says about the file.
        Raises:
            InvalidRequest: Not a well-formed form, or one with too many fields.
            RequestTooLarge: A field, all fields or a header is larger than its limit.
            InvalidUpload: The file comes twice, has no name or is an image.
        """
        for event in self._parts.feed(piece):
            if isinstance(event, MultipartSegment):
                self._part = self._start(event)
                if self._part.is_content:
                    yield ContentStart(self._filename or "")
                continue
            part = self._part
            assert part is not None, "a part begins before its bytes"
            if part.is_content:
                yield ContentEnd() if event is None else ContentPiece(event)
            elif event is None:
                self._end(part)
            else:
                part.size += len(event)
                self._parts.count(part.name, part.size, len(event))
                if not part.is_ignored:
                    part.data += event

    def finish(self, query: Mapping[str, str] | None = None) -> UploadForm:
        """
        Say that the body is complete.

        Args:
            query: Parameters of the URL; `:action` and `protocol_version` may stand there (UP-02).
        Returns:
            The fields. Whether there was a file tells `filename`.
        Raises:
            InvalidRequest: The body was cut off.
            InvalidUpload: Fields that came twice, are no UTF-8, hold NUL or are files.
        """
        self._parts.finish()
        query = query or {}
        values = {
            name: tuple(value for value in found if _says_something(value)) for name, found in self._values.items()
        }
        if self._problems:
            raise InvalidUpload(in_order(self._problems))
        action = values.pop(":action", ()) or (query.get(":action"),)
        version = values.pop("protocol_version", ()) or (query.get("protocol_version"),)
        return UploadForm(
            action[0] or None, version[0] or None, {name: found for name, found in values.items() if found}
        )

    def _start(self, segment: MultipartSegment) -> _Part:
        name = _field_name(segment.name)
        if name == _CONTENT:
            self._start_content(segment)
            return _Part(name, is_content=True)
        if name not in SINGLE_FIELDS and name not in MULTIPLE_FIELDS:
            return _Part(name, is_ignored=True)  # `comment`, `gpg_signature`, what vendors add (UF-11)
        if _filename_of(segment) is not None:
            self._problem(name, "file-in-text-field", f"{name}: this field must be text, a file was sent")
        elif name in SINGLE_FIELDS and name in self._values:
            self._problem(name, "field-repeated", f"'{name}' has invalid data: it was sent more than once")
        return _Part(name)

    def _start_content(self, segment: MultipartSegment) -> None:
        if self._filename is not None:
            raise _refused("content-repeated", "the form has more than one 'content'; upload one file at a time")
        filename = _filename_of(segment)
        if not filename:
            raise _refused("content-without-filename", "'content' has no file name; send it as a file")
        if (segment.content_type or "").lower().startswith("image/"):
            raise _refused(
                "content-is-image", f"'content' is of type '{shown(segment.content_type)}', not a distribution"
            )
        self._filename = filename

    def _end(self, part: _Part) -> None:
        if part.is_ignored:
            return
        values = self._values.setdefault(part.name, [])
        try:
            value = part.data.decode("utf-8")
        except UnicodeDecodeError:
            self._problem(part.name, "field-not-utf8", f"'{part.name}' is not valid UTF-8")
            return
        if "\0" in value:
            self._problem(part.name, "field-with-nul", f"'{part.name}' has invalid data: it contains a NUL character")
            return
        values.append(value)

    def _problem(self, name: str, code: str, text: str) -> None:
        problem = UploadProblem(name, code, text)
        if problem not in self._problems:
            self._problems.append(problem)


def parse_plain_form(content_type: str, body: bytes, limits: FormLimits) -> Mapping[str, str]:
    """
    Read a small form whole: a login, or configuration sent by `curl -d` or `curl -F`.

    Args:
        content_type: `application/x-www-form-urlencoded` or `multipart/form-data`; file parts count as text.
        body: Whole body.
        limits: How much to accept.
    Returns:
        Each field with its value.
    Raises:
        InvalidRequest: Not a form, a field that is no UTF-8 or comes twice, too many fields.
        RequestTooLarge: A field or the body is larger than its limit.
    """
    if len(body) > limits.max_fields_bytes:
        raise RequestTooLarge("the form", limit_bytes=limits.max_fields_bytes)
    if parse_options_header(content_type)[0] == "application/x-www-form-urlencoded":
        pairs = _urlencoded(body, limits)
    else:
        pairs = list(_plain_parts(content_type, body, limits))
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            raise InvalidRequest(f"field '{shown(name)}' was sent more than once")
        if len(value) > limits.max_field_bytes:
            raise RequestTooLarge(f"field '{shown(name)}'", limit_bytes=limits.max_field_bytes)
        form[name] = value
    return form


class _StrictParser(PushMultipartParser):  # type: ignore[misc]  # untyped
    """The parser, with every line of a part's header looked at before white space, line feeds too, is taken off its name."""

    def _on_segment_headerline(self, line: bytes) -> None:
        if _CONTROL.search(line):
            raise ParserError("a control character in the header of a part")
        if len(line) >= self.max_header_size:
            raise ParserLimitReached
        super()._on_segment_headerline(line)


class _PartReader:
    """A multipart parser with our limits and our errors."""

    def __init__(self, content_type: str, limits: FormLimits) -> None:
        self._limits = limits
        self._fields = 0
        self._bytes = 0
        boundary = _boundary_of(content_type)
        self._delimiter = b"--" + boundary
        self._held: bytes | None = b""  # until it tells whether the body begins with its boundary
        self._parser = _StrictParser(
            boundary,
            # One more, for the half of a line's end that may have come already when the parser looks for the other half.
            max_header_size=limits.max_header_bytes + 1,
            max_header_count=_MAX_PART_HEADERS,
        )

    def feed(self, piece: bytes) -> Iterator[MultipartSegment | bytes | None]:
        if self._held is not None:
            piece = self._begun(self._held + piece)
        if not piece:
            return  # to the parser an empty piece means the end
        try:
            for event in self._parser.parse(piece):
                if isinstance(event, MultipartSegment):
                    self._check_part()
                    yield event
                else:
                    yield None if event is None else bytes(event)
        except ParserLimitReached as error:
            raise RequestTooLarge(
                "the header of a part of the form", limit_bytes=self._limits.max_header_bytes
            ) from error
        except MultipartError as error:
            raise InvalidRequest(f"the form is malformed: {error}") from error

    def _begun(self, start: bytes) -> bytes:
        """
        Hold the first bytes back until there are enough, and check that they are the boundary.

        RFC 2046 allows text in front of it, which no client sends; the parser finds its end or not depending on the pieces.
        """
        if len(start) < len(self._delimiter) + 2:
            self._held = start
            return b""
        if not start.removeprefix(b"\r\n").startswith(self._delimiter):
            raise InvalidRequest("the form is malformed: it does not begin with its boundary")
        self._held = None
        return start

    def finish(self) -> None:
        try:
            self._parser.close()
        except MultipartError as error:
            raise InvalidRequest(
                "the form is incomplete: the body was cut off", hint="Send the upload again."
            ) from error

    def count(self, name: str, field_bytes: int, new_bytes: int) -> None:
        self._bytes += new_bytes
        if field_bytes > self._limits.max_field_bytes:
            raise RequestTooLarge(f"field '{shown(name)}' of the form", limit_bytes=self._limits.max_field_bytes)
        if self._bytes > self._limits.max_fields_bytes:
            raise RequestTooLarge("the form without its file", limit_bytes=self._limits.max_fields_bytes)

    def _check_part(self) -> None:
        self._fields += 1
        if self._fields > self._limits.max_fields:
            raise InvalidRequest(f"the form has more than {self._limits.max_fields} fields")


def _boundary_of(content_type: str) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type != "multipart/form-data":
        raise InvalidRequest(
            f"the body is of type '{shown(media_type)}', a form is needed", hint="Send it as 'multipart/form-data'."
        )
    if len(_BOUNDARY_PARAMETER.findall(content_type)) > 1:
        raise InvalidRequest("the content type names more than one boundary")
    boundary = options.get("boundary", "")
    if not boundary:
        raise InvalidRequest("the content type names no boundary")
    if len(boundary) > _MAX_BOUNDARY or not boundary.isascii() or not boundary.isprintable():
        raise InvalidRequest(f"the boundary '{shown(boundary)}' is not 1 to {_MAX_BOUNDARY} printable characters")
    return bytes(boundary, "ascii")


def _field_name(name: str) -> str:
    if not name:
        raise InvalidRequest("a part of the form has no name")
    name = name.lower().replace("-", "_")
    return _SPELLINGS.get(name, name)


def _filename_of(segment: MultipartSegment) -> str | None:
    """Return the file name of a part, which some clients send as `filename*` (UP-09)."""
    if segment.filename is not None:
        return str(segment.filename)
    extended = _EXTENDED_FILENAME.search(segment.header("Content-Disposition", "") or "")
    return None if extended is None else unquote(extended[2], encoding=extended[1], errors="replace")


def _says_something(value: str) -> bool:
    return value.strip() not in ("", "UNKNOWN")


def _refused(code: str, text: str) -> InvalidUpload:
    return InvalidUpload([UploadProblem(_CONTENT, code, text)])


def _urlencoded(body: bytes, limits: FormLimits) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=limits.max_fields
        )
    except UnicodeDecodeError as error:
        raise InvalidRequest("the form is not valid UTF-8") from error
    except ValueError as error:
        raise InvalidRequest(f"the form has more than {limits.max_fields} fields") from error


def _plain_parts(content_type: str, body: bytes, limits: FormLimits) -> Iterator[tuple[str, str]]:
    reader = _PartReader(content_type, limits)
    name, data = "", b""
    for event in reader.feed(body):
        if isinstance(event, MultipartSegment):
            name, data = event.name, b""
        elif event is None:
            try:
                yield name, data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidRequest(f"field '{shown(name)}' is not valid UTF-8") from error
        else:
            data += event
    reader.finish()

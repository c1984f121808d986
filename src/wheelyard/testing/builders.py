"""
Wheels, sdists and upload forms for tests: valid by default and short to write, every part open to replacement.

Rule 1: the same input gives the same bytes, whatever the clock says.
Rule 2: what a builder is told is written as told, however wrong; only what it is not told is made right.
"""

from __future__ import annotations

import base64
import email.parser
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from wheelyard.testing.raw_archives import DEFLATED, ZipMember, render_zip

_METADATA_FIELDS: Mapping[str, tuple[str, bool]] = {
    # field of the upload form: (header of the core metadata, may be sent more than once)
    "metadata_version": ("Metadata-Version", False),
    "name": ("Name", False),
    "version": ("Version", False),
    "summary": ("Summary", False),
    "description_content_type": ("Description-Content-Type", False),
    "keywords": ("Keywords", False),
    "home_page": ("Home-page", False),
    "download_url": ("Download-URL", False),
    "author": ("Author", False),
    "author_email": ("Author-email", False),
    "maintainer": ("Maintainer", False),
    "maintainer_email": ("Maintainer-email", False),
    "license": ("License", False),
    "license_expression": ("License-Expression", False),
    "requires_python": ("Requires-Python", False),
    "classifiers": ("Classifier", True),
    "requires_dist": ("Requires-Dist", True),
    "provides_dist": ("Provides-Dist", True),
    "obsoletes_dist": ("Obsoletes-Dist", True),
    "requires_external": ("Requires-External", True),
    "project_urls": ("Project-URL", True),
    "provides_extra": ("Provides-Extra", True),
    "dynamic": ("Dynamic", True),
    "platform": ("Platform", True),
    "supported_platform": ("Supported-Platform", True),
    "license_file": ("License-File", True),
    "import_name": ("Import-Name", True),
    "import_namespace": ("Import-Namespace", True),
}


@dataclass(frozen=True, slots=True)
class MetadataBuilder:
    """
    Core metadata text.

    Attributes:
        name: As written after `Name:`.
        version: As written after `Version:`.
        metadata_version: As written after `Metadata-Version:`.
        requires_python: Written when given.
        requires_dist: One header each.
        headers: Further headers, in order, as (name, value).
        description: Body.
    """

    name: str
    version: str
    metadata_version: str = "2.4"
    requires_python: str | None = None
    requires_dist: Sequence[str] = ()
    headers: Sequence[tuple[str, str]] = ()
    description: str = ""

    def text(self) -> str:
        """Write it."""
        headers = [("Metadata-Version", self.metadata_version), ("Name", self.name), ("Version", self.version)]
        if self.requires_python is not None:
            headers.append(("Requires-Python", self.requires_python))
        headers += [("Requires-Dist", requirement) for requirement in self.requires_dist]
        headers += self.headers
        return "".join(f"{name}: {value}\n" for name, value in headers) + "\n" + self.description


@dataclass(frozen=True, slots=True)
class WheelBuilder:
    """
    One wheel.

    Attributes:
        name: Project name; file name and folder use its escaped form.
        version: As written in file name, folder and metadata.
        tag: Compressed tag set of the file name.
        build_number: Build number of the file name; None for none.
        requires_python: Header of the metadata.
        requires_dist: Headers of the metadata.
        headers: Further headers of the metadata.
        metadata_version: Header of the metadata.
        description: Body of the metadata.
        files: Content of the wheel besides `.dist-info`; None means one small module.
        dist_info_files: Further files of the `.dist-info` folder (`entry_points.txt`, `licenses/LICENSE`), in RECORD too.
        metadata: METADATA in place of the generated one.
        wheel: WHEEL in place of the generated one.
        record: RECORD in place of the generated one; a function is given the generated text.
        omit: Parts to leave out (`METADATA`, `WHEEL`, `RECORD`).
        extra: Members that RECORD does not name, after all others.
        dist_info: Name of the `.dist-info` folder.
        filename: File name in place of the generated one.
        method: Compression method.
        finish: Last change to the members before they are written.
        mangle: Last change to the bytes.
    """

    name: str = "demo"
    version: str = "1.0"
    tag: str = "py3-none-any"
    build_number: str | None = None
    requires_python: str | None = None
    requires_dist: Sequence[str] = ()
    headers: Sequence[tuple[str, str]] = ()
    metadata_version: str = "2.4"
    description: str = ""
    files: Mapping[str, bytes] | None = None
    dist_info_files: Mapping[str, str | bytes] = field(default_factory=dict)
    metadata: str | bytes | None = None
    wheel: str | bytes | None = None
    record: str | bytes | Callable[[str], str] | None = None
    omit: Iterable[str] = ()
    extra: Sequence[ZipMember] = ()
    dist_info: str | None = None
    filename: str | None = None
    method: int = DEFLATED
    finish: Callable[[list[ZipMember]], Iterable[ZipMember]] | None = None
    mangle: Callable[[bytes], bytes] | None = None

    @property
    def file_name(self) -> str:
        """Name of the file that `build` writes."""
        if self.filename is not None:
            return self.filename
        parts = [
            _escaped(self.name),
            self.version,
            *([] if self.build_number is None else [self.build_number]),
            self.tag,
        ]
        return "-".join(parts) + ".whl"

    @property
    def dist_info_name(self) -> str:
        """Name of the `.dist-info` folder."""
        return self.dist_info or f"{_escaped(self.name)}-{self.version}.dist-info"

    def metadata_bytes(self) -> bytes:
        """Content of METADATA."""
        if self.metadata is not None:
            return _as_bytes(self.metadata)
        return _as_bytes(_metadata_of(self).text())

    def members(self) -> list[ZipMember]:
        """List every member, in order."""
        default = {f"{_escaped(self.name)}/__init__.py": f'"""Demo {self.name}."""\n'.encode()}
        contents = dict(default if self.files is None else self.files)
        folder = self.dist_info_name
        parts = {"METADATA": self.metadata_bytes(), "WHEEL": _wheel_text(self), **self.dist_info_files}
        contents |= {f"{folder}/{part}": _as_bytes(content) for part, content in parts.items() if part not in self.omit}
        if "RECORD" not in self.omit:
            contents[f"{folder}/RECORD"] = _record_of(self, contents, f"{folder}/RECORD")
        members = [ZipMember(name=name, content=content, method=self.method) for name, content in contents.items()]
        return [*members, *self.extra]

    def bytes(self) -> bytes:
        """Write the wheel to memory."""
        members: Iterable[ZipMember] = self.members()
        if self.finish is not None:
            members = self.finish(list(members))
        content = render_zip(members)
        return content if self.mangle is None else self.mangle(content)

    def build(self, folder: Path) -> Path:
        """Write the wheel into `folder` and return its path."""
        path = folder / self.file_name
        path.write_bytes(self.bytes())
        return path


@dataclass(frozen=True, slots=True)
class SdistBuilder:
    """
    One sdist.

    Attributes:
        name: Project name; file name and top folder use its escaped form.
        version: As written in file name, folder and metadata.
        requires_python: Header of the metadata.
        requires_dist: Headers of the metadata.
        headers: Further headers of the metadata.
        metadata_version: Header of the metadata.
        description: Body of the metadata.
        files: Content besides PKG-INFO, relative to the top folder; None means a `pyproject.toml`.
        pkg_info: PKG-INFO in place of the generated one.
        omit: Parts to leave out (`PKG-INFO`).
        top: Name of the top folder.
        extra: Further tar members (full names) with their content, after all others.
        extra_zip: The same for a zip.
        suffix: `.tar.gz` or `.zip`.
        filename: File name in place of the generated one.
        format: Tar format, a constant of `tarfile`.
        mangle_tar: Last change to the tar before it is compressed.
        mangle: Last change to the bytes.
    """

    name: str = "demo"
    version: str = "1.0"
    requires_python: str | None = None
    requires_dist: Sequence[str] = ()
    headers: Sequence[tuple[str, str]] = ()
    metadata_version: str = "2.4"
    description: str = ""
    files: Mapping[str, bytes] | None = None
    pkg_info: str | bytes | None = None
    omit: Iterable[str] = ()
    top: str | None = None
    extra: Sequence[tuple[tarfile.TarInfo, bytes]] = ()
    extra_zip: Sequence[ZipMember] = ()
    suffix: str = ".tar.gz"
    filename: str | None = None
    format: int = tarfile.PAX_FORMAT
    mangle_tar: Callable[[bytes], bytes] | None = None
    mangle: Callable[[bytes], bytes] | None = None

    @property
    def file_name(self) -> str:
        """Name of the file that `build` writes."""
        return self.filename or f"{_escaped(self.name)}-{self.version}{self.suffix}"

    @property
    def top_name(self) -> str:
        """Name of the top folder."""
        return self.top or f"{_escaped(self.name)}-{self.version}"

    def metadata_bytes(self) -> bytes:
        """Content of PKG-INFO."""
        return _as_bytes(_metadata_of(self).text() if self.pkg_info is None else self.pkg_info)

    def contents(self) -> dict[str, bytes]:
        """Full member names and their content, in order."""
        files = {"pyproject.toml": b"[build-system]\nrequires = []\n"} if self.files is None else dict(self.files)
        contents = {} if "PKG-INFO" in self.omit else {f"{self.top_name}/PKG-INFO": self.metadata_bytes()}
        return contents | {f"{self.top_name}/{name}": content for name, content in files.items()}

    def bytes(self) -> bytes:
        """Write the sdist to memory."""
        if self.suffix == ".zip":
            members = [ZipMember(name=name, content=content) for name, content in self.contents().items()]
            content = render_zip([*members, *self.extra_zip])
        else:
            tar = _tar_of(self)
            content = gzip.compress(tar if self.mangle_tar is None else self.mangle_tar(tar), 6, mtime=0)
        return content if self.mangle is None else self.mangle(content)

    def build(self, folder: Path) -> Path:
        """Write the sdist into `folder` and return its path."""
        path = folder / self.file_name
        path.write_bytes(self.bytes())
        return path


def tar_member(
    name: str,
    *,
    size: int = 0,
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
    headers: Mapping[str, str] | None = None,
) -> tarfile.TarInfo:
    """
    Make the header of one tar member.

    Args:
        name: Full name, as written.
        size: Bytes of content.
        kind: Type flag.
        target: Where a link points.
        headers: PAX records.
    """
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode = size, kind, target, 0o644
    info.pax_headers = dict(headers or {})
    return info


def record_row(name: str, content: bytes, *, algorithm: str = "sha256") -> str:
    """Write one row of RECORD, without the line's end."""
    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=").decode()
    quoted = f'"{name}"' if "," in name else name
    return f"{quoted},{algorithm}={digest},{len(content)}"


def form_fields(path: Path, **overrides: str | Sequence[str] | None) -> dict[str, list[str]]:
    """
    Fill in the upload form for a file as a client such as twine does.

    Args:
        path: A wheel or an sdist. What cannot be read from it is filled in from its name.
        overrides: Field by name in place of the generated one; None leaves the field out.
    Returns:
        Values by field, without the `content` part.
    """
    content = path.read_bytes()
    is_wheel = path.name.endswith(".whl")
    stem = path.name.split("-")
    fields: dict[str, list[str]] = {
        ":action": ["file_upload"],
        "protocol_version": ["1"],
        "metadata_version": ["2.4"],
        "name": [stem[0]],
        "version": [stem[1].removesuffix(".tar.gz").removesuffix(".zip") if len(stem) > 1 else ""],
        "filetype": ["bdist_wheel" if is_wheel else "sdist"],
        "pyversion": [stem[-3] if is_wheel and len(stem) > 3 else "source"],  # noqa: PLR2004  python, abi, platform
        "sha256_digest": [hashlib.sha256(content).hexdigest()],
        "blake2_256_digest": [hashlib.blake2b(content, digest_size=32).hexdigest()],
    }
    fields |= _metadata_fields(_read_metadata(path))
    for name, value in overrides.items():
        fields.pop(name, None)
        if value is not None:
            fields[name] = [value] if isinstance(value, str) else list(value)
    return fields


def multipart_body(
    fields: Mapping[str, Sequence[str]],
    filename: str,
    content: bytes,
    *,
    boundary: str = "wheelyard-boundary",
    order: Sequence[str] | None = None,
) -> tuple[str, bytes]:
    """
    Write the body of an upload request.

    Args:
        fields: Values by field.
        filename: File name of the `content` part.
        content: The file.
        boundary: What separates the parts.
        order: Names of the parts in order, `content` among them; None means the fields, then the file.
    Returns:
        Content type and body.
    """
    body = bytearray()
    for name in [*fields, "content"] if order is None else order:
        if name == "content":
            head = f'Content-Disposition: form-data; name="content"; filename="{filename}"'
            parts = [(f"{head}\r\nContent-Type: application/octet-stream", content)]
        else:
            parts = [(f'Content-Disposition: form-data; name="{name}"', value.encode()) for value in fields[name]]
        for head, value in parts:
            body += f"--{boundary}\r\n{head}\r\n\r\n".encode() + value + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", bytes(body)


def _escaped(name: str) -> str:
    return canonicalize_name(name).replace("-", "_")


def _as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _metadata_of(builder: WheelBuilder | SdistBuilder) -> MetadataBuilder:
    return MetadataBuilder(
        name=builder.name,
        version=builder.version,
        metadata_version=builder.metadata_version,
        requires_python=builder.requires_python,
        requires_dist=builder.requires_dist,
        headers=builder.headers,
        description=builder.description,
    )


def _read_metadata(path: Path) -> bytes:
    """Read METADATA or PKG-INFO; empty when there is none, since forms are also made for broken files."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                ends = (".dist-info/METADATA", "/PKG-INFO")
                return next((archive.read(name) for name in archive.namelist() if name.endswith(ends)), b"")
        with tarfile.open(path, "r:gz") as tar:
            member = next((member for member in tar if member.name.endswith("/PKG-INFO") and member.isfile()), None)
            source = None if member is None else tar.extractfile(member)
            return b"" if source is None else source.read()
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, tarfile.TarError, zipfile.BadZipFile):
        return b""


def _metadata_fields(metadata: bytes) -> dict[str, list[str]]:
    message = email.parser.Parser().parsestr(metadata.decode("utf-8", "replace"))
    fields: dict[str, list[str]] = {}
    for form_field, (header, repeats) in _METADATA_FIELDS.items():
        values = [str(value) for value in message.get_all(header, [])]
        if values:
            fields[form_field] = values if repeats else values[:1]
    description = message.get_payload()
    if isinstance(description, str) and description.strip():
        fields["description"] = [description]
    return fields


def _wheel_text(builder: WheelBuilder) -> bytes:
    if builder.wheel is not None:
        return _as_bytes(builder.wheel)
    python, abi, platform = (part.split(".") for part in builder.tag.split("-"))
    lines = ["Wheel-Version: 1.0", "Generator: wheelyard-testing", "Root-Is-Purelib: true"]
    lines += [f"Tag: {tag}-{kind}-{system}" for tag in python for kind in abi for system in platform]
    lines += [] if builder.build_number is None else [f"Build: {builder.build_number}"]
    return _as_bytes("\n".join(lines) + "\n")


def _record_of(builder: WheelBuilder, contents: Mapping[str, bytes], own: str) -> bytes:
    if isinstance(builder.record, str | bytes):
        return _as_bytes(builder.record)
    rows = [record_row(name, content) for name, content in contents.items()]
    text = "".join(f"{row}\n" for row in [*rows, f"{own},,"])
    return _as_bytes(text if builder.record is None else builder.record(text))


def _tar_of(builder: SdistBuilder) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=builder.format) as tar:
        for name, content in builder.contents().items():
            tar.addfile(tar_member(name, size=len(content)), io.BytesIO(content))
        for info, content in builder.extra:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()

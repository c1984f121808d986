"""
The management API: what the command line and the web pages can do, over HTTP.

Each operation is one row of `OPERATIONS`; routing and `/api/openapi.json` are both made from it, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec

from wheelyard.auth.access import Access
from wheelyard.errors import InvalidName, InvalidRequest, MethodNotAllowed, NotFound, ProjectNotFound, shown
from wheelyard.index.interface import Delete, SetStatus, Yank
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectPage, ProjectStatus
from wheelyard.protocol.names import normalize
from wheelyard.server.answers import Answer
from wheelyard.server.gate import Admitted, Gate
from wheelyard.server.guard import guarded
from wheelyard.server.requests import Request
from wheelyard.server.why import WhyDocument, show_why

S = TypeVar("S", bound=msgspec.Struct)

BODY_LIMIT_BYTES = 64 * 1024  # a reason and some file names; nothing real comes near
REASON_LIMIT = 2_000  # characters of a yank or status reason

Reason = Annotated[str, msgspec.Meta(max_length=REASON_LIMIT, description="Shown to everybody who meets the file.")]


class YankRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which files to yank and why; `version` or `files`, not both."""

    version: str | None = None
    files: list[str] = []
    reason: Reason = ""


class UnyankRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which files to offer again; `version` or `files`, not both."""

    version: str | None = None
    files: list[str] = []


class StatusRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The project's new status (PEP 792)."""

    status: ProjectStatus
    reason: Reason = ""


class FileDocument(msgspec.Struct, omit_defaults=True):
    """One file of a project."""

    filename: str
    sha256: str | None
    size: int | None
    upload_time: str | None = None
    requires_python: str | None = None
    yanked: bool | str = False
    uploader: str | None = None


class ProjectDocument(msgspec.Struct):
    """One project as it is after the operation."""

    index: str
    name: str
    status: str
    status_reason: str | None
    versions: list[str]
    files: list[FileDocument]


class ProjectsDocument(msgspec.Struct):
    """The projects of an index."""

    index: str
    projects: list[str]


class IndexDocument(msgspec.Struct):
    """One index and what the caller may do on it."""

    name: str
    access: str


Handler = Callable[[Admitted, Mapping[str, str], bytes], Awaitable[msgspec.Struct]]


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One operation of the API.

    Attributes:
        id: Its name in the description.
        method: HTTP method.
        path: Segments after `/api/v1/`, `{name}` for parameters.
        needed: Access on the index.
        summary: One line.
        run: Does it.
        answer: Type of the answer.
        body: Type of the request body; None when there is none.
    """

    id: str
    method: str
    path: str
    needed: Access
    summary: str
    run: Handler
    answer: type[msgspec.Struct]
    body: type[msgspec.Struct] | None = None


async def _show_index(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> IndexDocument:
    del parameters, body
    return IndexDocument(admitted.served.name, admitted.principal.access.name.lower())


async def _list_projects(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> ProjectsDocument:
    del parameters, body
    projects = await guarded(admitted).list()
    return ProjectsDocument(admitted.served.name, list(projects.names))


async def _show_project(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> ProjectDocument:
    del body
    return _document(admitted, await guarded(admitted).page(_project(parameters)))


async def _yank(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> ProjectDocument:
    asked = _decode(body, YankRequest)
    change = Yank(*_which(asked.files, asked.version), reason=asked.reason)
    return _document(admitted, await guarded(admitted).change(_project(parameters), change))


async def _unyank(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> ProjectDocument:
    asked = _decode(body, UnyankRequest)
    change = Yank(*_which(asked.files, asked.version), reason=None)
    return _document(admitted, await guarded(admitted).change(_project(parameters), change))


async def _set_status(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> ProjectDocument:
    asked = _decode(body, StatusRequest)
    change = SetStatus(asked.status, asked.reason or None)
    return _document(admitted, await guarded(admitted).change(_project(parameters), change))


async def _delete_project(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> ProjectDocument:
    del body
    return _document(admitted, await guarded(admitted).change(_project(parameters), Delete()))


async def _delete_release(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> ProjectDocument:
    del body
    change = Delete(version=parameters["version"])
    return _document(admitted, await guarded(admitted).change(_project(parameters), change))


async def _delete_file(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> ProjectDocument:
    del body
    change = Delete(filenames=frozenset({Filename(parameters["filename"])}))
    return _document(admitted, await guarded(admitted).change(_project(parameters), change))


_INDEX = "indexes/{index}"
_PROJECT = _INDEX + "/projects/{project}"
_WHY = "why/{project}"
_WHY_HERE = f"{_INDEX}/{_WHY}"

OPERATIONS: tuple[Operation, ...] = (
    Operation("show_index", "GET", _INDEX, Access.READ, "Show an index", _show_index, IndexDocument),
    Operation(
        "list_projects", "GET", _INDEX + "/projects", Access.READ, "List projects", _list_projects, ProjectsDocument
    ),
    Operation("show_project", "GET", _PROJECT, Access.READ, "Show a project", _show_project, ProjectDocument),
    Operation(
        "yank", "POST", _PROJECT + "/yank", Access.WRITE, "Yank a release or files", _yank, ProjectDocument, YankRequest
    ),
    Operation(
        "unyank",
        "POST",
        _PROJECT + "/unyank",
        Access.WRITE,
        "Offer a yanked release or files again",
        _unyank,
        ProjectDocument,
        UnyankRequest,
    ),
    Operation(
        "set_status",
        "PUT",
        _PROJECT + "/status",
        Access.WRITE,
        "Set the status of a project",
        _set_status,
        ProjectDocument,
        StatusRequest,
    ),
    Operation("delete_project", "DELETE", _PROJECT, Access.WRITE, "Delete a project", _delete_project, ProjectDocument),
    Operation(
        "delete_release",
        "DELETE",
        _PROJECT + "/releases/{version}",
        Access.WRITE,
        "Delete a release",
        _delete_release,
        ProjectDocument,
    ),
    Operation(
        "delete_file",
        "DELETE",
        _PROJECT + "/files/{filename}",
        Access.WRITE,
        "Delete a file",
        _delete_file,
        ProjectDocument,
    ),
    Operation("why_project", "GET", _WHY, Access.READ, "Explain what is offered of a project", show_why, WhyDocument),
    Operation("why_release", "GET", _WHY + "/{version}", Access.READ, "Explain a release of it", show_why, WhyDocument),
    Operation(
        "why_project_here", "GET", _WHY_HERE, Access.READ, "Explain a project of an index", show_why, WhyDocument
    ),
    Operation(
        "why_release_here",
        "GET",
        _WHY_HERE + "/{version}",
        Access.READ,
        "Explain a release of a project of an index",
        show_why,
        WhyDocument,
    ),
)
"""Everything the API can do."""


class Api:
    """
    Answers below `/api/v1/`.

    Args:
        gate: Admits requests.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def answer(
        self, request: Request, segments: tuple[str, ...], body: bytes, *, index: str | None = None
    ) -> Answer:
        """
        Run one operation.

        Args:
            request: The request.
            segments: Decoded path after `/api/v1/`.
            body: Its whole body.
            index: Index named before `/api/`, for operations that name none; None leaves it to the credentials.
        Raises:
            NotFound: There is no such address.
            MethodNotAllowed: It takes other methods.
            WheelyardError: As the gate and the index raise it.
        """
        operation, parameters = _match(request, segments)
        named = parameters["index"].lower() if "index" in parameters else index
        admitted = await self._gate.admit(named, request, operation.needed)
        return json_answer(await operation.run(admitted, parameters, body))


def json_answer(document: object) -> Answer:
    """Make a 200 answer of a document."""
    content = msgspec.json.encode(document)
    return Answer(
        200,
        (
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ),
        content,
    )


def _match(request: Request, segments: tuple[str, ...]) -> tuple[Operation, Mapping[str, str]]:
    fitting = [
        (operation, parameters)
        for operation in OPERATIONS
        if (parameters := _parameters(operation.path, segments)) is not None
    ]
    if not fitting:
        raise NotFound(f"the API has no address '{shown('/'.join(segments))}'", hint="See '/api/openapi.json'.")
    for operation, parameters in fitting:
        if operation.method == request.method or (operation.method, request.method) == ("GET", "HEAD"):
            return operation, parameters
    path = request.raw_path.decode("latin-1")
    raise MethodNotAllowed(request.method, path, allowed=sorted({operation.method for operation, _ in fitting}))


def _parameters(pattern: str, segments: tuple[str, ...]) -> Mapping[str, str] | None:
    parts = pattern.split("/")
    if len(parts) != len(segments):
        return None
    found: dict[str, str] = {}
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{"):
            found[part[1:-1]] = segment
        elif part != segment:
            return None
    return found


def _decode(body: bytes, expected: type[S]) -> S:
    try:
        return msgspec.json.decode(body or b"{}", type=expected)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the request body is not what this operation takes: {shown(error)}") from None
    except UnicodeDecodeError:
        raise InvalidRequest("the request body is not UTF-8") from None


def _which(files: list[str], version: str | None) -> tuple[frozenset[Filename], str | None]:
    if bool(files) == (version is not None):
        raise InvalidRequest("name either a 'version' or 'files', and not both")
    return frozenset(Filename(each) for each in files), version


def _project(parameters: Mapping[str, str]) -> NormalizedName:
    try:
        return normalize(parameters["project"])
    except InvalidName:
        raise ProjectNotFound(parameters["project"]) from None


def _document(admitted: Admitted, page: ProjectPage) -> ProjectDocument:
    return ProjectDocument(
        index=admitted.served.name,
        name=page.name,
        status=page.status.value,
        status_reason=page.status_reason,
        versions=list(page.versions),
        files=[_file_document(file) for file in page.files],
    )


def _file_document(file: DistFile) -> FileDocument:
    uploader = file.private.get("_uploader")
    return FileDocument(
        filename=file.filename,
        sha256=file.sha256,
        size=file.size,
        upload_time=None if file.upload_time is None else file.upload_time.isoformat(),
        requires_python=file.requires_python,
        yanked=False if file.yanked is None else (file.yanked or True),
        uploader=uploader if isinstance(uploader, str) else None,
    )

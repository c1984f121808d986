"""`/pypi/<project>/json` as on PyPI: what dashboards, Renovate and bandersnatch read."""

from __future__ import annotations

from wheelyard.auth.access import Access
from wheelyard.errors import InvalidDocument, InvalidName, NotFound, ProjectNotFound, ReleaseNotFound
from wheelyard.index.guarded import GuardedIndex
from wheelyard.index.policy.index import left_out_release
from wheelyard.index.records import release_of_file
from wheelyard.model import DistFile, FileKind, NormalizedName, ProjectPage
from wheelyard.protocol.core_metadata import CoreMetadata, parse_core_metadata
from wheelyard.protocol.filenames import quote_filename
from wheelyard.protocol.http import etag_of, if_none_match
from wheelyard.protocol.names import normalize, same_version
from wheelyard.protocol.pypi_json import render_project, shown_version
from wheelyard.server.answers import Answer, redirect
from wheelyard.server.gate import Gate
from wheelyard.server.guard import guarded
from wheelyard.server.reading import page_headers
from wheelyard.server.requests import Request


class ProjectJson:
    """
    Answers below `/pypi/`.

    Args:
        gate: Admits requests.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def answer(self, request: Request, index: str | None, segments: tuple[str, ...]) -> Answer:
        """
        Describe a project or one release of it.

        Args:
            request: The request.
            index: Index named in the path.
            segments: Decoded path after `/pypi/`: project, `json`; or project, version, `json`.
        Raises:
            NotFound: There is no such address.
            ProjectNotFound: No such project; or it is quarantined (PEP 792).
            ReleaseNotFound: No such release.
            Filtered: The release, or every release, is left out by the policy of the index.
        """
        admitted = await self._gate.admit(index, request, Access.READ)
        if len(segments) not in (2, 3) or segments[-1] != "json":
            raise NotFound("below '/pypi/' there are only '<project>/json' and '<project>/<version>/json'")
        project = _project(segments[0])
        prefix = request.root_path + (f"/{index}" if index else "")
        if project != segments[0]:
            rest = "/".join(segments[1:])
            return redirect(301, f"{prefix}/pypi/{project}/{rest}", *page_headers(admitted.served))
        source = guarded(admitted)
        page = await source.page(project)
        if not page.status.offers_files:
            raise ProjectNotFound(project)
        version = _release(page, segments[1]) if len(segments) == 3 else None  # noqa: PLR2004  project, version, json
        if not page.versions and (left_out := left_out_release(page)) is not None:
            raise left_out
        metadata = await described(source, page, version or shown_version(page))
        base_url = request.origin + prefix

        def file_url(file: DistFile) -> str:
            own = "://" not in file.url
            return f"{base_url}/simple/{project}/{quote_filename(file.filename)}" if own else file.url

        content = render_project(page, metadata, version=version, base_url=base_url, file_url=file_url)
        etag = etag_of(content)
        headers = ((b"etag", etag.encode("ascii")), *page_headers(admitted.served))
        if if_none_match(request.text(b"if-none-match"), etag):
            return Answer(304, headers)
        described_as = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(content)))
        return Answer(200, (*described_as, *headers), content)


async def described(source: GuardedIndex, page: ProjectPage, version: str | None) -> CoreMetadata | None:
    """Return the core metadata of a release: of a wheel when there is one, else of the sdist; None when there is none."""
    if version is None:
        return None
    files = [
        file
        for file in page.files
        if (release := release_of_file(file, page.name)) is not None and same_version(release, version)
    ]
    for file in sorted(files, key=lambda file: file.private.get("_kind") != FileKind.WHEEL.value):
        content = await source.description(page.name, file.filename)
        if content is None:
            continue
        try:
            return parse_core_metadata(content)
        except InvalidDocument:
            continue
    return None


def _project(name: str) -> NormalizedName:
    try:
        return normalize(name)
    except InvalidName:
        raise ProjectNotFound(name) from None


def _release(page: ProjectPage, version: str) -> str:
    for known in page.versions:
        if same_version(known, version):
            return known
    raise left_out_release(page, version) or ReleaseNotFound(page.name, version)

"""
The HTML pages of the simple repository API: rendered for browsers and old clients, read from upstreams that have no JSON.

Rule 1: every value goes into a page through `_element`, which escapes it. Nothing else puts text between the tags.
Rule 2: PEP 833 froze this form at version 1.4; what is newer exists in JSON only.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit

from wheelyard.errors import InvalidDocument, InvalidName, shown
from wheelyard.model import API_VERSION, DistFile, Filename, NormalizedName, ProjectList, ProjectPage, ProjectStatus
from wheelyard.protocol import untrusted
from wheelyard.protocol.filenames import release_of
from wheelyard.protocol.json_keys import FileUrl, render_time
from wheelyard.protocol.names import normalize

LINKED_HASHES: Final = ("sha256", "sha384", "sha512", "md5")
"""Hashes that may stand in a URL fragment, best first; uv refuses the whole page for `#sha1=` and `#sha224=` (HTML-04)."""

VCS_LINK: Final = "_vcs_link"
"""Private key of a file: a `git+` link to the same release, offered beside it in HTML only."""

# Characters that an HTML5 parser objects to, and lone surrogates, which UTF-8 cannot say.
_NOT_HTML = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(map(chr, (plane * 0x10000 + low for plane in range(17) for low in (0xFFFE, 0xFFFF))))
    + "]"
)
_FILE_ENDING = re.compile(
    r"(?:-variants\.json|\.(?:whl|zip|egg|exe|msi|rpm|deb|dmg|tar(?:\.\w+)?|tgz|tbz))\Z", re.IGNORECASE
)
_URL_SAFE = "%/:=&?~+!$,;'@()*[]"  # what `quote` leaves alone in a URL that is mostly encoded already


# --- rendering -----------------------------------------------------------------------------------------------------


def render_page(page: ProjectPage, *, file_url: FileUrl | None = None) -> bytes:
    """
    Render a project page.

    Args:
        page: A quarantined project shows no file (PEP 792).
        file_url: Where each file is; None takes the URL of the page as it is.
    Returns:
        UTF-8 HTML5.
    Spec: PEP 503, 592, 658, 714, 740, 792.
    """
    files = page.files if page.status.offers_files else ()
    return join_page(page, (render_row(file, file_url=file_url) for file in files))


def join_page(page: ProjectPage, rows: Iterable[bytes]) -> bytes:
    """Make a project page of `render_row` rows, so that who keeps the rows need not render them again."""
    metas = {}
    if page.status is not ProjectStatus.ACTIVE or page.status_reason is not None:
        metas["pypi:project-status"] = page.status.value
    if page.status_reason is not None:
        metas["pypi:project-status-reason"] = page.status_reason
    return _document(f"Links for {page.name}", metas, rows)


def render_row(file: DistFile, *, file_url: FileUrl | None = None) -> bytes:
    """Render the link of one file, with its line break."""
    url = file.url if file_url is None else file_url(file)
    algorithm = next((name for name in LINKED_HASHES if name in file.hashes), None)
    fragment = "" if algorithm is None else f"#{algorithm}={file.hashes[algorithm]}"
    attributes = {"href": url + fragment}
    if file.requires_python is not None:
        attributes["data-requires-python"] = file.requires_python
    if file.core_metadata is not None:
        # PEP 714: both keys, with the same value; pip before 23.1 knows the second only.
        attributes["data-core-metadata"] = attributes["data-dist-info-metadata"] = _metadata_hash(file.core_metadata)
    if file.yanked is not None:
        attributes["data-yanked"] = file.yanked  # "" and not the bare attribute, which pip and pdm do not see (HTML-08)
    if file.gpg_sig is not None:
        attributes["data-gpg-sig"] = "true" if file.gpg_sig else "false"
    if file.provenance is not None:
        attributes["data-provenance"] = file.provenance
    if file.upload_time is not None:
        # No standard has it, and PEP 833 adds nothing to HTML. But uv reads it, and without it `exclude-newer` hides every
        # file of a page that reached uv as HTML; other clients pass over attributes that they do not know.
        attributes["data-upload-time"] = render_time(file.upload_time)
    row = f"{_element('a', attributes, file.filename)}<br>\n"
    link = file.private.get(VCS_LINK)
    return (row if link is None else row + _vcs_row(file, str(link), attributes)).encode()


def _vcs_row(file: DistFile, link: str, attributes: Mapping[str, str]) -> str:
    """Render the link to the repository that a release was made of; a client that takes it builds from a clone."""
    kept = {key: attributes[key] for key in ("data-requires-python", "data-yanked") if key in attributes}
    return f"{_element('a', {'href': link, **kept}, f'{file.filename} (git)')}<br>\n"


def render_list(projects: ProjectList) -> bytes:
    """Render the project list (PEP 503); links are relative to it."""
    rows = (f"{_element('a', {'href': f'{normalize(name)}/'}, name)}<br>\n".encode() for name in projects.names)
    return _document("Simple index", {}, rows)


def _document(title: str, metas: Mapping[str, str], rows: Iterable[bytes]) -> bytes:
    head = "\n".join(
        _element("meta", {"name": name, "content": content})
        for name, content in {"pypi:repository-version": API_VERSION, **metas}.items()
    )
    start = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{head}\n{_element('title', {}, title)}\n</head>\n<body>\n{_element('h1', {}, title)}\n"
    )
    return b"".join((start.encode(), *rows, b"</body>\n</html>\n"))


def _element(name: str, attributes: Mapping[str, str], text: str | None = None) -> str:
    """Render an element; without `text` it is one that has no end tag. The only place where values meet markup."""
    start = "".join((f"<{name}", *(f' {key}="{_escaped(value)}"' for key, value in attributes.items()), ">"))
    return start if text is None else f"{start}{_escaped(text)}</{name}>"


def _escaped(value: str) -> str:
    if not value.isprintable():
        value = _NOT_HTML.sub("\N{REPLACEMENT CHARACTER}", value.replace("\r\n", "\n").replace("\r", "\n"))
    return html.escape(value)


def _metadata_hash(hashes: Mapping[str, str]) -> str:
    for algorithm in LINKED_HASHES:
        if algorithm in hashes:
            return f"{algorithm}={hashes[algorithm]}"
    return "true"


# --- reading what others wrote -------------------------------------------------------------------------------------


def parse_page(content: bytes, *, base_url: str, project: NormalizedName | None = None) -> ProjectPage:
    """
    Read the HTML project page of any index.

    Args:
        content: Untrusted bytes.
        base_url: Where the page was found after redirects; links are resolved against it, or the page's own `<base>`.
        project: Whose page it is; None takes the last part of the path of `base_url`.
    Returns:
        The page, with absolute URLs. Links to anything but files are left out, and so are files that cannot be offered
        safely (see `simple_json.parse_page`).
    Raises:
        InvalidDocument: Not HTML, another major version of the API, or the project is not known.
    Spec: PEP 503, 592, 629, 658, 714, 740, 792.
    """
    reader = _read(content)
    name = _project_of(base_url) if project is None else project
    base = _joined(base_url, reader.base or "") or base_url
    files: dict[str, DistFile] = {}
    for link in reader.links:
        file = _read_link(base, link, name)
        if file is not None:
            files.setdefault(file.filename, file)
    return ProjectPage(
        name=name,
        files=tuple(files.values()),
        versions=untrusted.versions_of(name, files.values()),
        status=untrusted.read_status(reader.metas.get("pypi:project-status")),
        status_reason=reader.metas.get("pypi:project-status-reason"),
    )


def parse_list(content: bytes) -> ProjectList:
    """
    Read the HTML project list of any index; links that name no project are left out.

    Args:
        content: Untrusted bytes.
    Returns:
        Names as they are shown there, each project once.
    Raises:
        InvalidDocument: Not HTML, or another major version of the API.
    """
    return untrusted.list_of_names(link.text.strip() for link in _read(content).links)


class _Link:
    """One anchor: its attributes (a bare one has the value "") and the text inside."""

    __slots__ = ("attributes", "text")

    def __init__(self, attributes: dict[str, str]) -> None:
        self.attributes = attributes
        self.text = ""


class _Reader(HTMLParser):
    """Collects what a simple page says."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base: str | None = None
        self.metas: dict[str, str] = {}
        self.links: list[_Link] = []
        self.is_html = False
        self._open_link: _Link | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.is_html = True
        # Of an attribute that is given twice the first counts, in HTML5.
        attributes = {key: value or "" for key, value in reversed(attrs)}
        if tag == "a" and "href" in attributes:
            self._open_link = _Link(attributes)
            self.links.append(self._open_link)
        elif tag == "base" and self.base is None:
            self.base = attributes.get("href")
        elif tag == "meta" and "name" in attributes:
            self.metas.setdefault(attributes["name"].lower(), attributes.get("content", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._open_link = None

    def handle_data(self, data: str) -> None:
        if self._open_link is not None:
            self._open_link.text += data


def _read(content: bytes) -> _Reader:
    reader = _Reader()
    try:
        reader.feed(content.decode("utf-8-sig", "replace"))
        reader.close()
    except (AssertionError, ValueError) as error:  # how the parser speaks of broken declarations
        raise InvalidDocument(f"the page is not valid HTML: {error}") from error
    if not reader.is_html:
        raise InvalidDocument("the page is not HTML")
    version = reader.metas.get("pypi:repository-version", "1.0")
    if version.strip().partition(".")[0] != "1":
        raise InvalidDocument(f"the simple API version is '{shown(version)}', only 1.x is understood")
    return reader


def _project_of(base_url: str) -> NormalizedName:
    try:
        return normalize(unquote(urlsplit(base_url).path.rstrip("/").rpartition("/")[2]))
    except (ValueError, InvalidName) as error:
        raise InvalidDocument(f"'{shown(base_url)}' does not end in the name of a project") from error


def _joined(base: str, href: str) -> str | None:
    try:
        return urljoin(base, quote(href.strip(), safe=_URL_SAFE + "#", errors="replace"))
    except ValueError:  # `http://[`
        return None


def _read_link(base: str, link: _Link, project: NormalizedName) -> DistFile | None:
    """Return the file that a link offers, None for a link to something else."""
    joined = _joined(base, link.attributes["href"])
    url = untrusted.read_url(joined)
    if joined is None or url is None:
        return None
    # As pip does, the name is taken from the URL: upstreams decorate the text.
    filename = untrusted.read_filename(unquote(urlsplit(url).path.rpartition("/")[2]))
    hashes = _read_fragment(joined.partition("#")[2])
    if filename is None or hashes is None:
        return None
    if not hashes and not _FILE_ENDING.search(filename) and release_of(filename, project) is None:
        return None
    return _file_of(link.attributes, filename, url, hashes)


def _file_of(attributes: Mapping[str, str], filename: Filename, url: str, hashes: Mapping[str, str]) -> DistFile:
    size = attributes.get("data-size", "")
    return DistFile(
        filename=filename,
        url=url,
        hashes=hashes,
        size=untrusted.read_size(int(size)) if re.fullmatch("[0-9]{1,19}", size) else None,
        upload_time=untrusted.read_time(attributes.get("data-upload-time")),
        requires_python=untrusted.read_text(attributes.get("data-requires-python")),
        core_metadata=_read_core_metadata(attributes),
        yanked=attributes.get("data-yanked"),
        gpg_sig={"true": True, "false": False}.get(attributes.get("data-gpg-sig", "")),
        provenance=untrusted.read_provenance(attributes.get("data-provenance")),
    )


def _read_fragment(fragment: str) -> dict[str, str] | None:
    """Return hashes of a URL fragment (`sha256=…`), nothing for other fragments, None for a hash that is none."""
    try:
        pairs = parse_qsl(unquote(fragment), max_num_fields=8)
    except ValueError:
        return None
    return untrusted.read_hashes({key: value for key, value in pairs if key in untrusted.DIGEST_LENGTHS})


def _read_core_metadata(attributes: Mapping[str, str]) -> dict[str, str] | None:
    """PEP 714: the newer attribute wins where both are given."""
    value = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
    if value is None or value.lower() == "false":
        return None
    algorithm, equals, digest = value.partition("=")
    return untrusted.read_hashes({algorithm: digest}) if equals else {}

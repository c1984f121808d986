"""
Rendered rows of long pages, each with its digest; short pages are rendered as fast as their rows are found.

Hashing a page of thousands of files takes as long as all the rest of making it after a publish. So the entity tag of a long
page is made of its rows' digests, of which one is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from wheelyard.index.row_memory import RowMemory
from wheelyard.model import DistFile, ProjectPage
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.negotiation import Representation

ROWS_LIMIT = 100_000  # a row with its place costs about 700 bytes: 70 MB
FROM_FILES = 100  # shorter pages are rendered as fast as their rows are found
_DIGEST_BYTES = 16

_Row = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Rendered:
    """
    A rendered page.

    Attributes:
        content: Its bytes.
        identity: Differs when the bytes differ, and is the same on every server that renders the same files.
    """

    content: bytes
    identity: bytes

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Return what is told from others by its content."""
        return cls(content, content)


class Rows:
    """
    Renders pages, taking the rows of files that did not change from the last time.

    Args:
        limit: How many rows are kept together; those of the newest page are kept whatever their number.
    """

    def __init__(self, limit: int = ROWS_LIMIT) -> None:
        self._memory: RowMemory[_Row] = RowMemory(limit)

    def render(self, page: ProjectPage, representation: Representation) -> Rendered:
        """Render a page. Blocks."""
        as_json = representation is Representation.JSON
        make: Callable[[DistFile], bytes] = simple_json.render_file if as_json else simple_html.render_row
        join: Callable[[ProjectPage, Iterable[bytes]], bytes] = (
            simple_json.join_page if as_json else simple_html.join_page
        )
        files = page.files if page.status.offers_files else ()
        if len(files) < FROM_FILES:
            return Rendered.of(join(page, map(make, files)))

        def row(file: DistFile) -> _Row:
            rendered = make(file)
            return rendered, blake2b(rendered, digest_size=_DIGEST_BYTES).digest()

        key = (page.name, Representation.JSON if as_json else Representation.HTML)
        rows = self._memory.rows(key, files, row)
        identity = b"".join((join(page, ()), *(digest for _, digest in rows)))
        return Rendered(join(page, (rendered for rendered, _ in rows)), identity)

"""Rendered rows of long pages: short ones are rendered as fast as their rows are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wheelyard.index.row_memory import RowMemory
from wheelyard.model import DistFile, ProjectPage
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.negotiation import Representation

ROWS_LIMIT = 100_000  # a row with its place costs about 600 bytes: 60 MB
FROM_FILES = 100  # shorter pages are rendered as fast as their rows are found


class Rows:
    """
    Renders pages, taking the rows of files that did not change from the last time.

    Args:
        limit: How many rows are kept together; those of the newest page are kept whatever their number.
    """

    def __init__(self, limit: int = ROWS_LIMIT) -> None:
        self._memory = RowMemory(limit)

    def render(self, page: ProjectPage, representation: Representation) -> bytes:
        """Render a page. Blocks."""
        as_json = representation is Representation.JSON
        make: Callable[[DistFile], bytes] = simple_json.render_file if as_json else simple_html.render_row
        join: Callable[[ProjectPage, Iterable[bytes]], bytes] = (
            simple_json.join_page if as_json else simple_html.join_page
        )
        files = page.files if page.status.offers_files else ()
        if len(files) < FROM_FILES:
            return join(page, map(make, files))
        key = (page.name, Representation.JSON if as_json else Representation.HTML)
        return join(page, self._memory.rows(key, files, make))

"""
Rendered rows of long pages: when a project of thousands of files gets one more, one row is rendered and the rest joined.

A row is right as long as it is the same value that is listed: files are frozen, and a changed page shares the values of
those that did not change with the page before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from wheelyard.model import DistFile, ProjectPage
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.negotiation import Representation

ROWS_LIMIT = 100_000  # a row with its place costs about 600 bytes: 60 MB
FROM_FILES = 100  # shorter pages are rendered as fast as their rows are found

Row = tuple[DistFile, bytes]


class Rows:
    """
    Least-recently-used memory of the rows of long pages.

    Args:
        limit: How many rows are kept together; those of the newest page are kept whatever their number.
    """

    def __init__(self, limit: int = ROWS_LIMIT) -> None:
        self._limit = limit
        self._pages: OrderedDict[tuple[str, Representation], dict[int, Row]] = OrderedDict()
        self._count = 0

    def render(self, page: ProjectPage, representation: Representation) -> bytes:
        """Render a page, taking the rows of files that did not change from the last time. Blocks."""
        as_json = representation is Representation.JSON
        make: Callable[[DistFile], bytes] = simple_json.render_file if as_json else simple_html.render_row
        join: Callable[[ProjectPage, Iterable[bytes]], bytes] = (
            simple_json.join_page if as_json else simple_html.join_page
        )
        files = page.files if page.status.offers_files else ()
        if len(files) < FROM_FILES:
            return join(page, map(make, files))
        key = (page.name, Representation.JSON if as_json else Representation.HTML)
        known = self._pages.get(key, {})
        rows: dict[int, Row] = {}
        for file in files:
            row = known.get(id(file))
            # The row holds its file, so that the identity cannot have been given to another value meanwhile.
            rows[id(file)] = row if row is not None and row[0] is file else (file, make(file))
        self._keep(key, rows)
        return join(page, (row for _, row in rows.values()))

    def _keep(self, key: tuple[str, Representation], rows: dict[int, Row]) -> None:
        self._count += len(rows) - len(self._pages.pop(key, ()))
        self._pages[key] = rows
        while self._count > self._limit and len(self._pages) > 1:
            _, dropped = self._pages.popitem(last=False)
            self._count -= len(dropped)

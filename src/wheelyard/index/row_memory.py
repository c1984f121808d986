"""
Rendered rows of long documents: when a project of thousands of files gets one more, one row is rendered and the rest joined.

A row is right as long as it is the same value that is listed: files are frozen, and a changed page shares the values of
those that did not change with the page before it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from wheelyard.model import DistFile

Row = TypeVar("Row")


class RowMemory(Generic[Row]):
    """
    Least-recently-used memory of the rows of documents; may be used from several threads.

    Args:
        limit: How many rows are kept together; those of the newest document are kept whatever their number.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._documents: OrderedDict[Hashable, dict[int, tuple[DistFile, Row]]] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def rows(self, key: Hashable, files: Sequence[DistFile], make: Callable[[DistFile], Row]) -> list[Row]:
        """
        Return one row for each file, in their order, making those of files that are not remembered.

        Args:
            key: Names the document and how it is rendered.
            files: What it lists.
            make: Renders one row.
        """
        known = self._documents.get(key, {})
        find = known.get
        rows: dict[int, tuple[DistFile, Row]] = {}
        for file in files:
            identity = id(file)
            row = find(identity)
            # The row holds its file, so that the identity cannot have been given to another value meanwhile.
            rows[identity] = row if row is not None and row[0] is file else (file, make(file))
        self._keep(key, rows)
        return [row for _, row in rows.values()]

    def _keep(self, key: Hashable, rows: dict[int, tuple[DistFile, Row]]) -> None:
        with self._lock:
            self._count += len(rows) - len(self._documents.pop(key, ()))
            self._documents[key] = rows
            while self._count > self._limit and len(self._documents) > 1:
                _, dropped = self._documents.popitem(last=False)
                self._count -= len(dropped)

"""What the server serves: its indexes, each with who may use it and what was rendered of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wheelyard.auth.access import Principal, anonymous_reader
from wheelyard.auth.authenticators import Authenticator
from wheelyard.errors import IndexNotFound
from wheelyard.index.interface import Index
from wheelyard.index.policy.why import Explainer
from wheelyard.server.ready import ReadyAnswers
from wheelyard.server.rows import Rows
from wheelyard.storage.store import Store


@dataclass(frozen=True, slots=True)
class Served:
    """
    One index of this server.

    Attributes:
        name: As configured; matched without regard to case.
        index: The index, with everything layered into it.
        store: Where its uploads are spooled.
        authenticator: Who may use it.
        anonymous_read: Whether reading needs no credentials.
        max_file_bytes: Largest file it takes.
        ready: Ready answers of it.
        rows: Rendered rows of its long pages.
        notes: Tells what `/readyz` adds about it: lines that everybody may read.
        explainer: Says why a name is answered as it is.
    """

    name: str
    index: Index
    store: Store
    authenticator: Authenticator
    anonymous_read: bool
    max_file_bytes: int
    ready: ReadyAnswers
    rows: Rows
    notes: Callable[[], Sequence[str]] = tuple
    explainer: Explainer | None = None


class Catalog:
    """
    The indexes of this server by name; swapped as a whole when the server is initialised anew.

    Args:
        served: In the order of the configuration.
    """

    def __init__(self, served: tuple[Served, ...] = ()) -> None:
        self._served: Mapping[str, Served] = {each.name.lower(): each for each in served}

    @property
    def names(self) -> Mapping[str, Served]:
        """Indexes by lower-case name."""
        return self._served

    @property
    def only(self) -> Served | None:
        """The index, when there is just one."""
        return next(iter(self._served.values())) if len(self._served) == 1 else None

    def anonymous(self, index: str | None) -> Principal | None:
        """Return the anonymous reader of an index (of the only one when none is named), if everybody may read it."""
        served = self.only if index is None else self._served.get(index)
        return None if served is None or not served.anonymous_read else anonymous_reader(served.name)

    def find(self, name: str) -> Served:
        """
        Return the index of that name.

        Raises:
            IndexNotFound: There is none.
        """
        served = self._served.get(name.lower())
        if served is None:
            raise IndexNotFound(name)
        return served

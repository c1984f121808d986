"""The index as one admitted caller may use it."""

from __future__ import annotations

from wheelyard.auth.access import Access
from wheelyard.errors import PermissionDenied
from wheelyard.index.guarded import GuardedIndex
from wheelyard.index.interface import Action
from wheelyard.model import NormalizedName
from wheelyard.server.gate import Admitted

_NEEDED = {Action.READ: Access.READ, Action.PUBLISH: Access.WRITE, Action.MANAGE: Access.WRITE}


def guarded(admitted: Admitted) -> GuardedIndex:
    """Return the index behind a guard that asks for each call whether this caller may make it."""

    def check(action: Action, project: NormalizedName | None) -> None:
        del project  # access by project comes with teams
        if admitted.principal.access < _NEEDED.get(action, Access.ADMIN):
            raise PermissionDenied(action.value, index=admitted.served.name)

    return GuardedIndex(admitted.served.index, check)

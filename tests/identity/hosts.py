"""A store whose host knows its users, in memory, and a catalogue of people that a test changes as it goes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import anyio

from wheelyard.backends.memory import MemoryBackend
from wheelyard.errors import StorageUnavailable
from wheelyard.storage.interface import BackendContext, HostIdentity, Permission, Traits
from wheelyard.storage.plugins import BackendPlugin

UNKNOWN = HostIdentity(Permission.NONE, reason="the host does not know this token", known=False)

READER = HostIdentity(Permission.READ, "rita")
WRITER = HostIdentity(Permission.WRITE, "walt")
OWNER = HostIdentity(Permission.ADMIN, "olga")
STRANGER = HostIdentity(Permission.NONE, "stan")


@dataclass
class Host:
    """
    What the host knows, and what it was asked.

    Attributes:
        people: Who holds which token.
        asked: Every token it was asked about, in order.
        is_down: Whether it can be asked.
        trouble: What `Backend.trouble` answers.
        holding: While it is set, questions wait for `released`.
        released: See `holding`.
        waiting: Set once a question waits.
    """

    people: dict[str, HostIdentity] = field(
        default_factory=lambda: {"read": READER, "write": WRITER, "own": OWNER, "out": STRANGER}
    )
    asked: list[str] = field(default_factory=list)
    is_down: bool = False
    trouble: str | None = None
    holding: bool = False
    released: anyio.Event | None = None
    waiting: anyio.Event | None = None

    def hold(self) -> None:
        """Let questions wait from now on."""
        self.holding, self.released, self.waiting = True, anyio.Event(), anyio.Event()

    def release(self) -> None:
        """Answer those that wait, and all later ones at once."""
        assert self.released is not None
        self.holding = False
        self.released.set()

    async def identify(self, token: str) -> HostIdentity:
        """Answer about a token."""
        self.asked.append(token)
        if self.holding:
            assert self.waiting is not None
            assert self.released is not None
            self.waiting.set()
            await self.released.wait()
        if self.is_down:
            raise StorageUnavailable("the host did not answer")
        return self.people.get(token, UNKNOWN)


HOSTS: dict[str, Host] = {}
"""Hosts by the name that options give; a test makes its own."""

CONTEXTS: list[BackendContext] = []
"""What backends were given, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedOptions:
    """
    Options of the tests' own store.

    Attributes:
        host: Name of its host.
    """

    host: str
    identities: ClassVar[bool] = True


class HostedBackend(MemoryBackend):
    """A store in memory whose host knows its users."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    @property
    def traits(self) -> Traits:
        """As in memory, and it can be asked who somebody is."""
        return replace(super().traits, identities=True)

    async def identify(self, credential: str) -> HostIdentity:
        """Ask the host."""
        return await self._host.identify(credential)

    def trouble(self) -> str | None:
        """Tell what the host says."""
        return self._host.trouble


def _open(options: HostedOptions, context: BackendContext) -> HostedBackend:
    CONTEXTS.append(context)
    return HostedBackend(HOSTS.setdefault(options.host, Host()))


plugin = BackendPlugin(name="hosted", options=HostedOptions, open=_open)

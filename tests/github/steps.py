"""Short ways to publish to a backend and to look at what was asked of GitHub."""

from __future__ import annotations

import json
from pathlib import Path

from wheelyard.backends.github.backend import GitHubBackend
from wheelyard.model import Key
from wheelyard.storage.interface import Plan, Record
from wheelyard.storage.spool import spool_bytes
from wheelyard.testing.fake_github import FakeGitHub

RECORD = Key("simple/demo/index.json")


def wheel(version: str = "1.0", tag: str = "py3-none-any") -> str:
    """The name of a wheel of `demo`."""
    return f"demo-{version}-{tag}.whl"


def key(name: str) -> Key:
    """The key of a file of `demo`."""
    return Key(f"simple/demo/{name}")


async def publish(backend: GitHubBackend, folder: Path, name: str, content: bytes = b"") -> bytes:
    """Publish one file with metadata: bytes first, then a record that lists it too."""
    content = content or f"bytes of {name}".encode()
    spool = await spool_bytes(folder, content)

    def decide(record: Record | None) -> Plan | None:
        names = [] if record is None else json.loads(record.content)
        if name in names:
            return None
        listed = json.dumps(sorted([*names, name])).encode()
        return Plan(content=listed, puts={key(name): spool, key(f"{name}.metadata"): b"Name: demo\n"})

    try:
        await backend.transact(RECORD, decide)
    finally:
        spool.discard()
    return content


async def listed(backend: GitHubBackend) -> list[str]:
    """The names that the record lists."""
    names: list[str] = json.loads((await backend.read(RECORD)).content)
    return names


async def content_of(backend: GitHubBackend, name: str) -> bytes:
    """The bytes of a file of `demo`."""
    return b"".join([piece async for piece in backend.open(key(name))])


class Asked:
    """What is asked of the double from now on."""

    def __init__(self, github: FakeGitHub) -> None:
        self._github = github
        self._before = len(github.calls)

    @property
    def requests(self) -> list[str]:
        return [f"{call.method} {call.path}" for call in self._github.calls[self._before :]]

    def __len__(self) -> int:
        return len(self.requests)

"""A predecessor's folder, made as private-pypi 0.2.0 left it, and an index that takes it over."""

import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wheelyard.compose import open_index
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.predecessor_files import ARCHIVE_EXTENSIONS
from wheelyard.index.takeover import TakeoverReport, take_over
from wheelyard.settings import load_settings
from wheelyard.testing.builders import WheelBuilder

NAME = "old"
CONFIG = f'[{NAME}]\ntype = "file_system"\nread_secret = "foo"\nwrite_secret = "bar"\n'
UPLOADED = datetime(2020, 3, 25, 17, 39, 19, tzinfo=UTC)


@dataclass
class Predecessor:
    """
    One storage folder of the predecessor.

    Attributes:
        root: ROOT of its server.
    """

    root: Path
    listed: list[dict[str, object]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / "cache" / NAME

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    def publish(
        self,
        distrib: str,
        filename: str,
        content: bytes,
        *,
        meta: Mapping[str, str] | None = None,
        without: tuple[str, ...] = (),
    ) -> Path:
        """Put one file as an upload did: the file, then its form fields as TOML, then the index of everything."""
        folder = self.storage / distrib
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / filename
        path.write_bytes(content)
        os.utime(path, (UPLOADED.timestamp(), UPLOADED.timestamp()))
        fields = {
            ":action": "file_upload",
            "name": distrib,
            "distrib": distrib,
            "sha256": hashlib.sha256(content).hexdigest(),
        } | dict(meta or {})
        fields = {key: value for key, value in fields.items() if key not in without}
        text = "".join(
            f"{json.dumps(key) if ':' in key else key} = {json.dumps(value)}\n" for key, value in fields.items()
        )
        (folder / f"{filename}.meta").write_text(text)
        extension = next(end for end in ARCHIVE_EXTENSIONS if filename.endswith(end))[1:]
        package = filename.removesuffix(f".{extension}")
        self.listed.append({"type": "file_system", "distrib": distrib, "package": package, "ext": extension, **fields})
        self._write_index()
        self._settle(folder)
        return path

    def wheel(self, name: str, version: str = "1.0", **options: object) -> Path:
        """Publish a wheel that is right."""
        builder = WheelBuilder(name=name, version=version, **options)  # type: ignore[arg-type]
        meta = {"version": version, "requires_python": str(options.get("requires_python") or "")}
        return self.publish(name, builder.file_name, builder.bytes(), meta=meta)

    def _settle(self, folder: Path) -> None:
        """Let a folder look as if it had changed long ago, but later than before."""
        time = UPLOADED.timestamp() + len(self.listed)
        os.utime(folder, (time, time))

    def state(self) -> dict[str, tuple[bytes, int, int]]:
        """Return content, mode and time of everything of the predecessor's."""
        return {
            str(path.relative_to(self.storage)): (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
            for path in sorted(self.storage.rglob("*"))
            if path.is_file() and not {".wheelyard"} & set(path.parts) and self._is_theirs(path)
        }

    def _is_theirs(self, path: Path) -> bool:
        parts = path.relative_to(self.storage).parts
        return parts[0] != "simple" or len(parts) == 2

    def _write_index(self) -> None:
        blocks = []
        for entry in self.listed:
            top = {key: value for key, value in entry.items() if key in ("type", "distrib", "package", "ext", "sha256")}
            meta = {key: value for key, value in entry.items() if key not in ("type", "package", "ext", ":action")}
            lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
            blocks.append(
                "\n".join(["[[pkgs]]", *lines, "[pkgs.meta]", *(f"{k} = {json.dumps(v)}" for k, v in meta.items())])
            )
        (self.storage / "index.toml").write_text("mtime = 1584379892\n" + "\n".join(blocks) + "\n")


Opened = Callable[[], AbstractAsyncContextManager[HostedIndex]]


@pytest.fixture
def predecessor(tmp_path: Path) -> Predecessor:
    """An empty folder of the predecessor."""
    made = Predecessor(tmp_path / "root")
    made.storage.mkdir(parents=True)
    return made


@pytest.fixture
def opened(predecessor: Predecessor) -> Opened:
    """Open our index on the same ROOT."""

    @asynccontextmanager
    async def open_it() -> AsyncIterator[HostedIndex]:
        settings = load_settings(predecessor.root, config=CONFIG, text_allowed=True)
        async with open_index(settings, NAME) as index:
            yield index

    return open_it


@pytest.fixture
def take() -> Callable[..., Awaitable[TakeoverReport]]:
    """Take over with the real clock."""

    async def take_it(predecessor: Predecessor, index: HostedIndex, *, thorough: bool = False) -> TakeoverReport:
        return await take_over(
            predecessor.folder,
            index,
            spool_folder=index.store.traits.spool_folder,
            now=lambda: datetime.now(UTC),
            thorough=thorough,
        )

    return take_it

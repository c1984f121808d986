"""A ROOT on disk with published files, for tests that damage it: real settings, real store, real archives."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from wheelyard.cli.dispatch import run
from wheelyard.compose import open_index
from wheelyard.index.interface import Change, Upload
from wheelyard.model import NormalizedName, ProjectPage
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.settings import Settings, load_settings
from wheelyard.storage.spool import spool_bytes
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields

READ_SECRET = "read-4f1c9a-62d1e8-b07"
WRITE_SECRET = "write-8b27de-90ac31-f5"
CONFIG = f'[main]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'


@dataclass(frozen=True)
class Root:
    """A server's folder."""

    path: Path

    @property
    def storage(self) -> Path:
        return self.path / "cache/main/storage"

    @property
    def settings(self) -> Settings:
        return load_settings(self.path, may_generate=False)

    def project(self, name: str) -> Path:
        return self.storage / "simple" / name

    def record(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.project(name) / "index.json").read_bytes())
        return document

    def rewrite(self, name: str, document: dict[str, Any]) -> None:
        (self.project(name) / "index.json").write_text(json.dumps(document))

    def publish(self, *paths: Path) -> None:
        anyio.run(self._publish, paths)

    async def _publish(self, paths: Sequence[Path]) -> None:
        async with open_index(self.settings, "main") as index:
            for path in paths:
                fields = {key: tuple(values) for key, values in form_fields(path).items()}
                with await spool_bytes(index.store.traits.spool_folder or path.parent, path.read_bytes()) as spool:
                    await index.publish(Upload(UploadForm("file_upload", "1", fields), path.name, spool, "main:write"))

    def change(self, name: str, change: Change) -> None:
        async def act() -> None:
            async with open_index(self.settings, "main") as index:
                await index.change(NormalizedName(name), change)

        anyio.run(act)

    def page(self, name: str) -> ProjectPage:
        async def act() -> ProjectPage:
            async with open_index(self.settings, "main") as index:
                return await index.page(NormalizedName(name))

        return anyio.run(act)

    def everything(self) -> dict[str, bytes]:
        """Content of every file below the storage's `simple`, links as what they point to."""
        return {
            str(path.relative_to(self.storage)): b"-> " + os.fsencode(path.readlink())
            if path.is_symlink()
            else path.read_bytes()
            for path in sorted((self.storage / "simple").rglob("*"))
            if path.is_symlink() or path.is_file()
        }

    def quarantined(self) -> dict[str, bytes]:
        """Content of everything in quarantine by the key it had."""
        found = {}
        for manifest in sorted((self.storage / ".wheelyard").glob("quarantine/*/manifest.jsonl")):
            for line in manifest.read_text().splitlines():
                entry = json.loads(line)
                assert entry["why"]
                assert entry["code"]
                place = manifest.parent / entry["place"]
                if place.is_symlink():
                    found[entry["key"]] = b"-> " + os.fsencode(place.readlink())
                elif place.is_file():
                    found[entry["key"]] = place.read_bytes()
        return found


@dataclass(frozen=True)
class Said:
    """What one `wheelyard doctor --json` said."""

    code: int
    findings: list[dict[str, Any]]

    @property
    def codes(self) -> list[str]:
        return [found["code"] for found in self.findings]

    def one(self, code: str) -> dict[str, Any]:
        (found,) = [found for found in self.findings if found["code"] == code]
        return found


def make_root(folder: Path) -> Root:
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text(CONFIG)
    (folder / "config.toml").chmod(0o600)
    return Root(folder)


def with_projects(root: Root, folder: Path) -> Root:
    """Publish `demo` in two releases (one file each yanked and not) and `other`."""
    root.publish(
        WheelBuilder("demo", "1.0", requires_python=">=3.8").build(folder),
        WheelBuilder("demo", "2.0").build(folder),
        SdistBuilder("demo", "2.0").build(folder),
        WheelBuilder("other", "0.1").build(folder),
    )
    return root


def age(*paths: Path, seconds: float = 86_400) -> None:
    """Make files look as if they had been written a day ago."""
    moment = time.time() - seconds
    for path in paths:
        os.utime(path, (moment, moment), follow_symlinks=False)


def doctor(root: Root, capsys: Any, *arguments: str) -> Said:
    """Run `wheelyard doctor --json` here, and read what it printed; findings about room on this machine are left out."""
    capsys.readouterr()
    code = run(["wheelyard", "doctor", str(root.path), "--json", *arguments], {})
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["exit_code"] == code
    room = ("space-low", "inodes-low")
    return Said(code, [found for found in document["findings"] if found["code"] not in room])

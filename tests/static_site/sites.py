"""Looking at sites, and at places that are no folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio

from doctor.roots import Root
from wheelyard.compose import open_index
from wheelyard.site.build import Options, Report, SiteBuild
from wheelyard.site.destination import Destination
from wheelyard.site.layout import Look

Build = Callable[..., int]


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file of a site for readers, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_relative_to(folder / ".wheelyard")
    }


def touched(folder: Path) -> dict[str, int]:
    """Return which file stands under each path of a site, so that a file written anew is another one."""
    return {name: (folder / name).stat().st_ino for name in tree(folder)}


def build_to(root: Root, destination: Destination) -> Report:
    """Build a site of a ROOT to any destination, as the command does."""

    async def act() -> Report:
        async with open_index(root.settings, "main") as index:
            await anyio.to_thread.run_sync(destination.open)
            try:
                return await SiteBuild(index, destination, Options(look=Look("main"))).run()
            finally:
                await anyio.to_thread.run_sync(destination.close)

    return anyio.run(act)

"""A backup of a server under load is true: each record in it has all its files, and it can be restored."""

import asyncio
import sys
from itertools import cycle
from pathlib import Path

import httpx2
import pytest

from doctor.roots import Root
from plugins.live import LiveServer
from wheelyard.index.backup_files import open_source, snapshots
from wheelyard.protocol.record import parse_record
from wheelyard.testing.builders import WheelBuilder, form_fields

BACKUPS = 4


async def publish(client: httpx2.AsyncClient, server: LiveServer, path: Path) -> None:
    fields = {name: values if len(values) > 1 else values[0] for name, values in form_fields(path).items()}
    content = await asyncio.to_thread(path.read_bytes)
    answer = await client.post(server.upload_url, data=fields, files={"content": (path.name, content)})
    assert answer.status_code == 200, answer.text


async def program(*arguments: object) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wheelyard", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.mark.anyio
async def test_under_load(live_server: LiveServer, tmp_path: Path) -> None:
    """While files come and go, each backup ends well, is whole, and the last one restores to what is served."""
    config = live_server.command[live_server.command.index("--config") + 1]
    backup = tmp_path / "backup"
    wheels = [WheelBuilder("demo", f"1.{n}", files={"m.py": b"#" * 100_000}).build(tmp_path) for n in range(40)]
    codes: list[tuple[int, str]] = []

    async def keep_copying() -> None:
        while len(codes) < BACKUPS:
            codes.append(await program("backup", live_server.root, "--config", config, "--to", backup, "--verify"))

    async def keep_changing() -> None:
        auth = (live_server.index, live_server.write_secret)
        async with httpx2.AsyncClient(trust_env=False, timeout=60, auth=auth) as client:
            for path in cycle(wheels):
                if len(codes) == BACKUPS:
                    return
                await publish(client, live_server, path)
                if path.name < "demo-1.25":  # others are deleted at once, and published again in the next round
                    url = f"{live_server.url}/api/v1/indexes/main/projects/demo/files/{path.name}"
                    (await client.delete(url)).raise_for_status()

    await asyncio.gather(keep_copying(), keep_changing())
    assert [code for code, _ in codes] == [0] * BACKUPS, codes
    await asyncio.to_thread(check_snapshots, backup)
    code, out = await program("backup", live_server.root, "--config", config, "--to", backup)
    assert code == 0, out
    code, out = await program("restore", backup, "--to", tmp_path / "new")
    assert code == 0, out
    assert Root(tmp_path / "new").everything() == Root(live_server.root).everything()


def check_snapshots(backup: Path) -> None:
    """Every record of every snapshot has all of its files in it."""
    for folder in snapshots(backup):
        with open_source(folder) as source:
            for path in source.manifest.files:
                if not path.endswith("/index.json"):
                    continue
                for file in parse_record(source.read(path)).files:
                    entry = source.manifest.files[path.replace("index.json", file.filename)]
                    assert entry.sha256 == file.sha256
                    assert path.replace("index.json", f"{file.filename}.metadata") in source.manifest.files

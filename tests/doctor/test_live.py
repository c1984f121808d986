"""Beside a server under load the doctor reports and moves nothing that is under way."""

import asyncio
import json
import sys
from itertools import cycle
from pathlib import Path

import httpx2
import pytest

from doctor.roots import Root
from plugins.live import LiveServer
from wheelyard.testing.builders import WheelBuilder, form_fields

PROJECTS = ("busy", "deleted", "thinned")
LOOKS = 6


async def publish(client: httpx2.AsyncClient, server: LiveServer, path: Path) -> None:
    fields = {name: values if len(values) > 1 else values[0] for name, values in form_fields(path).items()}
    content = await asyncio.to_thread(path.read_bytes)
    answer = await client.post(server.upload_url, data=fields, files={"content": (path.name, content)})
    assert answer.status_code == 200, answer.text


async def doctor(root: Path, *arguments: str) -> dict[str, object]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wheelyard", "doctor", str(root), "--json", *arguments), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    document: dict[str, object] = json.loads(out)
    return document


@pytest.mark.anyio
async def test_concurrent_publishes(live_server: LiveServer, tmp_path: Path) -> None:
    """While files are published and deleted, every look is clean, `--fix` moves nothing, and every file is kept."""
    wheels = {
        project: [WheelBuilder(project, f"1.{n}", files={"m.py": b"#" * 200_000}).build(tmp_path) for n in range(25)]
        for project in PROJECTS
    }
    arguments = ("--config", live_server.command[live_server.command.index("--config") + 1])
    documents: list[dict[str, object]] = []

    async def keep_looking() -> None:
        while len(documents) < LOOKS:
            fix = ["--fix"] if len(documents) % 2 else []
            documents.append(await doctor(live_server.root, *arguments, *fix))

    async def work(project: str) -> None:
        auth = (live_server.index, live_server.write_secret)
        async with httpx2.AsyncClient(trust_env=False, timeout=60, auth=auth) as client:
            base = f"{live_server.url}/api/v1/indexes/main/projects/{project}"
            for path in cycle(wheels[project]):
                await publish(client, live_server, path)
                if len(documents) == LOOKS and path is wheels[project][-1]:
                    return
                if project == "deleted":
                    (await client.delete(base)).raise_for_status()
                if project == "thinned":
                    (await client.delete(f"{base}/files/{path.name}")).raise_for_status()

    await asyncio.gather(keep_looking(), *map(work, PROJECTS))
    quiet = {"secret-weak", "secret-readable", "space-low", "inodes-low"}
    found = [each for document in documents for each in document["findings"] if each["code"] not in quiet]  # type: ignore[attr-defined]
    assert found == []
    root = Root(live_server.root)
    assert root.quarantined() == {}
    live_server.check_holds("busy", wheels["busy"])
    live_server.check_holds("thinned", wheels["thinned"][-1:])
    live_server.check_holds("deleted", wheels["deleted"][-1:])

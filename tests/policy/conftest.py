"""Fixtures of the policy tests: a scriptable upstream, a clock, and a server of this process in front of the upstream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from plugins.clocks import SteppingClock
from wheelyard.compose import make_app
from wheelyard.settings import load_settings
from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body
from wheelyard.testing.fake_upstream import FakeUpstream, UpstreamFile
from wheelyard.testing.loopback import LoopbackServer

SECRETS = 'read_secret = "read-secret-1"\nwrite_secret = "write-secret-2"\n'
V1_JSON = "application/vnd.pypi.simple.v1+json"
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def days_ago(days: float) -> str:
    """Return an upload time as pages write it."""
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def wheel(name: str, version: str, *, uploaded: str | None, **options: Any) -> UpstreamFile:
    """Return a wheel of an upstream; its bytes are no wheel, its metadata is right."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    filename = options.pop("filename", f"{name}-{version}-py3-none-any.whl")
    return UpstreamFile(filename=filename, metadata=metadata, upload_time=uploaded, **options)


def osv_record(identifier: str, project: str, *, fixed: str | None = None, **changes: Any) -> bytes:
    """Return an OSV record: every version of a project, up to `fixed`."""
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    record: dict[str, Any] = {
        "id": identifier,
        "modified": "2026-01-02T03:04:05Z",
        "summary": "it breaks",
        "severity": [{"type": "CVSS_V3", "score": CRITICAL}],
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": project}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        ],
    }
    return json.dumps({key: value for key, value in {**record, **changes}.items() if value is not None}).encode()


@dataclass
class PolicedServer:
    """A server of this process, and a client that may publish."""

    url: str
    root: Path
    folder: Path
    client: httpx2.Client

    def page(self, project: str, before: str = "") -> httpx2.Response:
        """Ask for a page as JSON."""
        return self.client.get(f"{before}/simple/{project}/", headers={"accept": V1_JSON})

    def files(self, project: str, before: str = "") -> list[str]:
        """Return the names of the files that a page lists."""
        answer = self.page(project, before)
        assert answer.status_code == 200, answer.text
        return [file["filename"] for file in answer.json()["files"]]

    def publish(self, name: str, version: str = "1.0") -> None:
        """Publish a wheel."""
        path = WheelBuilder(name=name, version=version).build(self.folder)
        content_type, body = multipart_body(form_fields(path), path.name, path.read_bytes())
        self.client.post("/legacy/", content=body, headers={"content-type": content_type}).raise_for_status()


Serve = Callable[..., PolicedServer]


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def serve(upstream: FakeUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server with a policy in front of the upstream: `serve('minimum_age = "7d"')`."""
    monkeypatch.setenv("NO_PROXY", "*")
    with ExitStack() as opened:

        def start(policy: str = "", *, further: str = "") -> PolicedServer:
            config = f'[main]\ntype = "memory"\n{SECRETS}[main.policy]\n{policy}\n{further}'
            root = tmp_path / "root"
            overrides = {"extra_index_url": "" if further else upstream.root}
            app, _ = make_app(load_settings(root, config=config, text_allowed=True, overrides=overrides))
            server = opened.enter_context(LoopbackServer(app, lifespan=True))
            client = httpx2.Client(base_url=server.url, auth=("main", "write-secret-2"), trust_env=False)
            return PolicedServer(server.url, root, tmp_path, opened.enter_context(client))

        yield start

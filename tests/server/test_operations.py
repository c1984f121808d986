"""Addresses for those who run the server: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.sites import READ, WRITE, Site, composed, index_settings
from wheelyard.storage.plugins import load_backend
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.anyio


async def samples(site: Site) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample of the exposition."""
    answer = await site.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.parametrize(("path", "text"), [("/healthz", "ok\n"), ("/readyz", "ready\n")])
async def test_well(site: Site, path: str, text: str) -> None:
    """Probes need no credentials and are kept by nobody."""
    answer = await site.get(path, auth=None)
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["cache-control"] == "no-store"


async def test_draining(site: Site) -> None:
    """A server that stops is healthy and not ready; reading goes on, new work is 503 with a time to come back."""
    path = WheelBuilder().build(site.folder)
    assert (await site.upload(path)).status_code == 200
    site.server.state.draining = True
    assert (await site.get("/healthz", auth=None)).status_code == 200
    ready = await site.get("/readyz", auth=None)
    assert (ready.status_code, ready.text) == (503, "server: stopping\n")
    assert (await site.get("/simple/demo/")).status_code == 200
    refused = await site.upload(path)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    refused = await site.send("DELETE", "/api/v1/indexes/main/projects/demo", None)
    assert refused.status_code == 503


async def test_not_ready(tmp_path: Path) -> None:
    """A server whose storage cannot be asked says which, and no path of its disk."""
    folder = index_settings("gone", type="file_system", options=load_backend("file_system").options())
    async with composed(tmp_path, index_settings(), folder) as site:
        assert (await site.get("/readyz", auth=None)).status_code == 200
        cache = site.root / "cache" / "gone"
        cache.rename(tmp_path / "elsewhere")
        answer = await site.get("/readyz", auth=None)
        assert answer.status_code == 503
        assert answer.text.startswith("gone: ")
        assert str(tmp_path) not in answer.text
        assert int(answer.headers["retry-after"]) > 0
        reading = await site.get("/gone/simple/", auth=("gone", "gone-read-secret"))
        assert reading.status_code == 503
        assert str(tmp_path) not in reading.text
        assert (await site.get("/main/simple/")).status_code == 200


async def test_metrics_need_credentials(site: Site) -> None:
    """Numbers are for who may read."""
    assert (await site.get("/metrics", auth=None)).status_code == 401
    assert (await site.get("/metrics", auth=WRITE)).status_code == 200


async def test_counted(site: Site) -> None:
    """Answers are counted by status and kind."""
    await site.publish(WheelBuilder())
    before = await samples(site)
    await site.get("/simple/demo/")
    await site.get("/simple/none/")
    await site.get("/simple/", auth=None)
    after = await samples(site)

    def grew(status: int, kind: str) -> float:
        name = ("wheelyard_http_answers_total", (("kind", kind), ("status", str(status))))
        return after.get(name, 0) - before.get(name, 0)

    assert (grew(200, "page"), grew(404, "page"), grew(401, "list")) == (1, 1, 1)


async def test_no_names_in_metrics(site: Site) -> None:
    """What is counted has a bounded number of labels, and no name of a project or caller."""
    for number in range(20):
        await site.get(f"/simple/secret-name-{number}/")
    text = (await site.get("/metrics")).text
    assert "secret-name" not in text
    assert READ[1] not in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/api/openapi.json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_methods(site: Site, path: str, method: str) -> None:
    """They are only read."""
    answer = await site.ask(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"

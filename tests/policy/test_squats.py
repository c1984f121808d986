"""The squat alarm: a name of ours that is on another index is logged once, counted and shown; nobody learns our names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import anyio
import httpx2
import prometheus_client.core  # noqa: F401  else its import would count as blocking
import pytest
from structlog.testing import capture_logs

from plugins.clocks import SteppingClock
from policy.conftest import SECRETS, V1_JSON, Serve
from policy.test_policy_index import Elsewhere
from server.sites import composed, index_settings
from wheelyard.compose.policy import watching
from wheelyard.errors import UpstreamUnavailable
from wheelyard.index.policy.patterns import NamePattern
from wheelyard.index.policy.rules import Policy
from wheelyard.index.policy.squats import SquatWatch
from wheelyard.model import NormalizedName, ProjectList, ProjectPage
from wheelyard.settings import load_settings
from wheelyard.testing.builders import WheelBuilder
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, Gate

pytestmark = pytest.mark.anyio

ACME = NormalizedName("acme-x")


@dataclass
class Listing(Elsewhere):
    """An index of names; counts how often its list was asked for."""

    names: tuple[str, ...] = ()
    lists: int = 0
    broken: list[bool] = field(default_factory=list)

    async def list(self) -> ProjectList:
        self.lists += 1
        if self.broken:
            raise UpstreamUnavailable("down", upstream="x")
        return ProjectList(names=self.names)


def ours(*names: str) -> Elsewhere:
    return Elsewhere({name: ProjectPage(name=NormalizedName(name)) for name in names})


def watch(hosted: Elsewhere, theirs: Listing, tmp_path: Path, clock: SteppingClock, *expected: str) -> SquatWatch:
    return SquatWatch(
        "main",
        hosted,
        theirs,
        path=tmp_path / "state" / "squats-main.json",
        expected=tuple(map(NamePattern.parse, expected)),
        clock=clock,
    )


async def test_alarm(tmp_path: Path, clock: SteppingClock) -> None:
    """A name of ours that is there too, in whatever spelling, is found and logged; others are not."""
    theirs = Listing(names=("Acme_X", "six"))
    with capture_logs() as log:
        found = await watch(ours("acme-x", "acme-y"), theirs, tmp_path, clock).check()
    assert found.found == {ACME: clock.now}
    assert [(line["event"], line["project"]) for line in log] == [("squat-alarm", "acme-x")]
    assert theirs.asked == []  # no name of ours was asked for


async def test_logged_once(tmp_path: Path, clock: SteppingClock) -> None:
    """The list is asked for once a day, and a name is logged once, however many processes there are and however often they start."""
    theirs, hosted, since = Listing(names=("acme-x", "acme-y")), ours("acme-x"), clock.now
    await watch(hosted, theirs, tmp_path, clock).check()
    with capture_logs() as log:
        assert (await watch(hosted, theirs, tmp_path, clock).check()).found == {ACME: since}
        assert theirs.lists == 1
        clock.now += timedelta(days=1)
        again = watch(hosted, theirs, tmp_path, clock)
        assert (await again.check()).found == {ACME: since}
        assert theirs.lists == 2
    assert log == []
    hosted.pages["acme-y"] = ProjectPage(name=NormalizedName("acme-y"))
    clock.now += timedelta(days=1)
    with capture_logs() as log:
        await again.check()
    assert [line["project"] for line in log] == ["acme-y"]


async def test_one_process_looks(tmp_path: Path, clock: SteppingClock) -> None:
    """While one process looks no other does; a process that was killed while it looked is not waited for over an hour."""
    theirs, hosted = Listing(names=("acme-x",)), ours("acme-x")
    looking = watch(hosted, theirs, tmp_path, clock)
    assert looking._claim(clock.now)
    assert (await watch(hosted, theirs, tmp_path, clock).check()).found == {}
    assert theirs.lists == 0
    clock.now += timedelta(hours=1)
    assert ACME in (await watch(hosted, theirs, tmp_path, clock).check()).found
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["squats-main.json"]


async def test_gone_again(tmp_path: Path, clock: SteppingClock) -> None:
    """A name that is no longer there is forgotten at the next look."""
    theirs = Listing(names=("acme-x",))
    looking = watch(ours("acme-x"), theirs, tmp_path, clock)
    await looking.check()
    theirs.names = ()
    clock.now += timedelta(days=1)
    assert (await looking.check()).found == {}


async def test_expected(tmp_path: Path, clock: SteppingClock) -> None:
    """Names that are there with our knowledge raise no alarm."""
    assert (await watch(ours("acme-x"), Listing(names=("acme-x",)), tmp_path, clock, "acme-*").check()).found == {}


async def test_failures(tmp_path: Path, clock: SteppingClock) -> None:
    """An index that cannot be asked is asked again; what was known stays known; with nothing of ours nobody is asked."""
    theirs = Listing(names=("acme-x",))
    looking = watch(ours("acme-x"), theirs, tmp_path, clock)
    await looking.check()
    theirs.broken.append(True)
    clock.now += timedelta(days=1)
    assert ACME in (await looking.check()).found
    theirs.broken.clear()
    await looking.check()
    assert theirs.lists == 3
    nobody = Listing()
    await watch(ours(), nobody, tmp_path / "other", clock).check()
    assert nobody.lists == 0


async def test_damaged_book(tmp_path: Path, clock: SteppingClock) -> None:
    """What was known and cannot be read any more is found out again."""
    looking = watch(ours("acme-x"), Listing(names=("acme-x",)), tmp_path, clock)
    await looking.check()
    (tmp_path / "state" / "squats-main.json").write_text("{")
    assert (await looking.check()).found == {ACME: clock.now}


async def test_on_a_server(tmp_path: Path, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server looks by itself; the alarm is in its metrics and in what it explains, and the upstream heard no name of ours."""
    monkeypatch.setenv("NO_PROXY", "*")
    gate = Gate()
    listing = b'{"meta": {"api-version": "1.4"}, "projects": [{"name": "Acme.X"}, {"name": "six"}]}'
    upstream.script("/simple/", Answer(headers={"content-type": V1_JSON}, body=listing, gate=gate))
    config = f'[main]\ntype = "memory"\n{SECRETS}'
    loaded = load_settings(
        tmp_path / "root", config=config, text_allowed=True, overrides={"extra_index_url": upstream.root}
    )
    policed = index_settings(policy=Policy(reserved=(NamePattern.parse("acme-*"),)))
    async with composed(tmp_path, settings=replace(loaded, indexes=(policed,))) as site:
        await site.publish(WheelBuilder(name="acme-x", version="1.0"))
        await site.publish(WheelBuilder(name="acme-y", version="1.0"))
        async with watching(lambda: site.server.state.catalog, first_s=0):
            await anyio.to_thread.run_sync(gate.wait_until_reached)
        gate.open()
        explainer = site.server.state.catalog.names["main"].explainer
        assert explainer is not None
        assert explainer.squats is not None
        await explainer.squats.check()
        metrics = (await site.get("/metrics")).text
        assert 'wheelyard_squatted_projects{index="main"} 1.0' in metrics
        assert (await site.get("/api/v1/why/acme-x")).json()["squatted_since"] is not None
        assert (await site.get("/api/v1/why/acme-y")).json()["squatted_since"] is None
    assert {question.path for question in upstream.questions} == {"/simple/"}


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["", "squat_check = false"])
async def test_off(serve: Serve, upstream: FakeUpstream, policy: str) -> None:
    """Without an alarm, or before the first look, there is nothing to count and nobody was asked."""
    server = await anyio.to_thread.run_sync(serve, policy)
    with httpx2.Client(base_url=server.url, auth=("main", "read-secret-1"), trust_env=False) as client:
        metrics = await anyio.to_thread.run_sync(client.get, "/metrics")
    assert ('wheelyard_squatted_projects{index="main"} 0.0' in metrics.text) is (policy == "")
    assert upstream.questions == []

"""Power loss at any moment of a real server's life, simulated from a recording of its steps."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from crash.inside import InsideIndex, opened
from crash.nursery import FolderServers
from wheelyard.testing.crash import IndexClient, Ledger, Listed, Package, check_promises, package
from wheelyard.testing.crash_power import (
    Disk,
    Observation,
    Tree,
    read_observations,
    tree_digest,
    write_tree,
)
from wheelyard.testing.crash_steps import Plan

pytestmark = pytest.mark.anyio

State = Mapping[str, Listed]

ONE, TWO = package("demo", "1.0"), package("demo", "2.0", sdist=True, payload=os.urandom(90_000))
OTHER = package("other", "1.0")
SERVED_EVERY = 60  # states of which one is looked at by a whole server as well


@dataclass(frozen=True)
class Operation:
    """One operation of the recording, over HTTP and as it is asked for again."""

    name: str
    act: Callable[[IndexClient], httpx2.Response]
    again: Callable[[InsideIndex], Awaitable[object]]
    adds: Package | None = None


def publishing(each: Package) -> Operation:
    return Operation(
        f"publish {each.filename}", lambda client: client.publish(each), lambda index: index.publish(each), each
    )


OPERATIONS = (
    publishing(ONE),
    publishing(OTHER),
    publishing(TWO),
    Operation("yank", lambda client: client.yank("demo", "1.0"), lambda index: index.yank("demo", "1.0", "broken")),
    Operation("unyank", lambda client: client.unyank("demo", "1.0"), lambda index: index.yank("demo", "1.0", None)),
    Operation(
        "status", lambda client: client.set_status("demo", "archived"), lambda index: index.status("demo", "archived")
    ),
    Operation(
        "delete release", lambda client: client.delete("demo", version="2.0"), lambda index: index.delete("demo", "2.0")
    ),
    Operation("delete project", lambda client: client.delete("demo"), lambda index: index.delete("demo")),
)


@dataclass(frozen=True)
class Recording:
    """What a server did: observations, and after how many of them each operation was acknowledged, with what is then there."""

    observations: list[Observation]
    acknowledged: list[tuple[int, State]]

    def at(self, number: int) -> tuple[int, State, State]:
        """Return how many operations were acknowledged at an observation, and the states before and after the next."""
        done = sum(1 for count, _ in self.acknowledged if count <= number)
        before: State = self.acknowledged[done - 1][1] if done else {}
        after = self.acknowledged[done][1] if done < len(self.acknowledged) else before
        return done, before, after


def record(servers: FolderServers, root: Path, *, fsync: bool = True) -> Recording:
    """Record a server from its first start on."""
    trace = root.with_name("trace")
    config = servers.config_text(fsync=fsync)
    server = servers.start(root, trace=trace, config=config)
    acknowledged: list[tuple[int, State]] = []
    for operation in OPERATIONS:
        answer = operation.act(server.client)
        assert answer.status_code == 200, answer.text
        count = len(read_observations(trace))
        acknowledged.append((count, check_promises(server.client, Ledger())))
    assert server.stop() == 0
    return Recording(read_observations(trace), acknowledged)


def states(recording: Recording) -> Iterator[tuple[int, Tree]]:
    """Return every different state with the number of the observation it may follow."""
    disk, seen = Disk(seed=1), set[tuple[int, bytes]]()
    for number, observation in enumerate(recording.observations, 1):
        disk.apply(observation)
        done = recording.at(number)[0]
        for tree in disk.states():
            digest = tree_digest(tree, ignore=lambda path: "/.wheelyard/tmp/" in path)
            if (done, digest) not in seen:
                seen.add((done, digest))
                yield number, tree


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of states are made in it."""
    shared = Path("/dev/shm")
    folder = tempfile.mkdtemp(dir=shared if os.access(shared, os.W_OK) else None)
    yield Path(folder)
    shutil.rmtree(folder)


async def check(root: Path, recording: Recording, number: int, *, config: str) -> None:
    """Check one state, and ask again for what was under way."""
    done, before, after = recording.at(number)
    async with opened(root, config) as index:
        found = await index.state()
        assert found in (before, after), f"after {done} operations, at observation {number}"
        if done == len(OPERATIONS):
            return
        operation = OPERATIONS[done]
        if operation.adds is not None and found == before and number % 2:
            other = package(operation.adds.project, operation.adds.version, sdist=operation.adds is TWO, variant=5)
            await index.publish(other)
            assert (await index.state())[other.project].files[other.filename] == other.sha256
        else:
            if found == before:
                await operation.again(index)
            assert await index.state() == after


@pytest.mark.slow
async def test_power_loss_at_any_moment(servers: FolderServers, memory: Path, tmp_path: Path) -> None:
    """UP-13: whatever a power loss took that was not synced, what was acknowledged is there, whole, and nothing half."""
    recording = record(servers, memory / "root")
    config = servers.config_text(fsync=False)
    count = 0
    for number, tree in states(recording):
        root = memory / "state"
        write_tree(tree, root)
        if count % SERVED_EVERY == 0:
            check_served(servers, root, recording, number)
        await check(root, recording, number, config=config)
        shutil.rmtree(root)
        count += 1
    assert count > 500, "the recording has more states than that"


def check_served(servers: FolderServers, root: Path, recording: Recording, number: int) -> None:
    """Check one state with a whole server."""
    copy = root.with_name("served")
    shutil.copytree(root, copy)
    server = servers.start(copy)
    assert check_promises(server.client, Ledger()) in recording.at(number)[1:]
    server.kill()
    shutil.rmtree(copy)


@pytest.mark.slow
async def test_power_loss_after_a_kill_and_a_retry(servers: FolderServers, memory: Path) -> None:
    """UP-13: what a retry acknowledged is kept although a killed process did most of the work, and synced only a part of it."""
    config = servers.config_text(fsync=False)
    counted = servers.start(memory / "counted", Plan())
    counted.arm()
    assert counted.client.publish(ONE).status_code == 200
    steps = servers.tally(memory / "counted")
    for number in range(steps.index("rename"), len(steps) + 1):
        root, trace = memory / f"root-{number}", memory / f"trace-{number}"
        living = servers.start(root, trace=trace)
        killed = servers.start(root, Plan(at=number), trace=trace)
        killed.arm()
        with pytest.raises(httpx2.TransportError):
            killed.client.publish(ONE)
        assert killed.wait_killed()
        assert living.client.publish(ONE).status_code == 200
        disk = Disk()
        for observation in read_observations(trace):
            disk.apply(observation)
        living.kill()
        for tree in disk.states():
            write_tree(tree, memory / "state")
            async with opened(memory / "state", config) as index:
                assert (await index.state())["demo"].files == {ONE.filename: ONE.sha256}, (number, steps[number - 1])
            shutil.rmtree(memory / "state")


@pytest.mark.slow
async def test_without_syncs_the_simulation_finds_losses(servers: FolderServers, memory: Path) -> None:
    """The simulation is no formality: of a server that syncs nothing it finds lost and torn files."""
    recording = record(servers, memory / "root", fsync=False)
    config = servers.config_text(fsync=False)
    found = 0
    for number, tree in states(recording):
        root = memory / "state"
        write_tree(tree, root)
        try:
            await check(root, recording, number, config=config)
        except Exception:  # noqa: BLE001  any trouble is what we look for
            found += 1
        shutil.rmtree(root)
        if found > 20:
            return
    pytest.fail(f"only {found} losses were found")

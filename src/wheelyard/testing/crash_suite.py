"""
The suites of crashes and of two servers on one storage, for every backend.

Subclass a suite beside a fixture `servers` that yields `Servers`, and say what leftovers look like:

    class TestMine(KillSuite):
        def check_leftovers(self, root: Path) -> None: ...

Every server is a real one in a process of its own, which dies when it is told to.
"""

from __future__ import annotations

import os
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest

from wheelyard.testing.crash import (
    IndexClient,
    Ledger,
    Listed,
    Package,
    check_promises,
    check_retryable,
    package,
)
from wheelyard.testing.crash_steps import CHANGES, Plan

T = TypeVar("T")


class Running(ABC):
    """
    One running server.

    Attributes:
        client: Asks it.
        root: Its ROOT.
    """

    client: IndexClient
    root: Path

    @abstractmethod
    def kill(self) -> None:
        """End it at once with SIGKILL, and wait until it is gone."""

    @abstractmethod
    def resume(self) -> None:
        """Let it go on after SIGSTOP."""

    @abstractmethod
    def wait_stopped(self, request: threading.Thread) -> bool:
        """Wait until it was stopped by SIGSTOP; False when `request` came to its end without that."""

    @abstractmethod
    def wait_killed(self) -> bool:
        """Wait until it is gone; False when it is still there after some seconds."""

    @abstractmethod
    def arm(self, at: int | None = None) -> None:
        """From now on its plan counts steps, anew; `at` stands for the number in the plan."""

    @abstractmethod
    def disarm(self) -> None:
        """Its plan counts no steps any more."""


class Servers(ABC):
    """Starts servers, and ends them with the test."""

    @abstractmethod
    def start(self, root: Path, plan: Plan | None = None) -> Running:
        """
        Start a server on a ROOT and wait until it answers.

        Args:
            root: The same for two servers means the same storage.
            plan: What happens in it once it is armed.
        """

    @abstractmethod
    def command(self, root: Path, *arguments: str) -> int:
        """Run a command of the command line on a ROOT; return its exit code."""

    @abstractmethod
    def tally(self, root: Path) -> list[str]:
        """Return the names of the steps counted so far on a ROOT."""


ONE = package("demo", "1.0")
TWO = package("demo", "2.0", sdist=True, payload=random.Random(2).randbytes(100_000))  # noqa: S311  large: goes over disk
OTHER = package("other", "1.0")


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    One operation that is interrupted.

    Attributes:
        name: Of the scenario.
        act: The operation.
        before: The project as it is before; None: not there.
        after: And after.
        setup: What is done before it, besides publishing the files of `before`.
        adds: What the operation publishes; None when it does not publish.
    """

    name: str
    act: Callable[[IndexClient], httpx2.Response]
    before: Listed | None
    after: Listed | None
    setup: Callable[[IndexClient], object] = field(default=lambda _: None)
    adds: Package | None = None


def state_of(*files: Package, yanked: Iterable[Package] = (), status: str = "active") -> Listed:
    """Return how a page lists files."""
    return Listed({each.filename: each.sha256 for each in files}, {each.filename: "broken" for each in yanked}, status)


SCENARIOS: Sequence[Scenario] = (
    Scenario("publish first", lambda client: client.publish(ONE), None, state_of(ONE), adds=ONE),
    Scenario("publish next", lambda client: client.publish(TWO), state_of(ONE), state_of(ONE, TWO), adds=TWO),
    Scenario("yank", lambda client: client.yank("demo", "1.0"), state_of(ONE, TWO), state_of(ONE, TWO, yanked=[ONE])),
    Scenario(
        "unyank",
        lambda client: client.unyank("demo", "1.0"),
        state_of(ONE, TWO, yanked=[ONE]),
        state_of(ONE, TWO),
        setup=lambda client: client.yank("demo", "1.0"),
    ),
    Scenario(
        "status", lambda client: client.set_status("demo", "archived"), state_of(ONE), state_of(ONE, status="archived")
    ),
    Scenario(
        "delete file",
        lambda client: client.delete("demo", filename=ONE.filename),
        state_of(ONE, TWO),
        state_of(TWO),
    ),
    Scenario("delete release", lambda client: client.delete("demo", version="2.0"), state_of(ONE, TWO), state_of(ONE)),
    Scenario("delete project", lambda client: client.delete("demo"), state_of(ONE, TWO), None),
)


class _Suite:
    """What the suites share."""

    def check_leftovers(self, root: Path) -> None:
        """Fail when something is left of dead processes on a ROOT that one server serves; to override."""

    def check_tidy(self, root: Path, ledger: Ledger) -> None:
        """Fail when the storage holds files that no page lists, after everything was sent again; to override."""


class KillSuite(_Suite):
    """A server is killed: at every step of every operation, and at random under load."""

    steps: Sequence[str] = CHANGES
    rounds = 4
    uploads = 200

    # -- at every step ---------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-"))
    def test_killed_at_every_step(self, scenario: Scenario, servers: Servers, tmp_path: Path) -> None:
        """UP-13: killed at any step, the project is as before or as after; the operation can be asked for again."""
        names = self.step_names(scenario, servers, tmp_path / "counted")
        assert len(names) > 3, names  # noqa: PLR2004  any operation has more
        moments = [(number, "before") for number in range(1, len(names) + 1)]
        moments += [(number, "half") for number, name in enumerate(names, 1) if name == "write"]
        moments.append((len(names), "after"))
        for number, when in moments:
            root = tmp_path / f"{number:02}-{when}"
            plan = Plan(at=number, when=when, steps=self.steps)
            self.check_killed(scenario, servers, root, plan, even=number % 2 == 0)

    def step_names(self, scenario: Scenario, servers: Servers, root: Path) -> list[str]:
        """Return the names of the steps of an operation, in order."""
        server = servers.start(root, Plan(steps=self.steps))
        self.prepare(scenario, server.client)
        server.arm()
        answer = scenario.act(server.client)
        assert answer.status_code == 200, answer.text  # noqa: PLR2004  OK
        server.kill()
        return servers.tally(root)

    def prepare(self, scenario: Scenario, client: IndexClient) -> Ledger:
        """Make the state that a scenario begins with."""
        ledger = Ledger()
        ledger.publish(client, OTHER)
        for each in (ONE, TWO):
            if scenario.before is not None and each.filename in scenario.before.files:
                ledger.publish(client, each)
        scenario.setup(client)
        assert client.listed("demo") == scenario.before
        return ledger

    def check_killed(self, scenario: Scenario, servers: Servers, root: Path, plan: Plan, *, even: bool) -> None:
        """Kill a server at one moment, and check everything."""
        server = servers.start(root, plan)
        ledger = self.prepare(scenario, server.client)
        server.arm()
        with pytest.raises(httpx2.TransportError):
            scenario.act(server.client)
        assert server.wait_killed(), plan
        server.disarm()
        again = servers.start(root)
        self.check_leftovers(root)
        self.check_after(scenario, again.client, ledger, even=even)
        again.kill()

    def check_after(self, scenario: Scenario, client: IndexClient, ledger: Ledger, *, even: bool) -> None:
        """Check what a killed operation left, then ask for it again."""
        is_delete = scenario.name.startswith("delete")
        if is_delete:  # what was being deleted is no longer promised, but for what stays in any case
            staying = {} if scenario.after is None else scenario.after.files
            ledger.kept["demo"] = dict(staying)
        if scenario.adds is not None:
            ledger.sending(scenario.adds)
        found = check_promises(client, ledger).get("demo")
        assert found in (scenario.before, scenario.after), found
        if scenario.adds is not None:
            adds = scenario.adds
            other = package(adds.project, adds.version, sdist=adds.filename.endswith(".tar.gz"), variant=7)
            check_retryable(client, ledger, adds, adds if found != scenario.after and even else other)
            return
        answer = scenario.act(client)
        done = is_delete and found == scenario.after
        assert answer.status_code == (404 if done else 200), answer.text
        assert client.listed("demo") == scenario.after
        check_promises(client, ledger)

    # -- while it starts and stops ---------------------------------------------------------------------------------

    def test_killed_while_it_reclaims(self, servers: Servers, tmp_path: Path) -> None:
        """A start that is killed at any step, after a publish that was killed, harms nothing; the next one goes on."""
        root = tmp_path / "root"
        server = servers.start(root, Plan(at=len(self.step_names(SCENARIOS[1], servers, tmp_path / "counted")) // 2))
        ledger = self.prepare(SCENARIOS[1], server.client)
        server.arm()
        assert ledger.publish(server.client, TWO) is None
        assert server.wait_killed()
        for number in range(1, 200):
            # It is armed already: the steps of the start itself are counted.
            starting = servers.start(root, Plan(at=number, steps=self.steps))
            if not starting.wait_killed():
                starting.disarm()  # what it writes when it is first asked is no part of the start
                check_promises(starting.client, ledger)
                starting.kill()
                break
        else:
            pytest.fail("the start never came to its end")
        last = servers.start(root)
        self.check_leftovers(root)
        check_promises(last.client, ledger)

    # -- under load ------------------------------------------------------------------------------------------------

    def test_killed_at_random(self, servers: Servers, tmp_path: Path) -> None:
        """UP-13: of 200 uploads at once, cut off at a random moment, the acknowledged are kept and the rest can be sent again."""
        seed = int(os.environ.get("WHEELYARD_SEED", "") or random.SystemRandom().randrange(2**32))
        print(f"WHEELYARD_SEED={seed}")  # noqa: T201  shown when the test fails: it makes the round again
        chance = random.Random(seed)  # noqa: S311  no secret
        ledger, root = Ledger(), tmp_path / "root"
        for number in range(self.rounds):
            uploads = some_uploads(chance, self.uploads, round_number=number)
            server = servers.start(root)
            before = ledger.count()
            fatal = before + chance.randrange(len(uploads) // 2)
            with ThreadPoolExecutor(len(uploads) + 1) as pool:
                pool.submit(kill_after, server, ledger, fatal, delay_s=chance.uniform(0, 0.02))
                list(pool.map(partial(ledger.publish, server.client), uploads))
            print(f"round {number}: {ledger.count() - before} of {len(uploads)} acknowledged")  # noqa: T201  as above
            assert fatal <= ledger.count() < before + len(uploads), "it was killed on the way"
            assert server.wait_killed()
            again = servers.start(root)
            self.check_leftovers(root)
            check_promises(again.client, ledger)
            self.send_all_again(again.client, ledger, uploads, chance)
            again.kill()
        last = servers.start(root)
        check_promises(last.client, ledger)
        self.check_tidy(root, ledger)

    def send_all_again(
        self, client: IndexClient, ledger: Ledger, uploads: list[Package], chance: random.Random
    ) -> None:
        """Send everything again, in another order: each name gets one winner and keeps it."""
        chance.shuffle(uploads)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(partial(ledger.publish, client), uploads))
        for each, answer in zip(uploads, answers, strict=True):
            assert answer is not None
            is_kept = ledger.kept[each.project][each.filename] == each.sha256
            assert answer.status_code == (200 if is_kept else 409), answer.text
        check_promises(client, ledger)


def kill_after(server: Running, ledger: Ledger, count: int, *, delay_s: float) -> None:
    """Kill a server a moment after so many files were acknowledged."""
    while ledger.count() < count:
        time.sleep(0.001)
    time.sleep(delay_s)
    server.kill()


def some_uploads(chance: random.Random, count: int, *, round_number: int) -> list[Package]:
    """Return uploads to ten projects: most of them different files, some the same file, some other bytes for one name."""
    uploads: list[Package] = []
    while len(uploads) < count:
        name = f"load-{chance.randrange(10)}"
        version = f"{round_number}.{chance.randrange(2**16)}"
        payload = chance.randbytes(chance.choice([10, 3_000, 60_000]))
        each = package(name, version, sdist=chance.random() < 0.3, payload=payload)  # noqa: PLR2004  a third
        uploads.append(each)
        kind = chance.random()
        if kind < 0.1:  # noqa: PLR2004  a tenth twice
            uploads.append(each)
        elif kind < 0.2:  # noqa: PLR2004  a tenth contested
            uploads.append(package(name, version, sdist=each.filename.endswith("gz"), payload=payload + b"other"))
    chance.shuffle(uploads)
    return uploads[:count]


class TwoServersSuite(_Suite):
    """Two servers, and the command line, on one storage at the same moment."""

    rounds = 8
    steps: Sequence[str] = CHANGES

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """Return a ROOT."""
        return tmp_path / "root"

    @pytest.fixture
    def pair(self, servers: Servers, root: Path) -> tuple[IndexClient, IndexClient]:
        """Return clients of two servers on one ROOT."""
        first = servers.start(root)  # the first one makes the folders, as after an installation
        return first.client, servers.start(root).client

    def test_same_file(self, pair: tuple[IndexClient, IndexClient]) -> None:
        """UP-30: the same bytes sent to both at once are acknowledged by both, and listed once."""
        ledger = Ledger()
        for number in range(self.rounds):
            each = package("demo", f"1.{number}")
            answers = at_once(*[partial(ledger.publish, client, each) for client in pair])
            assert [answer.status_code for answer in answers if answer is not None] == [200, 200]
            check_both(pair, ledger)

    def test_different_bytes_for_one_name(self, pair: tuple[IndexClient, IndexClient]) -> None:
        """UP-31: of two different files of one name exactly one is acknowledged; both servers have that one."""
        ledger, winners = Ledger(), set()
        for number in range(self.rounds * 2):
            sent = [package("demo", f"1.{number}", variant=variant) for variant in (1, 2)]
            pairs = list(zip(pair, sent, strict=True))
            answers = at_once(*[partial(ledger.publish, client, each) for client, each in pairs])
            codes = [answer.status_code for answer in answers if answer is not None]
            assert sorted(codes) == [200, 409]
            winners.add(codes.index(200))
            winner = sent[codes.index(200)]
            for client in pair:
                assert client.get(f"/simple/demo/{winner.filename}").content == winner.content
                assert client.get(f"/simple/demo/{winner.filename}.metadata").content == winner.metadata
        check_both(pair, ledger)

    def test_different_files(self, pair: tuple[IndexClient, IndexClient]) -> None:
        """UP-13: everything that both acknowledge for one project is listed by both."""
        ledger = Ledger()
        uploads = [package("demo", f"1.{number}") for number in range(40)]
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda job: ledger.publish(pair[job[0] % 2], job[1]), list(enumerate(uploads))))
        assert [answer.status_code for answer in answers if answer is not None] == [200] * len(uploads)
        check_both(pair, ledger)
        listed = pair[0].listed("demo")
        assert listed is not None
        assert set(listed.files) == {each.filename for each in uploads}

    def test_seen_at_once(self, pair: tuple[IndexClient, IndexClient]) -> None:
        """URL-01: what one server acknowledged is in the very next list and page of the other."""
        for number in range(self.rounds):
            writer, reader = pair if number % 2 else pair[::-1]
            each = package(f"demo-{number}", "1.0")
            next_one = package(f"demo-{number}", "2.0")
            assert reader.listed(each.project) is None
            assert writer.publish(each).status_code == 200  # noqa: PLR2004  OK
            assert each.project in reader.names()
            assert reader.listed(each.project) == state_of(each)
            assert reader.get(f"/simple/{each.project}/{each.filename}").content == each.content
            assert writer.publish(next_one).status_code == 200  # noqa: PLR2004  OK
            assert reader.listed(each.project) == state_of(each, next_one)
            assert writer.yank(each.project, "1.0").status_code == 200  # noqa: PLR2004  OK
            assert reader.listed(each.project) == state_of(each, next_one, yanked=[each])
            assert writer.delete(each.project, version="2.0").status_code == 200  # noqa: PLR2004  OK
            assert reader.listed(each.project) == state_of(each, yanked=[each])
            assert reader.get(f"/simple/{each.project}/{next_one.filename}").status_code == 404  # noqa: PLR2004  gone
            assert writer.delete(each.project).status_code == 200  # noqa: PLR2004  OK
            assert each.project not in reader.names()
            assert reader.listed(each.project) is None

    def test_yank_while_publishing(self, pair: tuple[IndexClient, IndexClient]) -> None:
        """YANK-01: a yank by one server and publishes by the other do not undo each other."""
        ledger = Ledger()
        ledger.publish(pair[0], ONE)
        for number in range(self.rounds):
            each = package("demo", f"3.{number}")
            change = pair[1].yank if number % 2 == 0 else pair[1].unyank
            published, changed = at_once(partial(ledger.publish, pair[0], each), partial(change, "demo", "1.0"))
            assert published is not None
            assert changed is not None
            assert (published.status_code, changed.status_code) == (200, 200)
            for found in check_both(pair, ledger):
                assert found["demo"].yanked == ({ONE.filename: "broken"} if number % 2 == 0 else {})

    def test_delete_while_publishing(self, pair: tuple[IndexClient, IndexClient]) -> None:
        """A project deleted by one server while the other publishes to it is gone, or has just the new file, whole."""
        for number in range(self.rounds * 2):
            old, new = package("demo", f"1.{number}"), package("demo", f"2.{number}")
            assert pair[0].publish(old).status_code == 200  # noqa: PLR2004  OK
            published, deleted = at_once(partial(pair[0].publish, new), partial(pair[1].delete, "demo"))
            assert (published.status_code, deleted.status_code) == (200, 200)
            one, other = check_both(pair, Ledger())
            assert one == other
            assert one.get("demo") in (None, state_of(new))
            if "demo" in one:
                assert pair[number % 2].delete("demo").status_code == 200  # noqa: PLR2004  OK

    def test_command_line_while_serving(self, servers: Servers, root: Path) -> None:
        """The command line changes a project while the server publishes to it: nothing is lost, and it shows at once."""
        client = servers.start(root).client
        ledger = Ledger()
        ledger.publish(client, ONE)
        for number, command in enumerate(("yank", "unyank", "yank")):
            uploads = [package("demo", f"2.{number}.{each}") for each in range(4)]
            code, *answers = at_once(
                partial(changed, servers, root, command), *[partial(sent, ledger, client, each) for each in uploads]
            )
            assert (code, answers) == (0, [200] * len(uploads))
            found = check_promises(client, ledger)["demo"]
            assert set(found.yanked) == ({ONE.filename} if command == "yank" else set())
        assert servers.command(root, "status", "demo", "archived") == 0
        assert client.publish(package("demo", "9.0")).status_code == 403  # noqa: PLR2004  closed
        assert servers.command(root, "delete", "demo", "--yes") == 0
        assert client.names() == []
        assert client.listed("demo") is None

    def test_the_other_is_stopped_at_any_step(self, servers: Servers, root: Path) -> None:
        """
        While one server hangs at any step of a publish, the other reads whole pages and publishes other projects.

        Killed there, it holds nobody up: the other publishes the same name at once, without a restart.
        """
        reader = servers.start(root).client
        ledger = Ledger()
        ledger.publish(reader, ONE)
        for number in range(1, 100):
            hanging = servers.start(root, Plan(at=number, fault="stop", steps=self.steps))
            each, beside = package("demo", f"2.{number}"), package(f"beside-{number}", "1.0")
            free = package("free", f"1.{number}")
            ledger.sending(each)
            hanging.arm()
            sending = threading.Thread(target=ledger.publish, args=(hanging.client, each))
            sending.start()
            if not hanging.wait_stopped(sending):
                sending.join()
                hanging.kill()
                break
            check_promises(reader, ledger)
            for other in (beside, free):
                answer = ledger.publish(reader, other)
                assert answer is not None
                assert answer.status_code == 200, answer.text  # noqa: PLR2004  OK
            hanging.kill()
            hanging.disarm()
            sending.join()
            check_retryable(reader, ledger, each, package("demo", f"2.{number}", variant=number))
        assert number > 10, "a publish has more steps"  # noqa: PLR2004
        check_promises(reader, ledger)


def at_once(*jobs: Callable[[], T]) -> list[T]:
    """Do things in threads that begin at the same moment."""
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        gate.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def changed(servers: Servers, root: Path, command: str) -> int:
    """Yank or unyank by the command line; return its exit code."""
    return servers.command(root, command, "demo", "1.0")


def sent(ledger: Ledger, client: IndexClient, each: Package) -> int | None:
    """Publish a file; return the status of the answer."""
    answer = ledger.publish(client, each)
    return None if answer is None else answer.status_code


def check_both(clients: Iterable[IndexClient], ledger: Ledger) -> list[dict[str, Listed]]:
    """Check what every server says, and that they say the same."""
    found = [check_promises(client, ledger) for client in clients]
    assert all(each == found[0] for each in found), "the servers disagree"
    return found

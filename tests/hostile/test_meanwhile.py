"""While strangers send everything of this folder at once, others are answered as if nobody did."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from hostile.conftest import MEMORY_MIB
from hostile.senders import Refusal, chunked, head, measured_memory, say, send, tree
from hostile.test_archives import EXHAUSTING, MISLEADING, upload_named, upload_of
from hostile.test_forms import CONTENT_TYPE, FIELDS, body_with
from plugins.live import LiveServer
from wheelyard.testing.builders import SdistBuilder, form_fields

AT_ONCE = 8
SLOWEST_S = 5.0  # of one page, while eight bombs are being looked at on a machine that other tests share
USUAL_S = 0.5  # of the middle one


class Reader(threading.Thread):
    """Somebody who reads pages all the time, and notes how long each takes."""

    def __init__(self, server: LiveServer) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.wrong: list[object] = []
        self._server = server
        self._enough = threading.Event()

    def run(self) -> None:
        with httpx2.Client(trust_env=False, timeout=60, auth=(self._server.index, self._server.read_secret)) as client:
            while not self._enough.is_set():
                start = time.monotonic()
                answer = client.get(f"{self._server.url}/simple/good/")
                self.seconds.append(time.monotonic() - start)
                if answer.status_code != 200:
                    self.wrong.append(answer)
                self._enough.wait(0.01)

    def stop(self) -> None:
        self._enough.set()
        self.join(60)


def everything(server: LiveServer, folder: Path) -> list[Callable[[], Refusal]]:
    """List every hostile upload as something to call."""
    path = SdistBuilder().build(folder)
    good = (form_fields(path), path.read_bytes())
    forms = [upload_named(name, folder) for name in sorted(MISLEADING)]
    forms += [upload_of(filename, make(), folder) for filename, make, _ in EXHAUSTING.values()]
    forms += [(CONTENT_TYPE, body_with(good, fields)) for fields, _, _ in FIELDS.values()]
    calls: list[Callable[[], Refusal]] = [lambda form=form: send(server, *form) for form in forms]  # type: ignore[misc]
    for content_type, body in forms[::10]:
        lines = (f"Content-Type: {content_type}", "Transfer-Encoding: chunked")
        cut = chunked(body, 4096)[: len(body) // 2]
        calls.append(lambda lines=lines, cut=cut: say(server, head(server, *lines), cut, then_leave=True))  # type: ignore[misc]
    return calls


def test_others_are_answered_meanwhile(server: LiveServer, tmp_path: Path) -> None:
    """Hundreds of hostile uploads, eight at once, change nothing, take bounded memory, and slow nobody down for long."""
    calls = everything(server, tmp_path)
    before = tree(server.root)
    reader = Reader(server)
    with measured_memory(server) as memory:
        reader.start()
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                answers = list(pool.map(lambda call: call(), calls))
        finally:
            reader.stop()
    assert {answer.status for answer in answers} <= {400, 410, 413, 0}
    assert sum(answer.status == 0 for answer in answers) <= len(calls) // 10
    assert reader.wrong == []
    assert max(reader.seconds) < SLOWEST_S
    assert sorted(reader.seconds)[len(reader.seconds) // 2] < USUAL_S
    assert memory.grown_mib < MEMORY_MIB * AT_ONCE / 2
    assert tree(server.root) == before
    assert '"internal-error"' not in server.log()

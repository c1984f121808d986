"""The other indexes have locks, and the tool that locks them knows each."""

from __future__ import annotations

import re

from benchmarks.peers import PEERS
from benchmarks.place import LOCKS, REPOSITORY


def test_each_peer_has_a_lock_that_make_keeps() -> None:
    """Peers, locks and the list in the Makefile are the same names, each with a version."""
    names = sorted(peer.name for peer in PEERS)
    assert sorted(path.stem for path in LOCKS.glob("*.txt")) == names
    assert sorted(path.stem for path in LOCKS.glob("*.in")) == names
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^PEERS := (.*)$", makefile, re.MULTILINE)
    assert found is not None
    assert sorted(found[1].split()) == names
    assert all(re.match(r"\d+\.\d", peer.version()) for peer in PEERS)

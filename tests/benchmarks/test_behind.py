"""What stands between an index and its upstream in the benchmark: a relay that changes nothing but the time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from benchmarks.behind import Relay

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def origin() -> Iterator[str]:
    """A server that sends back what it gets, and ends when its client ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            opened, _ = listening.accept()
            with opened:
                while piece := opened.recv(65_536):
                    opened.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(30)


@pytest.mark.parametrize("bytes_per_s", [None, 50e6], ids=["as it comes", "slow link"])
def test_a_relay_passes_every_byte(origin: str, bytes_per_s: float | None) -> None:
    """Both directions, in order, whole; and the end of a connection is its end on both sides."""
    with (
        Relay(origin, 0.001, bytes_per_s=bytes_per_s).running() as relay,
        socket.create_connection(("127.0.0.1", relay.port), timeout=30) as client,
    ):
        sending = threading.Thread(target=client.sendall, args=(CONTENT,))
        sending.start()
        received = bytearray()
        while len(received) < len(CONTENT):
            piece = client.recv(65_536)
            assert piece, "it ended early"
            received += piece
        sending.join()
    assert received == CONTENT

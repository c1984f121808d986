"""Uploads at the edges, against a started server: limits, full disks, clients that leave, servers that stop."""

from __future__ import annotations

import http.client
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from plugins.live import INDEX, WRITE_SECRET, LiveServer, StartServer, default_config, running_server
from server.sites import basic
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body

WRITE = basic(INDEX, WRITE_SECRET)
WAIT_S = 20.0
MIB = 1024 * 1024


def noisy(name: str = "demo", *, size: int, version: str = "1.0") -> WheelBuilder:
    """Return a wheel of about that size which cannot be packed."""
    return WheelBuilder(name=name, version=version, files={"noise.bin": os.urandom(size)}, method=0)


def form_of(folder: Path, builder: WheelBuilder | SdistBuilder) -> tuple[str, bytes]:
    path = builder.build(folder)
    return multipart_body(form_fields(path, name=builder.name), path.name, path.read_bytes())


def connect(server: LiveServer) -> http.client.HTTPConnection:
    parts = urlsplit(server.url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)


def post(server: LiveServer, form: tuple[str, bytes], *, authorization: str = WRITE) -> tuple[int, str]:
    """Send an upload; return status and text."""
    with closing(connect(server)) as connection:
        headers = {"Content-Type": form[0], "Authorization": authorization}
        with suppress(BrokenPipeError):  # as urllib3: the answer may have come before the end of the body
            connection.request("POST", "/legacy/", form[1], headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def begin(server: LiveServer, form: tuple[str, bytes], *, sent: int) -> http.client.HTTPConnection:
    """Send the head and the first bytes of an upload."""
    connection = connect(server)
    connection.putrequest("POST", "/legacy/")
    connection.putheader("Content-Type", form[0])
    connection.putheader("Authorization", WRITE)
    connection.putheader("Content-Length", str(len(form[1])))
    connection.endheaders(form[1][:sent])
    return connection


def wait_until(condition: object, what: str) -> None:
    """Wait for something that has no event of its own."""
    assert callable(condition)
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {WAIT_S:.0f} s"
        time.sleep(0.02)


def spooled(server: LiveServer) -> list[Path]:
    """List everything in ROOT that holds bytes of an upload that is not published."""
    return [path for path in server.root.rglob("*") if path.is_file() and "spool" in path.name]


def bytes_kept(server: LiveServer) -> dict[str, int]:
    """Return every file of the index's storage with its size, journals and locks aside."""
    storage = server.root / "cache" / INDEX
    return {
        str(path.relative_to(storage)): path.stat().st_size
        for path in storage.rglob("*")
        if path.is_file() and ".wheelyard" not in path.parts
    }


# --- limits --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(start_server: StartServer) -> LiveServer:
    """A server that takes files of up to 100 000 bytes."""
    return start_server(config=f"{default_config()}max_file_bytes = 100_000\n")


def test_too_large(small: LiveServer, tmp_path: Path) -> None:
    """AR-11: a file above the limit is 413 with the limit in its text, one below it is taken, and nothing is left."""
    before = bytes_kept(small)
    status, text = post(small, form_of(tmp_path, noisy(size=100_001)))
    assert status == 413
    assert "100000" in text
    assert small.listed("demo") == {}
    assert bytes_kept(small) == before
    assert spooled(small) == []
    assert post(small, form_of(tmp_path, noisy(size=90_000)))[0] == 200


def test_announced_too_large(small: LiveServer) -> None:
    """AR-11: a length that cannot be taken is refused before the body is sent."""
    with closing(connect(small)) as connection:
        connection.putrequest("POST", "/legacy/")
        connection.putheader("Content-Type", "multipart/form-data; boundary=b")
        connection.putheader("Authorization", WRITE)
        connection.putheader("Content-Length", str(50 * 1024**3))
        connection.endheaders(b"--b\r\n")
        assert connection.getresponse().status == 413


def test_too_large_in_chunks(small: LiveServer, tmp_path: Path) -> None:
    """AR-11: without a length the limit counts as the bytes come."""
    content_type, body = form_of(tmp_path, noisy(size=2_000_000))
    with closing(connect(small)) as connection:
        pieces = (body[start : start + 50_000] for start in range(0, len(body), 50_000))
        headers = {"Content-Type": content_type, "Authorization": WRITE}
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/legacy/", body=pieces, headers=headers, encode_chunked=True)
        assert connection.getresponse().status == 413
    assert small.listed("demo") == {}
    assert spooled(small) == []


def test_many_fields(live_server: LiveServer) -> None:
    """A form of a hundred thousand fields is refused at a bound."""
    part = b'--b\r\nContent-Disposition: form-data; name="classifiers"\r\n\r\nx\r\n'
    body = part * 100_000 + b"--b--\r\n"
    status, _ = post(live_server, ("multipart/form-data; boundary=b", body))
    assert status in {400, 413}
    assert live_server.get("/healthz").status_code == 200


# --- the way of the body -------------------------------------------------------------------------------------------


def read_head(connection: socket.socket) -> bytes:
    """Read one head."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(4096)
        assert piece, f"closed after {received!r}"
        received += piece
    return received


def head_of(form: tuple[str, bytes], authorization: str) -> bytes:
    return (
        f"POST /legacy/ HTTP/1.1\r\nHost: x\r\nContent-Type: {form[0]}\r\nContent-Length: {len(form[1])}\r\n"
        f"Authorization: {authorization}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    ).encode()


def test_expect_continue(live_server: LiveServer, tmp_path: Path) -> None:
    """RFC 9110 section 10.1.1: who asks first is told to go on, and the upload is taken."""
    form = form_of(tmp_path, noisy(size=1000))
    host, _, port = live_server.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head_of(form, WRITE))
        received = read_head(connection)
        assert received.startswith(b"HTTP/1.1 100")
        connection.sendall(form[1])
        rest = received.partition(b"\r\n\r\n")[2]
        while piece := connection.recv(4096):
            rest += piece
    assert rest.startswith(b"HTTP/1.1 200")
    assert len(live_server.listed("demo")) == 1


def test_expect_refused(live_server: LiveServer, tmp_path: Path) -> None:
    """UP-08: who asks first with a wrong password is refused and need not send the body."""
    form = form_of(tmp_path, noisy(size=1000))
    host, _, port = live_server.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head_of(form, basic(INDEX, "wrong")))
        received = read_head(connection)
    assert received.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_client_leaves(live_server: LiveServer, tmp_path: Path, share: float) -> None:
    """UP-13: a client that leaves in the middle leaves nothing behind, and may come back with the same file."""
    form = form_of(tmp_path, noisy(size=8 * MIB))
    before = bytes_kept(live_server)
    connection = begin(live_server, form, sent=int(len(form[1]) * share))
    connection.close()
    wait_until(lambda: "client-gone" in live_server.log(), "that the server notices")
    wait_until(lambda: not spooled(live_server), "that the spool goes")
    assert bytes_kept(live_server) == before
    assert live_server.listed("demo") == {}
    assert post(live_server, form)[0] == 200


def test_client_vanishes(live_server: LiveServer, tmp_path: Path) -> None:
    """UP-13: the same for a connection that is reset."""
    form = form_of(tmp_path, noisy(size=8 * MIB))
    connection = begin(live_server, form, sent=5 * MIB)
    assert connection.sock is not None
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with RST
    connection.close()
    wait_until(lambda: "client-gone" in live_server.log(), "that the server notices")
    wait_until(lambda: not spooled(live_server), "that the spool goes")
    assert live_server.listed("demo") == {}
    assert "Traceback" not in live_server.log()


def test_others_go_on(live_server: LiveServer, tmp_path: Path) -> None:
    """Uploads that stand still keep nobody else from reading and publishing."""
    form = form_of(tmp_path, noisy(size=2 * MIB))
    waiting = [begin(live_server, form, sent=MIB) for _ in range(50)]
    start = time.monotonic()
    assert post(live_server, form_of(tmp_path, SdistBuilder(name="other")))[0] == 200
    assert len(live_server.listed("other")) == 1
    assert time.monotonic() - start < 5
    for connection in waiting:
        connection.close()


# --- full disks ----------------------------------------------------------------------------------------------------


def test_file_size_limit(live_server: LiveServer, tmp_path: Path) -> None:
    """A disk that takes no more of a file: the upload fails in words, nothing is left, and the rest goes on."""
    assert post(live_server, form_of(tmp_path, SdistBuilder(name="other")))[0] == 200
    before = bytes_kept(live_server)
    for child in processes_of(live_server):
        resource.prlimit(child, resource.RLIMIT_FSIZE, (MIB, resource.RLIM_INFINITY))
    status, text = post(live_server, form_of(tmp_path, noisy(size=8 * MIB)))
    assert 500 <= status < 600
    assert str(live_server.root) not in text
    assert live_server.listed("demo") == {}
    assert spooled(live_server) == []
    assert bytes_kept(live_server) == before
    live_server.check_holds("other", [tmp_path / "other-1.0.tar.gz"])
    for child in processes_of(live_server):
        resource.prlimit(child, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert post(live_server, form_of(tmp_path, noisy(size=8 * MIB)))[0] == 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small file system takes more rights than these tests have")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_disk_full(small_disk: Path, start_server: StartServer, tmp_path: Path) -> None:
    """A full disk is 507 in words; what was there keeps being served; with room the same upload works."""
    root = small_disk / "root"
    root.mkdir()
    server = start_server(root=root)
    form = form_of(tmp_path, noisy(size=3 * MIB))
    assert post(server, form)[0] == 200
    listed = server.listed("demo")
    second = form_of(tmp_path, noisy(size=4 * MIB, version="2.0"))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(3 * MIB))
    status, text = post(server, second)
    assert status == 507
    assert "full" in text
    assert str(small_disk) not in text
    assert server.listed("demo") == listed
    assert spooled(server) == []
    filename = next(iter(listed))
    assert server.get(f"/simple/demo/{filename}").status_code == 200
    filler.unlink()
    assert post(server, second)[0] == 200
    assert len(server.listed("demo")) == 2


# --- servers that stop ---------------------------------------------------------------------------------------------


def processes_of(server: LiveServer) -> list[int]:
    """Return the server's process and its children."""
    found = [server.process.pid]
    for process in found:
        children = Path(f"/proc/{process}/task/{process}/children")
        found += [int(child) for child in children.read_text().split()] if children.exists() else []
    return found


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_killed(start_server: StartServer, tmp_path: Path, share: float) -> None:
    """UP-12, UP-13: a server killed during an upload lists it whole or not at all, and takes it after a new start."""
    root = tmp_path / "root"
    server = start_server(root=root)
    form = form_of(tmp_path, noisy(size=4 * MIB))
    connection = begin(server, form, sent=int(len(form[1]) * share))
    for process in processes_of(server):
        os.kill(process, signal.SIGKILL)
    server.process.wait(WAIT_S)
    connection.close()
    again = start_server(root=root)
    listed = again.listed("demo")
    assert len(listed) <= (1 if share == 1.0 else 0)
    assert spooled(again) == []
    assert post(again, form)[0] == 200
    again.check_holds("demo", [tmp_path / "demo-1.0-py3-none-any.whl"])


@pytest.mark.slow
def test_stopped(tmp_path: Path) -> None:
    """A server that is asked to stop finishes the upload that is on its way, and takes no new one (with our own class)."""
    with running_server(tmp_path / "root", http_server="uvicorn") as server:
        form = form_of(tmp_path, noisy(size=4 * MIB))
        connection = begin(server, form, sent=2 * MIB)
        wait_until(lambda: spooled(server), "that the upload is on its way")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.get("/readyz").status_code == 503, "that the server drains")
        status, text = post(server, form_of(tmp_path, SdistBuilder(name="late")))
        assert status == 503
        assert "stopping" in text
        connection.send(form[1][2 * MIB :])
        answer = connection.getresponse()
        assert answer.status == 200
        connection.close()
        assert server.process.wait(WAIT_S) == 0

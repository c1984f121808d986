"""A wheel of two gigabytes comes and goes without the server's memory growing."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from plugins.live import INDEX, READ_SECRET, WRITE_SECRET, LiveServer
from server.sites import basic

PAYLOAD_BYTES = 2_000_000_000
LIMIT_MB = 120
PIECE = bytes(range(256)) * 4096  # 1 MiB
FILENAME = "huge-1.0-py3-none-any.whl"
METADATA = b"Metadata-Version: 2.1\nName: huge\nVersion: 1.0\n"
WHEEL = b"Wheel-Version: 1.0\nGenerator: wheelyard-testing\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

pytestmark = pytest.mark.slow


class Sink(io.RawIOBase):
    """Hands on what a zip writer writes, and keeps none of it."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        super().__init__()
        self._take = take
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self.size += len(piece)
        self._take(piece)
        return len(piece)


def record(payload_sha256: bytes) -> bytes:
    """Return RECORD of the wheel."""
    rows = [("payload.bin", payload_sha256, PAYLOAD_BYTES)]
    rows += [
        (f"huge-1.0.dist-info/{name}", hashlib.sha256(content).digest(), len(content))
        for name, content in (("METADATA", METADATA), ("WHEEL", WHEEL))
    ]
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{size}" for name, digest, size in rows
    ]
    return "\n".join([*lines, "huge-1.0.dist-info/RECORD,,", ""]).encode()


def write_wheel(take: Callable[[bytes], object], payload_sha256: bytes) -> int:
    """Write the wheel piece by piece; return its size. The same call writes the same bytes."""
    sink = Sink(take)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        info = zipfile.ZipInfo("payload.bin", (1980, 1, 1, 0, 0, 0))
        info.file_size = PAYLOAD_BYTES
        with archive.open(info, "w") as member:
            for start in range(0, PAYLOAD_BYTES, len(PIECE)):
                member.write(PIECE[: PAYLOAD_BYTES - start])
        for name, content in (("METADATA", METADATA), ("WHEEL", WHEEL), ("RECORD", record(payload_sha256))):
            archive.writestr(zipfile.ZipInfo(f"huge-1.0.dist-info/{name}", (1980, 1, 1, 0, 0, 0)), content)
    return sink.size


def peaks_mb(server: LiveServer) -> list[int]:
    """Return the most memory that the server's process and its children ever had, each."""
    found = [server.process.pid]
    for process in found:
        found += [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    status = [Path(f"/proc/{process}/status").read_text() for process in found]
    return [int(match.group(1)) // 1024 for text in status if (match := re.search(r"VmHWM:\s+(\d+) kB", text))]


def test_two_gigabytes(live_server: LiveServer, tmp_path: Path) -> None:
    """UP-11: up and down, the resident memory stays below 120 MB, and the bytes are right."""
    if shutil.disk_usage(tmp_path).free < 3 * PAYLOAD_BYTES:
        pytest.skip("not enough room on this disk")
    payload = hashlib.sha256()
    for start in range(0, PAYLOAD_BYTES, len(PIECE)):
        payload.update(PIECE[: PAYLOAD_BYTES - start])
    whole = hashlib.sha256()
    size = write_wheel(whole.update, payload.digest())
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": "huge",
        "version": "1.0",
        "filetype": "bdist_wheel",
        "pyversion": "py3",
        "sha256_digest": whole.hexdigest(),
    }
    head = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    head += f'--b\r\nContent-Disposition: form-data; name="content"; filename="{FILENAME}"\r\n\r\n'
    end = b"\r\n--b--\r\n"
    parts = urlsplit(live_server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
    connection.putrequest("POST", "/legacy/")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Authorization", basic(INDEX, WRITE_SECRET))
    connection.putheader("Content-Length", str(len(head) + size + len(end)))
    connection.endheaders(head.encode())
    assert write_wheel(connection.send, payload.digest()) == size
    connection.send(end)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    assert max(peaks_mb(live_server)) < LIMIT_MB
    assert live_server.listed("huge") == {FILENAME: whole.hexdigest()}

    connection.request("GET", f"/simple/huge/{FILENAME}", headers={"Authorization": basic(INDEX, READ_SECRET)})
    answer = connection.getresponse()
    received = hashlib.sha256()
    while piece := answer.read(1024 * 1024):
        received.update(piece)
    connection.close()
    assert received.digest() == whole.digest()
    assert max(peaks_mb(live_server)) < LIMIT_MB

"""Indexes in front of another one, each started with an empty cache: this server, and those that can do it too."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.corpus import INDEX, Corpus
from benchmarks.figures import OURS
from benchmarks.ours import READ_SECRET, WRITE_SECRET, Running, expected
from benchmarks.peers import DEVPI_USER, PREPARE_S, START_LIMIT_S, DevpiServer, Peer, Proxpi, run
from benchmarks.running import Subject, free_port, start
from benchmarks.web import basic

Front = Callable[[str, Corpus, Path], Running]
"""
Starts an index in front of another one.

Args: where the other is (scheme, host, port), what it offers, a folder that does not exist.
Raises BenchError: It cannot be installed, or did not answer right.
"""


def with_credentials(origin: str) -> str:
    """Return the URL of the other index as clients are given it."""
    return origin.replace("://", f"://{INDEX}:{READ_SECRET}@") + "/simple/"


def start_ours_behind(origin: str, corpus: Corpus, root: Path) -> Running:
    """Start this server with an empty index; see `Front`."""
    root.mkdir(parents=True)
    port = free_port()
    config = root / "config.toml"
    config.write_text(
        f'[{INDEX}]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'
        f'[upstream.bench]\nurl = "{origin}/simple/"\nusername = "{INDEX}"\npassword = "{READ_SECRET}"\n'
        "page_min_age = 600\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "wheelyard", "server", str(root), "--host", "127.0.0.1", "--port", str(port)]
    own = f"http://127.0.0.1:{port}"
    subject = Subject(
        key=OURS,
        title="wheelyard",
        origins=dict.fromkeys(("html", "json", "zstd"), own),
        headers={"Authorization": basic(INDEX, READ_SECRET)},
        client_url=f"http://{INDEX}:{READ_SECRET}@127.0.0.1:{port}/simple/",
    )
    return Running(subject, start(command, subject, work=root / "home", expect=expected(corpus)))


def start_proxpi_behind(origin: str, corpus: Corpus, root: Path) -> Running:
    """Start proxpi; see `Front`."""
    peer = Proxpi()
    port, binaries = free_port(), peer.install()
    environment = {**peer.environment(with_credentials(origin)), "PROXPI_CACHE_DIR": str(root / "cache")}
    return _started(peer, peer.simple, peer.command(binaries, corpus, root, port), corpus, root, port, environment)


def start_devpi_behind(origin: str, corpus: Corpus, root: Path) -> Running:
    """Start devpi-server with a mirror; see `Front`."""
    peer = DevpiServer()
    port, binaries = free_port(), peer.install()
    mirror = {"type": "mirror", "volatile": False, "mirror_url": with_credentials(origin)}
    exported = {
        "dumpversion": "2",
        "users": {DEVPI_USER: {"username": DEVPI_USER}},
        "indexes": {f"{DEVPI_USER}/mirror": {"indexconfig": mirror, "projects": {}, "files": []}},
    }
    (root / "export").mkdir(parents=True)
    (root / "export" / "dataindex.json").write_text(json.dumps(exported), encoding="utf-8")
    data = ["--serverdir", str(root / "data")]
    run(
        [str(binaries / "devpi-import"), *data, "--no-root-pypi", "--root-passwd", "bench", str(root / "export")],
        PREPARE_S,
    )
    command = [str(binaries / "devpi-server"), *data, "--host", "127.0.0.1", "--port", str(port)]
    simple = f"/{DEVPI_USER}/mirror/+simple/"
    return _started(peer, simple, command, corpus, root, port, {})


FRONTS: Mapping[str, Front] = {
    OURS: start_ours_behind,
    Proxpi.name: start_proxpi_behind,
    DevpiServer.name: start_devpi_behind,
}


def _started(
    peer: Peer,
    simple: str,
    command: list[str],
    corpus: Corpus,
    root: Path,
    port: int,
    environment: Mapping[str, str],
) -> Running:
    own = f"http://127.0.0.1:{port}"
    subject = Subject(
        key=peer.name,
        title=f"{peer.name} {peer.version()}",
        origins=dict.fromkeys(("html", "json"), own),
        simple=simple,
        client_url=f"{own}{simple}",
    )
    program = start(
        command,
        subject,
        work=root / "home",
        expect=expected(corpus),
        environment=environment,
        limit_s=START_LIMIT_S,
    )
    return Running(subject, program)

"""
Other package indexes, each installed by name in an environment of its own and given the same files.

Each runs as its manual recommends, without authentication of readers (ours has it), and with everything it can keep in
memory already there. Where there is a choice, the faster one is taken for them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.ours import Running, expected
from benchmarks.place import CACHE, LOCKS, BenchError, tool
from benchmarks.running import Subject, free_port, start
from benchmarks.web import Connection, basic

_INSTALL_S = 600
PREPARE_S = 1800
START_LIMIT_S = 120.0


class Peer(ABC):
    """One other index."""

    name = ""
    """As it is installed."""

    simple = "/simple/"
    representations: tuple[str, ...] = ("html", "json")
    uploads = False
    limit_files = 1_000_000
    """More files than this take so long to bring in that it is not tried."""

    @abstractmethod
    def command(self, binaries: Path, corpus: Corpus, work: Path, port: int) -> list[str]:
        """Return the program that serves a corpus."""

    def environment(self, upstream: str) -> Mapping[str, str]:
        """Return variables that it needs; `upstream` is the URL of an index with the same files."""
        del upstream
        return {}

    def prepare(self, binaries: Path, corpus: Corpus) -> None:  # noqa: B027  most need nothing
        """Bring the files in, if a folder with them is not enough; kept from run to run."""

    def is_prepared(self, corpus: Corpus) -> bool:
        """Tell whether `prepare` has nothing left to do that takes long."""
        del corpus
        return True

    def upload_headers(self, subject: Subject) -> Mapping[str, str]:
        """Return what an upload needs besides the form."""
        del subject
        return {"Authorization": basic("bench", "bench")}

    def upload_path(self) -> str:
        """Return where uploads go."""
        return "/"

    # -- the same for all ------------------------------------------------------------------------------------------

    def install(self) -> Path:
        """
        Install it, unless that was done; return the folder of its programs.

        Raises:
            BenchError: It cannot be installed.
        """
        lock = LOCKS / f"{self.name}.txt"
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:10]
        folder = CACHE / f"venv-{self.name}-{digest}"
        stamp = folder / "installed"
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            uv = tool("uv")
            run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], _INSTALL_S)
            python = str(folder / "bin" / "python")
            run(
                [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(lock)],
                _INSTALL_S,
            )
            stamp.touch()
        return folder / "bin"

    def version(self) -> str:
        """Return the version that the lock names."""
        lines = (LOCKS / f"{self.name}.txt").read_text(encoding="utf-8").splitlines()
        return next(line.split()[0].partition("==")[2] for line in lines if line.startswith(f"{self.name}=="))

    def start(self, corpus: Corpus, work: Path, upstream: str) -> Running:
        """
        Start it on a corpus.

        Raises:
            BenchError: It cannot be installed, or does not answer right.
        """
        if corpus.manifest.files > self.limit_files:
            raise BenchError(f"not tried, since bringing in {corpus.manifest.files:,} files takes it too long")
        binaries = self.install()
        self.prepare(binaries, corpus)
        port = free_port()
        origin = f"http://127.0.0.1:{port}"
        subject = Subject(
            key=self.name,
            title=f"{self.name} {self.version()}",
            origins=dict.fromkeys(self.representations, origin),
            simple=self.simple,
            client_url=f"{origin}{self.simple}",
        )
        home = work / self.name
        home.mkdir(parents=True, exist_ok=True)
        program = start(
            self.command(binaries, corpus, home, port),
            subject,
            work=home,
            expect=expected(corpus),
            environment=self.environment(upstream),
            limit_s=START_LIMIT_S,
        )
        return Running(subject, program)


class PypiServer(Peer):
    """pypiserver: a folder of files."""

    name = "pypiserver"
    representations = ("html",)
    uploads = True

    def environment(self, upstream: str) -> Mapping[str, str]:
        """Give the server the threads and the patience that proxpi has too."""
        del upstream
        return {"GUNICORN_CMD_ARGS": "--workers 1 --threads 8 --keep-alive 300 --timeout 120"}

    def command(self, binaries: Path, corpus: Corpus, work: Path, port: int) -> list[str]:
        """Serve the folder; uploads go to a folder of their own, since the corpus stays as it is."""
        own = work / "uploads"
        own.mkdir(exist_ok=True)
        options = [
            "-p",
            str(port),
            "-i",
            "127.0.0.1",
            "-P",
            ".",
            "-a",
            ".",
            "--disable-fallback",
            "--server",
            "gunicorn",
        ]
        return [str(binaries / "pypi-server"), "run", *options, str(own), str(corpus.packages)]


DEVPI_USER = "root"  # its administrator, who owns the index


class DevpiServer(Peer):
    """devpi-server: its own storage, filled by its own import."""

    name = "devpi-server"
    simple = f"/{DEVPI_USER}/main/+simple/"
    uploads = True
    limit_files = 10_000  # a few minutes

    def is_prepared(self, corpus: Corpus) -> bool:
        """Tell whether the import was done."""
        return (self._folder(corpus) / "imported").exists()

    def prepare(self, binaries: Path, corpus: Corpus) -> None:
        """Import the corpus as if another devpi-server had exported it."""
        if self.is_prepared(corpus):
            return
        folder = self._folder(corpus)
        shutil.rmtree(folder, ignore_errors=True)
        exported = folder / "export"
        exported.mkdir(parents=True)
        (exported / "packages").symlink_to(corpus.packages)
        (exported / "dataindex.json").write_text(json.dumps(_devpi_export(corpus)), encoding="utf-8")
        options = ["--serverdir", str(folder / "data"), "--no-root-pypi", "--root-passwd", "bench"]
        run([str(binaries / "devpi-import"), *options, str(exported)], PREPARE_S)
        (folder / "imported").touch()

    def command(self, binaries: Path, corpus: Corpus, work: Path, port: int) -> list[str]:
        """Serve a copy of the imported data, since uploads change it."""
        data = work / "data"
        if not data.exists():
            shutil.copytree(self._folder(corpus) / "data", data, copy_function=_link_or_copy)
        return [
            *(str(binaries / "devpi-server"), "--serverdir", str(data), "--offline-mode"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ]

    def upload_path(self) -> str:
        """Return the URL of the index itself."""
        return f"/{DEVPI_USER}/main/"

    def upload_headers(self, subject: Subject) -> Mapping[str, str]:
        """Log in once, as its own client does: with a password each request would cost it 160 ms."""
        with Connection(subject.origin() or "") as connection:
            told = json.dumps({"user": "root", "password": "bench"}).encode()
            answer = connection.send("POST", "/+login", {"Content-Type": "application/json"}, told)
        token = json.loads(answer.body)["result"]["password"]
        return {"X-Devpi-Auth": base64.b64encode(f"root:{token}".encode()).decode()}

    def _folder(self, corpus: Corpus) -> Path:
        return CACHE / f"devpi-{self.version()}-{corpus.folder.name}"


class Proxpi(Peer):
    """proxpi: a cache in front of another index, here nginx; everything asked for is already in the cache."""

    name = "proxpi"
    simple = "/index/"

    def command(self, binaries: Path, corpus: Corpus, work: Path, port: int) -> list[str]:
        """Run it under gunicorn, as its container image does."""
        del corpus, work
        bind = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8", "--keep-alive", "300"]
        return [str(binaries / "gunicorn"), *bind, "--timeout", "120", "proxpi.server:app"]

    def environment(self, upstream: str) -> Mapping[str, str]:
        """Keep pages for a day, and wait for files instead of redirecting to them."""
        return {
            "PROXPI_INDEX_URL": upstream,
            "PROXPI_INDEX_TTL": "86400",
            "PROXPI_DOWNLOAD_TIMEOUT": "60",
            "PROXPI_LOGGING_LEVEL": "WARNING",
        }


class SimpleRepositoryServer(Peer):
    """simple-repository-server: a folder of files, or others' indexes."""

    name = "simple-repository-server"

    def command(self, binaries: Path, corpus: Corpus, work: Path, port: int) -> list[str]:
        """Serve the folder."""
        del work
        options = ["--host", "127.0.0.1", "--port", str(port)]
        return [str(binaries / "simple-repository-server"), *options, str(corpus.packages)]


PEERS: tuple[Peer, ...] = (PypiServer(), DevpiServer(), Proxpi(), SimpleRepositoryServer())


def _devpi_export(corpus: Corpus) -> dict[str, object]:
    projects: dict[str, dict[str, dict[str, str]]] = {}
    files = []
    for project in corpus.manifest.projects:
        versions = projects[project] = {}
        for path in sorted((corpus.packages / project).iterdir()):
            version = path.name.removesuffix(".tar.gz").split("-")[1]
            versions[version] = {
                "name": project,
                "version": version,
                "metadata_version": "2.4",
                "requires_python": ">=3.8",
            }
            files.append(
                {
                    "type": "releasefile",
                    "projectname": project,
                    "version": version,
                    "relpath": f"packages/{project}/{path.name}",
                    "entrymapping": {"last_modified": "Fri, 17 May 2024 09:30:00 GMT", "hashes": {}},
                    "log": [],
                }
            )
    index = {"type": "stage", "volatile": True, "acl_upload": ["root"], "bases": []}
    return {
        "dumpversion": "2",
        "users": {"root": {"username": "root"}},
        "indexes": {"root/main": {"indexconfig": index, "projects": projects, "files": files}},
    }


def _link_or_copy(source: str, target: str) -> None:
    """Link stored files, which never change; copy what is written in place (the database)."""
    if "+files" in source:
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


def run(command: list[str], limit_s: float) -> None:
    """
    Run a program to its end.

    Raises:
        BenchError: It failed.
    """
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit_s, check=False
    )
    if done.returncode:
        lines = done.stdout.strip().splitlines() or ["nothing"]
        raise BenchError(f"'{Path(command[0]).name}' ended with {done.returncode}: {lines[-1][:200]}")

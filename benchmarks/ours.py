"""This server and nginx: the one that is measured, and the limit it is measured against."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import INDEX, Corpus
from benchmarks.place import BenchError, tool
from benchmarks.running import Program, Subject, free_port, start
from benchmarks.web import HTML, JSON, Connection, basic

READ_SECRET = "read-4f1c9ab7"
WRITE_SECRET = "write-8b27de15"
CONFIG = f'[{INDEX}]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'
"""Configuration of an index on a corpus."""

_SAMPLE = 1000  # pages of a large corpus that nginx gets; requests go to those only
_NGINX_LIMIT_S = 10.0


@dataclass
class Running:
    """A program with how it is asked."""

    subject: Subject
    program: Program


def expected(corpus: Corpus) -> tuple[str, bytes]:
    """Return a project of a corpus, and bytes that its page holds."""
    project = corpus.manifest.small[0]
    return project, f"{project.replace('-', '_')}-1.0.0-py3-none-any.whl".encode()


def sampled(corpus: Corpus) -> tuple[str, ...]:
    """Return the ordinary projects that are asked for: all, or some all over a large corpus."""
    small = corpus.manifest.small
    return small[:: max(1, len(small) // _SAMPLE)][:_SAMPLE]


def start_ours(root: Path, corpus: Corpus, work: Path) -> Running:
    """
    Start this server, with authentication, as anybody would start it.

    Raises:
        BenchError: It did not answer right.
    """
    port = free_port()
    work.mkdir(parents=True, exist_ok=True)
    config = work / "config.toml"
    config.write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "wheelyard", "server", str(root), "--config", str(config)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--extra-index-url", ""]
    origin = f"http://127.0.0.1:{port}"
    subject = Subject(
        key="ours",
        title=f"wheelyard {importlib.metadata.version('wheelyard')}",
        origins=dict.fromkeys(("html", "json", "zstd"), origin),
        headers={"Authorization": basic(INDEX, READ_SECRET)},
        client_url=f"http://{INDEX}:{READ_SECRET}@127.0.0.1:{port}/simple/",
    )
    return Running(subject, start(command, subject, work=work, expect=expected(corpus)))


def capture(ours: Running, corpus: Corpus, folder: Path) -> None:
    """
    Write what our server answers as files for nginx: the pages in each encoding, and the files by hard link.

    Spec of the tree: `simple/<project>/index.{html,json}` with `.gz` (and `.zst` of HTML) beside them.
    """
    origin = ours.subject.origin() or ""
    with Connection(origin, ours.subject.headers) as connection:
        _capture_page(connection, ours.subject.simple, folder / "simple")
        projects = corpus.manifest.projects if corpus.manifest.wide else sampled(corpus)
        for project in projects:
            page = folder / "simple" / project
            _capture_page(connection, ours.subject.page(project), page)
            _link_files(corpus, project, page)


def start_nginx(corpus: Corpus, tree: Path, work: Path, key: str) -> Running:
    """
    Start one nginx on a captured tree.

    Raises:
        BenchError: It is not installed, or did not answer right.
    """
    ports = {name: free_port() for name in ("html", "json", "zstd")}
    work.mkdir(parents=True, exist_ok=True)
    config = work / f"{key}.conf"
    config.write_text(_nginx_config(tree, work, ports, key), encoding="utf-8")
    program = tool("nginx")
    version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr.rpartition("/")[2]
    subject = Subject(
        key=key,
        title=f"nginx {version.strip()}",
        origins={name: f"http://127.0.0.1:{port}" for name, port in ports.items()},
        client_url=f"http://127.0.0.1:{ports['json']}/simple/",
    )
    command = [program, "-p", str(work), "-c", str(config)]
    return Running(subject, start(command, subject, work=work, expect=expected(corpus), limit_s=_NGINX_LIMIT_S))


def _capture_page(connection: Connection, path: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for accept, name in ((HTML, "index.html"), (JSON, "index.json")):
        for coding, suffix in (("identity", ""), ("gzip", ".gz"), ("zstd", ".zst")):
            answer = connection.get_ok(path, {"Accept": accept, "Accept-Encoding": coding})
            if answer.headers.get("content-encoding", "identity") == coding:
                (folder / f"{name}{suffix}").write_bytes(answer.body)
    # Every page exists encoded, or nginx would search in vain for those too short to be worth it.
    if not (folder / "index.html.gz").exists() and not (folder / "index.html").exists():
        raise BenchError(f"'{path}' has no page")


def _link_files(corpus: Corpus, project: str, folder: Path) -> None:
    source = corpus.root / "cache" / INDEX / "storage" / "simple" / project
    for entry in os.scandir(source):
        if entry.name != "index.json":
            os.link(entry.path, folder / entry.name)


def _nginx_config(tree: Path, work: Path, ports: dict[str, int], key: str) -> str:
    user = "user root root;\n" if os.geteuid() == 0 else ""
    shared = f"    root {tree};\n    default_type application/octet-stream;\n    gzip_static on;\n"
    return f"""{user}daemon off;
worker_processes 1;
pid {work}/{key}.pid;
error_log {work}/{key}-error.log warn;
worker_rlimit_nofile 65536;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 300;
  client_body_temp_path {work}/{key}-body;
  proxy_temp_path {work}/{key}-proxy;
  fastcgi_temp_path {work}/{key}-fastcgi;
  uwsgi_temp_path {work}/{key}-uwsgi;
  scgi_temp_path {work}/{key}-scgi;
  server {{
    listen 127.0.0.1:{ports["html"]} backlog=4096;
    index index.html;
    types {{ text/html html; }}
{shared}  }}
  server {{
    listen 127.0.0.1:{ports["json"]} backlog=4096;
    index index.json;
    types {{ {JSON} json; }}
{shared}  }}
  server {{
    listen 127.0.0.1:{ports["zstd"]} backlog=4096;
    index index.html.zst;
    types {{ text/html zst; }}
    add_header Content-Encoding zstd;
    root {tree};
  }}
}}
"""

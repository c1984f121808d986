"""Behind a real nginx that ends TLS and serves the index below a path: every link and redirect stays right."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest
import trustme

from plugins.live import LiveServer, free_port, running_server
from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body

pytestmark = pytest.mark.slow

V1_JSON = "application/vnd.pypi.simple.v1+json"
CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;
        client_max_body_size 0;
        location /python/ {{
            proxy_pass {behind};
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


@pytest.fixture
def nginx() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        assert os.environ.get("CI") != "true", "CI installs nginx"
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    return found


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["prefix kept", "prefix stripped"])
def url(request: pytest.FixtureRequest, tmp_path: Path, nginx: str, authority: trustme.CA) -> Iterator[str]:
    """The public URL of an index behind nginx, with a slash at its end."""
    trusting = (
        "--url_prefix",
        "/python",
        "--trusted_proxy",
        "127.0.0.1",
        "--trusted_proxy_headers",
        "x-forwarded-proto",
    )
    with running_server(tmp_path / "root", *trusting, http_server="uvicorn") as server:
        port = free_port()
        behind = f"{server.url}/python/" if request.param == "prefix kept" else f"{server.url}/"
        folder = tmp_path / "nginx"
        folder.mkdir()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
        text = CONFIGURATION.format(folder=folder, port=port, behind=behind)
        (folder / "nginx.conf").write_text(text)
        process = subprocess.Popen([nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"])
        try:
            wait_for(f"https://localhost:{port}/python/healthz", authority)
            yield f"https://localhost:{port}/python/"
        finally:
            process.terminate()
            process.wait(10)


def client(authority: trustme.CA) -> httpx2.Client:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return httpx2.Client(verify=context, trust_env=False, timeout=20)


def wait_for(url: str, authority: trustme.CA) -> None:
    deadline = time.monotonic() + 10
    with client(authority) as asking:
        while True:
            try:
                assert asking.get(url).text == "ok\n"
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
                continue
            return


def test_everything_stays_below_the_prefix(url: str, authority: trustme.CA, tmp_path: Path) -> None:
    """URL-04, URL-08: upload, page, file, metadata, redirects, login and absolute links keep scheme, host, port and path."""
    path = WheelBuilder(name="Holy-Grail", files={"holy_grail.py": b"x = 1\n" * 50_000}, method=0).build(tmp_path)
    content_type, body = multipart_body(form_fields(path), path.name, path.read_bytes())
    reader = ("main", LiveServer.read_secret)
    with client(authority) as asking:
        write = ("main", LiveServer.write_secret)
        sent = asking.post(f"{url}legacy/", content=body, headers={"content-type": content_type}, auth=write)
        assert sent.status_code == 200, sent.text
        redirected = asking.get(
            f"{url}simple/Holy.Grail", auth=reader, headers={"accept": V1_JSON}, follow_redirects=True
        )
        assert str(redirected.url) == f"{url}simple/holy-grail/"
        (file,) = redirected.json()["files"]
        address = urljoin(str(redirected.url), file["url"])
        assert address.startswith(f"{url}simple/holy-grail/")
        whole = asking.get(address, auth=reader)
        assert hashlib.sha256(whole.content).hexdigest() == file["hashes"]["sha256"]
        assert asking.get(f"{address}.metadata", auth=reader).status_code == 200
        part = asking.get(address, auth=reader, headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        described = asking.get(f"{url}pypi/holy-grail/json", auth=reader).json()
        assert described["urls"][0]["url"] == address
        browser = {"sec-fetch-mode": "navigate", "accept": "text/html"}
        login = asking.get(f"{url}project/holy-grail/", headers=browser)
        assert login.status_code == 303
        assert urljoin(url, login.headers["location"]).startswith(f"{url}login/?next=")

"""Addresses of private-pypi: `/index_mtime/` and `POST /initialize/`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import anyio
import httpx2
import pytest
from anyio import to_thread

from server.sites import ADMIN, READ, WRITE, Credentials, Site, basic, composed, index_settings
from wheelyard.settings import load_settings
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

pytestmark = pytest.mark.anyio

CONFIG = """
[team]
type = "file_system"
read_secret = "team-read"
write_secret = "team-write"
"""
SECRETS = """
[team]
type = "file_system"
raw = "team-admin"
"""


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Site]:
    """A server that made its own configuration and holds nothing yet."""
    settings = load_settings(tmp_path / "root", overrides={"extra_index_url": ""}, environ={})
    assert settings.generated
    async with composed(tmp_path, settings=settings) as site:
        yield site


async def initialize(
    site: Site, config: str = CONFIG, admin_secret: str = SECRETS, *, auth: Credentials | None = None
) -> httpx2.Response:
    """Send a configuration as `curl -d` does."""
    body = urlencode({"config": config, "admin_secret": admin_secret})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return await site.ask("POST", "/initialize/", auth=auth, headers=headers, content=body)


# --- index_mtime ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/index_mtime/", "/index_mtime", "/main/index_mtime/"])
async def test_index_mtime(site: Site, path: str) -> None:
    """The time of the last synchronisation is whole seconds as text, for who may read."""
    answer = await site.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert abs(int(answer.text) - time.time()) < 5
    assert (await site.get(path, auth=None)).status_code == 401
    assert (await site.get(path, auth=("main", "wrong"))).status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_index_mtime_method(site: Site, method: str) -> None:
    """It is only read."""
    answer = await site.ask(method, "/index_mtime/")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


# --- initialize, open ----------------------------------------------------------------------------------------------


async def test_open_while_unconfigured(fresh: Site) -> None:
    """A server that nobody configured takes a configuration from anybody, once, and then serves by it."""
    answer = await initialize(fresh)
    assert (answer.status_code, answer.text) == (200, "Done")
    assert (await fresh.get("/simple/", auth=("team", "team-read"))).status_code == 200
    path = await fresh.publish(WheelBuilder(), auth=("team", "team-write"))
    assert set(await fresh.files("demo", auth=("team", "team-read"))) == {path.name}
    again = await initialize(fresh)
    assert again.status_code == 401
    assert again.headers["www-authenticate"].startswith("Basic realm=")


async def test_two_at_once(fresh: Site) -> None:
    """Of two strangers who configure an open server at the same moment, one does and the other is refused."""
    statuses: list[int] = []

    async def one(name: str) -> None:
        statuses.append((await initialize(fresh, config=CONFIG.replace("team", name), admin_secret="")).status_code)

    async with anyio.create_task_group() as group:
        group.start_soon(one, "first")
        group.start_soon(one, "second")
    assert sorted(statuses) == [200, 401]
    assert len(fresh.server.settings.indexes) == 1


async def test_old_secrets_end(fresh: Site) -> None:
    """The secrets of before are worthless afterwards, remembered or not."""
    main = fresh.server.settings.indexes[0]
    assert main.read_secret is not None
    old = ("main", main.read_secret)
    assert (await fresh.get("/simple/", auth=old)).status_code == 200
    assert (await initialize(fresh)).status_code == 200
    assert (await fresh.get("/simple/", auth=old)).status_code == 401


async def test_closed_once_used(fresh: Site) -> None:
    """As soon as something is published, the server counts as configured."""
    main = fresh.server.settings.indexes[0]
    assert main.write_secret is not None
    await fresh.publish(WheelBuilder(), auth=("main", main.write_secret))
    assert (await initialize(fresh)).status_code == 401
    assert [index.name for index in fresh.server.settings.indexes] == ["main"]


async def test_closed_after_restart(tmp_path: Path) -> None:
    """A generated configuration that was kept for another start is one."""
    load_settings(tmp_path / "root", environ={})
    settings = load_settings(tmp_path / "root", overrides={"extra_index_url": ""}, environ={})
    async with composed(tmp_path, settings=settings) as site:
        assert (await initialize(site)).status_code == 401


# --- initialize, guarded -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "status"),
    [(None, 401), (("main", "wrong"), 401), (READ, 403), (WRITE, 403), (ADMIN, 200), (("__token__", ADMIN[1]), 200)],
)
async def test_guarded(site: Site, auth: Credentials | None, status: int) -> None:
    """A configured server takes a new configuration only from who has a current admin secret."""
    answer = await initialize(site, auth=auth)
    assert answer.status_code == status
    names = [index.name for index in site.server.settings.indexes]
    assert names == (["team"] if status == 200 else ["main"])


async def test_new_admin(site: Site) -> None:
    """The admin secret of the new configuration is the one that counts from then on."""
    assert (await initialize(site, auth=ADMIN)).status_code == 200
    assert (await initialize(site, auth=ADMIN)).status_code == 401
    assert (await initialize(site, auth=("team", "team-admin"))).status_code == 200


async def test_not_repeated(site: Site) -> None:
    """Two `Authorization` headers are refused, though each is right."""
    right = ("authorization", basic(*ADMIN))
    headers = [right, right, ("content-type", "application/x-www-form-urlencoded")]
    body = urlencode({"config": CONFIG, "admin_secret": SECRETS})
    answer = await site.ask("POST", "/initialize/", auth=None, headers=headers, content=body)
    assert answer.status_code == 401


async def test_no_admin_secret(tmp_path: Path) -> None:
    """Where there is no admin secret nobody may, whoever they are."""
    async with composed(tmp_path, index_settings(admin_secret=None)) as site:
        for auth in (READ, WRITE, ADMIN, ("main", "")):
            assert (await initialize(site, auth=auth)).status_code in {401, 403}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_method(fresh: Site, method: str) -> None:
    """It is only posted to."""
    answer = await fresh.ask(method, "/initialize/", auth=None)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


# --- initialize, forms ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_file", [False, True], ids=["text", "file"])
async def test_multipart(fresh: Site, as_file: bool) -> None:  # noqa: FBT001
    """`curl -F config=@file` and `curl -F config='text'` work."""
    parts = []
    for name, text in (("config", CONFIG), ("admin_secret", SECRETS)):
        disposition = f'form-data; name="{name}"' + (f'; filename="{name}.toml"' if as_file else "")
        kind = "\r\nContent-Type: application/octet-stream" if as_file else ""
        parts.append(f"--b\r\nContent-Disposition: {disposition}{kind}\r\n\r\n{text}\r\n")
    body = "".join(parts) + "--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = await fresh.ask("POST", "/initialize/", auth=None, headers=headers, content=body)
    assert (answer.status_code, answer.text) == (200, "Done")
    assert [index.name for index in fresh.server.settings.indexes] == ["team"]


@pytest.mark.parametrize("missing", ["config", "admin_secret"])
async def test_missing_part(fresh: Site, missing: str) -> None:
    """A form without one of its parts is 400 and names it."""
    fields = {"config": CONFIG, "admin_secret": SECRETS}
    del fields[missing]
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await fresh.ask("POST", "/initialize/", auth=None, headers=headers, content=urlencode(fields))
    assert answer.status_code == 400
    assert missing in answer.text


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json", "multipart/form-data"])
async def test_no_form(fresh: Site, content_type: str) -> None:
    """What is no form is 400."""
    answer = await fresh.ask("POST", "/initialize/", auth=None, headers={"content-type": content_type}, content=b"{}")
    assert answer.status_code == 400


async def test_too_large(fresh: Site) -> None:
    """More than 1 MiB is 413."""
    assert (await initialize(fresh, config="#" * (1024 * 1024))).status_code == 413


# --- initialize, what is wrong stays out ---------------------------------------------------------------------------

BAD = [
    ("[team", ["config"]),
    ('[team]\ntype = "no_such"\n[other]\ntype = "file_system"\nread_secret = 5\n', ["no_such", "read_secret"]),
    ('[team]\ntype = "file_system"\nreed_secret = "x"\nwrite_sekret = "y"\n', ["reed_secret", "write_sekret"]),
    ("", ["index"]),
]


@pytest.mark.parametrize(("config", "named"), BAD)
async def test_every_mistake(fresh: Site, config: str, named: list[str]) -> None:
    """A wrong configuration is 400 with every mistake; the old one stays, in memory and on disk."""
    before = (fresh.root / "config.toml").read_bytes()
    answer = await initialize(fresh, config=config)
    assert answer.status_code == 400
    for name in named:
        assert name in answer.text
    assert "Traceback" not in answer.text
    assert (fresh.root / "config.toml").read_bytes() == before
    assert [index.name for index in fresh.server.settings.indexes] == ["main"]
    main = fresh.server.settings.indexes[0]
    assert main.read_secret is not None
    assert (await fresh.get("/simple/", auth=("main", main.read_secret))).status_code == 200


async def test_wrong_admin_secret(fresh: Site) -> None:
    """Mistakes in the admin secrets are named too, and no secret is repeated."""
    answer = await initialize(fresh, admin_secret='[team]\ntype = "other"\nraw = "super-secret"\n[stranger]\nraw = 1\n')
    assert answer.status_code == 400
    assert "super-secret" not in answer.text


async def test_no_secret_repeated(fresh: Site) -> None:
    """The text about a wrong configuration repeats no secret of it."""
    config = '[team]\ntype = "file_system"\nread_secret = "hidden-1"\nwrite_secret = ["hidden-2"]\nodd = "x"\n'
    answer = await initialize(fresh, config=config)
    assert answer.status_code == 400
    assert "hidden" not in answer.text


async def test_several_processes(tmp_path: Path) -> None:
    """A server of several processes cannot take a configuration in one of them; it says what to do instead."""
    async with composed(tmp_path, workers=2) as site:
        answer = await initialize(site, auth=ADMIN)
        assert answer.status_code == 400
        assert "2 processes" in answer.text
        assert "config.toml" in answer.text
        assert (await site.get("/simple/")).status_code == 200
        assert not (site.root / "config.toml").exists()


# --- initialize, kept ----------------------------------------------------------------------------------------------


async def test_kept(fresh: Site, tmp_path: Path) -> None:
    """The configuration is kept in ROOT, for its owner only, and the next start uses it."""
    assert (await initialize(fresh)).status_code == 200
    for name, text in (("config.toml", CONFIG), ("admin_secret.toml", SECRETS)):
        path = fresh.root / name
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o600
    again = await to_thread.run_sync(lambda: load_settings(tmp_path / "root", environ={}))
    assert [index.name for index in again.indexes] == ["team"]
    assert again.indexes[0].admin_secret is not None
    assert again.indexes[0].admin_secret.raw == "team-admin"
    assert not again.generated


async def test_sees_what_is_there(fresh: Site) -> None:
    """An index that stays in the configuration keeps its projects, and changed secrets count at once."""
    main = fresh.server.settings.indexes[0]
    assert main.read_secret is not None
    config = '[main]\ntype = "file_system"\nread_secret = "a"\nwrite_secret = "b"\n'
    assert (await initialize(fresh, config=config, admin_secret="")).status_code == 200
    await fresh.publish(SdistBuilder(), auth=("main", "b"))
    assert set(await fresh.files("demo", auth=("main", "a"))) == {"demo-1.0.tar.gz"}
    assert (await fresh.get("/simple/demo/", auth=("main", main.read_secret))).status_code == 401


async def test_sessions_end(fresh: Site) -> None:
    """A login with a secret that is no more is over."""
    main = fresh.server.settings.indexes[0]
    assert main.read_secret is not None
    assert (await fresh.login(secret=main.read_secret)).status_code == 303
    assert (await fresh.browse("/")).status_code == 200
    config = '[main]\ntype = "file_system"\nread_secret = "a"\nwrite_secret = "b"\n'
    assert (await initialize(fresh, config=config, admin_secret="")).status_code == 200
    assert (await fresh.browse("/")).status_code == 303

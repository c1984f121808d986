"""`wheelyard why` and `wheelyard osv` as people and scripts use them."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from policy.conftest import SECRETS, Serve, days_ago, osv_record, wheel
from wheelyard.cli.dispatch import run
from wheelyard.cli.why import lines
from wheelyard.testing.fake_upstream import FakeUpstream


def told(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code and what it printed."""
    code = run(["wheelyard", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def file(version: str, **said: Any) -> dict[str, Any]:
    return {"filename": f"six-{version}.tar.gz", "version": version, "offered": True, **said}


LATER = "2026-05-08T12:00:00Z"
EXPLAINED: dict[str, Any] = {
    "summary": "'six' comes from https://upstream.example/simple/; the policy leaves out 2 of 4 files",
    "rule": None,
    "status": "deprecated",
    "files": [
        file("1.10", offered=False, rule="minimum_age", reason="it was uploaded lately", until=LATER),
        file("1.9", yanked="bad"),
        file("1.2", reason="osv_severity is lifted until 2026-06-01 00:00:00 UTC: OPS-12", until=LATER),
        file("1.0", offered=False, rule="osv_severity", reason="GHSA-1 (critical, CVSS 9.8): it breaks"),
        {**file("1.0"), "filename": "six-1.0.zip"},
    ],
    "squatted_since": "2026-05-01T00:00:00Z",
    "advisories": {"source": "all.zip", "loaded_at": "2026-05-02T03:04:05+00:00", "newest": "", "records": 3},
}


def test_text() -> None:
    """People get the newest releases first, files of one release together where they are treated alike."""
    assert "\n".join(lines(EXPLAINED, show_all=False)) == (
        "'six' comes from https://upstream.example/simple/; the policy leaves out 2 of 4 files\n"
        "  status: deprecated\n"
        "  alarm: the name is on another index too, seen there since 2026-05-01 00:00:00 UTC\n"
        "  1.10: left out until 2026-05-08 12:00:00 UTC by minimum_age: it was uploaded lately\n"
        "  1.9: offered, yanked\n"
        "  1.2: offered; osv_severity is lifted until 2026-06-01 00:00:00 UTC: OPS-12\n"
        "  1.0 (six-1.0.tar.gz): left out by osv_severity: GHSA-1 (critical, CVSS 9.8): it breaks\n"
        "  1.0 (six-1.0.zip): offered\n"
        "  advisories: 3 of all.zip, loaded 2026-05-02 03:04:05 UTC"
    )


def test_long_text() -> None:
    """Of many releases the newest are shown, unless all are wanted."""
    explained = {"summary": "index 'main' has much", "files": [file(f"1.{number}") for number in range(30)]}
    short = list(lines(explained, show_all=False))
    assert short[:3] == ["Index 'main' has much", "  (10 older releases; --all shows them)", "  1.29: offered"]
    assert len(short) == 22
    assert len(list(lines(explained, show_all=True))) == 31


def test_no_line_drives_the_terminal() -> None:
    """What an advisory or another server says is shown as text: no control character reaches the terminal."""
    said = "GHSA-1: \x1b[2Jgone\r\x00 \u202eno\u2028 é"
    explained = {"summary": said, "files": [file("1.0", offered=False, rule="osv_severity", reason=said)]}
    text = "".join(lines(explained, show_all=True))
    assert text.isprintable()
    assert "GHSA-1: \N{REPLACEMENT CHARACTER}[2Jgone" in text
    assert text.endswith(" é")


@pytest.fixture
def six(upstream: FakeUpstream) -> FakeUpstream:
    upstream.offer("six", wheel("six", "1.0", uploaded=days_ago(90)), wheel("six", "1.1", uploaded=days_ago(2)))
    return upstream


@pytest.mark.slow
def test_running_server(serve: Serve, six: FakeUpstream, capsys: pytest.CaptureFixture[str]) -> None:
    """A running server is asked with the read secret; as JSON its whole answer is printed."""
    server = serve('minimum_age = "7d"\nreserved = ["acme-*"]')
    where = ("--url", server.url, "--password", "read-secret-1")
    code, out, _ = told("why", "six", *where, capsys=capsys)
    assert code == 0
    first, *rest = out.splitlines()
    assert first == f"'six' comes from upstream 'extra-index-url' ({six.root}); the policy leaves out 1 of 2 files"
    assert rest[0].startswith("  1.1: left out until 20")
    assert rest[0].endswith("must be 7 days old")
    assert rest[1:] == ["  1.0: offered"]
    code, out, _ = told("why", "six==1.1", "--json", *where, capsys=capsys)
    assert [each["rule"] for each in json.loads(out)["files"]] == ["minimum_age"]
    code, out, _ = told("why", "acme-x", *where, capsys=capsys)
    assert out == (
        "Index 'main' has no project 'acme-x' of its own, and it is not looked up elsewhere: "
        "the name is reserved here ('acme-*')\n  rule: reserved\n"
    )
    code, _, err = told("why", "six", "--url", server.url, "--password", "wrong", capsys=capsys)
    assert code == 1
    assert "not right" in err


@pytest.mark.slow
def test_local_root(
    six: FakeUpstream, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a server the folder's configuration is read and the other index asked from here."""
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "config.toml").write_text(
        f'[main]\ntype = "file_system"\n{SECRETS}[main.policy]\nfrozen_at = {days_ago(30)[:10]}\n'
        f'[server]\nextra_index_url = "{six.root}"\n'
    )
    code, out, err = told("why", "six", "--root", str(tmp_path), capsys=capsys)
    assert code == 0, err
    assert "  1.1: left out by frozen_at: the index is frozen at" in out
    assert "  1.0: offered" in out


@pytest.mark.parametrize("asked", ["", "==1.0", "six 1.0", "six<1", "six=1"])
def test_wrong_use(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is neither a name nor a release is refused."""
    code, _, err = told("why", asked, "--url", "http://127.0.0.1:9", "--password", "x", capsys=capsys)
    assert code in (1, 2)
    assert "neither a project name" in err or "is not a project name" in err


# --- osv -------------------------------------------------------------------------------------------------------------


def test_osv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Records are loaded into a ROOT, and which are there can be shown, for people and for scripts."""
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("GHSA-1.json", osv_record("GHSA-1", "demo"))
    root = ("--root", str(tmp_path))
    code, _, err = told("osv", "show", *root, capsys=capsys)
    assert (code, f"no advisories are loaded in '{tmp_path}'" in err) == (1, True)
    code, out, err = told("osv", "load", str(tmp_path / "all.zip"), *root, capsys=capsys)
    assert code == 0, err
    assert out.startswith("1 advisory about 1 project from 'all.zip', loaded 20")
    assert out.endswith("the newest is of 2026-01-02T03:04:05Z\n")
    code, out, _ = told("osv", "show", "--json", *root, capsys=capsys)
    assert json.loads(out)["newest"] == "2026-01-02T03:04:05Z"


def test_osv_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read is refused by name, what was loaded stays, and wrong use is told."""
    (tmp_path / "good.json").write_bytes(osv_record("GHSA-1", "demo"))
    (tmp_path / "bad.json").write_bytes(b"{")
    root = ("--root", str(tmp_path))
    assert told("osv", "load", str(tmp_path / "good.json"), *root, capsys=capsys)[0] == 0
    code, _, err = told("osv", "load", str(tmp_path / "bad.json"), *root, capsys=capsys)
    assert (code, "'bad.json'" in err, "what was loaded before stays" in err) == (1, True, True)
    assert told("osv", "show", *root, capsys=capsys)[0] == 0
    assert told("osv", "load", *root, capsys=capsys)[0] == 2
    assert told("osv", "show", str(tmp_path / "good.json"), *root, capsys=capsys)[0] == 2
    code, _, err = told("osv", "load", str(tmp_path / "good.json"), "--root", "/no/such/folder", capsys=capsys)
    assert (code, "there is no folder" in err) == (2, True)
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    code, _, err = told("osv", "load", str(tmp_path / "cut.zip"), *root, capsys=capsys)
    assert (code, "is no zip archive, or did not arrive whole" in err) == (1, True)


def test_osv_one_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A single record does not take the place of many unless told to: that would lift what they keep out."""
    folder = tmp_path / "records"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"GHSA-{number}.json").write_bytes(osv_record(f"GHSA-{number}", "demo"))
    load, root = ("osv", "load", str(folder / "GHSA-1.json")), ("--root", str(tmp_path))
    assert told("osv", "load", str(folder), *root, capsys=capsys)[0] == 0
    code, _, err = told(*load, *root, capsys=capsys)
    assert (code, "would take the place of the 2 advisories of 'records'" in err) == (2, True)
    assert told("osv", "show", *root, capsys=capsys)[1].startswith("2 advisories about 1 project ")
    code, out, _ = told(*load, *root, "--replace", capsys=capsys)
    assert (code, out.startswith("1 advisory ")) == (0, True)
    assert told(*load, *root, capsys=capsys)[0] == 0


def test_osv_without_its_library(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra the command says what to install, in place of loading records without scores."""
    monkeypatch.setitem(sys.modules, "cvss", None)
    (tmp_path / "good.json").write_bytes(osv_record("GHSA-1", "demo"))
    code, _, err = told("osv", "load", str(tmp_path / "good.json"), "--root", str(tmp_path), capsys=capsys)
    assert (code, "wheelyard[osv]" in err) == (1, True)

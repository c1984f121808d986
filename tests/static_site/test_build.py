"""What a build writes into a folder, and what it leaves alone."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from doctor.roots import Root
from static_site.sites import Build, touched, tree
from wheelyard.errors import SiteError
from wheelyard.index.interface import Delete, SetStatus, Yank
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectPage, ProjectStatus
from wheelyard.protocol import simple_html, simple_json
from wheelyard.site.folder import FolderDestination
from wheelyard.site.layout import aliases_of
from wheelyard.testing.builders import WheelBuilder

HELLO = "simple/python-hello/python_hello-1.0-py3-none-any.whl"


def changes(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def test_everything_is_there(build: Build, root: Root, site: Path) -> None:
    """Pages in both forms, files with their metadata, the list, front page, other spellings, and a page for the rest."""
    assert build() == 0
    made = tree(site)
    for name in ("flask", "python-hello", "python-world"):
        page = root.page(name)
        assert made[f"simple/{name}/index.html"] == simple_html.render_page(page)
        assert made[f"simple/{name}/index.v1_json"] == simple_json.render_page(page)
        for file in page.files:
            stored = root.project(name) / file.filename
            assert made[f"simple/{name}/{file.filename}"] == stored.read_bytes()
            assert made[f"simple/{name}/{file.filename}.metadata"] == Path(f"{stored}.metadata").read_bytes()
    assert [each["name"] for each in json.loads(made["simple/index.v1_json"])["projects"]] == [
        "flask",
        "python-hello",
        "python-world",
    ]
    assert {"index.html", "404.html", "site.js", "site.css", "projects.js", "_headers", ".nojekyll"} <= made.keys()
    assert b"url=../python-hello/" in made["simple/python_hello/index.html"]


@pytest.mark.parametrize(
    ("case_matters", "expected"),
    [(True, {"Flask_Login", "flask.login", "flask_login"}), (False, {"Flask_Login", "flask.login"})],
)
def test_other_spellings(*, case_matters: bool, expected: set[str]) -> None:
    """Spellings come from file names and from underscores; where case does not matter no two differ by it alone."""
    names = ("Flask_Login-1.0-py3-none-any.whl", "Flask-Login-1.0.tar.gz", "flask.login-2.0.zip", "other-1.0.zip")
    files = tuple(DistFile(filename=Filename(name), url=name) for name in names)
    page = ProjectPage(name=NormalizedName("flask-login"), files=files)
    found = aliases_of(page, case_matters=case_matters)
    assert set(found) == expected | ({"Flask-Login"} if case_matters else set())
    assert case_matters or len({spelling.lower() for spelling in found}) == len(found)


def test_html_has_what_clients_need(build: Build, site: Path) -> None:
    """Plain files are sent as HTML only, so the HTML has hash, metadata hash, Python versions and upload time."""
    build()
    page = (site / "simple/python-world/index.html").read_text()
    for attribute in ("#sha256=", "data-core-metadata=", "data-requires-python=", "data-upload-time="):
        assert attribute in page


def test_nothing_points_elsewhere(build: Build, site: Path) -> None:
    """The pages for people load nothing from another host."""
    build()
    for name in ("index.html", "404.html", "site.js", "site.css"):
        text = (site / name).read_text()
        assert "//" not in text.replace("https://HOST/", "").replace("// A host", "").replace("// Search", "").replace(
            "// Names", ""
        )


def test_unchanged_index_writes_nothing(build: Build, site: Path) -> None:
    """A build after which nothing was published leaves every file of the site, its own too, as it is."""
    build()
    before, own = touched(site), (site / ".wheelyard/site.json").stat().st_ino
    assert build() == 0
    assert touched(site) == before
    assert (site / ".wheelyard/site.json").stat().st_ino == own


def test_new_release_rewrites_its_project_only(build: Build, root: Root, site: Path, tmp_path: Path) -> None:
    """A new file of a known project: its two pages, itself and its metadata are written, and nothing else."""
    build()
    before = touched(site)
    root.publish(WheelBuilder("python_hello", "1.1").build(tmp_path))
    build()
    name = "simple/python-hello/python_hello-1.1-py3-none-any.whl"
    pages = {"simple/python-hello/index.html", "simple/python-hello/index.v1_json"}
    assert changes(before, touched(site)) == {name, f"{name}.metadata", *pages}


def test_new_project_rewrites_the_list(build: Build, root: Root, site: Path, tmp_path: Path) -> None:
    """A new project: its own files, the project list, and the front page with its list."""
    build()
    before = touched(site)
    root.publish(WheelBuilder("demo", "1.0").build(tmp_path))
    build()
    changed = {path for path in changes(before, touched(site)) if not path.startswith("simple/demo/")}
    assert changed == {"simple/index.html", "simple/index.v1_json", "index.html", "projects.js"}


def test_yank_is_published(build: Build, root: Root, site: Path) -> None:
    """PEP 592: a yank rewrites the page, with its reason."""
    build()
    root.change("python-hello", Yank(frozenset(), "1.0", "does not start"))
    build()
    assert 'data-yanked="does not start"' in (site / "simple/python-hello/index.html").read_text()


def test_deleted_project_disappears(build: Build, root: Root, site: Path) -> None:
    """Of a deleted project nothing is left: pages, files, metadata, other spellings, its line in the list."""
    build()
    root.change("python-hello", Delete())
    assert build() == 0
    left = tree(site)
    assert [path for path in left if "hello" in path] == []
    assert b"python-hello" not in left["simple/index.html"] + left["index.html"] + left["projects.js"]
    assert not (site / "simple/python-hello").exists()


def test_quarantined_project_offers_no_file(build: Build, root: Root, site: Path) -> None:
    """PEP 792: a quarantined project keeps its page, and its files leave the site."""
    build()
    root.change("python-hello", SetStatus(ProjectStatus.QUARANTINED, "looked into"))
    build()
    assert not (site / HELLO).exists()
    assert not (site / f"{HELLO}.metadata").exists()
    assert "quarantined" in (site / "simple/python-hello/index.html").read_text()


def test_damaged_record_is_named_and_its_last_page_stays(
    build: Build, root: Root, site: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A record that cannot be read: exit code 1 with its name, the others are built, its last good page stays."""
    build()
    before = (site / "simple/python-hello/index.html").read_bytes()
    (root.project("python-hello") / "index.json").write_text("{")
    root.publish(WheelBuilder("demo", "1.0").build(tmp_path))
    assert build() == 1
    assert "not built: python-hello: " in capsys.readouterr().err
    assert (site / "simple/python-hello/index.html").read_bytes() == before
    assert (site / "simple/demo/index.html").exists()
    assert "python-hello" in (site / "simple/index.html").read_text()
    assert build() == 1  # until it is mended, each build says so


def test_missing_file_is_named(build: Build, root: Root, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A project with a file that is gone or shortened is not published at all, rather than with a page that lies."""
    (root.project("python-hello") / Path(HELLO).name).unlink()
    wheel = root.project("flask") / "Flask-3.0-py3-none-any.whl"
    wheel = next(iter(root.project("flask").glob("*.whl"))) if not wheel.exists() else wheel
    wheel.write_bytes(wheel.read_bytes()[:-1])
    assert build() == 1
    said = capsys.readouterr().err
    assert "not built: flask: " in said
    assert "not built: python-hello: " in said
    assert (site / "simple/index.html").read_text().count("<a ") == 1
    assert not (site / "simple/python-hello/index.html").exists()


def test_damaged_metadata_is_not_published(build: Build, root: Root, site: Path) -> None:
    """PEP 658: metadata whose hash is not the one on the page would stop every client."""
    (root.project("python-hello") / f"{Path(HELLO).name}.metadata").write_bytes(b"Name: other\n")
    assert build() == 1
    assert not (site / "simple/python-hello").exists() or not (site / "simple/python-hello/index.html").exists()


def test_files_share_their_bytes_or_not(build: Build, root: Root, site: Path) -> None:
    """Files are links to the storage; with `--copy` they are files of their own."""
    stored = root.project("python-hello") / Path(HELLO).name
    build()
    assert (site / HELLO).samefile(stored)
    other = site.parent / "copied"
    build("--copy", to=str(other))
    assert (other / HELLO).read_bytes() == stored.read_bytes()
    assert not (other / HELLO).samefile(stored)


def test_pages_without_files(build: Build, site: Path) -> None:
    """With `--no-files --files-url` pages link to files elsewhere, and none are in the site; and back."""
    assert build("--no-files", "--files-url", "https://files.example.org/simple") == 0
    page = (site / "simple/python-hello/index.html").read_text()
    assert 'href="https://files.example.org/simple/python-hello/python_hello-1.0-py3-none-any.whl#sha256=' in page
    assert list(site.rglob("*.whl*")) == []
    assert build() == 0
    assert (site / HELLO).exists()
    assert "example.org" not in (site / "simple/python-hello/index.html").read_text()


def test_what_is_not_ours_is_refused(build: Build, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds another site is left alone, unless `--force` says otherwise."""
    site.mkdir()
    (site / "index.html").write_text("somebody's")
    assert build() == 1
    assert "holds something that is no site of ours" in capsys.readouterr().err
    assert tree(site) == {"index.html": b"somebody's"}
    assert build("--force") == 0
    assert (site / HELLO).exists()


def test_other_files_of_the_folder_stay(build: Build, site: Path) -> None:
    """What stands beside the site, such as the file that names a domain, is nobody's business here."""
    site.mkdir()
    (site / "CNAME").write_text("packages.example.org")
    build()
    build("--full")
    assert (site / "CNAME").read_text() == "packages.example.org"


def test_after_a_killed_build_everything_is_looked_at(build: Build, site: Path) -> None:
    """A build that died leaves a mark; the next one mends pages and removes what belongs to no project."""
    build()
    manifest = site / ".wheelyard/site.json"
    document = json.loads(manifest.read_text()) | {"unfinished": True}
    manifest.write_text(json.dumps(document))
    (site / "simple/python-hello/index.html").write_text("half a pa")
    (site / "simple/gone").mkdir()
    (site / "simple/gone/gone-1.0.tar.gz").write_text("x")
    (site / "simple/python-hello/stray.whl").write_text("x")
    assert build() == 0
    assert "python_hello-1.0" in (site / "simple/python-hello/index.html").read_text()
    assert not (site / "simple/gone").exists()
    assert not (site / "simple/python-hello/stray.whl").exists()
    assert json.loads(manifest.read_text())["unfinished"] is False


def test_full_build_mends_what_somebody_changed(build: Build, site: Path) -> None:
    """`--full` puts every file again, whatever the manifest believes."""
    build()
    before = tree(site)
    (site / HELLO).unlink()
    (site / "simple/python-hello/index.v1_json").write_text("no page")
    (site / "simple/index.html").unlink()
    assert build("--full") == 0
    assert tree(site) == before


def test_damaged_manifest(build: Build, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest that cannot be read stops a build; `--force` builds anew."""
    build()
    (site / ".wheelyard/site.json").write_text("{")
    assert build() == 1
    assert "damaged manifest" in capsys.readouterr().err
    assert build("--force") == 0


def test_two_builds_of_one_folder(build: Build, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While somebody builds a folder, a second build of it refuses to."""
    build()
    opened = os.open(site, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        assert build() == 1
    finally:
        os.close(opened)
    assert "another build" in capsys.readouterr().err


def test_pages_come_after_files_and_before_the_list(root: Root, site: Path) -> None:
    """At no moment does a page list a file that is not there, nor the list a project without a page."""
    from static_site.sites import build_to  # noqa: PLC0415  used once

    class Watched(FolderDestination):
        def write(self, path: str, content: bytes, kind: object) -> None:
            super().write(path, content, kind)  # type: ignore[arg-type]
            names = path.split("/")
            if path == "simple/index.html":
                for name in simple_html.parse_list(content).names:
                    assert (site / "simple" / name / "index.html").exists()
            elif names[0] == "simple" and names[-1] == "index.v1_json" and len(names) == 3:
                for file in simple_json.parse_page(content).files:
                    assert (site / "simple" / names[1] / file.filename).exists()
                    assert (site / "simple" / names[1] / f"{file.filename}.metadata").exists()

        def remove(self, path: str) -> None:
            project = site / "simple" / path.split("/")[1] / "index.html"
            assert not path.endswith(".whl") or not project.exists() or Path(path).name not in project.read_text()
            super().remove(path)

    assert build_to(root, Watched(site)).files == 5
    root.change("python-world", Delete(version="0.0.1"))
    root.change("flask", Delete())
    assert build_to(root, Watched(site)).removed == 1
    assert not (site / "simple/python-world/python_world-0.0.1-py3-none-any.whl").exists()


def test_destination_that_cannot_be_written(root: Root, tmp_path: Path) -> None:
    """A file where the folder should be is an error that names it."""
    from static_site.sites import build_to  # noqa: PLC0415  used once

    (tmp_path / "file").write_text("")
    with pytest.raises(SiteError, match="cannot be written"):
        build_to(root, FolderDestination(tmp_path / "file"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--no-files"], "go together"),
        (["--files-url", "https://host/simple/"], "go together"),
        (["--no-files", "--files-url", "ftp://host/"], "no http or https URL"),
        (["--url", "packages"], "no http or https URL"),
        (["--index", "other"], "given twice"),
        (["--interval", "0"], "0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(build: Build, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str) -> None:
    """Flags that make no sense are refused with exit code 2 and a reason."""
    assert build(*arguments) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    "address",
    [
        "git+https://host/x.git",
        "git+https://host/x.git#-x",
        "git+https://host/x.git#a..b",
        "git+ext::sh#x",
        "nope://x/y",
    ],
)
def test_places_that_are_none(build: Build, capsys: pytest.CaptureFixture[str], address: str) -> None:
    """An address that is neither folder, bucket nor branch is refused before anything is done."""
    assert build(to=address) == 1
    assert "error: " in capsys.readouterr().err

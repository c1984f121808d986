"""A site in a bucket: the library's own store in memory stands for one, with the headers of each object."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor.roots import Root
from static_site.sites import Build, build_to, tree
from wheelyard.errors import SiteError
from wheelyard.index.interface import Delete
from wheelyard.site.bucket import BucketDestination
from wheelyard.site.folder import FolderDestination
from wheelyard.testing.builders import WheelBuilder

obstore = pytest.importorskip("obstore.store")


@pytest.fixture
def bucket() -> BucketDestination:
    return BucketDestination(obstore.MemoryStore(), "memory://bucket")


def objects(bucket: BucketDestination) -> dict[str, bytes]:
    paths = [entry["path"] for batch in bucket._store.list() for entry in batch]
    return {path: bytes(bucket._store.get(path).bytes()) for path in paths if not path.startswith(".wheelyard")}


def test_same_bytes_as_in_a_folder(root: Root, bucket: BucketDestination, site: Path) -> None:
    """A bucket holds what a folder holds, byte for byte."""
    build_to(root, bucket)
    build_to(root, FolderDestination(site))
    assert objects(bucket) == tree(site)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("simple/index.html", "text/html; charset=utf-8"),
        ("simple/index.v1_json", "application/vnd.pypi.simple.v1+json"),
        ("simple/python-hello/index.v1_json", "application/vnd.pypi.simple.v1+json"),
        ("simple/python-hello/python_hello-1.0-py3-none-any.whl", "application/octet-stream"),
        ("simple/python-hello/python_hello-1.0-py3-none-any.whl.metadata", "text/plain; charset=utf-8"),
        ("site.js", "text/javascript; charset=utf-8"),
    ],
)
def test_objects_say_what_they_are(root: Root, bucket: BucketDestination, path: str, media_type: str) -> None:
    """Each object has its media type, and says how long it may be kept: pages not at all, files for ever."""
    build_to(root, bucket)
    attributes = bucket._store.get(path).attributes
    assert attributes["Content-Type"] == media_type
    assert ("immutable" in attributes["Cache-Control"]) == (".whl" in path)


def test_only_changes_are_put(root: Root, bucket: BucketDestination, tmp_path: Path) -> None:
    """A second build puts one file more, and removes a project that is gone."""
    assert build_to(root, bucket).files == 5
    assert build_to(root, bucket).changed == 0
    root.publish(WheelBuilder("python_hello", "1.1").build(tmp_path))
    root.change("flask", Delete())
    report = build_to(root, bucket)
    assert (report.changed, report.files, report.removed) == (1, 1, 1)
    assert not [path for path in objects(bucket) if "flask" in path.lower()]


def test_killed_build_does_not_put_files_twice(root: Root, bucket: BucketDestination) -> None:
    """What a bucket has taken stays put, so that after a killed build only pages are looked at again."""
    build_to(root, bucket)
    path = ".wheelyard/site.json"
    content = bytes(bucket._store.get(path).bytes()).replace(b'"unfinished":false', b'"unfinished":true')
    bucket._store.put(path, content)
    bucket._store.put("simple/gone/gone-1.0.tar.gz", b"x")
    assert build_to(root, bucket).files == 0
    assert "simple/gone/gone-1.0.tar.gz" not in objects(bucket)


def test_bucket_that_does_not_answer(
    build: Build, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that cannot be asked is an error of one line, without a dump of the library."""
    for name, value in (("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s3cret-s3cret"), ("AWS_REGION", "r")):
        monkeypatch.setenv(name, value)
    with pytest.raises(SiteError) as caught:
        BucketDestination(
            obstore.S3Store(
                "b",
                endpoint="http://127.0.0.1:9",
                client_options={"allow_http": True},
                retry_config={"max_retries": 0, "retry_timeout": __import__("datetime").timedelta(seconds=1)},
            ),
            "s3://b",
        ).read("x")
    assert "\n" not in caught.value.message
    assert "s3cret" not in caught.value.message


def test_unknown_kind_of_bucket(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that the library does not know is refused with what is wrong."""
    assert build(to="ftp://host/bucket") == 1
    assert "is no address of a bucket" in capsys.readouterr().err

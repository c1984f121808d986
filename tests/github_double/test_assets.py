"""Facts about assets: names rewritten, uploads cut, links that are credentials."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from wheelyard.testing.fake_github import FakeGitHub, Repository
from wheelyard.testing.fake_github.endpoints.assets import stored_name

Upload = Callable[..., httpx2.Response]
BYTES = {"accept": "application/octet-stream"}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("six-1.0-py3-none-any.whl", "six-1.0-py3-none-any.whl"),
        ("six-1.0+local.1.tar.gz", "six-1.0+local.1.tar.gz"),
        ("foo-1!2.0-py3-none-any.whl", "foo-1.2.0-py3-none-any.whl"),
        ("foo-1.0~rc1.tar.gz", "foo-1.0.rc1.tar.gz"),
        ("a b  c.whl", "a.b.c.whl"),
        ("naïve.whl", "naive.whl"),
        ("..a..b..", "a.b"),
        (".whl", "default.whl"),
    ],
)
def test_names_are_rewritten(upload: Upload, sent: str, stored: str) -> None:
    """GitHub renames what has special marks; `+` stays, an epoch's `!` becomes a dot and collides with another version."""
    assert stored_name(sent) == stored
    assert upload(sent).json()["name"] == stored


def test_the_answer_tells_what_was_stored(upload: Upload) -> None:
    """State, size and digest."""
    body = upload("a.whl", b"content").json()
    assert (body["state"], body["size"]) == ("uploaded", 7)
    assert body["digest"] == f"sha256:{hashlib.sha256(b'content').hexdigest()}"


def test_a_name_is_taken_once(upload: Upload) -> None:
    """The second upload is refused with `already_exists`, also when only the rewritten names are equal."""
    upload("foo-1.2.0.whl")
    for name in ("foo-1.2.0.whl", "foo-1!2.0.whl"):
        answer = upload(name)
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}]


def test_a_failed_upload_leaves_a_starter(
    github: FakeGitHub, ana: httpx2.Client, upload: Upload, release: dict[str, str]
) -> None:
    """502 leaves an asset that is in the way until it is deleted and can not be downloaded."""
    github.switches.fail_upload_502_leaves_starter = 1
    assert upload("a.whl").status_code == 502
    (left,) = ana.get(release["assets_url"]).json()
    assert (left["state"], left["size"], left["digest"]) == ("starter", 0, None)
    assert upload("a.whl").status_code == 422
    assert ana.get(left["url"], headers=BYTES).status_code == 404
    assert ana.delete(left["url"]).status_code == 204
    assert upload("a.whl").status_code == 201


def test_a_release_takes_a_thousand(github: FakeGitHub, upload: Upload) -> None:
    """One more is refused."""
    assert github.switches.assets_per_release == 1000
    github.switches.assets_per_release = 2
    assert [upload(f"{number}.whl").status_code for number in range(3)] == [201, 201, 422]


def test_a_big_asset_is_refused(github: FakeGitHub, upload: Upload) -> None:
    """Each asset is smaller than two gibibytes."""
    assert github.switches.asset_bytes == 2 * 1024**3 - 1
    github.switches.asset_bytes = 10
    assert [upload("a.whl", b"x" * size).status_code for size in (11, 0, 10)] == [422, 422, 201]


def test_uploads_have_a_length_and_a_type(ana: httpx2.Client, release: dict[str, str]) -> None:
    """Bytes of unknown length are refused."""
    url = release["upload_url"].partition("{")[0]
    kind = {"content-type": "application/octet-stream"}
    assert ana.post(url, params={"name": "a"}, content=iter([b"x"]), headers=kind).status_code == 411
    assert ana.post(url, params={"name": "a"}, content=b"x").status_code == 400


def test_uploads_go_to_their_own_host(github: FakeGitHub, release: dict[str, str], upload: Upload) -> None:
    """`upload_url` is a template that leads to another host than the interface."""
    assert release["upload_url"].startswith(f"{github.uploads_url}/repos/ana/store/releases/")
    assert release["upload_url"].endswith("/assets{?name,label}")
    assert github.uploads_url != github.api_url
    assert upload("a.whl").status_code == 201
    assert [call.host for call in github.calls if call.method == "POST"] == ["api", "uploads"]


class TestDownload:
    """`GET …/releases/assets/{id}` with `Accept: application/octet-stream`."""

    @pytest.fixture
    def asset(self, upload: Upload) -> dict[str, str]:
        made: dict[str, str] = upload("a.whl", b"0123456789").json()
        return made

    @pytest.fixture
    def link(self, ana: httpx2.Client, asset: dict[str, str]) -> str:
        answer = ana.get(asset["url"], headers=BYTES)
        assert (answer.status_code, answer.content) == (302, b"")
        return str(answer.headers["location"])

    def test_the_link_is_as_good_as_a_credential(self, github: FakeGitHub, link: str) -> None:
        """It leads to another host, which gives the bytes to anybody."""
        assert link.startswith(github.assets_url)
        assert httpx2.get(link).content == b"0123456789"

    def test_the_link_takes_no_credential(self, link: str) -> None:
        """A request with an Authorization header is refused with 400."""
        assert httpx2.get(link, headers={"authorization": "Bearer ghp_1"}).status_code == 400

    def test_the_link_expires(self, github: FakeGitHub, link: str) -> None:
        """It tells until when it is good, which is five minutes; after that it is refused with 403."""
        [told] = parse_qs(urlsplit(link).query)["exp"]
        expires = float(told)
        assert expires - time.time() <= 300
        github.clock = lambda: expires - 1
        assert httpx2.get(link).status_code == 200
        github.clock = lambda: expires + 1
        assert httpx2.get(link).status_code == 403

    def test_the_link_is_for_one_file(self, link: str) -> None:
        """Signed for its path."""
        path, _, query = link.partition("?")
        assert httpx2.get(f"{path}1?{query}").status_code == 403

    def test_a_switch_hands_out_a_dead_link(
        self, github: FakeGitHub, ana: httpx2.Client, asset: dict[str, str]
    ) -> None:
        """Once; the next link is good."""
        github.switches.expiring_url = 1
        statuses = [httpx2.get(ana.get(asset["url"], headers=BYTES).headers["location"]).status_code for _ in range(2)]
        assert statuses == [403, 200]

    @pytest.mark.parametrize(
        ("range", "status", "content"),
        [("bytes=2-4", 206, b"234"), ("bytes=-3", 206, b"789"), ("bytes=8-", 206, b"89"), ("bytes=10-", 416, b"")],
    )
    def test_ranges_are_given(self, link: str, range: str, status: int, content: bytes) -> None:
        """Of the bytes behind the link."""
        answer = httpx2.get(link, headers={"range": range})
        assert (answer.status_code, answer.content) == (status, content)

    def test_other_media_types_get_json(self, ana: httpx2.Client, asset: dict[str, str]) -> None:
        """Installers send `*/*`, and would get a description instead of a file."""
        assert ana.get(asset["url"], headers={"accept": "*/*"}).json()["name"] == "a.whl"

    def test_the_bytes_may_come_at_once(self, github: FakeGitHub, ana: httpx2.Client, asset: dict[str, str]) -> None:
        """Clients should handle both a 200 and a 302."""
        github.switches.stream_assets = True
        answer = ana.get(asset["url"], headers=BYTES)
        assert (answer.status_code, answer.content) == (200, b"0123456789")

    def test_the_browser_link_of_a_private_file_is_dead(
        self, ana: httpx2.Client, store: Repository, asset: dict[str, str]
    ) -> None:
        """`browser_download_url` is 404 with any token while the repository is private."""
        assert ana.get(asset["browser_download_url"]).status_code == 404
        store.private = False
        assert ana.get(asset["browser_download_url"]).status_code == 302

    def test_a_download_may_break(self, github: FakeGitHub, link: str) -> None:
        """Cut in the middle, or with a wrong byte."""
        github.switches.truncate_download = 1
        with pytest.raises(httpx2.RemoteProtocolError):
            httpx2.get(link)
        github.switches.corrupt_download = 1
        assert httpx2.get(link).content != b"0123456789"
        assert httpx2.get(link).content == b"0123456789"

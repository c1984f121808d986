"""Facts about files, commits and references: which ways to write are compare-and-swap, and on what."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import time

import httpx2

from github_double.conftest import Asker
from wheelyard.testing.fake_github import FakeGitHub, Repository

REPOSITORY = "/repos/ana/store"
SHA_ONLY = {"accept": "application/vnd.github.sha"}
RAW = {"accept": "application/vnd.github.raw+json"}


def _encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


def _blob_name(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()


class TestContents:
    """`PUT /contents/{path}`: one file, compared by its own hash."""

    URL = f"{REPOSITORY}/contents/p/six/index.json"

    def _put(self, client: httpx2.Client, content: bytes, **fields: str) -> httpx2.Response:
        return client.put(self.URL, json={"message": "m", "content": _encoded(content), **fields})

    def test_a_new_file_takes_any_hash(self, ana: httpx2.Client, store: Repository) -> None:
        """When the path is absent the hash is not looked at."""
        assert self._put(ana, b"1", sha="0" * 40).status_code == 201
        assert store.files()["p/six/index.json"] == b"1"

    def test_an_old_file_wants_its_hash(self, ana: httpx2.Client, store: Repository) -> None:
        """None is 422, a stale one 409, the right one 200; names of blobs are git's own."""
        first = self._put(ana, b"1").json()["content"]["sha"]
        assert first == _blob_name(b"1")
        missing = self._put(ana, b"2")
        assert (missing.status_code, missing.json()["message"]) == (422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
        stale = self._put(ana, b"2", sha="a" * 40)
        assert (stale.status_code, stale.json()["message"]) == (409, f"p/six/index.json does not match {'a' * 40}")
        assert self._put(ana, b"2", sha=first).status_code == 200
        assert store.files()["p/six/index.json"] == b"2"

    def test_a_branch_that_moves_meanwhile_is_a_conflict(self, github: FakeGitHub, ana: httpx2.Client) -> None:
        """409 with both commits."""
        github.switches.stale_data = 1
        answer = self._put(ana, b"1")
        assert answer.status_code == 409
        assert "but expected" in answer.json()["message"]

    def test_files_and_folders_are_read(self, ana: httpx2.Client) -> None:
        """JSON by default, bytes as `raw`, a list for a folder."""
        self._put(ana, b"text")
        assert ana.get(self.URL, headers=RAW).content == b"text"
        assert base64.b64decode(ana.get(self.URL).json()["content"]) == b"text"
        assert [item["type"] for item in ana.get(f"{REPOSITORY}/contents/p").json()] == ["dir"]
        assert ana.get(f"{REPOSITORY}/contents/none").status_code == 404

    def test_big_files_come_raw_only(self, ana: httpx2.Client, store: Repository) -> None:
        """Above a megabyte the JSON form has no content."""
        store.commit({"big": b"x" * (1024 * 1024 + 1)})
        assert ana.get(f"{REPOSITORY}/contents/big").json()["encoding"] == "none"
        assert len(ana.get(f"{REPOSITORY}/contents/big", headers=RAW).content) == 1024 * 1024 + 1

    def test_a_file_is_removed_by_its_hash(self, ana: httpx2.Client, store: Repository) -> None:
        """As it is changed."""
        sha = self._put(ana, b"1").json()["content"]["sha"]
        body = {"message": "gone", "sha": sha}
        assert ana.request("DELETE", self.URL, json=body).json()["content"] is None
        assert "p/six/index.json" not in store.files()

    def test_workflows_take_a_right(self, github: FakeGitHub, asks: Asker, ana: httpx2.Client) -> None:
        """Without the scope `workflow` a workflow file can not be written."""
        url, body = f"{REPOSITORY}/contents/.github/workflows/a.yml", {"message": "m", "content": _encoded(b"on: push")}
        assert asks(github.token("ana", scopes=("repo",))).put(url, json=body).status_code == 404
        assert ana.put(url, json=body).status_code == 201


class TestGitData:
    """Blob, tree, commit, reference: many files in one commit, in four calls or more."""

    def _commit(self, client: httpx2.Client, base: str, files: dict[str, str]) -> str:
        tree = [{"path": path, "mode": "100644", "type": "blob", "content": text} for path, text in files.items()]
        made = client.post(f"{REPOSITORY}/git/trees", json={"base_tree": base, "tree": tree}).raise_for_status().json()
        body = {"message": "m", "tree": made["sha"], "parents": [base]}
        return str(client.post(f"{REPOSITORY}/git/commits", json=body).raise_for_status().json()["sha"])

    def test_a_branch_moves_forward_only(self, ana: httpx2.Client, store: Repository) -> None:
        """The second of two writers who began at the same commit is refused, unless by force."""
        base, url = store.head(), f"{REPOSITORY}/git/refs/heads/main"
        mine, theirs = self._commit(ana, base, {"a": "1"}), self._commit(ana, base, {"b": "2"})
        assert ana.patch(url, json={"sha": mine, "force": False}).status_code == 200
        refused = ana.patch(url, json={"sha": theirs, "force": False})
        assert (refused.status_code, refused.json()["message"]) == (422, "Update is not a fast forward")
        assert ana.patch(url, json={"sha": theirs, "force": True}).status_code == 200
        assert store.files().keys() == {"README.md", "b"}

    def test_an_orphan_branch_has_no_parent(self, ana: httpx2.Client, store: Repository) -> None:
        """A commit without parents, and a reference to it."""
        blob = ana.post(f"{REPOSITORY}/git/blobs", json={"content": _encoded(b"\0\1"), "encoding": "base64"}).json()
        tree = [{"path": "x/y", "mode": "100644", "type": "blob", "sha": blob["sha"]}]
        made = ana.post(f"{REPOSITORY}/git/trees", json={"tree": tree}).json()
        commit = ana.post(f"{REPOSITORY}/git/commits", json={"message": "m", "tree": made["sha"], "parents": []}).json()
        body = {"ref": "refs/heads/index", "sha": commit["sha"]}
        assert ana.post(f"{REPOSITORY}/git/refs", json=body).status_code == 201
        assert store.files("index") == {"x/y": b"\0\1"}
        assert ana.get(f"{REPOSITORY}/git/ref/heads/index").json()["object"]["sha"] == commit["sha"]
        again = ana.post(f"{REPOSITORY}/git/refs", json=body)
        assert (again.status_code, again.json()["message"]) == (422, "Reference already exists")
        assert ana.delete(f"{REPOSITORY}/git/refs/heads/index").status_code == 204

    def test_an_empty_repository_takes_no_objects(self, github: FakeGitHub, ana: httpx2.Client) -> None:
        """409 until something was committed by path."""
        github.repository("ana/new", empty=True)
        blob = ana.post("/repos/ana/new/git/blobs", json={"content": "x"})
        assert (blob.status_code, blob.json()["message"]) == (409, "Git Repository is empty.")
        body = {"message": "m", "content": _encoded(b"x")}
        assert ana.put("/repos/ana/new/contents/a", json=body).status_code == 201
        assert ana.post("/repos/ana/new/git/blobs", json={"content": "x"}).status_code == 201

    def test_a_tree_may_be_truncated(self, github: FakeGitHub, ana: httpx2.Client, store: Repository) -> None:
        """Recursive trees end at a hundred thousand entries and say so."""
        store.commit({f"p/{number}": b"x" for number in range(5)})
        whole = ana.get(f"{REPOSITORY}/git/trees/main", params={"recursive": "1"}).json()
        assert (len(whole["tree"]), whole["truncated"]) == (7, False)
        github.switches.tree_entries_cap = 3
        cut = ana.get(f"{REPOSITORY}/git/trees/main", params={"recursive": "1"}).json()
        assert (len(cut["tree"]), cut["truncated"]) == (3, True)

    def test_a_blob_is_read_by_its_name(self, ana: httpx2.Client, store: Repository) -> None:
        """Immutable for each hash, whole as `raw`."""
        store.commit({"a": b"bytes"})
        assert ana.get(f"{REPOSITORY}/git/blobs/{_blob_name(b'bytes')}", headers=RAW).content == b"bytes"


class TestFreshness:
    """How a reader learns that a branch has moved."""

    def test_the_hash_alone_is_its_own_tag(
        self, github: FakeGitHub, asks: Asker, ana: httpx2.Client, store: Repository
    ) -> None:
        """`application/vnd.github.sha` with the known commit as ETag is 304 for every token, and free."""
        url, known = f"{REPOSITORY}/commits/main", store.head()
        assert ana.get(url, headers=SHA_ONLY).text == known
        for token in (github.token("ana"), github.token("ben"), github.token("ana", "fine-grained")):
            client = asks(token)
            left = int(client.get("/rate_limit").json()["rate"]["remaining"])
            answer = client.get(url, headers={**SHA_ONLY, "if-none-match": f'"{known}"'})
            assert (answer.status_code, int(answer.headers["x-ratelimit-remaining"])) == (304, left)
        store.commit({"a": b"x"})
        moved = ana.get(url, headers={**SHA_ONLY, "if-none-match": f'"{known}"'})
        assert (moved.status_code, moved.text) == (200, store.head())

    def test_other_tags_are_each_tokens_own(self, github: FakeGitHub, asks: Asker, ana: httpx2.Client) -> None:
        """The ETag one token got is nothing to another, so an hourly token makes every cached one worthless."""
        tag = ana.get(REPOSITORY).headers["etag"]
        assert ana.get(REPOSITORY, headers={"if-none-match": tag}).status_code == 304
        other = asks(github.token("ana"))
        assert other.get(REPOSITORY, headers={"if-none-match": tag}).status_code == 200

    def test_compare_lists_what_changed(self, ana: httpx2.Client, store: Repository) -> None:
        """The files between two commits, with the hashes of their blobs."""
        before = store.commit({"a": b"1", "b": b"1"})
        after = store.commit({"a": b"2", "b": None, "c": b"3"})
        body = ana.get(f"{REPOSITORY}/compare/{before}...{after}").json()
        changed = {item["filename"]: (item["status"], item["sha"]) for item in body["files"]}
        assert changed["a"] == ("modified", _blob_name(b"2"))
        assert (changed["b"][0], changed["c"]) == ("removed", ("added", _blob_name(b"3")))

    def test_the_archive_is_behind_a_link_of_five_minutes(
        self, github: FakeGitHub, ana: httpx2.Client, store: Repository
    ) -> None:
        """One call for a whole branch; all files lie below one folder that names the commit."""
        store.commit({"p/x.json": b"{}"}, branch="index")
        answer = ana.get(f"{REPOSITORY}/tarball/index")
        assert (answer.status_code, answer.content) == (302, b"")
        link = answer.headers["location"]
        with tarfile.open(fileobj=io.BytesIO(httpx2.get(link).content)) as archive:
            assert f"ana-store-{store.head('index')[:7]}/p/x.json" in archive.getnames()
        github.clock = lambda: time.time() + 301
        assert httpx2.get(link).status_code == 404
        assert httpx2.get(link.partition("?")[0]).status_code == 404

"""Names that belong to one upstream: no other one is asked for them, whatever it has."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2
import pytest

from wheelyard.testing.fake_upstream import FakeUpstream, UpstreamFile

from .conftest import Serve

pytestmark = pytest.mark.slow

V1_JSON = "application/vnd.pypi.simple.v1+json"


def file_of(project: str, version: str) -> UpstreamFile:
    return UpstreamFile(
        filename=f"{project.replace('-', '_')}-{version}.tar.gz", content=f"{project} {version}".encode()
    )


@dataclass
class Two:
    """An index of the team and a public one, which has the team's names too."""

    internal: FakeUpstream
    public: FakeUpstream
    tables: str = field(init=False)

    def __post_init__(self) -> None:
        self.internal.offer("acme-tool", file_of("acme-tool", "1.0"))
        for project in ("acme-tool", "acme-secret", "six"):
            self.public.offer(project, file_of(project, "99.0"))
        self.tables = (
            f'[upstream.public]\nurl = "{self.public.root}"\n'
            f'[upstream.internal]\nurl = "{self.internal.root}"\nowns = ["Acme", "acme_*"]\n'
        )


@pytest.fixture
def two(upstream: FakeUpstream) -> Iterator[Two]:
    with FakeUpstream() as public:
        yield Two(upstream, public)


def listed(client: httpx2.Client, project: str) -> list[str]:
    answer = client.get(f"/simple/{project}/", headers={"accept": V1_JSON})
    return [each["filename"] for each in answer.json()["files"]] if answer.status_code == 200 else []


def test_only_the_owner_is_asked(serve: Serve, two: Two) -> None:
    """DC-02: an owned name comes from its owner, though another upstream stands before it and has it too."""
    client = serve(two.tables)
    for _ in range(3):
        assert listed(client, "acme-tool") == ["acme_tool-1.0.tar.gz"]
        assert listed(client, "six") == ["six-99.0.tar.gz"]
    assert client.get("/simple/acme-tool/acme_tool-1.0.tar.gz").content == b"acme-tool 1.0"
    assert client.get("/simple/acme-tool/acme_tool-99.0.tar.gz").status_code == 404
    assert {question.path for question in two.public.questions} == {"/simple/six/"}


@pytest.mark.parametrize("spelling", ["acme-secret", "Acme_Secret", "ACME.secret", "acme", "acme-"])
def test_what_the_owner_does_not_have_is_nowhere(serve: Serve, two: Two, spelling: str) -> None:
    """DC-02: a name that its owner does not have is not here, by any way of asking and in any spelling."""
    client = serve(two.tables)
    for path in (
        f"/simple/{spelling}/",
        f"/simple/{spelling}/acme_secret-99.0.tar.gz",
        f"/simple/{spelling}/acme_secret-99.0.tar.gz.metadata",
        f"/pypi/{spelling}/json",
        f"/api/v1/why/{spelling}",
        f"/at/2026-05-01/simple/{spelling}/",
    ):
        for method in ("GET", "HEAD"):
            client.request(method, path, follow_redirects=True)
    assert listed(client, "acme-secret") == []
    assert two.public.questions == []


def test_an_index_that_does_not_see_the_owner(serve: Serve, two: Two) -> None:
    """An owned name belongs to its owner also where only others are behind an index."""
    config = '[main]\ntype = "memory"\nread_secret = "r"\nwrite_secret = "write-secret-2"\nupstreams = ["public"]\n'
    client = serve(two.tables, config=config)
    assert listed(client, "six") == ["six-99.0.tar.gz"]
    assert listed(client, "acme-tool") == []
    assert {question.path for question in two.public.questions} == {"/simple/six/"}

"""Redirects are followed within limits, and credentials stay with the upstream's own origin."""

import pytest

from wheelyard.errors import ConfigError, UpstreamInvalid, UpstreamUnavailable
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.index.upstream_address import UpstreamAddress, origin_of, redirect_target
from wheelyard.model import NormalizedName
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile, json_page, redirect

from .conftest import Opened

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
GOOD = json_page("six", [UpstreamFile(filename="six-1.0.tar.gz")])
BASIC = "Basic dTpw"  # u:p


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_followed(open_index: Opened, upstream: FakeUpstream, status: int) -> None:
    """URL-08: every kind of redirect is followed."""
    upstream.script("/simple/six/", redirect("/elsewhere/six/", status))
    upstream.script("/elsewhere/six/", GOOD)
    assert (await (await open_index(upstream.root)).page(SIX)).files


async def test_same_origin_keeps_credentials(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-04: within its own origin the upstream sees the credentials after a redirect too."""
    upstream.credentials = ("u", "p")
    upstream.script("/simple/six/", redirect("/elsewhere/six/"))
    upstream.script("/elsewhere/six/", GOOD)
    index = await open_index(upstream.root, credentials=("u", "p"))
    assert (await index.page(SIX)).files
    assert [question.headers.get("authorization") for question in upstream.questions] == [BASIC, BASIC]


async def test_other_host_sees_no_credentials(open_index: Opened, upstream: FakeUpstream) -> None:
    """FILE-05: another host name is another origin and gets no credentials."""
    upstream.script("/simple/six/", redirect(f"{upstream.other_origin}/elsewhere/six/"))
    upstream.script("/elsewhere/six/", GOOD)
    await (await open_index(upstream.root, credentials=("u", "p"))).page(SIX)
    assert [question.headers.get("authorization") for question in upstream.questions] == [BASIC, None]


async def test_other_port_sees_no_credentials(open_index: Opened, upstream: FakeUpstream) -> None:
    """FILE-05: another port is another origin and gets no credentials."""
    with FakeUpstream() as other:
        upstream.script("/simple/six/", redirect(f"{other.root}six/"))
        other.script("/simple/six/", GOOD)
        await (await open_index(upstream.root, credentials=("u", "p"))).page(SIX)
        assert "authorization" not in other.questions[0].headers


async def test_redirect_cannot_name_credentials(open_index: Opened, upstream: FakeUpstream) -> None:
    """FILE-05: credentials in a redirect are not used."""
    upstream.script("/simple/six/", redirect(upstream.root.replace("//", "//eve:secret@") + "seven/"))
    upstream.script("/simple/seven/", GOOD)
    await (await open_index(upstream.root)).page(SIX)
    assert "authorization" not in upstream.questions[1].headers


async def test_loop(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-03: a redirect loop ends in an error."""
    upstream.script("/simple/six/", redirect("/simple/six/"))
    with pytest.raises(UpstreamInvalid, match="more than 5 times"):
        await (await open_index(upstream.root)).page(SIX)
    assert upstream.asked() == 6


@pytest.mark.parametrize(
    "location",
    ["", "ftp://host/six/", "javascript:1", "http://[", "http://", "http://host:port/", "file:///etc/passwd"],
)
async def test_nowhere(open_index: Opened, upstream: FakeUpstream, location: str) -> None:
    """DC-03: a redirect to what is no http address is an error."""
    upstream.script("/simple/six/", Answer(status=302, headers={"location": location}))
    with pytest.raises(UpstreamInvalid):
        await (await open_index(upstream.root)).page(SIX)


def test_no_downgrade() -> None:
    """FILE-05: a redirect from https to http is not followed, the other way round is."""
    assert redirect_target("https://host/simple/six/", "http://host/simple/six/") is None
    assert redirect_target("http://host/simple/six/", "https://host/simple/six/") == "https://host/simple/six/"


async def test_missing_at_the_end(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-03: a gateway failure behind a redirect is a failure like any other."""
    upstream.script("/simple/six/", redirect("/elsewhere/"))
    upstream.script("/elsewhere/", Answer(status=500))
    with pytest.raises(UpstreamUnavailable):
        await (await open_index(upstream.root)).page(SIX)


async def test_credentials_in_the_url(open_index: Opened, upstream: FakeUpstream) -> None:
    """AU-03, AU-05: credentials in the upstream's URL are used, percent-decoded, and shown nowhere."""
    upstream.credentials = ("us", "p@ss/word")
    url = upstream.root.replace("//", "//us:p%40ss%2Fword@")
    index = await open_index(url)
    with pytest.raises(Exception, match="no project 'six'"):
        await index.page(SIX)
    upstream.script("/simple/six/", Answer(status=500))
    with pytest.raises(UpstreamUnavailable) as caught:
        await index.page(SIX)
    shown = f"{index.url} {caught.value} {caught.value.upstream} {caught.value.hint} {index._address!r}"
    assert index.url == upstream.root
    assert "word" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/simple",
        "ftp://host/simple/",
        "http:///simple/",
        "http://user:secret@host:port/",
        "https://host/?a=secret",
    ],
)
def test_no_address(url: str) -> None:
    """DC-03: what is no address of an index is refused when the index is made, without repeating secrets."""
    with pytest.raises(ConfigError) as caught:
        UpstreamIndex(url)
    assert "secret" not in str(caught.value)


def test_slash_is_added() -> None:
    """URL-03: the root of an upstream ends with one slash, however it was written."""
    for url in ("https://host/simple", "https://host/simple/", "https://host/simple//", " https://host/simple#x"):
        assert UpstreamAddress.parse(url).root == "https://host/simple/"


def test_origins() -> None:
    """FILE-05: origins are compared with their default ports, hosts without regard to case."""
    assert origin_of("https://Host/a") == origin_of("https://host:443/b")
    assert origin_of("http://host/") != origin_of("https://host/")
    assert origin_of("http://host/") != origin_of("http://host:8080/")
    assert UpstreamAddress.parse("http://[::1]:8080/simple").root == "http://[::1]:8080/simple/"

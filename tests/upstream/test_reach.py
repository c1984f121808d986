"""An upstream cannot lead this server into networks that it is not part of itself."""

import pytest

from wheelyard.errors import UpstreamInvalid
from wheelyard.index.upstream_reach import Reach
from wheelyard.model import NormalizedName
from wheelyard.testing.fake_upstream import FakeUpstream, UpstreamFile, redirect

from .conftest import OpenMirror

pytestmark = pytest.mark.anyio

PUBLIC, PRIVATE, LOOPBACK, LINK_LOCAL = "8.8.8.8", "10.1.2.3", "127.0.0.1", "169.254.169.254"

CASES = [
    (PUBLIC, PUBLIC, True),
    (PUBLIC, "2606:4700::1", True),
    (PUBLIC, PRIVATE, False),
    (PUBLIC, LOOPBACK, False),
    (PUBLIC, LINK_LOCAL, False),
    (PUBLIC, "::1", False),
    (PUBLIC, "fd00::1", False),
    (PUBLIC, "::ffff:10.1.2.3", False),
    (PUBLIC, "0.0.0.0", False),
    (PRIVATE, PRIVATE, True),
    (PRIVATE, LOOPBACK, True),
    (PRIVATE, PUBLIC, True),
    (PRIVATE, LINK_LOCAL, False),
    (LINK_LOCAL, LINK_LOCAL, True),
]


@pytest.mark.parametrize(("upstream", "host", "allowed"), CASES)
async def test_addresses(upstream: str, host: str, *, allowed: bool) -> None:
    """FILE-05: private addresses are for upstreams on private networks, link-local ones for nobody else."""
    reach = Reach(upstream)
    assert await reach.allows(host) is allowed
    assert await reach.allows(host) is allowed


async def test_allowed_by_the_administrator() -> None:
    """FILE-05: the administrator may allow private networks, and never link-local addresses."""
    reach = Reach(PUBLIC, private_allowed=True)
    assert await reach.allows(PRIVATE)
    assert not await reach.allows(LINK_LOCAL)


@pytest.mark.parametrize("by", ["page", "redirect"])
async def test_refused(open_mirror: OpenMirror, upstream: FakeUpstream, by: str) -> None:
    """FILE-05: neither a page nor a redirect makes this server ask a cloud's metadata service."""
    there = "http://169.254.169.254/latest/meta-data/"
    file = UpstreamFile(filename="six-1.0.tar.gz", url=there if by == "page" else None)
    upstream.offer("six", file)
    if by == "redirect":
        upstream.script(file.path, redirect(there))
    index = await open_mirror()
    body = (await index.file(NormalizedName("six"), (await index.page(NormalizedName("six"))).files[0].filename)).body
    with pytest.raises(UpstreamInvalid, match="private network"):
        await anext(body.open(None))  # type: ignore[union-attr]  # a stream, since nothing is kept
